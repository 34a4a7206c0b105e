"""Verified search: plans are proposed, rendered, compared with the edited picture, and improved.

A plan is split into a *beginning*, which ends with an operation that mixes pixels or channels,
and an *ending* of per-channel curves, which `curves` finds for all sequences at once. Beginnings
are ranked by their scatter: what remains when each channel goes through its best curve. A beam
over beginnings, then single-operation edits of the best ones, then refinement of parameters.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from imgedit_plugins.jobs import Job
from imgedit_plugins.pictures import RGB8
from imgedit_reverse_design.curves import Endings, Target
from imgedit_reverse_design.moves import EXPENSIVE, Move, Renderer, Sequence_
from imgedit_reverse_design.scene import Scene

_SAMPLE = 3
"""Beginnings are ranked on every third pixel; plans are judged on all of them."""

_MATCH = 0.05
"""Mean squared error, in squared codes, below which a plan is taken to be the edit itself."""

_DEEP_MATCH = 0.2
"""The same for plans with a detail filter, which a picture's distant parts reach a little."""

_WORTH = 1.02
"""An operation that lowers the error by less than two percent is not worth its place."""

_NEAR = 40.0
"""Mean squared error above which the order of a turn and a detail filter cannot be the reason."""


@dataclass(frozen=True)
class Effort:
    """How hard to search.

    Attributes:
        beam: beginnings kept at each depth.
        depth: operations that mix pixels or channels in a beginning.
        paired: parents at each depth whose extensions are also tried behind a curve.
        expensive: parents that are extended by an expensive operation at each depth.
        decoded: beginnings per depth for which endings are sought.
        reordered: best plans per depth that are tried in every other order.
        climbs: best plans that are improved by single-operation edits.
        rounds: how often each is improved.
    """

    beam: int
    depth: int
    paired: int
    expensive: int
    decoded: int
    reordered: int
    climbs: int
    rounds: int


EFFORTS = {
    "quick": Effort(
        beam=8, depth=3, paired=1, expensive=1, decoded=4, reordered=1, climbs=1, rounds=2
    ),
    "normal": Effort(
        beam=24, depth=4, paired=5, expensive=3, decoded=10, reordered=3, climbs=3, rounds=4
    ),
    "thorough": Effort(
        beam=64, depth=5, paired=20, expensive=12, decoded=20, reordered=8, climbs=8, rounds=8
    ),
}


class View:
    """A scene with its target prepared: `some` ranks beginnings, `all` judges plans."""

    def __init__(self, scene: Scene, step: int) -> None:
        self.scene = scene
        self.step = step
        self.all = Target(scene.target)
        self.some = Target(np.ascontiguousarray(scene.target[::step]))

    def scatter(self, pixels: RGB8) -> float:
        """What remains of rendered crops behind the best curves."""
        return self.some.statistics(self.scene.inner(pixels)[:: self.step]).scatter()


@dataclass(frozen=True, eq=False)
class Beginning:
    """A rendered beginning; `scatter` is its mean squared error behind the best curves."""

    moves: Sequence_
    pixels: RGB8
    scatter: float
    view: View


@dataclass(frozen=True)
class Found:
    """A plan and its mean squared error on the scene, in squared 8-bit codes."""

    moves: Sequence_
    error: float


