"""The two hooks: a document is read or asked for, written down, carried out and criticised once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from imgedit_plugins import __version__
from imgedit_plugins.errors import ImgeditError, JobCancelledError
from imgedit_plugins.jobs import Job
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan, Provenance
from imgedit_plugins.requests import ApplyRequest, Candidate, EditResult, Options, PredictRequest
from imgedit_reason_edit.reasoning.carrying_out import (
    Carried,
    Work,
    carry_out,
    plan_of,
)
from imgedit_reason_edit.reasoning.document import (
    LONGEST_INSTRUCTION,
    Document,
    DocumentError,
    Layer,
    Round,
    read_document,
)
from imgedit_reason_edit.reasoning.painters import Painter, find_painter
from imgedit_reason_edit.reasoning.planning import Planner
from imgedit_reason_edit.reasoning.regions import Mask
from imgedit_reason_edit.reasoning.saving import Folder
from imgedit_reason_edit.reasoning.settings import asker_of
from imgedit_reason_edit.requirements import NAME


@dataclass(frozen=True)
class _Reasoned:
    """A document, and where it is from.

    Attributes:
        document: what to do.
        masks: the folder of the masks that it names.
        planner: whoever wrote it; None where it was given.
    """

    document: Document
    masks: Path | None
    planner: Planner | None

    def without_painting(self) -> _Reasoned:
        """The same; its planner may not paint in what it would rather have."""
        planner = self.planner and replace(self.planner, paints=False)
        return replace(self, planner=planner)


def predict(request: PredictRequest, job: Job) -> EditPlan:
    """The operations for the whole picture that an instruction comes to, as a plan.

    A plan has no regions and paints nothing: what needs that is told, and is in the document that
    the option 'save-folder' writes.

    Raises:
        ImgeditError: options, the document or the language model cannot be used.
        JobCancelledError: cancelled.
    """
    instruction = request.instruction or ""
    folder = Folder.of(str(request.options["save-folder"]))
    painter = _painter(request.options)
    reasoned = _reasoned(
        request.source, instruction, None, request.options, request.seed, job, painter
    )
    document = reasoned.document
    folder.write(document, request.source, reasoned.masks)
    work = Work(request.source, None, reasoned.masks, painter, request.seed, job)
    if not any(layer.paint for layer in document.layers):
        document, _ = _criticised(reasoned.without_painting(), work, None, request.options)
        folder.write(document, request.source, reasoned.masks)
    return _as_plan(document, reasoned, job)


def apply(request: ApplyRequest, job: Job) -> EditResult:
    """The edit that an instruction comes to: a plan, and above it what no plan can express.

    Raises:
        ImgeditError: as `predict`, and whatever the painting plugin raises.
        JobCancelledError: cancelled.
    """
    instruction, picture, mask = request.instruction or "", request.picture, request.mask
    folder = Folder.of(str(request.options["save-folder"]))
    painter = _painter(request.options)
    reasoned = _reasoned(picture, instruction, mask, request.options, request.seed, job, painter)
    folder.write(reasoned.document, picture, reasoned.masks)
    if not reasoned.document.layers:
        return EditResult(plan=_abstained(reasoned.document), explanation=reasoned.document.intent)
    work = Work(picture, mask, reasoned.masks, painter, request.seed, job)
    first = carry_out(reasoned.document, work)
    document, carried = _criticised(reasoned, work, first, request.options)
    folder.write(document, picture, reasoned.masks)
    return _as_result(document, reasoned, carried or first, request.seed)


def _painter(options: Options) -> Painter | None:
    return find_painter(str(options["painter"]).strip(), str(options["painter-options"]))


def _reasoned(
    picture: Picture,
    instruction: str,
    selection: Mask | None,
    options: Options,
    seed: int,
    job: Job,
    painter: Painter | None,
) -> _Reasoned:
    if len(instruction) > LONGEST_INSTRUCTION:
        raise DocumentError(
            f"The instruction has {len(instruction)} characters, more than {LONGEST_INSTRUCTION}.",
            hint="Say it in fewer words.",
        )
    if given := str(options["document"]).strip():
        document, masks = read_document(Path(given))
        if not document.instruction:
            document = document.model_copy(update={"instruction": instruction})
        return _Reasoned(document, masks, None)
    planner = Planner.of(asker_of(options, seed, job), paints=painter is not None)
    return _Reasoned(planner.plan(picture, instruction, selection), None, planner)


# --- the round of self-criticism --------------------------------------------------------------


def _criticised(
    reasoned: _Reasoned, work: Work, first: Carried | None, options: Options
) -> tuple[Document, Carried | None]:
    """The better one of the first document and the revised one, and what it came to.

    A document that the user gave is carried out as it is. A model that fails here has still given
    a plan, which is kept.
    """
    document, planner = reasoned.document, reasoned.planner
    if planner is None or not options["criticism"] or not document.layers:
        return document, first
    try:
        first = first or carry_out(document, work)
        return _second_thoughts(document, planner, work, first)
    except JobCancelledError:
        raise
    except ImgeditError as error:
        work.job.warn(f"The first plan is kept as it is: {error}")
        return document, first


def _second_thoughts(
    document: Document, planner: Planner, work: Work, first: Carried
) -> tuple[Document, Carried]:
    criticism, revised = planner.criticise(document, work.picture, first.picture)
    if revised is None:
        return document.model_copy(update={"criticism": Round(criticism=criticism)}), first
    second = carry_out(revised, work, first)
    better, reason = planner.choose(document, work.picture, first.picture, second.picture)
    told = Round(criticism=criticism, layers=revised.layers, kept=better, reason=reason)
    if not better:
        return document.model_copy(update={"criticism": told}), first
    told = told.model_copy(update={"before": document.layers})
    update = {"layers": revised.layers, "criticism": told}
    return document.model_copy(update=update), second


# --- results ----------------------------------------------------------------------------------


def _as_plan(document: Document, reasoned: _Reasoned, job: Job) -> EditPlan:
    left = [layer for layer in document.layers if layer.paint or layer.region is not None]
    plan = plan_of(document.layers, document.intent)
    if not plan.operations:
        return _abstained(document)
    if left:
        job.warn(
            f"Plans have no regions and paint nothing, so {_names(left)} {_are(left)} left out; "
            "`apply` carries out a document that the option 'save-folder' wrote."
        )
    return plan.model_copy(update={"provenance": _provenance(document, reasoned)})


def _abstained(document: Document) -> EditPlan:
    told = document.intent or "Nothing is to be done"
    if document.layers:
        told = f"This takes more than operations on the whole picture: {_names(document.layers)}"
    return EditPlan(abstained=True, explanation=told)


def _as_result(document: Document, reasoned: _Reasoned, carried: Carried, seed: int) -> EditResult:
    explanation = document.intent or ", ".join(layer.name for layer in document.layers)
    if carried.is_plan:
        plan = plan_of([one.layer for one in carried.done], explanation)
        plan = plan.model_copy(update={"provenance": _provenance(document, reasoned)})
        return EditResult(plan=plan, explanation=explanation, warnings=carried.failed)
    apart = carried.apart()
    below, above = apart or (None, None)
    if below is not None:
        below = below.model_copy(update={"provenance": _provenance(document, reasoned)})
    return EditResult(
        candidates=(Candidate(picture=carried.picture, seed=seed, layer=above),),
        plan=below,
        explanation=explanation,
        warnings=carried.failed,
    )


def _provenance(document: Document, reasoned: _Reasoned) -> Provenance:
    model = document.origin.model if document.origin else "nobody"
    if reasoned.planner is None:
        model = f"a document of {model}"
    return Provenance(plugin=NAME, model=model, version=__version__)


def _names(layers: list[Layer] | tuple[Layer, ...]) -> str:
    return ", ".join(f"“{layer.name}”" for layer in layers)


def _are(layers: list[Layer]) -> str:
    return "is" if len(layers) == 1 else "are"
