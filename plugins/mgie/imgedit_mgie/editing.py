"""`apply_edit`: an instruction becomes an expressive one, and that a picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch

from imgedit_mgie.forecast import Forecast, Offload, fits, forecast, vae_factor
from imgedit_mgie.models import Models
from imgedit_mgie.pipelines import pipeline_class
from imgedit_mgie.regions import Floats, Region, region_of
from imgedit_mgie.setting import Place, Setting, language_parts, painter_parts, setting_of
from imgedit_mgie.writer import Derived
from imgedit_modelkit.devices import choose_device, choose_precision, free_memory, stored_bytes
from imgedit_modelkit.diffusion.conditioning import Conditioning
from imgedit_modelkit.diffusion.editor import PictureEditor, Sampling
from imgedit_modelkit.diffusion.guidance import Guidance
from imgedit_modelkit.diffusion.schedulers import named, scheduler_class
from imgedit_plugins.jobs import Job, Progress
from imgedit_plugins.requests import ApplyRequest, Candidate, EditResult, Options

LONG = 120
"""Seconds from which on the forecast is a warning, not only a stage."""

_FACTOR = 16
"""What sides of pictures are multiples of for painters that do not say."""


def edit(request: ApplyRequest, job: Job) -> EditResult:
    """Edit a picture, or what is selected of it.

    Returns:
        As many candidates as asked for, each of the whole picture's size; `explanation` is the
        expressive instruction, which the option 'expressive' takes again.

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
    device = choose_device(str(options["device"]))
    stored = sum(map(_stored, [*language_parts(setting), *painter_parts(setting)]))
    dtype = choose_precision(str(options["precision"]), device, stored)
    factor = _factor(setting)
    region = region_of(request.picture, request.mask, int(options["resolution"]), factor, job)
    told = _forecast(setting, options, region, device, dtype)
    place = Place(device, dtype, _offload(str(options["offload"]), told, device, job))
    edited, expressive = _edited(Models(setting, place), request, region, job)
    return EditResult(
        candidates=tuple(
            Candidate(picture=region.put_back(pixels), seed=seed) for seed, pixels in edited
        ),
        explanation=expressive,
    )


def _edited(
    models: Models, request: ApplyRequest, region: Region, job: Job
) -> tuple[list[tuple[int, Floats]], str]:
    """Edited regions with their seeds, and the expressive instruction."""
    assert request.instruction is not None
    setting, options = models.setting, request.options
    derived: Derived | None = None
    conditioning: Conditioning | None = None
    if setting.writer is not None:
        job.report("loading the language model")
        writer = models.writer()
        derived = _derived(models, request, region, job)
        if setting.guided:
            conditioning = writer.conditioning(derived.states)
        models.rest()
    expressive = derived.expressive if derived else ""
    text = expressive or " ".join(request.instruction.split())
    job.report("loading the diffusion model")
    runs = _Seeds(request.seed, int(options["candidates"]), job)
    guidance = Guidance(float(options["guidance"]), float(options["image-guidance"]))
    steps = int(options["steps"])
    if setting.model == "painter":
        painter = models.pipeline()
        edited = [
            (seed, pixels)
            for seed, part in runs
            for pixels in painter.paint(
                region.pixels, text, steps=steps, guidance=guidance, seeds=[seed], job=part
            )
        ]
        return edited, expressive
    editor = models.editor()
    if conditioning is None:
        conditioning = models.text_reader().conditioning([text])
    name = str(options["scheduler"])
    sampling = Sampling(steps, guidance, named(name, editor.scheduler) if name else None)
    return [
        (seed, _painted(editor, region.pixels, conditioning, sampling, seed, part))
        for seed, part in runs
    ], expressive


def _derived(models: Models, request: ApplyRequest, region: Region, job: Job) -> Derived:
    """What the language model makes of the instruction."""
    assert request.instruction is not None
    writer, options = models.writer(), request.options
    seen = np.rint(region.pixels * 255).astype(np.uint8)
    if given := str(options["expressive"]).strip():
        job.report("reading the expressive instruction")
        return writer.reread(seen, request.instruction, given)
    longest = int(options["max-tokens"])
    derived = writer.derive(
        seen,
        request.instruction,
        longest=longest,
        on_token=lambda n: job.report("writing the expressive instruction", n, longest),
    )
    if not derived.expressive:
        job.warn("The language model wrote no expressive instruction; yours was used as it is.")
    elif models.setting.guided and not derived.complete:
        job.warn(
            "The language model did not get to its visual tokens, so the last of what it wrote "
            "guides the edit; a higher max-tokens may help."
        )
    return derived


def _painted(
    editor: PictureEditor,
    pixels: Floats,
    conditioning: Conditioning,
    sampling: Sampling,
    seed: int,
    job: Job,
) -> Floats:
    picture = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None]
    out = editor.edit(picture, conditioning, sampling, seeds=[seed], job=job)
    return np.asarray(out[0].permute(1, 2, 0).numpy(), np.float32)


@dataclass(frozen=True)
class _Seeds:
    """The seeds of the candidates, each with a job that counts its steps among those of all."""

    first: int
    count: int
    job: Job

    def __iter__(self) -> Iterator[tuple[int, Job]]:
        for number in range(self.count):
            yield (self.first + number) % 2**63, _Part(self.job, number, self.count)


class _Part(Job):
    """One of several equal pieces of a job."""

    def __init__(self, whole: Job, number: int, count: int) -> None:
        super().__init__(self._tell, whole.warn)
        self._whole, self._number, self._count = whole, number, count

    def _tell(self, progress: Progress) -> None:
        before = self._number * progress.total
        self._whole.report(progress.stage, before + progress.done, self._count * progress.total)

    def check(self) -> None:
        """As the whole says."""
        self._whole.check()


# --- what it needs ----------------------------------------------------------------------------


def _factor(setting: Setting) -> int:
    return _FACTOR if setting.model == "painter" else vae_factor(setting)


def _stored(path: Path) -> int:
    return stored_bytes(path) if path.is_dir() else path.stat().st_size


def _forecast(
    setting: Setting, options: Options, region: Region, device: torch.device, dtype: torch.dtype
) -> Forecast:
    guidance = Guidance(float(options["guidance"]), float(options["image-guidance"]))
    return forecast(
        setting,
        device=device,
        dtype=dtype,
        size=(region.pixels.shape[1], region.pixels.shape[0]),
        steps=int(options["steps"]),
        branches=len(guidance.weights),
        candidates=int(options["candidates"]),
        tokens=1 if str(options["expressive"]).strip() else int(options["max-tokens"]),
    )


def _offload(wanted: str, told: Forecast, device: torch.device, job: Job) -> Offload:
    """What is offloaded, and the forecast said aloud; a machine that is too small may try."""
    choice = told.enough(free_memory(device)) if wanted == "auto" else cast("Offload", wanted)
    job.report(f"will need {told.sentence(choice)}")
    if not fits(told, choice, device):
        job.warn(
            f"This edit needs {told.sentence(choice)}, and {free_memory(device) / 1e9:.1f} GB are "
            "free, so it may fail."
        )
    elif told.seconds > LONG:
        job.warn(f"This edit will need {told.sentence(choice)}.")
    return choice
