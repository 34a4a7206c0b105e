"""The rows of make-imad: pictures and provenance, and the two tables made from them."""

from __future__ import annotations

import csv
import functools
import io
import json
import random
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from imgedit_modelkit.readers.imad import INPUTS, OUTPUTS, tables_of
from imgedit_plugins.atomic import write_text_atomic
from imgedit_plugins.colour_profiles import to_srgb
from imgedit_plugins.errors import DataError
from imgedit_plugins.jobs import Job
from imgedit_plugins.operations import Profile
from imgedit_plugins.picture_files import open_picture, save_picture
from imgedit_plugins.pictures import RGB8, Picture
from imgedit_plugins.plan import EditPlan, PlannedOperation
from imgedit_plugins.render import render_plan
from imgedit_reverse_design import imad_sentences
from imgedit_reverse_design.imad_distribution import Draw
from imgedit_reverse_design.imad_work import ROWS, Settings, Source, Work, sha256_of
from imgedit_reverse_design.threads import Steps, in_threads

DIGITS = 3
"""Decimals of normalised values, as published."""


def make_shards(work: Work, workers: int, job: Job) -> int:
    """Make what is missing; returns the number of rows that were there before."""
    settings, there = work.settings, _files_there(work)
    missing = [s for s in range(settings.shards) if not _is_complete(work, s, there)]
    resumed = settings.count - sum(len(settings.rows_of(shard)) for shard in missing)
    steps = Steps(job, "making pairs", resumed, settings.count)
    make_row = functools.partial(_make_row, work)
    for shard in missing:
        records = in_threads(make_row, settings.rows_of(shard), workers, steps)
        lines = [json.dumps(record, sort_keys=True) + "\n" for record in records]
        write_text_atomic(shard_path(work, shard), "".join(lines))
    return resumed


def shard_path(work: Work, shard: int) -> Path:
    """The provenance file of a shard."""
    return work.out / ROWS / f"rows-{shard:05d}.jsonl"


def _files_there(work: Work) -> dict[str, set[str]]:
    folders = (ROWS, INPUTS, OUTPUTS)
    return {name: {path.name for path in (work.out / name).iterdir()} for name in folders}


def _is_complete(work: Work, shard: int, there: Mapping[str, set[str]]) -> bool:
    if shard_path(work, shard).name not in there[ROWS]:
        return False
    files = {f"{row}.{work.settings.format}" for row in work.settings.rows_of(shard)}
    return files <= there[INPUTS] and files <= there[OUTPUTS]


def _make_row(work: Work, row: int) -> dict[str, Any]:
    """Write the two pictures of one row; returns its provenance."""
    settings, draw = work.settings, work.draws[row]
    source = work.sources[draw.picture]
    plan = plan_of(draw, work.profile, settings.definitions)
    name = f"{row}.{settings.format}"
    before, after = work.out / INPUTS / name, work.out / OUTPUTS / name
    _save(_prepared(work, source), before, settings)
    # The edit starts from the picture as written: its compression is part of the source.
    _save(render_plan(open_picture(before), plan), after, settings)
    return {
        "id": row,
        "source": source.path,
        "source_sha256": source.sha256,
        "input_sha256": sha256_of(before),
        "edited_sha256": sha256_of(after),
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


def plan_of(draw: Draw, profile: Profile, definitions: str) -> EditPlan:
    """The plan that a draw stands for."""
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


def _normalised(work: Work, step: PlannedOperation) -> float:
    return round(work.profile.normalise(step.name, step.parameters), DIGITS)


def _prepared(work: Work, source: Source) -> Picture:
    """The source as 8-bit sRGB without alpha and metadata, scaled down where asked for."""
    path = Path(work.settings.images) / source.path
    if sha256_of(path) != source.sha256:
        raise DataError(
            f"{path} is not the picture any more that it was when the work began.", path=path
        )
    picture = open_picture(path)
    return Picture(scaled(to_srgb(picture).rgb8(), work.settings.max_side))


def scaled(rgb: RGB8, max_side: int) -> RGB8:
    """The picture, made smaller where its longer side has more pixels; 0 for never."""
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


def write_tables(work: Work, job: Job) -> None:
    """The authors' two CSV files; the one that a reader opens first comes last."""
    records = list(_records(work, job))
    versions = {json.dumps(record["versions"], sort_keys=True) for record in records}
    if len(versions) > 1:
        job.warn(f"{work.out} was made with {len(versions)} different sets of versions.")
    rows_csv, values_csv = (work.out / name for name in tables_of(work.settings.edition))
    _write_csv(
        values_csv,
        ("value_normalized",),
        ((str([op["normalised"] for op in record["operations"]]),) for record in records),
    )
    _write_csv(
        rows_csv,
        ("img_source", "action", "textv2"),
        ((r["source"], str([op["name"] for op in r["operations"]]), r["command"]) for r in records),
    )


def _records(work: Work, job: Job) -> Iterator[dict[str, Any]]:
    for shard in range(work.settings.shards):
        job.report("writing tables", shard, work.settings.shards)
        path = shard_path(work, shard)
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
