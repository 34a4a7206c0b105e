"""Verified search: plans are proposed, rendered, compared with the edited picture, and improved.

A plan is split into a *beginning*, which ends with an operation that mixes pixels or channels,
and an *ending* of per-channel curves, which `curves` finds for all sequences at once. Beginnings
are ranked by their scatter: what remains when each channel goes through its best curve. A beam
over beginnings, other orders of the best plans, then single-operation edits of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from imgedit_plugins.jobs import Job
from imgedit_plugins.pictures import RGB8
from imgedit_reverse_design.curves import Endings, straight_ending
from imgedit_reverse_design.moves import EXPENSIVE, Move, Sequence_
from imgedit_reverse_design.stage import MATCH, Beginning, Found, Stage, is_expensive

_WORTH = 1.02
"""An operation that lowers the error by less than two percent is not worth its place."""

_ALIKE = 10.0
"""Mean squared error below which one blur may have been taken for two, or two for one."""

_SURE = 0.3
"""Scatter below which a beginning is decoded at once: it may well be the right one."""


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
        cost: of rendering after which no new step is begun, in the stage's units.
    """

    beam: int
    depth: int
    paired: int
    expensive: int
    decoded: int
    reordered: int
    climbs: int
    rounds: int
    cost: float


QUICK = Effort(
    beam=10, depth=3, paired=2, expensive=2, decoded=5, reordered=2, climbs=0, rounds=0, cost=500
)
NORMAL = Effort(
    beam=24, depth=4, paired=5, expensive=8, decoded=10, reordered=3, climbs=3, rounds=4, cost=1500
)
THOROUGH = Effort(
    beam=64,
    depth=5,
    paired=20,
    expensive=16,
    decoded=20,
    reordered=8,
    climbs=8,
    rounds=8,
    cost=4000,
)


@dataclass(frozen=True)
class Choice:
    """What plans are made of.

    Attributes:
        moves: operations at definite parameters.
        endings: for `moves`.
        longest: operations in a plan, at most.
        free: also try endings with any contrast and brightness.
    """

    moves: tuple[Move, ...]
    endings: Endings
    longest: int
    free: bool = False


