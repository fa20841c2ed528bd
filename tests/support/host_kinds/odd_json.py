"""A JSON provider that cannot write a UUID, and writes what no other parser reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flask import Flask, jsonify, request
from flask.json.provider import JSONProvider
from flask.typing import ResponseReturnValue

from tests.support.host_kinds.kinds import Kind
from tests.support.hosts import make_config


class GuardedJSON(JSONProvider):
    """JSON behind a loop, against scripts of other sites."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        return "while(1);" + json.dumps(obj, indent=3)

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        return json.loads(s if isinstance(s, str) else s.decode("ascii"), parse_int=str)


class HostApp(Flask):
    """A Flask with JSON of its own."""

    json_provider_class = GuardedJSON


def build(_folder: Path) -> Flask:
    """The app."""
    app = HostApp("host")
    app.config.update(make_config())

    @app.route("/", methods=["GET", "POST"])
    def echo() -> ResponseReturnValue:
        return jsonify({"b": [1, None], "a": request.get_json(silent=True)})

    return app


KIND = Kind(build, pages=(("GET", "/"), ("POST", "/"), ("GET", "/nowhere")))
