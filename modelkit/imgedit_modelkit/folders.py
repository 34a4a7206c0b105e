"""Folders that appear whole or not at all, as files do by `imgedit_plugins.atomic`."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def appearing(target: Path) -> Iterator[Path]:
    """An empty folder that takes the free name `target` when the block ends well."""
    folder = target.with_name(f".{target.name}.part")
    remove(folder)
    folder.mkdir(parents=True)
    try:
        yield folder
        for path in folder.rglob("*"):
            if path.is_file():
                sync_file(path)
        folder.rename(target)
    finally:
        remove(folder)


def remove(path: Path) -> None:
    """Remove a folder of ours; under another name first, so that no half folder is seen."""
    if not path.exists():
        return
    aside = path if path.name.startswith(".") else path.with_name(f".{path.name}.part")
    if aside != path:
        if aside.exists():
            shutil.rmtree(aside)
        path.rename(aside)
    shutil.rmtree(aside)


def sync_file(path: Path) -> None:
    """Wait until a file's content is on the disk; nothing happens where there is none."""
    if path.exists():
        with path.open("rb+") as file:
            os.fsync(file.fileno())


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed process left half written, or half removed, in a folder."""
    for path in folder.glob(".*.part*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
