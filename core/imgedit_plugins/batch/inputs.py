"""Which files of folders are pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from imgedit_plugins.errors import PictureReadError
from imgedit_plugins.picture_files import EXTENSIONS, formats


@dataclass(frozen=True)
class Source:
    """A picture to edit.

    Attributes:
        path: the file.
        name: its file name, or its place below the folder that was given; that folder's own name
            stands before it where there were others.
    """

    path: Path
    name: Path


@dataclass(frozen=True)
class Skipped:
    """A file of a folder that is left alone.

    Attributes:
        path: the file.
        reason: a sentence.
    """

    path: Path
    reason: str


def find_pictures(
    given: Sequence[Path],
    *,
    recursive: bool = False,
    leave_out: Path | None = None,
    renamed: bool = False,
) -> tuple[list[Source], list[Skipped]]:
    """The pictures among files and in folders, in the order given and by name.

    A file that is given itself is taken as it is. One in a folder is a picture by its content, or
    else by its extension: a damaged JPEG shall fail, not be passed over. Hidden files and folders
    are passed over without a word. Links to folders are not followed.

    Args:
        given: files and folders.
        recursive: whether folders inside folders count.
        leave_out: a folder not to look into (that of the results).
        renamed: whether results get the extension of another format; otherwise a picture whose
            extension says no format is left alone.

    Returns:
        The pictures, and what else lies in the folders.

    Raises:
        PictureReadError: a folder cannot be listed.
    """
    sources: list[Source] = []
    skipped: list[Skipped] = []
    hidden = leave_out.resolve() if leave_out else None
    for path in given:
        if not path.is_dir():
            sources.append(Source(path, Path(path.name)))
            continue
        own = Path(path.resolve().name if len(given) > 1 else "")
        for file in _files(path, hidden, recursive=recursive):
            if reason := _why_not(file, renamed=renamed):
                skipped.append(Skipped(file, reason))
            else:
                sources.append(Source(file, own / file.relative_to(path)))
    return sources, skipped


def _files(folder: Path, hidden: Path | None, *, recursive: bool) -> Iterator[Path]:
    def fail(error: OSError) -> None:
        raise formats.read_failure(Path(error.filename or folder), error) from error

    for place, folders, names in os.walk(folder, onerror=fail):
        here = Path(place)
        for name in sorted(names):
            if not name.startswith("."):
                yield here / name
        inside = [name for name in sorted(folders) if not name.startswith(".")]
        folders[:] = [n for n in inside if (here / n).resolve() != hidden] if recursive else []


def _why_not(path: Path, *, renamed: bool) -> str:
    """Why a file is no picture to edit; empty where it is one."""
    known = path.suffix.lower() in EXTENSIONS
    try:
        with formats.open_file(path) as file:
            formats.sniff(file, path)
    except PictureReadError as error:
        return "" if known else error.message
    except OSError as error:
        return "" if known else formats.read_failure(path, error).message
    if known or renamed:
        return ""
    return f"{formats.quoted(path)} is a picture, but nothing is saved as {path.suffix!r}."
