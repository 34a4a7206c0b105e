"""The plugin: reasoned plans, the trained model, its weights and the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgedit_plugins import hookimpl

if TYPE_CHECKING:
    from imgedit_plugins.exporting import BundleReport, ExportReport
    from imgedit_plugins.jobs import Job
    from imgedit_plugins.plan import EditPlan
    from imgedit_plugins.requests import (
        ApplyRequest,
        BundleRequest,
        DataReport,
        DataRequest,
        EditResult,
        EvaluateReport,
        EvaluateRequest,
        ExportRequest,
        PredictRequest,
        TrainReport,
        TrainRequest,
        WeightsReport,
        WeightsRequest,
    )


@hookimpl
def predict_operations(request: PredictRequest, job: Job) -> EditPlan | None:
    """Propose operations for an instruction; 'not mine' without one."""
    if not (request.instruction or "").strip() or request.edited is not None:
        return None
    from imgedit_reason_edit.reasoning.flow import predict

    return predict(request, job)


@hookimpl
def apply_edit(request: ApplyRequest, job: Job) -> EditResult | None:
    """Edit by an instruction that leaves to the reader what is meant; 'not mine' without one.

    The option 'model' says whether by a reasoned plan or by a trained model.
    """
    if not (request.instruction or "").strip() or request.plan is not None:
        return None
    if request.options["model"] == "plan":
        from imgedit_reason_edit.reasoning.flow import apply

        return apply(request, job)
    from imgedit_exporters.runtime.using import bundle_of
    from imgedit_reason_edit.model.folders import WEIGHTS
    from imgedit_reason_edit.requirements import NAME, memory_told, require_torch

    if folder := bundle_of(request.options, NAME, WEIGHTS):
        from imgedit_reason_edit.model.bundled_editing import edit as edit_with

        return edit_with(request, folder, job)
    require_torch()
    from imgedit_reason_edit.model.editing import edit

    with memory_told():
        return edit(request, job)


@hookimpl
def make_data(request: DataRequest, job: Job) -> DataReport | None:
    """Make a part of the data set, or the benchmark; lay out a study for people."""
    if request.recipe == "study":
        from imgedit_reason_edit.evaluation.study import make_study

        return make_study(request, job)
    if request.recipe not in ("make", "benchmark"):
        return None
    from imgedit_reason_edit.requirements import memory_told, require_torch

    require_torch()
    from imgedit_reason_edit.data.make import make

    with memory_told():
        return make(request, job)


@hookimpl
def train(request: TrainRequest, job: Job) -> TrainReport | None:
    """Train a model on rows made by `data reason_edit make`."""
    from imgedit_reason_edit.requirements import memory_told, require_torch

    require_torch()
    from imgedit_reason_edit.model.training import train as run

    with memory_told():
        return run(request, job)


@hookimpl
def import_weights(request: WeightsRequest, job: Job) -> WeightsReport | None:
    """Put a vision-language model and a diffusion model together."""
    from imgedit_reason_edit.model.folders import WEIGHTS

    if request.weights != WEIGHTS:
        return None
    from imgedit_reason_edit.requirements import require_torch

    require_torch()
    from imgedit_reason_edit.model.importing import import_weights as take

    return take(request, job)


@hookimpl
def evaluate(request: EvaluateRequest, job: Job) -> EvaluateReport | None:
    """Make the paper's tables and figures of a data set of edits with instructions."""
    from imgedit_reason_edit.evaluation.votes import count_votes, is_study

    if is_study(request):
        return count_votes(request, job)
    from imgedit_reason_edit.requirements import memory_told, require_torch

    require_torch()
    from imgedit_reason_edit.evaluation.evaluating import evaluate as run

    with memory_told():
        return run(request, job)


@hookimpl
def export_parts(request: ExportRequest, job: Job) -> ExportReport | None:
    """Declare the parts of a trained model."""
    from imgedit_reason_edit.requirements import memory_told, require_torch

    require_torch()
    from imgedit_reason_edit.model.exporting import export_parts as declare

    with memory_told():
        return declare(request, job)


@hookimpl
def verify_bundle(request: BundleRequest, job: Job) -> BundleReport | None:
    """Make the golden edits of a bundle again, without torch."""
    from imgedit_reason_edit.model.bundle_check import verify

    return verify(request, job)
