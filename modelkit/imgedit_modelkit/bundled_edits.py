"""An edit that a user asks for, by a bundle's diffusion model; no torch here.

`diffusion.edits` is the same for models themselves.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from imgedit_exporters.runtime.painting import Guidance
from imgedit_exporters.runtime.using import refuse
from imgedit_modelkit.bundled_diffusion import BundledDiffusion, Guided
from imgedit_modelkit.regions.boxes import Fitting
from imgedit_modelkit.regions.editing import edit_region
from imgedit_modelkit.regions.resampling import Map
from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import ApplyRequest, Candidate, Options


def refuse_settled(options: Options) -> None:
    """Refuse options of `apply_edit` that a bundle has settled.

    Raises:
        OptionError: one is set.
    """
    refuse(options, {"precision": "auto", "offload": "auto"})


class BundledEdit(ABC):
    """One request: what guides it is made once, then a picture for each candidate.

    Of the request's options these are followed: candidates, guidance, image-guidance, steps,
    scheduler, resolution, tiled.

    Args:
        diffusion: the model.
        request: with a value for every option of `apply_edit`.
        job: progress, warnings, cancellation.
    """

    def __init__(self, diffusion: BundledDiffusion, request: ApplyRequest, job: Job) -> None:
        self.request, self.job = request, job
        self._diffusion = diffusion
        options = request.options
        count = int(options["candidates"])
        self._seeds = [(request.seed + number) % 2**63 for number in range(count)]
        self._guidance = Guidance(float(options["guidance"]), float(options["image-guidance"]))
        self._guided: Guided | None = None

    @abstractmethod
    def guide(self, pixels: Map) -> Guided:
        """What guides the edit; called once, with the whole region in sight.

        Args:
            pixels: (height, width, 3), sRGB in 0..1.
        """

    def candidates(self) -> tuple[Candidate, ...]:
        """What the edit comes to: the whole picture, once for each seed.

        Raises:
            PictureError, ImgeditError, JobCancelledError: as `edit_region`.
        """
        request, options = self.request, self.request.options
        fitting = Fitting(
            multiple=self._diffusion.multiple,
            pixels=int(options["resolution"]) ** 2,
            tiled=bool(options["tiled"]),
        )
        edited = edit_region(
            request.picture,
            self._paint,
            mask=request.mask,
            fitting=fitting,
            rebuild=self._diffusion.rebuild,
            job=self.job,
        )
        return tuple(
            Candidate(picture=one.picture, seed=seed)
            for seed, one in zip(self._seeds, edited, strict=True)
        )

    def _paint(self, pixels: Map) -> NDArray[np.float32]:
        """Candidates of one region, (candidates, height, width, 3)."""
        if self._guided is None:
            self._guided = self.guide(pixels)
        options, steps = self.request.options, int(self.request.options["steps"])
        made = []
        for number, seed in enumerate(self._seeds):
            made.append(
                self._diffusion.paint(
                    pixels,
                    self._guided,
                    guidance=self._guidance,
                    steps=steps,
                    noise=seed,
                    name=str(options["scheduler"]),
                    on_step=self._telling(number * steps, steps * len(self._seeds)),
                )
            )
        return np.stack(made)

    def _telling(self, done: int, total: int) -> Callable[[int], None]:
        return lambda step: self.job.report("painting", done + step, total)
