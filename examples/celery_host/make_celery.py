"""The module for ``celery -A make_celery``, as in Flask's documentation."""

from __future__ import annotations

from app import create_app

flask_app = create_app()
celery_app = flask_app.extensions["celery"]