class Search:
    """The search on one scene.

    Args:
        scene: where plans are compared.
        renderer: draws moves.
        moves: what plans are made of.
        endings: for `moves`.
        longest: operations in a plan, at most.
        deep: places with a wider margin, on which expensive operations are judged; the same
            places once for each split of the turn, since those operations do not commute with it.
    """

    def __init__(
        self,
        scene: Scene,
        renderer: Renderer,
        moves: tuple[Move, ...],
        endings: Endings,
        longest: int,
        deep: tuple[Scene, ...],
    ) -> None:
        self.scene = scene
        self.renderer = renderer
        self.endings = endings
        self.longest = longest
        self.curves = tuple(m for m in moves if renderer.is_curve(m))
        self.mixers = tuple(m for m in moves if not renderer.is_curve(m))
        self.moves = moves
        self.telling = tuple(_middle_levels(self.curves))
        self.full = View(scene, _SAMPLE)
        # Expensive operations are ranked on one place only.
        self.lean = View(scene.first_place(), 1)
        self._errors: dict[Sequence_, float] = {}
        self._polished: set[Sequence_] = set()
        self._reordered: set[frozenset[Move]] = set()

        self.deep = deep

    def run(self, effort: Effort, job: Job) -> Found:
        """The best plan: a beam, and single-operation edits of its best plans where needed."""
        found = self.beam(effort, job)
        for start in self._different(found, effort.climbs):
            if self.enough(found[0]):
                break
            job.check()
            found = self.ranked(found + self.climb(start, effort))
        return self.prune(found[0])

    def enough(self, plan: Found) -> bool:
        """Whether the plan is as near to the edited picture as the edit itself would be."""
        expensive = any(m.name in EXPENSIVE for m in plan.moves)
        return plan.error < (_DEEP_MATCH if expensive else _MATCH)

    def prune(self, plan: Found) -> Found:
        """The plan without operations that hardly change its error."""
        for i in range(len(plan.moves)):
            fewer = Found(m := plan.moves[:i] + plan.moves[i + 1 :], self.error(m))
            if fewer.error <= plan.error * _WORTH + _MATCH:
                return self.prune(fewer)
        return plan

    def _different(self, found: list[Found], count: int) -> list[Found]:
        """The best plans with different operations."""
        kinds: dict[frozenset[str], Found] = {}
        for plan in found:
            kinds.setdefault(frozenset(m.name for m in plan.moves), plan)
        return list(kinds.values())[:count]

    # --- rendering and judging ----------------------------------------------------------------

    def beginning(self, parent: Beginning, *moves: Move) -> Beginning:
        """The parent with moves added."""
        pixels, view = parent.pixels, parent.view
        if view is self.full and any(m.name in EXPENSIVE for m in moves):
            view = self.lean
            pixels = np.ascontiguousarray(pixels[:, : view.scene.pixels.shape[1]])
        pixels = self.renderer.render_all(pixels, moves)
        return Beginning(parent.moves + moves, pixels, view.scatter(pixels), view)

    def nothing(self) -> Beginning:
        """The beginning without operations."""
        pixels = self.scene.pixels
        return Beginning((), pixels, self.full.scatter(pixels), self.full)

    def error(self, moves: Sequence_) -> float:
        """Mean squared error of a plan, through the edited file's own losses."""
        if moves not in self._errors:
            expensive = any(m.name in EXPENSIVE for m in moves)
            self._errors[moves] = (
                min(self.deep_errors(moves)) if expensive else self._error_on(self.scene, moves)
            )
        return self._errors[moves]

    def deep_errors(self, moves: Sequence_) -> list[float]:
        """Mean squared errors on `deep`; only the first where it shows that the plan is wrong."""
        first = self._error_on(self.deep[0], moves)
        if not _DEEP_MATCH < first < _NEAR:
            return [first]
        return [first, *(self._error_on(scene, moves) for scene in self.deep[1:])]

    def _error_on(self, scene: Scene, moves: Sequence_) -> float:
        rendered = self.renderer.render_all(scene.pixels, moves)
        gap = scene.inner(rendered, compress=True).astype(np.float32) - scene.target
        return float(np.square(gap).mean())

    def from_scratch(self, moves: Sequence_) -> Beginning:
        """A beginning rendered from the source."""
        return self.beginning(self.nothing(), *moves)

    def decode(self, beginning: Beginning, count: int) -> list[Found]:
        """The beginning with its best endings, judged."""
        taken = frozenset(m.name for m in beginning.moves)
        view = beginning.view
        stats = view.all.statistics(view.scene.inner(beginning.pixels))
        room = self.longest - len(beginning.moves)
        endings = self.endings.best(stats, taken, room, count)
        return [Found(m, self.error(m)) for m in (beginning.moves + e for _, e in endings)]

    # --- beam ---------------------------------------------------------------------------------

    def beam(self, effort: Effort, job: Job) -> list[Found]:
        """Plans found by the beam, lowest error first."""
        front = [self.nothing()]
        found = self.decode(front[0], 2)
        for depth in range(effort.depth):
            job.report("searching", depth, effort.depth + effort.rounds)
            if any(map(self.enough, found)):
                break
            front = self._narrow(list(self._extend(front, effort)), effort.beam)
            for beginning in front[: effort.decoded]:
                found += self.decode(beginning, 2)
            found = self.reorder(self.ranked(found), effort.reordered)
        return self.ranked(found)

    def reorder(self, found: list[Found], count: int) -> list[Found]:
        """The best plans in every other order, too; an ending may belong before a mixer."""
        done = 0
        for plan in list(found):
            kind = frozenset(plan.moves)
            if done == count or any(map(self.enough, found)):
                break
            if kind in self._reordered or len(plan.moves) < 2:
                continue
            self._reordered.add(kind)
            done += 1
            orders = sorted(self._orders((), self.scene.pixels, plan.moves), key=lambda f: f.error)
            found += [Found(order.moves, self.error(order.moves)) for order in orders[:2]]
            found.append(self.polish(min(found, key=lambda f: f.error)))
        return self.ranked(found)

    def polish(self, plan: Found) -> Found:
        """The plan after whatever small changes bring it nearer to the edited picture."""
        while not self.enough(plan) and plan.moves not in self._polished:
            self._polished.add(plan.moves)
            near = [Found(m, self.error(m)) for m in self._variations(plan.moves)]
            plan = min([plan, *near], key=lambda f: f.error)
        return plan

    def _variations(self, moves: Sequence_) -> list[Sequence_]:
        """One or two moves left out, two neighbours exchanged, one at another level."""
        places = range(len(moves))
        near = [
            tuple(m for j, m in enumerate(moves) if j not in (i, k))
            for i in places
            for k in places
            if i <= k
        ]
        near += [(*moves[:i], moves[i + 1], moves[i], *moves[i + 2 :]) for i in places[:-1]]
        for i, move in enumerate(moves):
            near += [
                (*moves[:i], m, *moves[i + 1 :])
                for m in self.moves
                if m.name == move.name and m != move
            ]
        return near

    def _orders(self, moves: Sequence_, pixels: RGB8, left: Sequence_) -> Iterator[Found]:
        """All orders of `left` behind `moves`, with their error without the file's losses."""
        if not left:
            gap = self.scene.inner(pixels)[::_SAMPLE].astype(np.float32) - self.full.some.pixels
            yield Found(moves, float(np.square(gap).mean()))
        for move in self._may_come_next(moves, left):
            rest = tuple(m for m in left if m != move)
            yield from self._orders((*moves, move), self.renderer.render(pixels, move), rest)

    def _may_come_next(self, moves: Sequence_, left: Sequence_) -> Sequence_:
        """The moves that are tried next; fewer where an expensive one must be rendered often."""
        if not any(m.name in EXPENSIVE for m in left):
            return left
        mixers = [m for m in left if not self.renderer.is_curve(m)][:1]
        curves = [m for m in left if self.renderer.is_curve(m)]
        return (*mixers, *(curves if len(moves) + len(left) < 5 else curves[:1]))

    def _extend(self, front: list[Beginning], effort: Effort) -> Iterator[Beginning]:
        for rank, parent in enumerate(front):
            taken = {m.name for m in parent.moves}
            free = [m for m in self.mixers if m.name not in taken]
            cheap = [m for m in free if m.name not in EXPENSIVE]
            costly = [m for m in free if m.name in EXPENSIVE] if rank < effort.expensive else []
            curves = [c for c in self.telling if c.name not in taken]
            steps: list[Sequence_] = [(m,) for m in (*cheap, *costly)]
            # Sharpening hides the blur before it, so they are tried together.
            steps += [(a, b) for a in cheap for b in cheap if is_smoothing(a) and b.name == "sharp"]
            steps += itertools.product(curves, costly)
            if rank < effort.paired:
                steps += itertools.product(curves, cheap)
                yield from self._inserted(parent, (*cheap, *curves))
            room = self.longest - len(parent.moves)
            yield from (self.beginning(parent, *s) for s in steps if len(s) <= room)

    def _inserted(self, parent: Beginning, moves: Sequence_) -> Iterator[Beginning]:
        """The parent with one move put in before its last one."""
        if len(parent.moves) >= self.longest:
            return
        root = self.nothing()
        for i in range(len(parent.moves)):
            if any(m.name in EXPENSIVE for m in parent.moves[i:]):
                continue
            head, tail = parent.moves[:i], parent.moves[i:]
            base = self.beginning(root, *head)
            yield from (self.beginning(base, m, *tail) for m in moves)

    def _narrow(self, children: list[Beginning], width: int) -> list[Beginning]:
        """The best of each kind, then the second best of each, then the third.

        A kind is a set of mixing operations, with or without curves among them, since the
        order of mixing operations and curves before them change the scatter little.
        """
        kinds: dict[tuple[object, ...], int] = {}
        ranked: list[tuple[int, float, Beginning]] = []
        seen: set[Sequence_] = set()
        for child in sorted(children, key=lambda b: b.scatter):
            if child.moves in seen:
                continue
            seen.add(child.moves)
            mixers = sorted(m.name for m in child.moves if not self.renderer.is_curve(m))
            kind = (len(mixers) == len(child.moves), *mixers)
            kinds[kind] = kinds.get(kind, -1) + 1
            if kinds[kind] < 3:
                ranked.append((kinds[kind], child.scatter, child))
        ranked.sort(key=lambda r: r[:2])
        return [child for _, _, child in ranked[:width]]

    # --- single-operation edits -----------------------------------------------------------------

    def climb(self, start: Found, effort: Effort) -> list[Found]:
        """The plan improved by inserting, removing, swapping and changing single operations."""
        found = [start]
        here = self.from_scratch(self._without_ending(start.moves))
        for _ in range(effort.rounds):
            if any(map(self.enough, found)):
                break
            near = [self.from_scratch(m) for m in self._neighbours(here.moves)]
            near = sorted((n for n in near if n.scatter < here.scatter), key=lambda b: b.scatter)
            if not near:
                break
            tried = [plan for beginning in near[:4] for plan in self.decode(beginning, 2)]
            found = self.reorder(self.ranked(found + tried), 1)
            here = near[0]
        return self.ranked(found)

    def _without_ending(self, moves: Sequence_) -> Sequence_:
        last = max((i for i, m in enumerate(moves) if not self.renderer.is_curve(m)), default=-1)
        return moves[: last + 1]

    def _neighbours(self, moves: Sequence_) -> Iterable[Sequence_]:
        taken = {m.name for m in moves}
        near: set[Sequence_] = set()
        for i in range(len(moves)):
            others = {m.name for j, m in enumerate(moves) if j != i}
            near.add(moves[:i] + moves[i + 1 :])
            near |= {(*moves[:i], m, *moves[i + 1 :]) for m in self.moves if m.name not in others}
            if i:
                near.add((*moves[: i - 1], moves[i], moves[i - 1], *moves[i + 1 :]))
        if len(moves) < self.longest:
            for i in range(len(moves) + 1):
                near |= {(*moves[:i], m, *moves[i:]) for m in self.moves if m.name not in taken}
        near.discard(moves)
        return sorted(
            (m for m in near if m == self._without_ending(m)), key=lambda m: (len(m), str(m))
        )

    def ranked(self, found: Iterable[Found]) -> list[Found]:
        """Each plan once, lowest error first, fewer operations before more."""
        unique = {f.moves: f for f in found}
        return sorted(unique.values(), key=lambda f: (f.error, len(f.moves)))


def is_smoothing(move: Move) -> bool:
    """Whether the move averages over a neighbourhood."""
    return move.name in ("blur", "gaussian")


def _middle_levels(moves: Iterable[Move]) -> Iterator[Move]:
    """One move of each operation, at its middle level."""
    for _, group in itertools.groupby(moves, key=lambda m: m.name):
        levels = list(group)
        yield levels[len(levels) // 2]
