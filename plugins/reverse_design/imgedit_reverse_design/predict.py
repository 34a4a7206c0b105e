"""`predict_operations` by verified search: align, search, judge, and say or abstain."""

from __future__ import annotations

import numpy as np

from imgedit_plugins import __version__
from imgedit_plugins.jobs import Job
from imgedit_plugins.operations import DEFAULT_PROFILE, default_vocabulary
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan, PlannedOperation, Provenance, Residual
from imgedit_plugins.render import psnr
from imgedit_plugins.requests import Options, PredictRequest
from imgedit_reverse_design.align import UPRIGHT, alignments
from imgedit_reverse_design.hunt import Answer, best_answer, solver
from imgedit_reverse_design.judge import Verdict
from imgedit_reverse_design.moves import Move, Sequence_
from imgedit_reverse_design.scene import Pair

_SMALLEST = 64
"""Pixels below which a picture cannot tell one edit from another."""

_PLAIN = 1.0
"""Standard deviation, in codes, below which a picture is plain."""

_MIN_STRUCTURE = 0.7
"""A rendered picture that shows less of the edited one's variation is not its explanation."""


def predict(request: PredictRequest, job: Job) -> EditPlan | None:
    """The plan that leads from `request.source` to `request.edited`; None without the latter."""
    if request.edited is None:
        return None
    if request.options.get("model", "search") == "minigpt4":
        from imgedit_reverse_design.minigpt4.predicting import predict_by_model

        return predict_by_model(request, job)
    return verified(pair_of(request.source, request.edited, job), request.options, job)


def verified(
    pair: Pair,
    options: Options,
    job: Job,
    proposal: Sequence_ = (),
    provenance: Provenance | None = None,
) -> EditPlan:
    """The plan of the verified search.

    Args:
        pair: both pictures.
        options: of the hook.
        job: progress and cancellation.
        proposal: a plan from elsewhere, without flips and turns, to be looked at first.
        provenance: who proposed it.
    """
    definitions = str(options.get("definitions", DEFAULT_PROFILE))
    by = provenance or provenance_of("search")
    job.report("aligning")
    if reason := _hopeless(pair):
        return abstained(definitions, reason, by)
    answer = _identical(pair)
    if answer is None:
        engine = solver(definitions, int(options.get("max-operations", 5)))
        effort = str(options.get("effort", "normal"))
        answer, pair = best_answer(pair, engine, effort, job, proposal)
    verdict = answer.verdict
    if reason := why_not(verdict, float(options.get("min-explained", 0.9))):
        return abstained(definitions, reason, by, verdict)
    operations = _operations(answer)
    return EditPlan(
        definitions=definitions,
        operations=operations,
        residual=residual_of(verdict),
        explanation=explain(operations, pair, verdict),
        provenance=by,
    )


# --- before the search --------------------------------------------------------------------------


def pair_of(source: Picture, edited: Picture, job: Job) -> Pair:
    """Both pictures in 8 bits, with what the edited file lost; warns of what was given up."""
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
    if pair.source.std(axis=(0, 1)).max() < _PLAIN and not same:
        return "The source has one colour; that is too little to tell one edit from another."
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


# --- the plan -----------------------------------------------------------------------------------


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


def residual_of(verdict: Verdict) -> Residual:
    """A verdict as a plan says it."""
    return Residual(psnr_db=psnr(verdict.plain), explained=verdict.explained)


def provenance_of(model: str, model_sha256: str | None = None) -> Provenance:
    """Who made a plan."""
    return Provenance(
        plugin="reverse_design", model=model, version=__version__, model_sha256=model_sha256
    )


def abstained(
    definitions: str, reason: str, provenance: Provenance, verdict: Verdict | None = None
) -> EditPlan:
    """The plan that says that there is none, and why."""
    return EditPlan(
        definitions=definitions,
        abstained=True,
        residual=None if verdict is None else residual_of(verdict),
        explanation=reason,
        provenance=provenance,
    )


def why_not(verdict: Verdict, min_explained: float, plan: str = "the best one") -> str:
    """Why a plan with this verdict is withheld; '' if it is not."""
    if verdict.invisible:
        return ""
    if verdict.structure < _MIN_STRUCTURE:
        return (
            f"No plan explains this edit: {plan} shows "
            f"{verdict.structure:.0%} of what the edited picture shows."
        )
    if verdict.explained < min_explained:
        return f"No plan explains this edit: {plan} accounts for {verdict.explained:.0%} of it."
    return ""


def explain(operations: tuple[PlannedOperation, ...], pair: Pair, verdict: Verdict) -> str:
    """A plan in one sentence."""
    (height, width), (edited_height, edited_width) = pair.source.shape[:2], pair.edited.shape[:2]
    scaled = height * width != edited_height * edited_width
    if not operations:
        if verdict.plain == 0.0:
            return "The edited picture is the source."
        return (
            f"The edited picture is the source, {'scaled' if scaled else 'saved with some loss'}."
        )
    words = [operation.operation.describe(operation.parameters) for operation in operations]
    words += ["scaled"] * scaled
    told = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
    return f"{told[0].upper()}{told[1:]}."
