"""`apply_edit`: an instruction becomes an expressive one, and that a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from imgedit_mgie.diffusion_files import vae_factor
from imgedit_mgie.forecast import Forecast, Offload, forecast
from imgedit_mgie.models import Models
from imgedit_mgie.pipelines import pipeline_class
from imgedit_mgie.setting import Place, Setting, language_parts, painter_parts, setting_of
from imgedit_mgie.writer import Derived
from imgedit_modelkit.devices import choose_device, choose_precision, stored_bytes
from imgedit_modelkit.diffusion import memory
from imgedit_modelkit.diffusion.conditioning import Conditioning
from imgedit_modelkit.diffusion.editor import Sampling
from imgedit_modelkit.diffusion.guidance import Guidance
from imgedit_modelkit.diffusion.painting import previewing, to_tensor
from imgedit_modelkit.diffusion.schedulers import named, scheduler_class
from imgedit_modelkit.regions.boxes import Box, Fitting, model_size, region_of, tiles_of
from imgedit_modelkit.regions.editing import edit_region
from imgedit_modelkit.regions.resampling import Map
from imgedit_plugins.jobs import Job, Progress
from imgedit_plugins.pictures import RGB8
from imgedit_plugins.requests import ApplyRequest, Candidate, EditResult

LONG = 120
"""Seconds from which on the forecast is a warning, not only a stage."""

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
    boxes = _boxes(request, fitting)
    height, width = model_size(boxes[0], fitting)
    place = place_of(request, setting, len(boxes), (width, height), job)
    work = Work(models(setting, place), request, boxes, job)
    edited = edit_region(
        request.picture,
        work.paint,
        mask=request.mask,
        fitting=fitting,
        rebuild=None if setting.model == "painter" else work.rebuild,
        job=job,
    )
    return EditResult(
        candidates=tuple(
            Candidate(picture=one.picture, seed=seed)
            for seed, one in zip(work.seeds, edited, strict=True)
        ),
        explanation=work.expressive,
        exact_first=options["exact"] == "auto",
    )


class Work:
    """The models at work on one request; they get one region, or a region and then its tiles.

    Args:
        models: loaded when they are needed.
        request: with a value for every option of `apply_edit`.
        boxes: the parts of the picture that `paint` will be called for, in turn.
        job: progress, warnings, cancellation.
    """

    def __init__(self, models: Models, request: ApplyRequest, boxes: list[Box], job: Job) -> None:
        self.models, self.request, self.job = models, request, job
        count = int(request.options["candidates"])
        self.seeds = [(request.seed + number) % 2**63 for number in range(count)]
        self.expressive = ""
        self._boxes = iter(boxes)
        self._runs = _parts(job, count * len(boxes))
        self._guided: Conditioning | None = None
        self._is_ready = False
        options = request.options
        self._guidance = Guidance(float(options["guidance"]), float(options["image-guidance"]))
        self._steps = int(options["steps"])

    def paint(self, pixels: Map, guidance: Guidance | None = None) -> NDArray[np.float32]:
        """Candidates of one region, (candidates, height, width, 3).

        Args:
            pixels: (height, width, 3), sRGB in 0..1.
            guidance: other than the request's.
        """
        guidance = guidance or self._guidance
        self._prepare(pixels)
        box = next(self._boxes)
        if self.models.setting.model == "painter":
            painter = self.models.pipeline()
            made = [
                painter.paint(
                    pixels, self._text, steps=self._steps, guidance=guidance, seed=seed,
                    job=next(self._runs),
                )
                for seed in self.seeds
            ]  # fmt: skip
        else:
            made = [
                self._painted(pixels, guidance, seed, box, next(self._runs)) for seed in self.seeds
            ]
        return np.stack(made)

    def rebuild(self, pixels: Map) -> Map:
        """What the VAE makes of a region when nothing is edited."""
        self._prepare(pixels)
        return _map(self.models.editor().rebuilt(to_tensor(pixels)))

    def _painted(self, pixels: Map, guidance: Guidance, seed: int, box: Box, job: Job) -> Map:
        editor = self.models.editor()
        name = str(self.request.options["scheduler"])
        scheduler = named(name, editor.scheduler) if name else None
        assert self._guided is not None
        edited = editor.edit(
            to_tensor(pixels),
            self._guided,
            Sampling(self._steps, guidance, scheduler),
            seeds=[seed],
            job=job,
            on_preview=previewing(self.job, box),
        )
        return _map(edited)

    @property
    def _text(self) -> str:
        """What a model that reads text is told."""
        assert self.request.instruction is not None
        return self.expressive or " ".join(self.request.instruction.split())

    def _prepare(self, pixels: Map) -> None:
        """Once, with the whole region in sight: what the instruction comes to."""
        if self._is_ready:
            return
        self._is_ready = True
        setting = self.models.setting
        if setting.writer is not None:
            self.job.report("loading the language model")
            derived = self._derived(np.rint(pixels * 255).astype(np.uint8))
            self.expressive = derived.expressive
            if setting.guided:
                self._guided = self.models.writer().conditioning(derived.states)
            self.models.rest()
        self.job.report("loading the diffusion model")
        if not setting.guided and setting.model != "painter":
            self._guided = self.models.text_reader().conditioning([self._text])

    def _derived(self, seen: RGB8) -> Derived:
        """What the language model makes of the instruction."""
        writer, options, job = self.models.writer(), self.request.options, self.job
        instruction = self.request.instruction or ""
        if given := str(options["expressive"]).strip():
            job.report("reading the expressive instruction")
            return writer.reread(seen, instruction, given)
        longest = int(options["max-tokens"])
        derived = writer.derive(
            seen,
            instruction,
            longest=longest,
            on_token=lambda n: job.report("writing the expressive instruction", n, longest),
        )
        if not derived.expressive:
            job.warn("The language model wrote no expressive instruction; yours is used as it is.")
        elif self.models.setting.guided and not derived.complete:
            job.warn(
                "The language model did not get to its visual tokens, so the last of what it wrote "
                "guides the edit; a higher max-tokens may help."
            )
        return derived


def _map(batch: torch.Tensor) -> Map:
    """(height, width, 3) of a batch of one."""
    return np.ascontiguousarray(batch[0].permute(1, 2, 0).float().cpu().numpy())


def _parts(job: Job, count: int) -> Iterator[Job]:
    """Jobs that count their steps among those of all."""
    for number in range(count):
        yield _Part(job, number, count)


class _Part(Job):
    """One of several equal pieces of a job."""

    def __init__(self, whole: Job, number: int, count: int) -> None:
        super().__init__(self._tell, self._warn_once)
        self._whole, self._number, self._count = whole, number, count

    def _tell(self, progress: Progress) -> None:
        before = self._number * progress.total
        self._whole.report(progress.stage, before + progress.done, self._count * progress.total)

    def _warn_once(self, text: str) -> None:
        if text not in self._whole.warnings:
            self._whole.warn(text)

    def check(self) -> None:
        """As the whole says."""
        self._whole.check()


# --- what it needs ----------------------------------------------------------------------------


def _boxes(request: ApplyRequest, fitting: Fitting) -> list[Box]:
    """The parts that the diffusion model gets for a candidate, in this order."""
    box = region_of((request.picture.height, request.picture.width), request.mask, fitting)
    tiles = tiles_of(box, fitting) if fitting.tiled else []
    if request.mask is not None:
        mask = request.mask
        inside = [tile for tile in tiles if mask[tile.rows, tile.columns].any()]
    else:
        inside = tiles
    return [box, *(inside if len(tiles) > 1 else [])]


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
    return Place(device, dtype, _offload(str(options["offload"]), told, device, job))


def _stored(path: Path) -> int:
    return stored_bytes(path) if path.is_dir() else path.stat().st_size


def _offload(wanted: str, told: Forecast, device: torch.device, job: Job) -> Offload:
    """What is offloaded; a machine that is too small is warned of, and may try."""
    free = memory.free(device)
    choice = told.enough(free) if wanted == "auto" else cast("Offload", wanted)
    needed = told.sentence(choice, free)
    job.report(f"will need {needed}")
    if not told.fits(choice, free):
        job.warn(f"This edit needs {needed}, and {free / 1e9:.1f} GB are free, so it may fail.")
    elif told.seconds > LONG:
        job.warn(f"This edit will need {needed}.")
    return choice
