"""An edit that a user asks for: what guides it is made once, then each part of it is painted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from imgedit_modelkit.diffusion import memory
from imgedit_modelkit.diffusion.conditioning import Conditioning
from imgedit_modelkit.diffusion.editor import PictureEditor, Sampling
from imgedit_modelkit.diffusion.folders import load_part, load_scheduler
from imgedit_modelkit.diffusion.forecast import Forecast, Offload
from imgedit_modelkit.diffusion.guidance import Guidance
from imgedit_modelkit.diffusion.painting import previewing, to_tensor
from imgedit_modelkit.diffusion.places import Place
from imgedit_modelkit.diffusion.saving import Saving
from imgedit_modelkit.diffusion.schedulers import named
from imgedit_modelkit.regions.boxes import Box, Fitting, region_of, tiles_of
from imgedit_modelkit.regions.editing import edit_region
from imgedit_modelkit.regions.resampling import Map
from imgedit_plugins.jobs import Job, Progress
from imgedit_plugins.requests import ApplyRequest, Candidate

LONG = 120
"""Seconds from which on the forecast is a warning, not only a stage."""


class Edit(ABC):
    """The models at work on one request; they get one region, or a region and then its tiles.

    Of the request's options these are followed: candidates, guidance, image-guidance, steps,
    scheduler.

    Args:
        request: with a value for every option of `apply_edit`.
        boxes: the parts of the picture that `paint` will be called for, in turn.
        job: progress, warnings, cancellation.
    """

    def __init__(self, request: ApplyRequest, boxes: list[Box], job: Job) -> None:
        self.request, self.job = request, job
        options = request.options
        count = int(options["candidates"])
        self.seeds = [(request.seed + number) % 2**63 for number in range(count)]
        self.steps = int(options["steps"])
        self._guidance = Guidance(float(options["guidance"]), float(options["image-guidance"]))
        self._boxes = iter(boxes)
        self._runs = _parts(job, count * len(boxes))
        self._guided: Conditioning | None = None
        self._is_ready = False

    @abstractmethod
    def editor(self) -> PictureEditor:
        """The diffusion model; asked for again at each turn."""

    @abstractmethod
    def guide(self, pixels: Map) -> Conditioning | None:
        """What guides the edit; called once, with the whole region in sight.

        Args:
            pixels: (height, width, 3), sRGB in 0..1.
        """

    def paint(self, pixels: Map, guidance: Guidance | None = None) -> NDArray[np.float32]:
        """Candidates of one region, (candidates, height, width, 3).

        Args:
            pixels: (height, width, 3), sRGB in 0..1.
            guidance: other than the request's.
        """
        self._prepare(pixels)
        box = next(self._boxes)
        chosen = guidance or self._guidance
        made = [self.painted(pixels, chosen, seed, box, next(self._runs)) for seed in self.seeds]
        return np.stack(made)

    def painted(self, pixels: Map, guidance: Guidance, seed: int, box: Box, job: Job) -> Map:
        """One candidate of one region."""
        editor = self.editor()
        name = str(self.request.options["scheduler"])
        scheduler = named(name, editor.scheduler) if name else None
        assert self._guided is not None
        edited = editor.edit(
            to_tensor(pixels),
            self._guided,
            Sampling(self.steps, guidance, scheduler),
            seeds=[seed],
            job=job,
            on_preview=previewing(self.job, box),
        )
        return _map(edited)

    def rebuild(self, pixels: Map) -> Map:
        """What the VAE makes of a region when nothing is edited."""
        self._prepare(pixels)
        return _map(self.editor().rebuilt(to_tensor(pixels)))

    def _prepare(self, pixels: Map) -> None:
        if not self._is_ready:
            self._is_ready = True
            self._guided = self.guide(pixels)


def candidates_of(edit: Edit, fitting: Fitting, *, rebuilds: bool = True) -> tuple[Candidate, ...]:
    """What an edit comes to: the whole picture, once for each seed.

    Args:
        edit: of a request.
        fitting: how large the model's pictures are, and what it sees.
        rebuilds: whether the model's VAE can tell what it itself changes.

    Raises:
        PictureError, ImgeditError, JobCancelledError: as `edit_region`.
    """
    request = edit.request
    edited = edit_region(
        request.picture,
        edit.paint,
        mask=request.mask,
        fitting=fitting,
        rebuild=edit.rebuild if rebuilds else None,
        job=edit.job,
    )
    return tuple(
        Candidate(picture=one.picture, seed=seed)
        for seed, one in zip(edit.seeds, edited, strict=True)
    )


def boxes_of(request: ApplyRequest, fitting: Fitting) -> list[Box]:
    """The parts that the diffusion model gets for a candidate, in this order."""
    box = region_of((request.picture.height, request.picture.width), request.mask, fitting)
    tiles = tiles_of(box, fitting) if fitting.tiled else []
    if request.mask is not None:
        mask = request.mask
        inside = [tile for tile in tiles if mask[tile.rows, tile.columns].any()]
    else:
        inside = tiles
    return [box, *(inside if len(tiles) > 1 else [])]


def offload_of(wanted: str, told: Forecast, device: torch.device, job: Job) -> Offload:
    """What is offloaded; a machine that is too small is warned of, and may try.

    Args:
        wanted: 'auto', 'none', 'stages' or 'layers'.
        told: what the edit will need, which is said aloud.
        device: where.
        job: progress and warnings.
    """
    free = memory.free(device)
    choice = told.enough(free) if wanted == "auto" else cast("Offload", wanted)
    needed = told.sentence(choice, free)
    job.report(f"will need {needed}")
    if not told.fits(choice, free):
        job.warn(f"This edit needs {needed}, and {free / 1e9:.1f} GB are free, so it may fail.")
    elif told.seconds > LONG:
        job.warn(f"This edit will need {needed}.")
    return choice


def load_editor(unet: Path, vae: Path, scheduler: Path, place: Place) -> PictureEditor:
    """The editor of three folders of diffusers, for one place.

    Raises:
        WeightsError: one cannot be loaded.
        ImgeditError: the UNet is no editing one.
    """
    from diffusers import AutoencoderKL, UNet2DConditionModel

    saving = Saving(
        offload=place.offload != "none" and place.device.type != "cpu",
        branches_apart=place.offload == "layers",
        automatic=True,
    )
    return PictureEditor(
        load_part(UNet2DConditionModel, unet, place.dtype),
        load_part(AutoencoderKL, vae, place.dtype),
        load_scheduler(scheduler),
        device=place.device,
        saving=saving,
    )


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