class Search:
    """The search on one stage, among one choice of moves.

    Args:
        stage: renders and judges.
        choice: what plans are made of.
        job: asked for cancellation.
    """

    def __init__(self, stage: Stage, choice: Choice, job: Job) -> None:
        self.stage = stage
        self._limit = 0.0
        self.choice = choice
        self.job = job
        renderer = stage.renderer
        self.curves = tuple(m for m in choice.moves if renderer.is_curve(m))
        self.mixers = tuple(m for m in choice.moves if not renderer.is_curve(m))
        self.telling = tuple(_middle_levels(self.curves))
        self._plans: dict[Sequence_, Found] = {}
        self._matched = False
        self._polished: set[Sequence_] = set()
        self._reordered: set[frozenset[Move]] = set()

    def run(self, effort: Effort) -> Found:
        """The best plan so far, with no operation that it does not need.

        Plans of earlier runs are kept.
        """
        self._limit = self.stage.spent + effort.cost
        self._beam(effort)
        for start in self.different(effort.climbs):
            if not self._done():
                self._climb(start, effort.rounds)
        return self._prune(self._polish(self._ranked()[0]))

    def propose(self, moves: Sequence_, effort: Effort) -> Found:
        """The best that small changes and other orders make of a plan from elsewhere.

        Later runs know it, too.
        """
        self._limit = self.stage.spent + effort.cost
        self._add(moves[: self.choice.longest])
        self._reorder(1)
        return self._prune(self._polish(self._ranked()[0]))

    # --- plans found so far ---------------------------------------------------------------------

    def _add(self, moves: Sequence_) -> Found:
        if moves not in self._plans:
            self._plans[moves] = self.stage.found(moves)
            self._matched |= self.stage.enough(self._plans[moves])
        return self._plans[moves]

    def _ranked(self) -> list[Found]:
        """Lowest error first, fewer operations before more."""
        return sorted(self._plans.values(), key=lambda f: (f.error, len(f.moves)))

    def _done(self) -> bool:
        self.job.check()
        return self._matched or self.stage.spent > self._limit

    def different(self, count: int) -> list[Found]:
        """The best plans with different operations."""
        kinds: dict[frozenset[str], Found] = {}
        for plan in self._ranked():
            kinds.setdefault(frozenset(m.name for m in plan.moves), plan)
        return list(kinds.values())[:count]

    def _decode(self, beginning: Beginning, count: int = 2) -> None:
        """Add the beginning with its best endings."""
        taken = frozenset(m.name for m in beginning.moves)
        view = beginning.view
        stats = view.target.statistics(view.scene.inner(beginning.pixels))
        room = self.choice.longest - len(beginning.moves)
        for _, ending in self.choice.endings.best(stats, taken, room, count):
            self._add(beginning.moves + ending)
        if self.choice.free:
            ending = straight_ending(stats)
            if len(ending) <= room and not taken & {m.name for m in ending}:
                self._add(beginning.moves + ending)

    def _prune(self, plan: Found) -> Found:
        for i in range(len(plan.moves)):
            fewer = self.stage.found(plan.moves[:i] + plan.moves[i + 1 :])
            if fewer.error <= plan.error * _WORTH + MATCH:
                return self._prune(fewer)
        return plan

    # --- beam -----------------------------------------------------------------------------------

    def _beam(self, effort: Effort) -> None:
        front = [self.stage.nothing]
        self._decode(front[0])
        for _ in range(effort.depth):
            if self._done():
                return
            front = self._narrow(self._watched(self._extensions(front, effort)), effort.beam)
            for beginning in front[: effort.decoded]:
                self._decode(beginning)
            self._reorder(effort.reordered)

    def _watched(self, children: Iterator[Beginning]) -> list[Beginning]:
        """All children, or those up to one that turns out to begin the edit itself."""
        kept: list[Beginning] = []
        for child in children:
            kept.append(child)
            if child.scatter < _SURE:
                self._decode(child)
            if self._done():
                break
        return kept

    def _extensions(self, front: list[Beginning], effort: Effort) -> Iterator[Beginning]:
        for rank, parent in enumerate(front):
            self.job.check()
            room = self.choice.longest - len(parent.moves)
            for steps in self._steps(parent, rank, effort):
                if len(steps) <= room:
                    yield self.stage.extend(parent, *steps)
            if rank < effort.paired and room:
                yield from self._inserted(parent)

    def _steps(self, parent: Beginning, rank: int, effort: Effort) -> Iterator[Sequence_]:
        """What may follow a beginning."""
        taken = {m.name for m in parent.moves}
        free = [m for m in self.mixers if m.name not in taken]
        cheap = [m for m in free if m.name not in EXPENSIVE]
        costly = [m for m in free if m.name in EXPENSIVE] if rank < effort.expensive else []
        curves = [c for c in self.telling if c.name not in taken]
        yield from ((m,) for m in (*cheap, *costly))
        # Sharpening hides the blur before it, so they are tried together.
        sharpeners = [m for m in cheap if m.name == "sharp"]
        yield from itertools.product(filter(is_smoothing, cheap), sharpeners)
        yield from itertools.product(curves, costly)
        if rank < effort.paired:
            yield from itertools.product(curves, cheap)

    def _inserted(self, parent: Beginning) -> Iterator[Beginning]:
        """The parent with one move put in before its last one."""
        taken = {m.name for m in parent.moves}
        cheap = [m for m in self.mixers if m.name not in taken and m.name not in EXPENSIVE]
        moves = [*cheap, *(c for c in self.telling if c.name not in taken)]
        for i in range(len(parent.moves)):
            if is_expensive(parent.moves[i:]):
                continue
            head = self.stage.begin(parent.moves[:i])
            yield from (self.stage.extend(head, m, *parent.moves[i:]) for m in moves)

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
            mixers = sorted(m.name for m in child.moves if not self.stage.renderer.is_curve(m))
            kind = (len(mixers) == len(child.moves), *mixers)
            kinds[kind] = kinds.get(kind, -1) + 1
            if kinds[kind] < 3:
                ranked.append((kinds[kind], child.scatter, child))
        ranked.sort(key=lambda r: r[:2])
        return [child for _, _, child in ranked[:width]]

    # --- other orders, small changes --------------------------------------------------------------

    def _reorder(self, count: int) -> None:
        """The best plans in every other order, too; an ending may belong before a mixer."""
        left = count
        for plan in self._ranked():
            kind = frozenset(plan.moves)
            if not left or self._done():
                return
            if kind in self._reordered or len(plan.moves) < 2:
                continue
            self._reordered.add(kind)
            left -= 1
            start = self.stage.nothing.pixels
            orders = sorted(self._orders((), start, plan.moves), key=lambda f: f.error)
            for order in orders[:2]:
                self._add(order.moves)
            self._polish(self._ranked()[0])

    def _orders(self, moves: Sequence_, pixels: RGB8, left: Sequence_) -> Iterator[Found]:
        """All orders of `left` behind `moves`, with their rough error."""
        if not left:
            yield Found(moves, self.stage.rough_error(pixels))
        for move in self._may_come_next(moves, left):
            rest = tuple(m for m in left if m != move)
            after = self.stage.render(pixels, (move,))
            yield from self._orders((*moves, move), after, rest)

    def _may_come_next(self, moves: Sequence_, left: Sequence_) -> Sequence_:
        """The moves that are tried next; fewer where an expensive one must be rendered often."""
        if not is_expensive(left):
            return left
        mixers = [m for m in left if not self.stage.renderer.is_curve(m)][:1]
        curves = [m for m in left if self.stage.renderer.is_curve(m)]
        return (*mixers, *(curves if len(moves) + len(left) < 5 else curves[:1]))

    def _polish(self, plan: Found) -> Found:
        """The plan after whatever small changes bring it nearer to the edited picture."""
        while plan.error > MATCH and plan.moves not in self._polished:
            self.job.check()
            if self.stage.spent > self._limit:
                break
            self._polished.add(plan.moves)
            near = [self._add(m) for m in self._variations(plan)]
            plan = min([plan, *near], key=lambda f: f.error)
        return plan

    def _variations(self, plan: Found) -> Iterator[Sequence_]:
        """One or two moves left out, two neighbours exchanged, one at another level, and such."""
        moves = plan.moves
        for i, move in enumerate(moves):
            rest = moves[:i] + moves[i + 1 :]
            yield rest
            yield from (rest[:k] + rest[k + 1 :] for k in range(i, len(rest)))
            if i:
                yield (*moves[: i - 1], move, moves[i - 1], *moves[i + 1 :])
            yield from self._other_levels(moves, i)
            if not is_expensive(moves):
                yield from (m for k in range(len(rest)) for m in self._other_levels(rest, k))
        if plan.error < _ALIKE:
            yield from self._other_smoothings(moves)

    def _other_levels(self, moves: Sequence_, i: int) -> Iterator[Sequence_]:
        levels = (m for m in self.choice.moves if m.name == moves[i].name and m != moves[i])
        return ((*moves[:i], m, *moves[i + 1 :]) for m in levels)

    def _other_smoothings(self, moves: Sequence_) -> Iterator[Sequence_]:
        """Two blurs instead of one, or one instead of two: they look much alike."""
        smooth = [i for i, m in enumerate(moves) if is_smoothing(m)]
        if not smooth:
            return
        rest = [m for m in moves if not is_smoothing(m)]
        kinds = itertools.groupby(filter(is_smoothing, self.mixers), key=lambda m: m.name)
        options = [[None, *levels] for _, levels in kinds]
        for chosen in itertools.product(*options):
            blurs = [m for m in chosen if m is not None]
            if len(rest) + len(blurs) <= self.choice.longest:
                yield (*rest[: smooth[0]], *blurs, *rest[smooth[0] :])

    # --- single-operation edits -------------------------------------------------------------------

    def _climb(self, start: Found, rounds: int) -> None:
        """Improve a plan by inserting, removing, swapping and changing single operations."""
        here = self.stage.begin(self._without_ending(start.moves))
        for _ in range(rounds):
            near = self._watched(self.stage.begin(m) for m in self._neighbours(here.moves))
            near = sorted((n for n in near if n.scatter < here.scatter), key=lambda b: b.scatter)
            if not near or self._done():
                return
            for beginning in near[:4]:
                self._decode(beginning)
            self._reorder(1)
            here = near[0]

    def _without_ending(self, moves: Sequence_) -> Sequence_:
        mixers = [i for i, m in enumerate(moves) if not self.stage.renderer.is_curve(m)]
        return moves[: mixers[-1] + 1] if mixers else ()

    def _neighbours(self, moves: Sequence_) -> Iterable[Sequence_]:
        taken = {m.name for m in moves}
        near: set[Sequence_] = set()
        for i, move in enumerate(moves):
            others = taken - {move.name}
            near.add(moves[:i] + moves[i + 1 :])
            near |= {
                (*moves[:i], m, *moves[i + 1 :]) for m in self.choice.moves if m.name not in others
            }
            if i:
                near.add((*moves[: i - 1], move, moves[i - 1], *moves[i + 1 :]))
        if len(moves) < self.choice.longest:
            free = [m for m in self.choice.moves if m.name not in taken]
            near |= {(*moves[:i], m, *moves[i:]) for m in free for i in range(len(moves) + 1)}
        near.discard(moves)
        whole = (m for m in near if m == self._without_ending(m))
        return sorted(whole, key=lambda m: (len(m), str(m)))


def is_smoothing(move: Move) -> bool:
    """Whether the move averages over a neighbourhood."""
    return move.name in ("blur", "gaussian")


def _middle_levels(moves: Iterable[Move]) -> Iterator[Move]:
    """One move of each operation, at its middle level."""
    for _, group in itertools.groupby(moves, key=lambda m: m.name):
        levels = list(group)
        yield levels[len(levels) // 2]
