"""Pictures that come into a shard's folder as they are."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from imgedit_modelkit.readers.stored import Stored, bytes_of, suffix_of


def put(stored: Stored, folder: Path, stem: str, *, link: bool = False) -> str:
    """Bring a picture's file into a folder, byte for byte; its name there.

    Args:
        stored: the picture.
        folder: where to.
        stem: its name there, to which the extension is added.
        link: make a hard link instead of a copy, where the disk can.

    Raises:
        DataError: it cannot be read.
        OSError: it cannot be written; that is no fault of the picture.
    """
    data = bytes_of(stored)
    path = folder / f"{stem}{suffix_of(data)}"
    # What may not be written cannot be waited for to be on the disk either.
    if link and isinstance(stored, Path) and os.access(stored, os.W_OK):
        with contextlib.suppress(OSError):  # another disk, or one without links
            os.link(stored, path)
            return path.name
    path.write_bytes(data)
    return path.name


def drop(folder: Path, names: Iterable[str]) -> None:
    """Remove files of a folder, as far as they are there."""
    for name in names:
        (folder / name).unlink(missing_ok=True)
