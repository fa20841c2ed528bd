"""What goes wrong with a licence, told in a sentence."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import click

from ...config import ConfigurationError
from ...licensing import LicenseError

A_FILE = click.Path(dir_okay=False, path_type=Path)


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Tell what is wrong in a sentence, and exit with status 1."""
    try:
        yield
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}.") from None
    except (LicenseError, ConfigurationError) as error:
        raise click.ClickException(str(error)) from None
