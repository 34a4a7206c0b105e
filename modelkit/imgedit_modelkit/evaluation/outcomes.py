"""What comes of edits: their pictures, words and figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from imgedit_modelkit.evaluation.items import Item
from imgedit_modelkit.evaluation.methods import Method


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
        expressive: the instruction as a language model put it, or what it inferred; '' for nothing.
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


@dataclass
class Done:
    """What came of an evaluation.

    Attributes:
        outcomes: of each row, by its title.
        unreadable: why an item's pictures cannot be used, by its name; no row has it.
        warnings: how often each row was warned of what, by its title.
        parameters: of each row's language model, by its title.
    """

    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    warnings: dict[str, dict[str, int]] = field(default_factory=dict)
    parameters: dict[str, int] = field(default_factory=dict)

    def failures(self, title: str) -> list[Outcome]:
        """The outcomes of a row that are none."""
        return [outcome for outcome in self.outcomes[title] if outcome.failure]

    def warned(self) -> Iterator[str]:
        """What rows were warned of, a sentence each with how often."""
        for title, counts in self.warnings.items():
            for warning, count in counts.items():
                yield f"{title}, {count} times: {warning}"
