"""The recipe make-imad: pairs with I-MAD-Dense's exact distribution, from any folder of pictures.

What is written, besides the authors' layout (see `imad_data`):

* ``imad.json``: the request, and every picture that was found, with its SHA-256. Written first.
* ``rows/rows-00000.jsonl`` ...: one JSON object per row with all that made it. A file appears
  when its rows' pictures are complete, so the files that are there say how far the work got.
* the two CSV files, made from those at the end.

A row depends on the request, the list of pictures and its number alone, and files appear by
rename; so work that was killed goes on with the first missing file and ends with the same bytes.
One process at a time may work on a folder.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import io
import json
import os
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from imgedit_plugins.atomic import write_failure, write_text_atomic
from imgedit_plugins.errors import DataError, OptionError, PictureReadError
from imgedit_plugins.jobs import Job
from imgedit_plugins.operations import DEFAULT_PROFILE, Profile, load_profile
from imgedit_plugins.picture_files import open_picture, save_picture
from imgedit_plugins.pictures import RGB8, Picture
from imgedit_plugins.plan import EditPlan, PlannedOperation
from imgedit_plugins.render import render_plan
from imgedit_plugins.requests import DataReport, DataRequest
from imgedit_reverse_design import imad_sentences
from imgedit_reverse_design.imad_data import INPUTS, MADE_BY, OUTPUTS, ROWS_CSV, VALUES_CSV
from imgedit_reverse_design.imad_distribution import (
    LEVEL_COUNTS,
    PUBLISHED_ROWS,
    Draw,
    draw_rows,
)

SCHEMA = "imgedit-imad/1"
ROWS = "rows"
FORMATS = ("jpg", "png")
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"})
DIGITS = 3
"""Decimals of normalised values, as published."""

_NAMED = 5  # examples in a message
_POLL_SECONDS = 0.2

_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass(frozen=True)
class Settings:
    """What is asked for; two requests are the same when these are.

    Attributes:
        images: folder of pictures, absolute.
        count: rows.
        format: 'jpg' or 'png', of both picture folders.
        quality: of JPEG, 1..100.
        shard_rows: rows per provenance file.
        max_side: pictures are scaled down to this many pixels on their longer side; 0: never.
        definitions: definition profile, id or path.
        constants: SHA-256 of its constants.
        seed: of everything random.
    """

    images: str
    count: int
    format: str
    quality: int
    shard_rows: int
    max_side: int
    definitions: str
    constants: str
    seed: int

    @property
    def shards(self) -> int:
        """How many provenance files there will be."""
        return -(-self.count // self.shard_rows)

    def rows_of(self, shard: int) -> range:
        """The rows of one provenance file."""
        return range(shard * self.shard_rows, min((shard + 1) * self.shard_rows, self.count))


@dataclass(frozen=True)
class _Source:
    """One picture of the folder: path relative to it, with slashes, and the file's SHA-256."""

    path: str
    sha256: str


@dataclass(frozen=True)
class _Work:
    """Everything that the rows are made from."""

    out: Path
    settings: Settings
    sources: tuple[_Source, ...]
    draws: tuple[Draw, ...]
    profile: Profile


