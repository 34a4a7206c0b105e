"""Pairs to learn from: generated scenes, edited by the plugin's own recipe; and their twin.

The twin has the same pictures and commands, but in training and validation every pair has the
answer of another pair: what a projection learns from it, it has not learnt from pictures. The test
pairs of both are the same.
"""

from __future__ import annotations

import csv
import os
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.minigpt4_learning import scenes
from benchmarks.minigpt4_learning.sizes import Sizes
from imgedit_modelkit.folders import appearing
from imgedit_modelkit.readers.imad import INPUTS, OUTPUTS, ROWS_CSV, VALUES_CSV, ImadRow, read_imad
from imgedit_modelkit.readers.splits import split_by_image
from imgedit_plugins import manifest
from imgedit_plugins.jobs import Job
from imgedit_plugins.options import resolve_options
from imgedit_plugins.picture_files import save_picture
from imgedit_plugins.pictures import Picture
from imgedit_plugins.requests import DataRequest
from imgedit_reverse_design import plugin

_FIRST_SEED = 2_000_000_000
"""No scene of the pre-training has such a seed."""

MANIFEST = manifest.load(Path(plugin.__file__).parent / manifest.FILE_NAME)


def make_scenes(folder: Path, count: int) -> Path:
    """The pictures to edit; made once."""
    if not folder.exists():
        with appearing(folder) as part:
            for number in range(count):
                made = scenes.scene(np.random.default_rng(_FIRST_SEED + number))
                save_picture(Picture(made), part / f"{number:05d}.png")
    return folder


def make_pairs(folder: Path, sizes: Sizes, job: Job) -> Path:
    """A folder in I-MAD's layout, by `data reverse_design make-imad`; resumed if it was begun."""
    out = folder / "pairs"
    images = make_scenes(folder / "scenes", sizes.pictures)
    recipe = next(recipe for recipe in MANIFEST.data if recipe.name == "make-imad")
    given: dict[str, str | int] = {
        "images": str(images),
        "count": sizes.rows,
        "format": "png",
        "workers": 1,
    }
    options = resolve_options(recipe.options, given)
    plugin.make_data(DataRequest(recipe="make-imad", out=out, options=options), job)
    return out


def make_twin(pairs: Path, out: Path, job: Job) -> Path:
    """The same pairs with each other's answers in training and validation; made once."""
    if out.exists():
        return out
    parts = split_by_image(read_imad(pairs, job))
    takes = {row.id: row.id for row in parts["test"]}
    for part in ("train", "validation"):
        takes |= exchanged(parts[part])
    with appearing(out) as folder:
        for name in (INPUTS, OUTPUTS):
            (folder / name).mkdir()
            for path in (pairs / name).iterdir():
                os.link(path, folder / name / path.name)
        rows, values = _read(pairs / ROWS_CSV), _read(pairs / VALUES_CSV)
        order = [takes[number] for number in range(len(rows))]
        mixed = [row | {"action": rows[n]["action"]} for row, n in zip(rows, order, strict=True)]
        _write(folder / ROWS_CSV, mixed)
        _write(folder / VALUES_CSV, [values[number] for number in order])
    return out


def exchanged(rows: Sequence[ImadRow]) -> dict[int, int]:
    """For each row's number that of another one, whose answer it takes; each is taken once."""
    rng = random.Random("twin")
    order = sorted((row.id for row in rows), key=lambda _: rng.random())
    return dict(zip(order, order[1:] + order[:1], strict=True))


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _write(path: Path, rows: Sequence[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
