"""One row measured: results compared, then everyone's times in turns.

Each peer's result is compared with ours on the middle of the picture; who is too far off is
marked and not timed. Then everyone edits the whole picture: once cold, then in rounds, each time in
another order, so that what else the machine does meets all alike. Ratios are medians of the
ratios within a round. Commands that need far longer than the fastest are timed on the middle
alone, and the time is scaled by the number of pixels: such figures are marked '~'.

On a machine that others use as well times spread. Rows of which they do are given more rounds,
with all who are near the fastest, until they settle or the time for that is spent. And for some
seconds a machine may give fresh pages late, or a core to somebody else, which can double one
contender's times throughout a row. So rows are visited again, minutes later, for as many rounds.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.rendering.contenders import (
    Attempt,
    NotExpressedError,
    Peer,
    PeerFailedError,
    Source,
    copies,
    ours,
    ours_in_place,
)
from benchmarks.rendering.rows import MARGIN, Row, Tolerance
from benchmarks.rendering.sample import Pixels
from imgedit_plugins.operations import default_vocabulary
from imgedit_plugins.render import Rounding

OURS = "ours"
OURS_END = "ours (end)"
INTO = {OURS: "ours, out=", OURS_END: "ours (end), out="}
"""The same into memory in use, as `np.copyto` has it."""
IN_PLACE = {OURS: "ours, in place", OURS_END: "ours (end), in place"}
"""The same over the picture itself, beside peers that do so and are near the fastest."""
WARM_COPY = "np.copyto (warm)"
FRESH_COPY = "np.copy (fresh)"
YARDSTICKS = (WARM_COPY, FRESH_COPY)
OWN = frozenset({*INTO, *INTO.values(), *IN_PLACE.values(), *YARDSTICKS})

_NEARLY_FASTEST = 3.0  # times the fastest's time, within which a command is timed in full
_ENOUGH_SECONDS = 0.6  # spent on one contender of a row, after which a few rounds are enough
_LEAST_ROUNDS = 3
_FEW_ROUNDS = 1  # for who is far behind the fastest peer
_COMMAND_ROUNDS = 3
_SETTLED = 0.1  # of the median, which half of the times may be apart
_MOST_ROUNDS = 15
_MORE_SECONDS = 2.0  # for the rounds of a row beyond those that were asked for


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        rounds: of everybody in turns, after the cold one.
        full: whether slow commands edit the whole picture as well.
        visits: of each row, one after all rows have had theirs.
    """

    rounds: int
    full: bool = False
    visits: int = 1


@dataclass
class Cell:
    """What is known of one contender in one row.

    Attributes:
        cold: seconds of its first time.
        times: seconds of each later time, by round.
        scaled: whether the times are of a smaller picture.
        difference: (largest, mean) against ours, in 8-bit codes.
        equal: whether that is within the tolerance.
        note: why there are no times.
        in_place: whether the result overwrites the picture.
    """

    cold: float | None = None
    times: dict[int, float] = field(default_factory=dict)
    scaled: bool = False
    difference: tuple[float, float] | None = None
    equal: bool = True
    note: str = ""
    in_place: bool = False

    @property
    def seconds(self) -> float | None:
        """The median, or the cold time where there is no other."""
        return statistics.median(self.times.values()) if self.times else self.cold

    def as_json(self) -> dict[str, Any]:
        """For the file of results; milliseconds."""
        known = {
            "warm_ms": _ms(self.seconds if self.times else None),
            "cold_ms": _ms(self.cold),
            "rounds": len(self.times),
            "scaled": self.scaled,
            "equal": self.equal,
            "in_place": self.in_place or None,
            "difference": self.difference,
            "note": self.note,
        }
        return {name: value for name, value in known.items() if value not in (None, "")}


