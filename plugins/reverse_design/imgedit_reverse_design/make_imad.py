"""The recipe make-imad: pairs with I-MAD-Dense's exact distribution, from any folder of pictures.

What is written, besides the authors' layout (see `imgedit_modelkit.readers.imad`):

* ``imad.json``: the request, and every picture that was found, with its SHA-256. Written first.
* ``rows/rows-00000.jsonl`` ...: one JSON object per row with all that made it. A file appears
  when its rows' pictures are complete, so the files that are there say how far the work got.
* the two CSV files, made from those at the end.

A row depends on the request, the list of pictures and its number alone, and files appear by
rename; so work that was killed goes on with the first missing file and ends with the same bytes.
One process at a time may work on a folder.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imgedit_modelkit.readers.imad import EDITIONS
from imgedit_plugins.atomic import write_failure
from imgedit_plugins.errors import DataError, OptionError
from imgedit_plugins.jobs import Job
from imgedit_plugins.operations import DEFAULT_PROFILE, Profile, load_profile
from imgedit_plugins.requests import DataReport, DataRequest
from imgedit_reverse_design.imad_distribution import LEVEL_COUNTS, PUBLISHED_ROWS, draw_rows
from imgedit_reverse_design.imad_rows import make_shards, write_tables
from imgedit_reverse_design.imad_sources import begin
from imgedit_reverse_design.imad_work import Settings, Work

FORMATS = ("jpg", "png")


def make_imad(request: DataRequest, job: Job) -> DataReport:
    """Make the data set, or go on with it.

    Options: images (needed), count (22131), format (jpg), quality (95), shard-rows (1000),
    max-side (0: as they are), definitions, edition (dense), workers (0: all cores).

    Raises:
        OptionError: an option is out of range.
        DataError: no picture can be read, a picture changed meanwhile, `request.out` holds
            something else (such as data of another request), or cannot be written.
        ProfileError: unknown definitions.
        JobCancelledError: cancelled; the same request goes on from there.
    """
    settings, workers = _settings(request)
    out = request.out
    with _told_as_data_errors(out):
        sources = begin(out, settings, workers, job)
        work = Work(
            out,
            settings,
            sources,
            draw_rows(settings.count, len(sources), settings.seed),
            load_profile(settings.definitions),
        )
        resumed = make_shards(work, workers, job)
        write_tables(work, job)
    details = {"pictures": len(sources), "shards": settings.shards}
    return DataReport(folder=out, rows=settings.count, resumed=resumed, details=details)


# --- the request ------------------------------------------------------------------------------


def _settings(request: DataRequest) -> tuple[Settings, int]:
    options = request.options
    images = options.get("images")
    if not isinstance(images, str) or not images:
        raise OptionError("make-imad needs the option 'images': a folder of pictures.")
    kind = options.get("format", "jpg")
    if kind not in FORMATS:
        raise OptionError(f"Option 'format' must be jpg or png, not {kind!r}.")
    edition = options.get("edition", EDITIONS[0])
    if edition not in EDITIONS:
        raise OptionError(f"Option 'edition' must be dense or pro, not {edition!r}.")
    definitions = str(options.get("definitions", DEFAULT_PROFILE))
    if definitions.endswith(".toml"):
        definitions = str(Path(definitions).resolve())
    profile = load_profile(definitions)
    _check_levels(profile)
    settings = Settings(
        images=str(Path(images).resolve()),
        count=_whole(request, "count", PUBLISHED_ROWS, 1),
        format=str(kind),
        quality=_whole(request, "quality", 95, 1, 100),
        shard_rows=_whole(request, "shard-rows", 1000, 1),
        max_side=_whole(request, "max-side", 0, 0),
        definitions=definitions,
        constants=_hash_of_constants(profile),
        seed=request.seed,
        edition=str(edition),
    )
    return settings, _whole(request, "workers", 0, 0) or os.cpu_count() or 1


def _whole(
    request: DataRequest, name: str, default: int, minimum: int, maximum: int | None = None
) -> int:
    value = request.options.get(name, default)
    whole = isinstance(value, int) and not isinstance(value, bool)
    if isinstance(value, int) and whole and minimum <= value <= (maximum or value):
        return value
    allowed = f"of at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
    raise OptionError(f"Option {name!r} must be a whole number {allowed}, not {value!r}.")


def _check_levels(profile: Profile) -> None:
    for name, counts in LEVEL_COUNTS.items():
        levels = len(profile.levels(name)) or 1
        if levels != len(counts):
            raise DataError(
                f"The definitions {profile.id!r} have {levels} levels of {name!r}; the "
                f"distribution of I-MAD-Dense needs {len(counts)}."
            )


def _hash_of_constants(profile: Profile) -> str:
    constants = {name: dict(values) for name, values in profile.constants.items()}
    return hashlib.sha256(json.dumps(constants, sort_keys=True).encode()).hexdigest()


@contextmanager
def _told_as_data_errors(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = Path(error.filename) if isinstance(error.filename, str) else out
        raise DataError(f"{where} cannot be used: {write_failure(error)}.", path=where) from error
