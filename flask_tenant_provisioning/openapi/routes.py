"""The routes that describe the API."""

from __future__ import annotations

from ..web.routing import Routes

routes = Routes()
