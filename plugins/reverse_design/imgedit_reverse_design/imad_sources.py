"""Beginning make-imad, or going on with it: which pictures there are, recorded once."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from imgedit_modelkit.readers.imad import EDITIONS, INPUTS, MADE_BY, OUTPUTS, tables_of
from imgedit_plugins.atomic import write_text_atomic
from imgedit_plugins.errors import DataError, PictureReadError
from imgedit_plugins.jobs import Job
from imgedit_plugins.picture_files import open_picture
from imgedit_reverse_design.imad_work import ROWS, Settings, Source, sha256_of
from imgedit_reverse_design.threads import Steps, in_threads

SCHEMA = "imgedit-imad/1"
SUFFIXES = frozenset({".avif", ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"})

_NAMED = 5  # examples in a message


def begin(out: Path, settings: Settings, workers: int, job: Job) -> tuple[Source, ...]:
    """The list of pictures: as recorded by an earlier run, or else found now and recorded."""
    out.mkdir(parents=True, exist_ok=True)
    record = out / MADE_BY
    if record.exists():
        sources = _recorded(record, settings)
    else:
        _refuse_occupied(out)
        sources = _find_sources(out, settings, workers, job)
        write_text_atomic(record, json.dumps(_record_of(settings, sources), indent=1) + "\n")
    for name in (ROWS, INPUTS, OUTPUTS):
        (out / name).mkdir(exist_ok=True)
    _remove_leftovers(out)
    return sources


def _recorded(record: Path, settings: Settings) -> tuple[Source, ...]:
    try:
        document = json.loads(record.read_text(encoding="utf-8"))
        # A folder that was begun before there were two editions says none.
        before: dict[str, Any] = {"edition": "dense", **document["request"]}
        sources = tuple(Source(str(path), str(sha256)) for path, sha256 in document["pictures"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{record} is not what make-imad writes: {error}.", path=record) from error
    now = vars(settings)
    differing = [name for name in now if before.get(name) != now[name]]
    if differing:
        told = "; ".join(f"{n}: {before.get(n)!r} there, {now[n]!r} asked for" for n in differing)
        raise DataError(
            f"{record.parent} holds data of another request ({told}).",
            path=record.parent,
            hint="Choose another folder, or give the same options to go on with it.",
        )
    return sources


def _record_of(settings: Settings, sources: Iterable[Source]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "request": vars(settings),
        "pictures": [[source.path, source.sha256] for source in sources],
    }


def _refuse_occupied(out: Path) -> None:
    tables = (name for edition in EDITIONS for name in tables_of(edition))
    ours = (*tables, INPUTS, OUTPUTS, ROWS)
    taken = next((name for name in ours if (out / name).exists()), None)
    if taken:
        raise DataError(
            f"{out} holds {taken!r} already, which no run of make-imad began.",
            path=out,
            hint="Choose an empty folder.",
        )


def _remove_leftovers(out: Path) -> None:
    """Remove half-written files of a killed run."""
    for folder in (out, *(out / name for name in (ROWS, INPUTS, OUTPUTS))):
        for path in folder.glob(".*-????????.part*"):
            path.unlink(missing_ok=True)


def _find_sources(out: Path, settings: Settings, workers: int, job: Job) -> tuple[Source, ...]:
    """All pictures below the folder that can be decoded, by path."""
    images = Path(settings.images)
    paths = _picture_paths(images, out.resolve(), job)
    steps = Steps(job, "checking pictures", 0, len(paths))
    checked = in_threads(functools.partial(_check_source, images), paths, workers, steps)
    found = dict(zip(paths, checked, strict=True))
    bad = [(path, told) for path, told in found.items() if isinstance(told, str)]
    sources = tuple(told for told in found.values() if isinstance(told, Source))
    if bad:
        examples = "; ".join(f"{path}: {told}" for path, told in bad[:_NAMED])
        rest = " ..." if len(bad) > _NAMED else ""
        job.warn(
            f"{len(bad)} of {len(paths)} pictures cannot be read and are left out: {examples}{rest}"
        )
    if not sources:
        kinds = ", ".join(sorted(SUFFIXES))
        raise DataError(
            f"There is no readable picture in {images}.", path=images, hint=f"Looked for {kinds}."
        )
    return sources


def _picture_paths(images: Path, out: Path, job: Job) -> list[str]:
    """Relative paths with slashes, sorted; hidden files and our own output are not looked at."""
    if not images.is_dir():
        raise DataError(f"There is no folder {images}.", path=images)
    found = []

    def skip(error: OSError) -> None:
        job.warn(f"The folder {error.filename} cannot be read and is left out: {error.strerror}.")

    for folder, subfolders, files in os.walk(images, onerror=skip):
        here = Path(folder)
        subfolders[:] = [n for n in subfolders if n[0] != "." and (here / n).resolve() != out]
        found += [
            (here / name).relative_to(images).as_posix()
            for name in files
            if name[0] != "." and Path(name).suffix.lower() in SUFFIXES
        ]
    return sorted(found)


def _check_source(images: Path, path: str) -> Source | str:
    """The picture, or why it cannot be read."""
    try:
        open_picture(images / path)
        return Source(path, sha256_of(images / path))
    except (PictureReadError, OSError) as error:
        return str(error)
