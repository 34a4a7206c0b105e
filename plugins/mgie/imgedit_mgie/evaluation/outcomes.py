"""What comes of one edit: its picture, its words, its figures."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from imgedit_mgie.evaluation.items import Item
from imgedit_mgie.evaluation.methods import Method


@dataclass(frozen=True)
class Task:
    """One edit.

    Attributes:
        item: what is edited.
        method: by which row.
        number: which of the seeds, from 0.
        image_guidance: how closely to keep to the picture.
    """

    item: Item
    method: Method
    number: int
    image_guidance: float


@dataclass(frozen=True)
class Outcome:
    """One scored edit.

    Attributes:
        task: which.
        figures: by name; those that were measured.
        expressive: the expressive instruction; '' where there is none.
        seconds: that the edit took.
        picture: file of the edited picture; None where none was made.
        failure: why there is none, a sentence; such an outcome has no figures.
    """

    task: Task
    figures: dict[str, float] = field(default_factory=dict)
    expressive: str = ""
    seconds: float = 0.0
    picture: Path | None = None
    failure: str = ""
