"""`apply_edit` with a bundle, without torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from imgedit_exporters.runtime.using import Kept
from imgedit_mgie.bundled import BundledModel, plain
from imgedit_mgie.deriving import derived_of
from imgedit_modelkit.bundled_diffusion import Guided
from imgedit_modelkit.bundled_edits import BundledEdit, refuse_settled
from imgedit_modelkit.regions.resampling import Map
from imgedit_plugins.errors import OptionError
from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import ApplyRequest, EditResult, Options

MODELS = Kept(BundledModel)


def edit(request: ApplyRequest, folder: Path, job: Job) -> EditResult:
    """Edit a picture, or what is selected of it, with a bundle.

    Args:
        request: with a value for every option of `apply_edit`.
        folder: of the bundle.
        job: progress, warnings, cancellation.

    Returns:
        As `editing.edit`; the seed means other noise than with PyTorch.

    Raises:
        OptionError: an option asks for what bundles cannot do.
        ImgeditError, WeightsError, PluginError: as the bundle's parts raise them.
        JobCancelledError: cancelled; asked after each token and each step.
    """
    options = request.options
    _refuse(options)
    model = MODELS.of(folder, str(options["device"]), job)
    asked = {"e2e": "mgie"}.get(str(options["model"]), options["model"])
    if asked not in ("auto", model.bundle.document.model):
        raise OptionError(f"The bundle in {folder} is {model.bundle.document.model}, not {asked}.")
    work = _Work(model, request, job)
    candidates = work.candidates()
    return EditResult(
        candidates=candidates,
        explanation=work.expressive,
        exact_first=options["exact"] == "auto",
    )


def _refuse(options: Options) -> None:
    if options["painter"]:
        raise OptionError(
            f"A bundle paints by itself, so it takes no painter, not {options['painter']} either.",
            hint="Leave the option 'painter' out, or name a model's folder as 'weights'.",
        )
    refuse_settled(options)


class _Work(BundledEdit):
    """One request: the language model once, then a picture for each candidate."""

    def __init__(self, model: BundledModel, request: ApplyRequest, job: Job) -> None:
        super().__init__(model, request, job)
        self.model = model
        self.expressive = ""

    def guide(self, pixels: Map) -> Guided:
        """What the instruction comes to: visual tokens, or text."""
        model = self.model
        if model.writes:
            seen = np.rint(pixels * 255).astype(np.uint8)
            guided = model.text is None
            derived = derived_of(model, seen, self.request, self.job, guided=guided)
            self.expressive = derived.expressive
            if model.text is None:
                return model.conditioning(derived.states)
        assert model.text is not None
        return model.text.conditioning(self.expressive or plain(self.request.instruction or ""))
