"""GIER's local operations: edits of some regions only.

A plan has no regions, so every operation that it names counts as one of the whole picture. What can
be told is how many operations are local, whether these are harder to name, and how often 'global'
was right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from imgedit_plugins.requests import Table
from imgedit_reverse_design.outcomes import Outcome, sample_of
from imgedit_reverse_design.score_tables import shown

ALL = "all"


@dataclass(frozen=True)
class LocalScore:
    """How one operation fared where it is local, and where it is not.

    Attributes:
        local, whole: pairs that have it in some regions, and in the whole picture.
        named_local, named_whole: of these, pairs where the prediction names it.
    """

    local: int
    whole: int
    named_local: int
    named_whole: int

    @property
    def local_recall(self) -> float | None:
        """Share of the local ones that is named."""
        return self.named_local / self.local if self.local else None

    @property
    def whole_recall(self) -> float | None:
        """Share of the others that is named."""
        return self.named_whole / self.whole if self.whole else None

    @property
    def flag_right(self) -> float | None:
        """Share of the named ones that are of the whole picture, as a plan has it."""
        named = self.named_local + self.named_whole
        return self.named_whole / named if named else None


def local_scores(outcomes: Sequence[Outcome]) -> dict[str, LocalScore]:
    """A score for each true operation, the most frequent first, and for `ALL` of them."""
    counts: dict[str, list[int]] = {ALL: [0, 0, 0, 0]}
    for outcome in outcomes:
        sample = sample_of(outcome)
        for name in sample.truth:
            whole = name not in (outcome.row.local or frozenset())
            for key in (name, ALL):
                found = counts.setdefault(key, [0, 0, 0, 0])
                found[whole] += 1
                found[2 + whole] += name in sample.predicted
    order = sorted(counts, key=lambda name: (name == ALL, -sum(counts[name][:2]), name))
    return {name: LocalScore(*counts[name]) for name in order}


def local_table(title: str, found: dict[str, LocalScore]) -> Table:
    """The scores for people."""
    return Table(
        title=title,
        columns=(
            "operation",
            "local",
            "whole picture",
            "named, local",
            "named, whole picture",
            "recall of local %",
            "recall of whole %",
            "flag right %",
        ),
        rows=tuple(
            (
                name,
                score.local,
                score.whole,
                score.named_local,
                score.named_whole,
                shown("recall", score.local_recall),
                shown("recall", score.whole_recall),
                shown("recall", score.flag_right),
            )
            for name, score in found.items()
        ),
    )
