"""The plugin: editing by instruction behind `apply_edit`, its weights, data and training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgedit_plugins import hookimpl

if TYPE_CHECKING:
    from imgedit_plugins.exporting import BundleReport, ExportReport
    from imgedit_plugins.jobs import Job
    from imgedit_plugins.requests import (
        ApplyRequest,
        BundleRequest,
        DataReport,
        DataRequest,
        EditResult,
        EvaluateReport,
        EvaluateRequest,
        ExportRequest,
        TrainReport,
        TrainRequest,
        WeightsReport,
        WeightsRequest,
    )


@hookimpl
def apply_edit(request: ApplyRequest, job: Job) -> EditResult | None:
    """Edit a picture by an instruction; 'not mine' without one."""
    if not request.instruction:
        return None
    from imgedit_exporters.runtime.using import bundle_of
    from imgedit_mgie.requirements import NAME

    if folder := bundle_of(request.options, NAME, NAME):
        from imgedit_mgie.bundled_editing import edit as edit_with

        return edit_with(request, folder, job)
    from imgedit_mgie.requirements import memory_told, require_torch

    require_torch()
    from imgedit_mgie.editing import edit

    with memory_told():
        return edit(request, job)


@hookimpl
def evaluate(request: EvaluateRequest, job: Job) -> EvaluateReport | None:
    """Make the paper's tables and figures of a data set of edits with instructions."""
    from imgedit_mgie.requirements import memory_told, require_torch

    require_torch()
    from imgedit_mgie.evaluation.evaluating import evaluate as run

    with memory_told():
        return run(request, job)


@hookimpl
def train(request: TrainRequest, job: Job) -> TrainReport | None:
    """Train a model of the family on rows made by `data mgie prepare`."""
    from imgedit_mgie.requirements import memory_told, require_torch

    require_torch()
    from imgedit_mgie.training import train as run

    with memory_told():
        return run(request, job)


@hookimpl
def import_weights(request: WeightsRequest, job: Job) -> WeightsReport | None:
    """Take LLaVA and the released files of MGIE."""
    if request.weights != "mgie":
        return None
    from imgedit_mgie.requirements import require_torch

    require_torch()
    from imgedit_mgie.importing import import_weights as take

    return take(request, job)


@hookimpl
def make_data(request: DataRequest, job: Job) -> DataReport | None:
    """Write expressive instructions for InstructPix2Pix's pairs; lay out a study for people."""
    if request.recipe == "study":
        from imgedit_mgie.evaluation.study import make_study

        return make_study(request, job)
    if request.recipe != "prepare":
        return None
    from imgedit_mgie.requirements import memory_told, require_torch

    require_torch()
    from imgedit_mgie.data.prepare import prepare

    with memory_told():
        return prepare(request, job)


@hookimpl
def export_parts(request: ExportRequest, job: Job) -> ExportReport | None:
    """Declare the parts of a model of the family."""
    from imgedit_mgie.requirements import memory_told, require_torch

    require_torch()
    from imgedit_mgie.exporting import export_parts as declare

    with memory_told():
        return declare(request, job)


@hookimpl
def verify_bundle(request: BundleRequest, job: Job) -> BundleReport | None:
    """Make the golden edits of a bundle again, without torch."""
    from imgedit_mgie.bundle_check import verify

    return verify(request, job)
