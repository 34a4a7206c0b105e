"""`apply_edit` by a bundle of a trained model, without torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from imgedit_exporters.runtime.using import Kept
from imgedit_modelkit.bundled_diffusion import Guided
from imgedit_modelkit.bundled_edits import BundledEdit, refuse_settled
from imgedit_modelkit.regions.resampling import Map
from imgedit_plugins.errors import OptionError
from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import ApplyRequest, EditResult
from imgedit_reason_edit.model.bundled import BundledModel
from imgedit_reason_edit.model.setting import untrained

MODELS = Kept(BundledModel)


def edit(request: ApplyRequest, folder: Path, job: Job) -> EditResult:
    """Edit a picture, or what is selected of it, with a bundle.

    Args:
        request: with a value for every option of `apply_edit`; 'model' names a kind.
        folder: of the bundle.
        job: progress, warnings, cancellation.

    Returns:
        As `editing.edit`; the seed means other noise than with PyTorch.

    Raises:
        OptionError: an option asks for what bundles cannot do, or for another kind.
        ImgeditError, WeightsError, PluginError: as the bundle's parts raise them.
        JobCancelledError: cancelled; asked after each step.
    """
    options = request.options
    refuse_settled(options)
    model = MODELS.of(folder, str(options["device"]), job)
    if model.kind != options["model"]:
        raise OptionError(
            f"The bundle in {folder} is {model.kind}, not {options['model']}.",
            hint=f"Set the option 'model' to {model.kind}, or name another bundle.",
        )
    if not model.trained:
        job.warn(untrained(f"The model that became the bundle in {folder}", model.kind))
    candidates = _Work(model, request, job).candidates()
    return EditResult(candidates=candidates, exact_first=options["exact"] == "auto")


class _Work(BundledEdit):
    """One request: the language model once, then a picture for each candidate."""

    def __init__(self, model: BundledModel, request: ApplyRequest, job: Job) -> None:
        super().__init__(model, request, job)
        self._model = model

    def guide(self, pixels: Map) -> Guided:
        """What the model makes of the region and the instruction."""
        self.job.report("reading the instruction")
        seen = np.rint(pixels * 255).astype(np.uint8)
        return self._model.conditioning(seen, self.request.instruction or "")