@dataclass
class Measured:
    """A row at one depth.

    Attributes:
        cells: by contender, in the order of the table.
        tolerance: what counted as equal.
        turns: what is done in each round of a later visit, by contender, those near the fastest.
        visits: so many there were.
    """

    row: Row
    bits: int
    tolerance: Tolerance
    cells: dict[str, Cell]
    turns: dict[str, Attempt] = field(default_factory=dict, repr=False)
    visits: int = 1

    @property
    def variants(self) -> list[str]:
        """Our own ways of rounding, those that differ."""
        return [name for name in (OURS, OURS_END) if name in self.cells]

    def peers(self) -> dict[str, Cell]:
        """The others whose result is equal and timed."""
        return {n: c for n, c in self.cells.items() if n not in OWN and c.seconds is not None}

    def fastest(self) -> str | None:
        """Who of the peers is the fastest."""
        peers = self.peers()
        return min(peers, key=lambda name: peers[name].seconds or 0.0) if peers else None

    def hardest(self, variant: str) -> tuple[str, float] | None:
        """Who of the fastest comes nearest to us, and how many times our time he takes.

        Of peers that overwrite the picture and of the others the fastest each; beside the former
        is our time for the same, where it was taken.
        """
        ratios = {}
        for kind in (False, True):
            peers = {n: c.seconds for n, c in self.peers().items() if c.in_place is kind}
            if peers:
                name = min(peers, key=lambda n: peers[n] or 0.0)
                same = IN_PLACE[variant] if kind else variant
                ratio = self.ratio(name, same if same in self.cells else variant)
                if ratio is not None:
                    ratios[name] = ratio
        return min(ratios.items(), key=lambda item: item[1]) if ratios else None

    def ratio(self, of: str, to: str) -> float | None:
        """How many times the time of `to` is the time of `of`."""
        if of not in self.cells or to not in self.cells:
            return None
        above, below = self.cells[of], self.cells[to]
        rounds = above.times.keys() & below.times.keys()
        if rounds:
            return statistics.median(above.times[r] / below.times[r] for r in rounds)
        if not above.seconds or not below.seconds:
            return None
        return above.seconds / below.seconds

    def as_json(self) -> dict[str, Any]:
        """For the file of results."""
        return {
            "row": self.row.name,
            "family": self.row.family,
            "plan": self.row.described(),
            "bits": self.bits,
            "tolerance": [self.tolerance.largest, self.tolerance.mean],
            "contenders": {name: cell.as_json() for name, cell in self.cells.items()},
            "fastest_peer": self.fastest(),
        }


def measured(
    row: Row, whole: Source, part: Source, peers: Sequence[Peer], effort: Effort
) -> Measured:
    """One row on one picture.

    Args:
        row: the plan.
        whole: the picture.
        part: its middle, for comparing results and for slow commands.
        peers: those that are installed.
        effort: how long.
    """
    bits = whole.bits
    found = Measured(row, bits, row.tolerance(bits), {})
    turns = _own(row, whole, found)
    reference = [ours(row.steps, part, "auto").result()]
    if OURS_END in found.cells:
        reference.append(ours(row.steps, part, "end").result())
    slow: dict[str, tuple[Attempt, Attempt]] = {}
    for peer in peers:
        cell = found.cells.setdefault(peer.name, Cell())
        try:
            on_part, on_whole = (peer.attempt(row.steps, source) for source in (part, whole))
            cell.difference = _difference(on_part.result(), reference, found.tolerance)
        except NotExpressedError as error:
            cell.note = f"cannot: {error}"
            continue
        except PeerFailedError as error:
            cell.note = f"failed: {error}"
            continue
        cell.in_place = on_whole.in_place
        cell.equal = _within(cell.difference, found.tolerance)
        if not cell.equal:
            cell.note = "differs"
        elif on_whole.own_process:
            slow[peer.name] = on_part, on_whole
        else:
            turns[peer.name] = on_whole
    _take_turns(turns, found, effort.rounds)
    for name, (on_part, on_whole) in slow.items():
        _time_command(found.cells[name], found, on_part, on_whole, effort, _size(whole, part))
    if any(cell.in_place and not cell.scaled for cell in found.peers().values()):
        _time_in_place(row, whole, found, effort.rounds)
    return found


def _roundings(row: Row, whole: Source) -> dict[str, Rounding]:
    recipes = all(default_vocabulary()[step.name].render is not None for step in row.steps)
    if whole.bits == 8 and recipes:
        return {OURS: "auto", OURS_END: "end"}
    return {OURS: "auto"}


def _time_in_place(row: Row, whole: Source, found: Measured, rounds: int) -> None:
    for name, rounding in _roundings(row, whole).items():
        attempt = found.turns[IN_PLACE[name]] = ours_in_place(row.steps, whole, rounding)
        cell = found.cells[IN_PLACE[name]] = Cell(in_place=True)
        cell.cold = attempt.seconds()
        cell.times.update({number: attempt.seconds() for number in range(rounds)})


