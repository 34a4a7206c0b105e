"""The goals of the issue, and whether a run reaches them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.rendering.measuring import FRESH_COPY, INTO, WARM_COPY, Measured
from benchmarks.rendering.rows import Row

PEER = "the fastest peer"


@dataclass(frozen=True)
class Goal:
    """A limit on rows.

    Attributes:
        title: what shall be so.
        applies: to which rows.
        against: 'the fastest peer', or one of the two copies.
        limit: peers: how many times as fast as they, at least; copies: how many times their
            time, at most.
    """

    title: str
    applies: Callable[[Row], bool]
    against: str
    limit: float

    def reached(self, value: float) -> bool:
        """Whether a ratio keeps the limit."""
        return value >= self.limit if self.against == PEER else value <= self.limit


@dataclass(frozen=True)
class Verdict:
    """A goal on one row.

    Attributes:
        goal, against, limit: the goal's title, yardstick and limit.
        row: the row's name and depth; `variant`: which of our ways of rounding.
        value: the ratio; None where there was nobody to compare with.
        verdict: 'PASS', 'FAIL' or 'NOT RUN'.
        peer: who was the fastest.
    """

    goal: str
    against: str
    limit: float
    row: str
    variant: str
    value: float | None
    verdict: str
    peer: str = ""

    def as_json(self) -> dict[str, Any]:
        """For the file of results."""
        return asdict(self)

    def described(self) -> str:
        """One line."""
        sign = ">=" if self.against == PEER else "<="
        value = "unknown" if self.value is None else f"{self.value:.2f} x"
        whom = f" ({self.peer})" if self.peer else ""
        place = f"{self.row:22} {self.variant:11}"
        return (
            f"{self.verdict:7}  {place} {value:>8}, goal {sign} {self.limit:g} x: {self.goal}{whom}"
        )


def _five(row: Row, family: str | None = None) -> bool:
    several = len(row.steps) == 5 and row.pointwise
    return several and (row.family == family if family else row.family != "HSV")


def _of(family: str) -> Callable[[Row], bool]:
    return lambda row: row.family == family


GOALS = (
    Goal("five pointwise operations beside the fastest peer", _five, PEER, 2.0),
    Goal("five with HSV beside the fastest peer", lambda r: _five(r, "HSV"), PEER, 1.5),
    Goal("a single operation beside the fastest peer", lambda r: r.single, PEER, 0.95),
    *(
        Goal(f"{family} beside {copy}", _of(family), copy, limit)
        for family, limit in (("affine", 1.5), ("per-channel", 4.0))
        for copy in (WARM_COPY, FRESH_COPY)
    ),
    *(
        Goal(f"one matrix beside {copy}", _of("matrix"), copy, 8.0)
        for copy in (WARM_COPY, FRESH_COPY)
    ),
)


def judged(found: Sequence[Measured]) -> list[Verdict]:
    """A verdict for each goal, row and way of rounding."""
    return [
        verdict
        for goal in GOALS
        for measured in found
        if goal.applies(measured.row)
        for verdict in _verdicts(goal, measured)
    ]


def _verdicts(goal: Goal, measured: Measured) -> Iterator[Verdict]:
    for variant in measured.variants:
        peer: str | None = None
        value: float | None = None
        if goal.against == PEER:
            peer, value = measured.hardest(variant) or (None, None)
        else:
            # Each copy beside the same kind of memory.
            ours = INTO[variant] if goal.against == WARM_COPY else variant
            value = measured.ratio(ours, goal.against)
        verdict = "NOT RUN" if value is None else "PASS" if goal.reached(value) else "FAIL"
        row = f"{measured.row.name} ({measured.bits} bits)"
        yield Verdict(
            goal.title, goal.against, goal.limit, row, variant, value, verdict, peer or ""
        )
