"""The public import path of Celery's beat schedule."""

from __future__ import annotations
