"""The search for one pair: under each likely alignment, with rising effort, easy ways first."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

from imgedit_plugins.jobs import Job
from imgedit_plugins.operations import load_profile
from imgedit_reverse_design.align import Alignment, Turn, alignments
from imgedit_reverse_design.curves import Endings
from imgedit_reverse_design.judge import Verdict, judge
from imgedit_reverse_design.moves import Renderer, Sequence_
from imgedit_reverse_design.refine import refine
from imgedit_reverse_design.resample import FILTERS
from imgedit_reverse_design.scene import Pair
from imgedit_reverse_design.search import NORMAL, QUICK, THOROUGH, Choice, Effort, Search
from imgedit_reverse_design.stage import MATCH, Stage, is_expensive

_WIDE_ENDING = 3

_SURELY = 0.1
"""A plan off the levels matches only if its error is that much smaller: it has more freedom."""

_NEARLY = 1.0
"""Mean squared error, in squared codes, that nobody sees."""

_STAGES: dict[str, tuple[tuple[str, Effort], ...]] = {
    "quick": (("levels", QUICK), ("wide", QUICK)),
    "normal": (
        ("levels", QUICK), ("levels", NORMAL), ("wide", QUICK), ("levels", THOROUGH),
        ("wide", NORMAL),
    ),
    "thorough": (
        ("levels", QUICK), ("levels", NORMAL), ("wide", QUICK), ("levels", THOROUGH),
        ("wide", NORMAL), ("wide", THOROUGH),
    ),
}  # fmt: skip
"""Where each effort searches, one after another until a plan matches."""

_REFINED = 3
"""Plans whose parameters are refined, the best one aside."""

_WORTH = 1.05
"""By how much an operation must lower the error, as a factor."""

_SENSELESS = 0.5
"""Share of the edited picture's variation that even a rough plan shows of an edited source."""

_OFF_LEVEL = 0.25
"""If refining lowers the error that much, the edit's parameters are not the profile's levels."""

_ALIGNMENTS = 3
_LIKELY = 0.6
"""Alignments that are tried: their scores against the best one's."""


@dataclass(frozen=True)
class Answer:
    """A plan with where its turn stands and what it comes to on the whole pictures.

    Attributes:
        moves: the plan without its turns.
        turn: what turns the picture ahead of the moves, and behind them.
        confidences: 0..1 for each move.
        verdict: on the whole pictures.
    """

    moves: Sequence_
    turn: tuple[Turn, Turn]
    confidences: tuple[float, ...]
    verdict: Verdict


class Solver:
    """Everything that depends on the definitions alone, made once and used for many pairs."""

    def __init__(self, definitions: str, longest: int) -> None:
        self.longest = longest
        self.renderer = Renderer(load_profile(definitions))

    @functools.cached_property
    def levels(self) -> Choice:
        """Moves at the profile's levels."""
        moves = self.renderer.moves()
        return Choice(moves, Endings(self.renderer, moves, self.longest), self.longest)

    @functools.cached_property
    def wide(self) -> Choice:
        """Moves off the profile's levels."""
        moves = self.renderer.moves(wide=True)
        endings = Endings(self.renderer, moves, min(self.longest, _WIDE_ENDING))
        return Choice(moves, endings, self.longest, free=True)


@functools.lru_cache(maxsize=4)
def solver(definitions: str, longest: int) -> Solver:
    """The solver of a profile, cached."""
    return Solver(definitions, longest)


def best_answer(
    pair: Pair, engine: Solver, effort: str, job: Job, proposal: Sequence_ = ()
) -> tuple[Answer, Pair]:
    """The best answer, and the pair with the filter that scaled it.

    Each likely alignment is searched quickly; the one that went best is searched on.

    Args:
        pair: the pictures.
        engine: of the definitions.
        effort: 'quick', 'normal' or 'thorough'.
        job: progress and cancellation.
        proposal: a plan from elsewhere, without flips and turns, to be looked at first.
    """
    found = alignments(pair.source, pair.edited)
    likely = [a for a in found[:_ALIGNMENTS] if a.score >= _LIKELY * found[0].score]
    hunts: list[Hunt] = []
    for alignment in likely:
        hunts.append(Hunt(pair, alignment, engine, effort, job, proposal))
        hunts[-1].advance()
        if hunts[-1].done:
            break
    hunt = min(hunts, key=lambda h: h.best.error)
    if pair.source.shape != pair.edited.shape:
        hunt = hunt.with_best_filter()
    while not hunt.done:
        hunt.advance()
    return hunt.answer(), hunt.pair


