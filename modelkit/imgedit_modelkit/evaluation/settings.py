"""What every evaluation of edits is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from imgedit_modelkit.evaluation.layout import Layout
from imgedit_modelkit.evaluation.methods import Method


@dataclass(frozen=True)
class Settings:
    """What is evaluated, and how.

    Attributes:
        layout: whose evaluation it is.
        data: folder of the data set.
        table: which table or figure is made.
        work: what is done for it; answers to one work are of no use for another.
        set_name: of the data set; '' to be told by its files.
        split, limit: which rows.
        every_instruction: whether each of a pair's instructions makes a row, or only the first.
        methods: the rows of the table.
        size: side of the square that is edited and scored, in pixels.
        seed, seeds: of the first noise; how many of them for each edit.
        image_guidances: how closely edits keep to the picture, rising; one, or those of a curve.
        curve: whether each of them is a point of its own.
        keep: folder for what is finished; None for none.
    """

    layout: Layout
    data: Path
    table: str
    work: str
    set_name: str
    split: str
    limit: int
    every_instruction: bool
    methods: tuple[Method, ...]
    size: int
    seed: int
    seeds: int
    image_guidances: tuple[float, ...]
    curve: bool
    keep: Path | None
