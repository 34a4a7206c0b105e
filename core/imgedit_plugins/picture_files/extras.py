"""Libraries that only some formats need, installed as extras of the project."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from imgedit_plugins.errors import PictureError

_KINDS = {"heif": "HEIC", "jxl": "JPEG XL"}


def load(module: str, extra: str, path: Path, error: type[PictureError]) -> Any:
    """A module of an extra.

    Raises:
        PictureError: of the given kind, with the command that installs the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError as missing:
        raise not_installed(extra, path, error) from missing


def not_installed(extra: str, path: Path, error: type[PictureError]) -> PictureError:
    """The error for a format whose library is not there."""
    return error(
        f"{str(path)!r} needs the library for {_KINDS[extra]} pictures, which is not installed.",
        path=path,
        hint=f"Run `pip install 'imgedit-plugins[{extra}]'`.",
    )
