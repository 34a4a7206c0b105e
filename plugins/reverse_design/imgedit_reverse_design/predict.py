"""`predict_operations` by verified search: align, search, refine, judge, and say or abstain."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from imgedit_plugins import __version__
from imgedit_plugins.jobs import Job
from imgedit_plugins.operations import default_vocabulary, load_profile
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan, PlannedOperation, Provenance, Residual
from imgedit_plugins.render import psnr
from imgedit_plugins.requests import PredictRequest
from imgedit_reverse_design.align import UPRIGHT, Alignment, Turn, alignments
from imgedit_reverse_design.curves import Endings
from imgedit_reverse_design.judge import Verdict, judge
from imgedit_reverse_design.moves import Move, Renderer, Sequence_
from imgedit_reverse_design.refine import refine
from imgedit_reverse_design.scene import Pair
from imgedit_reverse_design.search import NORMAL, QUICK, THOROUGH, Choice, Effort, Search
from imgedit_reverse_design.stage import MATCH, Found, Stage, is_expensive

_SMALLEST = 64
"""Pixels below which a picture cannot tell one edit from another."""

_WIDE_ENDING = 3

_SURELY = 0.3
"""A plan off the levels matches only if its error is that much smaller: it has more freedom."""

_NEARLY = 1.0
"""Mean squared error, in squared codes, that nobody sees."""

_HOPELESS = 0.4
"""Share of the edit left unexplained that no amount of search has brought down to nothing."""

_STAGES: dict[str, tuple[tuple[str, Effort], ...]] = {
    "quick": (("levels", QUICK), ("wide", QUICK)),
    "normal": (
        ("levels", QUICK), ("wide", QUICK), ("levels", NORMAL), ("levels", THOROUGH),
        ("wide", NORMAL),
    ),
    "thorough": (
        ("levels", QUICK), ("wide", QUICK), ("levels", NORMAL), ("levels", THOROUGH),
        ("wide", NORMAL), ("wide", THOROUGH),
    ),
}  # fmt: skip
"""Where each effort searches, one after another until a plan matches."""

_MIN_STRUCTURE = 0.7
"""A rendered picture that shows less of the edited one's variation is not its explanation."""


@dataclass(frozen=True)
class Answer:
    """A plan with where its turn stands and what it comes to on the whole pictures."""

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


def predict(request: PredictRequest, job: Job) -> EditPlan | None:
    """The plan that leads from `request.source` to `request.edited`; None without the latter."""
    if request.edited is None:
        return None
    options = request.options
    definitions = str(options.get("definitions", "opencv-photo-filters/1"))
    pair = _pair(request.source, request.edited, job)
    job.report("aligning")
    reason = _hopeless(pair)
    if reason:
        return _abstained(definitions, reason)
    answer = _identical(pair)
    if answer is None:
        engine = solver(definitions, int(options.get("max-operations", 5)))
        answer = _best_answer(pair, engine, str(options.get("effort", "normal")), job)
    return _plan(answer, pair, definitions, float(options.get("min-explained", 0.9)))


# --- before the search --------------------------------------------------------------------------


def _pair(source: Picture, edited: Picture, job: Job) -> Pair:
    if source.pixels.dtype != edited.pixels.dtype:
        job.warn(
            f"The pictures have different depths ({source.pixels.dtype} and "
            f"{edited.pixels.dtype}); they were compared in 8 bits."
        )
    elif source.pixels.dtype != np.uint8:
        job.warn(f"The pictures have {source.pixels.dtype} values; they were compared in 8 bits.")
    if source.has_alpha != edited.has_alpha:
        job.warn("Only one picture has an alpha channel; colours were compared where it is opaque.")
    alpha = edited.alpha
    opaque = None if alpha is None else np.asarray(alpha[:, :, 0] > 0)
    jpeg = edited.origin.jpeg if edited.origin is not None else None
    return Pair(source.rgb8(), edited.rgb8(), jpeg=jpeg, opaque=opaque)


def _hopeless(pair: Pair) -> str:
    """Why no search is worth while, or ''."""
    pixels = min(
        pair.source.shape[0] * pair.source.shape[1], pair.edited.shape[0] * pair.edited.shape[1]
    )
    same = pair.source.shape == pair.edited.shape and np.array_equal(pair.source, pair.edited)
    if pixels < _SMALLEST and not same:
        return f"The pictures have {pixels} pixels; that is too few to tell one edit from another."
    if not alignments(pair.source, pair.edited):
        (h, w), (eh, ew) = pair.source.shape[:2], pair.edited.shape[:2]
        return (
            f"The edited picture ({ew}x{eh}) has another aspect ratio than the source ({w}x{h}); "
            "no plan explains cropped or stretched pictures."
        )
    return ""


def _identical(pair: Pair) -> Answer | None:
    if pair.source.shape != pair.edited.shape or not np.array_equal(pair.source, pair.edited):
        return None
    return Answer((), (UPRIGHT, UPRIGHT), (), Verdict(0.0, 0.0, 0.0, 0.0))


# --- search -------------------------------------------------------------------------------------


