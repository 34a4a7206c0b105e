"""Golden pairs of an export: pictures before and after edits that are known."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imgedit_modelkit.evaluation.rows import drawn
from imgedit_modelkit.export_parts import smooth
from imgedit_modelkit.readers.imad import read_imad
from imgedit_modelkit.readers.splits import split_by_image
from imgedit_plugins.errors import DataError
from imgedit_plugins.jobs import Job
from imgedit_plugins.operations import DEFAULT_PROFILE, load_profile
from imgedit_plugins.picture_files import open_picture
from imgedit_plugins.pictures import RGB8, Picture
from imgedit_plugins.render import render_plan
from imgedit_reverse_design import imad_sentences
from imgedit_reverse_design.imad_distribution import draw_rows
from imgedit_reverse_design.imad_rows import plan_of, scaled

SIDE = 256
"""Pixels of the longer side of a picture of a data set, at most: bundles keep them."""

_MADE = (60, 80)


@dataclass(frozen=True)
class GoldenPair:
    """Two pictures and what led from one to the other.

    Attributes:
        source, edited: before and after.
        command: the edit in words; None for a question without.
        names: the operations, at least one.
    """

    source: RGB8
    edited: RGB8
    command: str | None
    names: tuple[str, ...]


def made_pairs(count: int, seed: int = 4) -> Iterator[GoldenPair]:
    """Pairs of drawn pictures and edits, as many operations as I-MAD has; half with a command."""
    profile = load_profile()
    for number, draw in enumerate(draw_rows(count, count, seed)):
        (colours,) = smooth(np.random.default_rng([seed, number]), 1, *_MADE)
        source = np.rint(colours.transpose(1, 2, 0) * 255).astype(np.uint8)
        edited = render_plan(Picture(source), plan_of(draw, profile, DEFAULT_PROFILE)).rgb8()
        names = tuple(name for name, _ in draw.steps)
        rng = random.Random(f"golden/{seed}/{number}")  # noqa: S311 (not for secrets)
        command = imad_sentences.command(list(names), rng) if number % 2 else None
        yield GoldenPair(source, edited, command, names)


def pairs_of(folder: Path, count: int, job: Job) -> Iterator[GoldenPair]:
    """Pairs of the test split of a data set in I-MAD's layout, the same ones each time.

    Raises:
        DataError: the folder is no such data set, or its test split is empty.
    """
    rows = split_by_image(read_imad(folder, job))["test"]
    if not rows:
        raise DataError(f"The test split of {folder} is empty.", path=folder)
    for number, row in enumerate(drawn(rows, count, seed=0)):
        source, edited = (open_picture(path).rgb8() for path in (row.source, row.edited))
        command = (row.command or None) if number % 2 else None
        names = tuple(name for name, _ in row.operations)
        yield GoldenPair(scaled(source, SIDE), scaled(edited, SIDE), command, names)
