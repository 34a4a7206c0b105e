"""`apply_edit` by a trained model: picture and instruction guide the diffusion model (eq. 8, 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from imgedit_modelkit.devices import choose_device, choose_precision, stored_bytes
from imgedit_modelkit.diffusion.edits import Edit, boxes_of, candidates_of, offload_of
from imgedit_modelkit.diffusion.files import vae_factor
from imgedit_modelkit.diffusion.forecast import Forecast, painting, speed
from imgedit_modelkit.diffusion.guidance import Guidance
from imgedit_modelkit.diffusion.places import Place
from imgedit_modelkit.diffusion.schedulers import scheduler_class
from imgedit_modelkit.regions.boxes import Box, Fitting, model_size
from imgedit_modelkit.tensor_files import numbers_in
from imgedit_plugins.requests import EditResult
from imgedit_reason_edit.model.folders import PROMPT, WORDS
from imgedit_reason_edit.model.models import Models
from imgedit_reason_edit.model.setting import Setting, language_parts, painter_parts, setting_of

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from imgedit_modelkit.diffusion.conditioning import Conditioning
    from imgedit_modelkit.diffusion.editor import PictureEditor
    from imgedit_modelkit.regions.resampling import Map
    from imgedit_plugins.jobs import Job
    from imgedit_plugins.requests import ApplyRequest


def edit(request: ApplyRequest, job: Job) -> EditResult:
    """Edit a picture, or what is selected of it.

    Args:
        request: with a value for every option of `apply_edit`; 'model' names a kind.
        job: progress, warnings, cancellation.

    Returns:
        As many candidates as asked for, each of the whole picture's size. Unless the option 'exact'
        is 'off', the core is to find out what of them operations can express.

    Raises:
        WeightsError: there is no model; says how to get it.
        OptionError, ImgeditError: an option or the instruction cannot be followed.
        JobCancelledError: cancelled; asked after each step.
    """
    options = request.options
    setting = setting_of(options, job)
    if name := str(options["scheduler"]):
        scheduler_class(name)  # before anything is loaded
    fitting = Fitting(
        multiple=vae_factor(painter_parts(setting)[1]),
        pixels=int(options["resolution"]) ** 2,
        tiled=bool(options["tiled"]),
    )
    boxes = boxes_of(request, fitting)
    height, width = model_size(boxes[0], fitting)
    place = place_of(request, setting, len(boxes), (width, height), job)
    work = Work(Models(setting, place), request, boxes, job)
    return EditResult(
        candidates=candidates_of(work, fitting), exact_first=options["exact"] == "auto"
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

    def editor(self) -> PictureEditor:
        """The diffusion model."""
        return self.models.editor()

    def guide(self, pixels: Map) -> Conditioning:
        """What the language model makes of the region and the instruction."""
        self.job.report("loading the language model")
        seen = np.rint(pixels * 255).astype(np.uint8)
        guided = self.models.conditioning(seen, self.request.instruction or "")
        self.models.rest()
        self.job.report("loading the diffusion model")
        return guided


def place_of(
    request: ApplyRequest, setting: Setting, pieces: int, size: tuple[int, int], job: Job
) -> Place:
    """Device, precision and what is offloaded; the forecast is said aloud."""
    options = request.options
    device = choose_device(str(options["device"]))
    stored = sum(map(_stored, [*language_parts(setting), *painter_parts(setting)]))
    dtype = choose_precision(str(options["precision"]), device, stored)
    guidance = Guidance(float(options["guidance"]), float(options["image-guidance"]))
    told = _forecast(
        setting,
        device,
        dtype,
        size,
        steps=int(options["steps"]),
        branches=len(guidance.weights),
        candidates=int(options["candidates"]) * pieces,
    )
    return Place(device, dtype, offload_of(str(options["offload"]), told, device, job))


def _forecast(
    setting: Setting,
    device: torch.device,
    dtype: torch.dtype,
    size: tuple[int, int],
    *,
    steps: int,
    branches: int,
    candidates: int,
) -> Forecast:
    numbers = sum(map(numbers_in, language_parts(setting)))
    tokens = PROMPT if setting.sees else WORDS
    told = painting(
        *painter_parts(setting)[:2],
        device=device,
        dtype=dtype,
        size=size,
        steps=steps,
        branches=branches,
        candidates=candidates,
    )
    return Forecast(
        language=numbers * dtype.itemsize,
        painting=sum(map(numbers_in, painter_parts(setting))) * dtype.itemsize,
        working=told.working,
        seconds=2.0 * numbers * tokens / speed(device, dtype) + told.seconds,
        least=told.least,
    )


def _stored(path: Path) -> int:
    return stored_bytes(path) if path.is_dir() else path.stat().st_size