def make_imad(request: DataRequest, job: Job) -> DataReport:
    """Make the data set, or go on with it.

    Options: images (needed), count (22131), format (jpg), quality (95), shard-rows (1000),
    max-side (0: as they are), definitions, workers (0: all cores).

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
        sources = _begin(out, settings, workers, job)
        work = _Work(
            out,
            settings,
            sources,
            draw_rows(settings.count, len(sources), settings.seed),
            load_profile(settings.definitions),
        )
        resumed = _make_shards(work, workers, job)
        _write_tables(work, job)
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


# --- beginning, or going on -------------------------------------------------------------------


def _begin(out: Path, settings: Settings, workers: int, job: Job) -> tuple[_Source, ...]:
    """The list of pictures: as recorded by an earlier run, or else found now and recorded."""
    out.mkdir(parents=True, exist_ok=True)
    record = out / MADE_BY
    if record.exists():
        sources = _recorded(record, settings)
    else:
        _refuse_occupied(out)
        sources = _find_sources(out, settings, workers, job)
        _write_json(record, _record_of(settings, sources))
    for name in (ROWS, INPUTS, OUTPUTS):
        (out / name).mkdir(exist_ok=True)
    _remove_leftovers(out)
    return sources


def _recorded(record: Path, settings: Settings) -> tuple[_Source, ...]:
    try:
        document = json.loads(record.read_text(encoding="utf-8"))
        before: dict[str, Any] = document["request"]
        sources = tuple(_Source(str(path), str(sha256)) for path, sha256 in document["pictures"])
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


def _record_of(settings: Settings, sources: Iterable[_Source]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "request": vars(settings),
        "pictures": [[source.path, source.sha256] for source in sources],
    }


def _refuse_occupied(out: Path) -> None:
    ours = (ROWS_CSV, VALUES_CSV, INPUTS, OUTPUTS, ROWS)
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


def _find_sources(out: Path, settings: Settings, workers: int, job: Job) -> tuple[_Source, ...]:
    """All pictures below the folder that can be decoded, by path."""
    images = Path(settings.images)
    paths = _picture_paths(images, out.resolve(), job)
    steps = _Steps(job, "checking pictures", 0, len(paths))
    checked = _in_threads(functools.partial(_check_source, images), paths, workers, steps)
    found = dict(zip(paths, checked, strict=True))
    bad = [(path, told) for path, told in found.items() if isinstance(told, str)]
    sources = tuple(told for told in found.values() if isinstance(told, _Source))
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


def _check_source(images: Path, path: str) -> _Source | str:
    """The picture, or why it cannot be read."""
    try:
        open_picture(images / path)
        return _Source(path, _sha256(images / path))
    except (PictureReadError, OSError) as error:
        return str(error)


# --- rows -------------------------------------------------------------------------------------


def _make_shards(work: _Work, workers: int, job: Job) -> int:
    """Make what is missing; returns the number of rows that were there before."""
    settings, there = work.settings, _files_there(work)
    missing = [s for s in range(settings.shards) if not _is_complete(work, s, there)]
    resumed = settings.count - sum(len(settings.rows_of(shard)) for shard in missing)
    steps = _Steps(job, "making pairs", resumed, settings.count)
    make_row = functools.partial(_make_row, work)
    for shard in missing:
        records = _in_threads(make_row, settings.rows_of(shard), workers, steps)
        lines = [json.dumps(record, sort_keys=True) + "\n" for record in records]
        write_text_atomic(_shard_path(work, shard), "".join(lines))
    return resumed


def _shard_path(work: _Work, shard: int) -> Path:
    return work.out / ROWS / f"rows-{shard:05d}.jsonl"


def _files_there(work: _Work) -> dict[str, set[str]]:
    folders = (ROWS, INPUTS, OUTPUTS)
    return {name: {path.name for path in (work.out / name).iterdir()} for name in folders}


def _is_complete(work: _Work, shard: int, there: Mapping[str, set[str]]) -> bool:
    if _shard_path(work, shard).name not in there[ROWS]:
        return False
    files = {f"{row}.{work.settings.format}" for row in work.settings.rows_of(shard)}
    return files <= there[INPUTS] and files <= there[OUTPUTS]


def _make_row(work: _Work, row: int) -> dict[str, Any]:
    """Write the two pictures of one row; returns its provenance."""
    settings, draw = work.settings, work.draws[row]
    source = work.sources[draw.picture]
    plan = _plan_of(draw, work.profile, settings.definitions)
    name = f"{row}.{settings.format}"
    before, after = work.out / INPUTS / name, work.out / OUTPUTS / name
    _save(_prepared(work, source), before, settings)
    # The edit starts from the picture as written: its compression is part of the source.
    _save(render_plan(open_picture(before), plan), after, settings)
    return {
        "id": row,
        "source": source.path,
        "source_sha256": source.sha256,
        "input_sha256": _sha256(before),
        "edited_sha256": _sha256(after),
        "operations": [
            {"name": s.name, "parameters": s.parameters, "normalised": _normalised(work, s)}
            for s in plan.operations
        ],
        "command": imad_sentences.command(
            [name for name, _ in draw.steps],
            random.Random(f"command/{settings.seed}/{row}"),  # noqa: S311 (not for secrets)
        ),
        "definitions": settings.definitions,
        "constants_sha256": settings.constants,
        "seed": settings.seed,
        "versions": _versions(),
    }


def _plan_of(draw: Draw, profile: Profile, definitions: str) -> EditPlan:
    steps = tuple(
        PlannedOperation(name=name, parameters=_parameters(name, level, profile))
        for name, level in draw.steps
    )
    return EditPlan(definitions=definitions, operations=steps)


def _parameters(name: str, level: int, profile: Profile) -> dict[str, int | float]:
    levels = profile.levels(name)
    if not levels:
        return {}
    return profile.denormalise(name, float(levels[level]) / float(levels[-1]))


def _normalised(work: _Work, step: PlannedOperation) -> float:
    return round(work.profile.normalise(step.name, step.parameters), DIGITS)


def _prepared(work: _Work, source: _Source) -> Picture:
    """The source as 8-bit sRGB without alpha and metadata, scaled down where asked for."""
    path = Path(work.settings.images) / source.path
    if _sha256(path) != source.sha256:
        raise DataError(
            f"{path} is not the picture any more that it was when the work began.", path=path
        )
    picture = open_picture(path)
    return Picture(_scaled(_srgb(picture), work.settings.max_side))


def _srgb(picture: Picture) -> RGB8:
    """Colours converted to sRGB where the picture has a usable profile."""
    import numpy as np
    from PIL import Image, ImageCms

    rgb = picture.rgb8()
    if picture.icc_profile is None or picture.is_grey:
        return rgb
    try:
        image = ImageCms.profileToProfile(
            Image.fromarray(rgb),
            io.BytesIO(picture.icc_profile),
            ImageCms.createProfile("sRGB"),
            outputMode="RGB",
        )
    except (ImageCms.PyCMSError, OSError):
        return rgb
    return rgb if image is None else np.ascontiguousarray(image)


def _scaled(rgb: RGB8, max_side: int) -> RGB8:
    import cv2
    import numpy as np

    height, width = rgb.shape[:2]
    if not 0 < max_side < max(height, width):
        return rgb
    scale = max_side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))


def _save(picture: Picture, path: Path, settings: Settings) -> None:
    quality = settings.quality if settings.format == "jpg" else None
    save_picture(Picture(picture.rgb8()), path, quality=quality)


@functools.cache
def _versions() -> dict[str, str]:
    import cv2
    import numpy as np
    import PIL
    import pyvips

    from imgedit_plugins import __version__

    return {
        "imgedit-plugins": __version__,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "pillow": PIL.__version__,
        "libvips": ".".join(str(pyvips.version(part)) for part in range(3)),
    }


# --- tables -----------------------------------------------------------------------------------


def _write_tables(work: _Work, job: Job) -> None:
    """The authors' two CSV files; the one that a reader opens first comes last."""
    records = list(_records(work, job))
    versions = {json.dumps(record["versions"], sort_keys=True) for record in records}
    if len(versions) > 1:
        job.warn(f"{work.out} was made with {len(versions)} different sets of versions.")
    _write_csv(
        work.out / VALUES_CSV,
        ("value_normalized",),
        ((str([op["normalised"] for op in record["operations"]]),) for record in records),
    )
    _write_csv(
        work.out / ROWS_CSV,
        ("img_source", "action", "textv2"),
        ((r["source"], str([op["name"] for op in r["operations"]]), r["command"]) for r in records),
    )


