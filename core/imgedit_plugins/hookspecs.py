"""The hooks: what a plugin can do. The docstrings are the contract.

`None` always means 'not mine': the next plugin that accepts the inputs is asked.
Every hook gets a `Job`: it reports progress to it and calls `job.check()` at least every second
or so, which raises when the user has cancelled; the hook lets that error pass and leaves no
half-written file. Errors that the user can act on are raised as `imgedit_plugins.errors`;
any other exception sets the plugin aside ('quarantine') until the process ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from imgedit_plugins.exporting import BundleReport, ExportReport
    from imgedit_plugins.jobs import Job
    from imgedit_plugins.operations import Vocabulary
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

PROJECT = "imgedit_plugins"
"""The name of the pluggy project and of the entry-point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

# --- the three hooks --------------------------------------------------------------------------


@hookspec
def predict_operations(request: PredictRequest, job: Job) -> EditPlan | None:
    """Recover or propose the plan that leads from a picture to its edited version.

    `request.source` is always there; `request.edited` and `request.instruction` where there are
    any. The plan carries a confidence for each operation and a `residual` where the edited
    picture is known; a plugin that cannot explain the edit returns a plan with
    ``abstained=True`` and no operations rather than a guess.
    """


@hookspec
def apply_edit(request: ApplyRequest, job: Job) -> EditResult | None:
    """Edit `request.picture` by its instruction and/or plan.

    Returns one or more candidates, and/or a plan that has the same effect. Pixels where
    `request.mask` is 0 come back bit for bit; the same `request.seed` gives the same result on
    one machine. Candidates keep the bit depth, colour profile and alpha of the picture.
    """


@hookspec
def train(request: TrainRequest, job: Job) -> TrainReport | None:
    """Train the plugin's model on `request.data` and write a run folder at `request.out`.

    Training is resumable: called again with the same request it goes on where it stopped.
    """


# --- the optional ones ------------------------------------------------------------------------


@hookspec
def evaluate(request: EvaluateRequest, job: Job) -> EvaluateReport | None:
    """Score the plugin on a data set and return named tables of figures."""


@hookspec
def make_data(request: DataRequest, job: Job) -> DataReport | None:
    """Make the data set of one of the manifest's recipes; resumable, seeded, with provenance."""


@hookspec
def import_weights(request: WeightsRequest, job: Job) -> WeightsReport | None:
    """Take published weights that the user has, check every key, and write our own form."""


@hookspec
def export_parts(request: ExportRequest, job: Job) -> ExportReport | None:
    """Declare the parts of a model that an exporter can convert, with example inputs."""


@hookspec
def verify_bundle(request: BundleRequest, job: Job) -> BundleReport | None:
    """Make the golden edits of a bundle again, without torch, and compare."""


@hookspec
def register_operations(vocabulary: Vocabulary) -> None:
    """Add operations of the plugin's own to `vocabulary`, under names no other plugin uses."""
