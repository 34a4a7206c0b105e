"""Folders of results: pictures by the name of their item, and expressive instructions."""

from __future__ import annotations

import json
from pathlib import Path

from imgedit_modelkit.evaluation.layout import SUFFIXES, TEXTS
from imgedit_plugins.errors import DataError


def texts_in(folder: Path) -> dict[str, str]:
    """The expressive instructions of a folder, by the name of their item; empty without a file.

    Raises:
        DataError: the file cannot be read.
    """
    path = folder / TEXTS
    if not path.is_file():
        return {}
    try:
        lines = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]
        return {str(line["name"]): str(line["expressive"]) for line in lines}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} cannot be read: {error!r}.", path=path) from error


def picture_in(folder: Path, name: str) -> Path | None:
    """The picture of an item; None where there is none."""
    paths = (folder / f"{name}{suffix}" for suffix in SUFFIXES)
    return next((path for path in paths if path.is_file()), None)
