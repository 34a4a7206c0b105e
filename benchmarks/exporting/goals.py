"""The goals of the issue, and whether a run reaches them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.exporting.results import Result
from benchmarks.exporting.rows import BF16, DIFFUSERS, EAGER, OURS

DECODE, UNET, MEMORY, EDIT = 0.95, 1.0, 1.3, 1.0


@dataclass(frozen=True)
class Verdict:
    """A goal on one row.

    Attributes:
        goal, row: for people.
        value: the ratio; None where there was nobody to compare with.
        verdict: 'PASS', 'FAIL' or 'NOT RUN'.
        peer: who was compared with.
    """

    goal: str
    row: str
    value: float | None
    verdict: str
    peer: str = ""

    def as_json(self) -> dict[str, Any]:
        """For the file of results."""
        return asdict(self)


def judged(results: Sequence[Result]) -> list[Verdict]:
    """All goals on all rows."""
    return [verdict for result in results for verdict in _judged(result)]


def _judged(result: Result) -> Iterator[Verdict]:
    if result.kind == "text":
        peer = fastest(result)
        goal = f"writes at least {DECODE} times as fast as the fastest peer"
        yield _verdict(goal, result, _ratio(result, peer), peer, at_least=DECODE)
    elif result.row == "UNet step":
        goal = "at least as fast as torch eager"
        yield _verdict(goal, result, _ratio(result, EAGER), EAGER, at_least=UNET)
        goal = f"at most {MEMORY} times the memory of torch eager"
        yield _verdict(goal, result, _memory(result, EAGER), EAGER, at_most=MEMORY)
    elif result.kind == "edit":
        yield _verdict("ahead", result, _ratio(result, DIFFUSERS), DIFFUSERS, at_least=EDIT)


def fastest(result: Result) -> str:
    """The fastest peer in the same precision; '' where there is none."""
    peers = {
        name: speed
        for name in result.figures
        if name not in (OURS, BF16) and (speed := result.speed(name))
    }
    return max(peers, key=lambda name: peers[name]) if peers else ""


def _ratio(result: Result, peer: str) -> float | None:
    ours, theirs = result.speed(OURS), result.speed(peer)
    return ours / theirs if ours and theirs else None


def _memory(result: Result, peer: str) -> float | None:
    both = [result.figures.get(name) for name in (OURS, peer)]
    peaks = [one.peak for one in both if one and one.peak]
    return peaks[0] / peaks[1] if len(peaks) == 2 else None


def _verdict(
    goal: str,
    result: Result,
    value: float | None,
    peer: str,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Verdict:
    if value is None:
        return Verdict(goal, result.row, None, "NOT RUN", peer)
    reached = value >= at_least if at_least is not None else value <= (at_most or 0)
    return Verdict(goal, result.row, value, "PASS" if reached else "FAIL", peer)