def _best_answer(pair: Pair, engine: Solver, effort: str, job: Job) -> Answer:
    """The answer of the most likely alignment, or of the next ones where it does not fit."""
    found = alignments(pair.source, pair.edited)
    best: tuple[float, Answer] | None = None
    for alignment in _likely(found):
        hunt = Hunt(pair, alignment, engine, effort, job)
        plan = hunt.run()
        if best is None or plan.error < best[0]:
            best = (plan.error, hunt.answer(plan))
        if hunt.stage.enough(plan):
            break
    assert best is not None
    return best[1]


def _likely(found: tuple[Alignment, ...]) -> tuple[Alignment, ...]:
    return tuple(a for a in found[:3] if a.score >= 0.6 * found[0].score)


class Hunt:
    """The search for one pair under one alignment, easy ways first."""

    def __init__(
        self, pair: Pair, alignment: Alignment, engine: Solver, effort: str, job: Job
    ) -> None:
        self.pair = pair
        self.turn = alignment.turn
        self.engine = engine
        self.stages = _STAGES[effort]
        self.searches: dict[str, Search] = {}
        self.job = job
        self.stage = Stage(pair, alignment.turn, engine.renderer)

    def run(self) -> Found:
        """The best plan: at the profile's levels or off them, with rising effort."""
        best: Found | None = None
        for done, (choice, effort) in enumerate(self.stages):
            self.job.report("searching", done, len(self.stages))
            plan = self._search(choice).run(effort)
            if self.stage.enough(plan) and choice == "levels":
                return plan
            plan = refine(self.stage, plan)
            if best is None or plan.error < best.error:
                best = plan
            if self._suffices(best, effort):
                break
        assert best is not None
        return best

    def _suffices(self, best: Found, effort: Effort) -> bool:
        """Whether more effort would hardly lead to a better plan, or to none at all."""
        if best.error < self.stage.match * _SURELY:
            return True
        if effort is QUICK:
            return False
        return best.error < _NEARLY or best.error > _HOPELESS * self.stage.error(())

    def _search(self, choice: str) -> Search:
        if choice not in self.searches:
            self.searches[choice] = Search(self.stage, getattr(self.engine, choice), self.job)
        return self.searches[choice]

    def answer(self, plan: Found) -> Answer:
        """The plan judged on the whole pictures."""
        self.job.report("verifying")
        split = self.stage.splits[0]
        if is_expensive(plan.moves):
            errors = self.stage.split_errors(plan.moves)
            split = self.stage.splits[errors.index(min(errors))]
        verdict = judge(self.pair, self.engine.renderer, plan.moves, split)
        return Answer(plan.moves, split, self._confidences(plan), verdict)

    def _confidences(self, plan: Found) -> tuple[float, ...]:
        """For each move, by how much the error would rise without it, as a share 0..1."""
        found = []
        for i in range(len(plan.moves)):
            without = self.stage.error(plan.moves[:i] + plan.moves[i + 1 :])
            found.append(round(max(0.0, 1.0 - (plan.error + MATCH) / (without + MATCH)), 3))
        return tuple(found)


# --- the plan -----------------------------------------------------------------------------------


def _plan(answer: Answer, pair: Pair, definitions: str, min_explained: float) -> EditPlan:
    verdict = answer.verdict
    if verdict.explained < min_explained or verdict.structure < _MIN_STRUCTURE:
        return _abstained(definitions, _why_not(verdict), verdict)
    operations = _operations(answer)
    return EditPlan(
        definitions=definitions,
        operations=operations,
        residual=_residual(verdict),
        explanation=_explain(operations, pair, verdict),
        provenance=_provenance(),
    )


def _operations(answer: Answer) -> tuple[PlannedOperation, ...]:
    before, after = answer.turn
    moves = tuple(
        PlannedOperation(
            name=move.name,
            parameters={} if move.value is None else _parameters(move),
            confidence=confidence,
        )
        for move, confidence in zip(answer.moves, answer.confidences, strict=True)
    )
    return (*before.operations(), *moves, *after.operations())


def _parameters(move: Move) -> dict[str, int | float]:
    assert move.value is not None
    return {default_vocabulary()[move.name].parameters[0].name: move.value}


def _residual(verdict: Verdict) -> Residual:
    return Residual(psnr_db=psnr(verdict.plain), explained=verdict.explained)


def _provenance() -> Provenance:
    return Provenance(plugin="reverse_design", model="search", version=__version__)


def _abstained(definitions: str, reason: str, verdict: Verdict | None = None) -> EditPlan:
    return EditPlan(
        definitions=definitions,
        abstained=True,
        residual=None if verdict is None else _residual(verdict),
        explanation=reason,
        provenance=_provenance(),
    )


def _why_not(verdict: Verdict) -> str:
    return f"No plan explains this edit: the best one accounts for {verdict.explained:.0%} of it."


def _explain(operations: tuple[PlannedOperation, ...], pair: Pair, verdict: Verdict) -> str:
    if not operations:
        same = "is the source" if verdict.plain == 0.0 else "is the source, saved with some loss"
        return f"The edited picture {same}."
    words = [operation.operation.describe(operation.parameters) for operation in operations]
    told = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
    scaled = (
        pair.source.shape[0] * pair.source.shape[1] != pair.edited.shape[0] * pair.edited.shape[1]
    )
    return f"{told[0].upper()}{told[1:]}{', then scaled' if scaled else ''}."
