"""`apply_edit`: an instruction becomes an expressive one, and that a picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from imgedit_mgie.deriving import derived_of
from imgedit_mgie.forecast import forecast
from imgedit_mgie.models import Models
from imgedit_mgie.pipelines import pipeline_class
from imgedit_mgie.setting import Setting, language_parts, painter_parts, setting_of
from imgedit_modelkit.devices import choose_device, choose_precision, stored_bytes
from imgedit_modelkit.diffusion.conditioning import Conditioning
from imgedit_modelkit.diffusion.editor import PictureEditor
from imgedit_modelkit.diffusion.edits import Edit, boxes_of, candidates_of, offload_of
from imgedit_modelkit.diffusion.files import vae_factor
from imgedit_modelkit.diffusion.guidance import Guidance
from imgedit_modelkit.diffusion.places import Place
from imgedit_modelkit.diffusion.schedulers import scheduler_class
from imgedit_modelkit.regions.boxes import Box, Fitting, model_size
from imgedit_modelkit.regions.resampling import Map
from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import ApplyRequest, EditResult

_MULTIPLE = 16
"""What sides of pictures are multiples of for painters that do not say."""


def edit(
    request: ApplyRequest, job: Job, models: Callable[[Setting, Place], Models] = Models
) -> EditResult:
    """Edit a picture, or what is selected of it.

    Args:
        request: with a value for every option of `apply_edit`.
        job: progress, warnings, cancellation.
        models: what makes the models of a setting in a place.

    Returns:
        As many candidates as asked for, each of the whole picture's size; `explanation` is the
        expressive instruction, which the option 'expressive' takes again. Unless the option
        'exact' is 'off', the core is to find out what of them operations can express.

    Raises:
        WeightsError: weights are missing; says which, how large, under which licence, and how to
            get them.
        OptionError, ImgeditError: an option or the instruction cannot be followed.
        JobCancelledError: cancelled; asked after each token and each step.
    """
    options = request.options
    setting = setting_of(options, job)
    if setting.model == "painter":
        pipeline_class(setting.pipeline)  # before anything is loaded
    if name := str(options["scheduler"]):
        scheduler_class(name)
    fitting = Fitting(
        multiple=_MULTIPLE if setting.model == "painter" else vae_factor(painter_parts(setting)[1]),
        pixels=int(options["resolution"]) ** 2,
        tiled=bool(options["tiled"]),
    )
    boxes = boxes_of(request, fitting)
    height, width = model_size(boxes[0], fitting)
    place = place_of(request, setting, len(boxes), (width, height), job)
    work = Work(models(setting, place), request, boxes, job)
    return EditResult(
        candidates=candidates_of(work, fitting, rebuilds=setting.model != "painter"),
        explanation=work.expressive,
        exact_first=options["exact"] == "auto",
    )


class Work(Edit):
    """The models at work on one request.

    Args:
        models: loaded when they are needed.
        request: with a value for every option of `apply_edit`.
        boxes: the parts of the picture that `paint` will be called for, in turn.
        job: progress, warnings, cancellation.
    """

    def __init__(self, models: Models, request: ApplyRequest, boxes: list[Box], job: Job) -> None:
        super().__init__(request, boxes, job)
        self.models = models
        self.expressive = ""

    def editor(self) -> PictureEditor:
        """The diffusion model of the family."""
        return self.models.editor()

    def painted(self, pixels: Map, guidance: Guidance, seed: int, box: Box, job: Job) -> Map:
        """One candidate of one region."""
        if self.models.setting.model != "painter":
            return super().painted(pixels, guidance, seed, box, job)
        return self.models.pipeline().paint(
            pixels, self._text, steps=self.steps, guidance=guidance, seed=seed, job=job
        )

    @property
    def _text(self) -> str:
        """What a model that reads text is told."""
        assert self.request.instruction is not None
        return self.expressive or " ".join(self.request.instruction.split())

    def guide(self, pixels: Map) -> Conditioning | None:
        """What the instruction comes to: visual tokens, or text; None where a pipeline reads it."""
        setting, guided = self.models.setting, None
        if setting.writer is not None:
            self.job.report("loading the language model")
            writer, seen = self.models.writer(), np.rint(pixels * 255).astype(np.uint8)
            derived = derived_of(writer, seen, self.request, self.job, guided=setting.guided)
            self.expressive = derived.expressive
            if setting.guided:
                guided = writer.conditioning(derived.states)
            self.models.rest()
        self.job.report("loading the diffusion model")
        if not setting.guided and setting.model != "painter":
            guided = self.models.text_reader().conditioning([self._text])
        return guided


# --- what it needs ----------------------------------------------------------------------------


def place_of(
    request: ApplyRequest, setting: Setting, pieces: int, size: tuple[int, int], job: Job
) -> Place:
    """Device, precision and what is offloaded; the forecast is said aloud."""
    options = request.options
    device = choose_device(str(options["device"]))
    stored = sum(map(_stored, [*language_parts(setting), *painter_parts(setting)]))
    dtype = choose_precision(str(options["precision"]), device, stored)
    guidance = Guidance(float(options["guidance"]), float(options["image-guidance"]))
    told = forecast(
        setting,
        device=device,
        dtype=dtype,
        size=size,
        steps=int(options["steps"]),
        branches=len(guidance.weights),
        candidates=int(options["candidates"]) * pieces,
        tokens=1 if str(options["expressive"]).strip() else int(options["max-tokens"]),
    )
    return Place(device, dtype, offload_of(str(options["offload"]), told, device, job))


def _stored(path: Path) -> int:
    return stored_bytes(path) if path.is_dir() else path.stat().st_size
