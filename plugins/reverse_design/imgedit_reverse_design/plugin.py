"""The plugin: verified search and MiniGPT-4 behind `predict_operations`, I-MAD's data, scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgedit_plugins import hookimpl

if TYPE_CHECKING:
    from imgedit_plugins.exporting import BundleReport, ExportReport
    from imgedit_plugins.jobs import Job
    from imgedit_plugins.plan import EditPlan
    from imgedit_plugins.requests import (
        BundleRequest,
        DataReport,
        DataRequest,
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
    """Recover the plan between two pictures; 'not mine' without an edited picture."""
    from imgedit_reverse_design.predict import predict

    return predict(request, job)


@hookimpl
def evaluate(request: EvaluateRequest, job: Job) -> EvaluateReport | None:
    """Score the search, or MiniGPT-4 with and without it, on I-MAD or GIER."""
    from imgedit_modelkit.readers.imad import made_with
    from imgedit_reverse_design import evaluation

    passed_on = (
        "effort",
        "min-explained",
        "model",
        "weights",
        "constrained",
        "device",
        "precision",
        "bits",
    )
    options = {name: request.options[name] for name in passed_on if name in request.options}
    options = {"effort": "normal", **options, "definitions": made_with(request.data)}
    if options.get("model") == "minigpt4":
        from imgedit_reverse_design.minigpt4.evaluating import evaluate_model

        return evaluate_model(request, job, predict_operations, options)
    return evaluation.evaluate(request, job, predict_operations, predict_options=options)


@hookimpl
def make_data(request: DataRequest, job: Job) -> DataReport | None:
    """Make I-MAD-like pairs from a folder of pictures."""
    from imgedit_reverse_design.make_imad import make_imad

    return make_imad(request, job) if request.recipe == "make-imad" else None


@hookimpl
def train(request: TrainRequest, job: Job) -> TrainReport | None:
    """Fine-tune MiniGPT-4's projection, and adapters, on a folder in I-MAD's layout."""
    from imgedit_reverse_design.minigpt4.requirements import memory_told, require_torch

    require_torch()
    from imgedit_reverse_design.minigpt4 import training

    with memory_told():
        return training.train(request, job)


@hookimpl
def import_weights(request: WeightsRequest, job: Job) -> WeightsReport | None:
    """Take the published files of the MiniGPT-4 family."""
    from imgedit_reverse_design.minigpt4.requirements import require_torch

    if request.weights != "minigpt4":
        return None
    require_torch()
    from imgedit_reverse_design.minigpt4 import importing

    return importing.import_weights(request, job)


@hookimpl
def export_parts(request: ExportRequest, job: Job) -> ExportReport | None:
    """Declare the parts of MiniGPT-4."""
    from imgedit_reverse_design.minigpt4.requirements import memory_told, require_torch

    require_torch()
    from imgedit_reverse_design.minigpt4.exporting import export_parts as declare

    with memory_told():
        return declare(request, job)


@hookimpl
def verify_bundle(request: BundleRequest, job: Job) -> BundleReport | None:
    """Answer the golden questions of a bundle again, without torch."""
    from imgedit_reverse_design.minigpt4.bundle_check import verify

    return verify(request, job)