class Hunt:
    """The search for one pair under one alignment.

    Attributes:
        best: the best plan so far; that of no operations before the first `advance`.
        done: a plan matches, or more effort would not help.
    """

    def __init__(
        self,
        pair: Pair,
        alignment: Alignment,
        engine: Solver,
        effort: str,
        job: Job,
        proposal: Sequence_ = (),
    ) -> None:
        self.pair = pair
        self.alignment = alignment
        self.engine = engine
        self.effort = effort
        self.job = job
        self.stage = Stage(pair, alignment.turn, engine.renderer)
        self.best = self.stage.found(())
        self.done = False
        self._left = list(_STAGES[effort])
        self._searches: dict[str, Search] = {}
        self._proposal = proposal

    def advance(self) -> None:
        """Look at the proposal, if there is one and it was not yet; or search with more effort."""
        if self._proposal and self.best.moves == ():
            self.job.report("checking the proposal")
            plan = self._search("levels").propose(self._proposal, QUICK)
            if self.stage.enough(plan):
                self.best, self.done = plan, True
                return
        choice, effort = self._left.pop(0)
        whole = len(_STAGES[self.effort])
        self.job.report("searching", whole - len(self._left) - 1, whole)
        search = self._search(choice)
        plan = search.run(effort)
        if choice == "levels" and self.stage.enough(plan):
            self.best, self.done = plan, True
            return
        starts = [plan, *search.different(_REFINED)] if choice == "wide" else [plan]
        near = [refine(self.stage, start) for start in starts]
        self.best = min((self.best, *near), key=lambda f: f.error * _WORTH ** len(f.moves))
        self.done = not self._left or self._suffices(choice, effort)
        if near[0].error < plan.error * _OFF_LEVEL and ("wide", QUICK) in self._left:
            self._left.remove(("wide", QUICK))
            self._left.insert(0, ("wide", QUICK))

    def _suffices(self, choice: str, effort: Effort) -> bool:
        """Whether more effort would hardly lead to a better plan, or to none at all."""
        error = self.best.error
        if error < self.stage.match * _SURELY:
            return True
        if error < _NEARLY and ("wide", QUICK) not in self._left:
            return True
        return (choice, effort) == ("wide", QUICK) and self._is_senseless()

    def _is_senseless(self) -> bool:
        """Whether the best plan, on the whole pictures, does not even show the edited one."""
        verdict = judge(self.pair, self.engine.renderer, self.best.moves, self.stage.splits[0])
        return verdict.structure < _SENSELESS

    def _search(self, choice: str) -> Search:
        if choice not in self._searches:
            made_of = self.engine.levels if choice == "levels" else self.engine.wide
            self._searches[choice] = Search(self.stage, made_of, self.job)
        return self._searches[choice]

    def with_best_filter(self) -> Hunt:
        """This hunt, or a new one with the filter under which its best plan fits better."""
        turn, moves = self.alignment.turn, self.best.moves
        pairs = [
            replace(self.pair, filter=name, halved=halved)
            for name in FILTERS
            for halved in (False, True)
        ]
        errors = [Stage(p, turn, self.engine.renderer).error(moves) for p in pairs]
        best = pairs[errors.index(min(errors))]
        if best == self.pair or min(errors) > 0.9 * errors[0]:
            return self
        hunt = Hunt(best, self.alignment, self.engine, self.effort, self.job, self._proposal)
        hunt.advance()
        return hunt

    def answer(self) -> Answer:
        """The best plan, judged on the whole pictures."""
        self.job.report("verifying")
        moves = self.best.moves
        split = self.stage.splits[0]
        if is_expensive(moves):
            errors = self.stage.split_errors(moves)
            split = self.stage.splits[errors.index(min(errors))]
        verdict = judge(self.pair, self.engine.renderer, moves, split)
        return Answer(moves, split, self._confidences(), verdict)

    def _confidences(self) -> tuple[float, ...]:
        """For each move, by how much the error would rise without it, as a share 0..1."""
        moves = self.best.moves
        shares = []
        for i in range(len(moves)):
            without = self.stage.error(moves[:i] + moves[i + 1 :])
            share = 1.0 - (self.best.error + MATCH) / (without + MATCH)
            shares.append(round(max(0.0, share), 3))
        return tuple(shares)