def _own(row: Row, whole: Source, found: Measured) -> dict[str, Attempt]:
    turns = copies(whole)
    for name, rounding in _roundings(row, whole).items():
        turns[name] = ours(row.steps, whole, rounding)
        turns[INTO[name]] = ours(row.steps, whole, rounding, into_place=True)
    found.cells.update({name: Cell() for name in turns})
    return turns


def _take_turns(turns: dict[str, Attempt], found: Measured, rounds: int) -> None:
    for name, attempt in turns.items():
        found.cells[name].cold = attempt.seconds()
    peers = [name for name in turns if name not in OWN]
    fastest = min((found.cells[name].cold or 0.0 for name in peers), default=0.0)
    behind = {n for n in peers if (found.cells[n].cold or 0.0) > _NEARLY_FASTEST * fastest}
    for number in range(rounds):
        names = [name for name in turns if number < _FEW_ROUNDS or name not in behind]
        for name in _shuffled(names, number):
            times = found.cells[name].times
            spent = sum(times.values())
            if number < _LEAST_ROUNDS or spent < _ENOUGH_SECONDS:
                times[number] = turns[name].seconds()
    if rounds >= _LEAST_ROUNDS:
        found.turns = {name: turns[name] for name in turns if name not in behind}
        _settle(found.turns, {name: found.cells[name].times for name in found.turns}, rounds)


def visit_again(found: Measured) -> None:
    """As many rounds as in the first visit, of everyone near the fastest."""
    first = 1 + max((max(cell.times, default=0) for cell in found.cells.values()), default=0)
    taken = {name: len(found.cells[name].times) // found.visits for name in found.turns}
    found.visits += 1
    for number in range(first, first + max(taken.values(), default=0)):
        for name in _shuffled(list(found.turns), number):
            if number - first < taken[name]:
                found.cells[name].times[number] = found.turns[name].seconds()


def _settle(near: dict[str, Attempt], times: dict[str, dict[int, float]], rounds: int) -> None:
    """More rounds of everyone near, while somebody's times are spread."""
    spent = 0.0
    for number in range(rounds, _MOST_ROUNDS):
        if spent >= _MORE_SECONDS or max(map(_spread, times.values())) <= _SETTLED:
            return
        for name in _shuffled(list(near), number):
            times[name][number] = near[name].seconds()
            spent += times[name][number]


def _spread(times: dict[int, float]) -> float:
    """How far the middle half of the times reaches, as a share of the median."""
    low, middle, high = statistics.quantiles(times.values(), n=4, method="inclusive")
    return (high - low) / middle


def _shuffled(names: list[str], number: int) -> list[str]:
    """Everyone in another order each round, and so after another one each time."""
    return random.Random(number).sample(names, len(names))


def _time_command(
    cell: Cell, found: Measured, on_part: Attempt, on_whole: Attempt, effort: Effort, size: float
) -> None:
    try:
        estimate = on_part.seconds() * size
        known = [c.seconds for n, c in found.cells.items() if n not in YARDSTICKS and c.seconds]
        if not effort.full and estimate > _NEARLY_FASTEST * min(known):
            cell.cold, cell.scaled = estimate, True
            return
        taken = [on_whole.seconds() for _ in range(min(_COMMAND_ROUNDS, effort.rounds))]
        cell.cold = statistics.median(taken)
    except PeerFailedError as error:
        cell.note = f"failed: {error}"


def _size(whole: Source, part: Source) -> float:
    return whole.pixels.size / part.pixels.size


def _difference(
    made: Pixels, references: Sequence[Pixels], tolerance: Tolerance
) -> tuple[float, float]:
    """(largest, mean) in 8-bit codes against that of our results which is nearer."""
    found = [_apart(made, reference) for reference in references]
    return min(found, key=lambda d: max(d[0] / tolerance.largest, d[1] / tolerance.mean))


def _apart(made: Pixels, reference: Pixels) -> tuple[float, float]:
    if made.shape != reference.shape or made.dtype != reference.dtype:
        return float("inf"), float("inf")
    inner = (slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
    codes = np.abs(made[inner].astype(np.int32) - reference[inner].astype(np.int32))
    white = float(np.iinfo(reference.dtype).max)
    return float(codes.max()) * 255 / white, float(codes.mean()) * 255 / white


def _within(difference: tuple[float, float], tolerance: Tolerance) -> bool:
    return difference[0] <= tolerance.largest and difference[1] <= tolerance.mean


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)