def _records(work: _Work, job: Job) -> Iterator[dict[str, Any]]:
    for shard in range(work.settings.shards):
        job.report("writing tables", shard, work.settings.shards)
        path = _shard_path(work, shard)
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
            records = [json.loads(line) for line in lines]
            found = [record["id"] for record in records]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} is not what make-imad writes: {error}.", path=path) from error
        if found != list(work.settings.rows_of(shard)):
            raise DataError(
                f"{path} does not hold the rows that belong there.",
                path=path,
                hint="Remove it and start again: its rows will be made anew.",
            )
        yield from records


def _write_csv(path: Path, header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text_atomic(path, text.getvalue())


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    write_text_atomic(path, json.dumps(document, indent=1) + "\n")


# --- helpers ----------------------------------------------------------------------------------


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _told_as_data_errors(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = Path(error.filename) if isinstance(error.filename, str) else out
        raise DataError(f"{where} cannot be used: {write_failure(error)}.", path=where) from error


@dataclass
class _Steps:
    """Counts steps and reports each to the job."""

    job: Job
    stage: str
    done: int
    total: int

    def one_more(self) -> None:
        self.done += 1
        self.job.report(self.stage, self.done, self.total)


def _in_threads(
    work: Callable[[_T], _R], items: Sequence[_T], workers: int, steps: _Steps
) -> list[_R]:
    """`work` for each item, results in the order of the items; stops early when cancelled.

    Threads are enough: decoding, OpenCV and encoding release Python's lock.
    """
    results = []
    with ThreadPoolExecutor(workers) as pool:
        try:
            for future in [pool.submit(work, item) for item in items]:
                results.append(_result_of(future, steps.job))
                steps.one_more()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return results


def _result_of(future: Future[_R], job: Job) -> _R:
    while True:
        wait([future], _POLL_SECONDS)
        job.check()
        if future.done():
            return future.result()
