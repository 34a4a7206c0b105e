"""`evaluate` with `model=minigpt4`: the model alone, and checked by the search, row beside row."""

from __future__ import annotations

from pathlib import Path

from imgedit_exporters.runtime import bundles
from imgedit_exporters.runtime.using import bundle_of
from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import EvaluateReport, EvaluateRequest, Options
from imgedit_reverse_design.evaluation import Setup, evaluate_methods
from imgedit_reverse_design.minigpt4.config import PROJECTION
from imgedit_reverse_design.minigpt4.predicting import NAME, model_folder
from imgedit_reverse_design.outcomes import Predict

ALONE, VERIFIED, SEARCH = "model alone", "model + verification", "search"


def evaluate_model(
    request: EvaluateRequest, job: Job, predict: Predict, predict_options: Options
) -> EvaluateReport:
    """Score the model's answers as they are, and after the verified search.

    The pairs, their prompts and so the model's answers are the same both times. Unless the option
    'workers' says otherwise, one process predicts, which holds the model once. With the option
    'with-search' the search without the model is a third method; it reads no commands.

    Args:
        request: as for `evaluation.evaluate`.
        job: progress and cancellation.
        predict: the plugin's `predict_operations`.
        predict_options: of the predictions, 'verify' aside.

    Returns:
        The tables of `evaluation.evaluate`, each with all methods; `details` by method. The model
        alone answers always, as in the paper; further rows have its answers withheld where they
        explain less than 'min-explained'.

    Raises:
        WeightsError: there are no weights.
    """
    options = {**request.options, "workers": request.options.get("workers") or 1}
    asked = request.model_copy(update={"options": options})
    digest = _told_apart(_learnt(predict_options))
    alone: Options = {"verify": False, "min-explained": 0.0}
    methods = {
        ALONE: Setup({**predict_options, **alone}, withholds=True, model=digest),
        VERIFIED: Setup({**predict_options, "verify": True}, model=digest),
    }
    if request.options.get("with-search", False):
        methods[SEARCH] = Setup({**predict_options, "model": "search"}, reads_commands=False)
    return evaluate_methods(asked, job, predict, methods)


def _learnt(options: Options) -> Path:
    """The file that is another one when the model has learnt, or its bundle is another."""
    if bundle := bundle_of(options, NAME):
        return bundle / bundles.FILE
    return model_folder(str(options.get("weights", ""))) / PROJECTION


def _told_apart(learnt: Path) -> str:
    """What changes when the model learns: size and time of what it learnt."""
    state = learnt.stat()
    return f"{learnt.resolve()}/{state.st_size}/{state.st_mtime_ns}"
