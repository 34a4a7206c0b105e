"""The editor: an input picture and a conditioning in, edited pictures out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from imgedit_modelkit.diffusion import folders, memory
from imgedit_modelkit.diffusion.conditioning import Conditioning
from imgedit_modelkit.diffusion.guidance import NEITHER, Guidance
from imgedit_modelkit.diffusion.latents import check_pictures, decoded, factor_of, input_latents
from imgedit_modelkit.diffusion.previews import LatentColors, Preview, denoised
from imgedit_modelkit.diffusion.saving import Saving
from imgedit_modelkit.diffusion.schedulers import fresh, prepared, takes
from imgedit_modelkit.diffusion.unet import attended_width, check_unet
from imgedit_plugins.errors import ImgeditError
from imgedit_plugins.jobs import Job

STAGE = "painting"
"""The name under which steps are reported to a job."""


@dataclass(frozen=True)
class Sampling:
    """How an edit is drawn.

    Attributes:
        steps: that the scheduler is asked for; some make more forward passes.
        guidance: towards text and input picture.
        scheduler: another than the editor's own, such as `schedulers.named` makes.
    """

    steps: int = 20
    guidance: Guidance = field(default_factory=Guidance)
    scheduler: Any = None


OnPreview = Callable[[Preview], None]


@dataclass(frozen=True, eq=False)
class _Run:
    """What stays the same over the steps of one edit."""

    scheduler: Any
    pictures: Tensor
    conditioning: Conditioning
    guidance: Guidance
    generators: list[torch.Generator]
    saving: Saving


class PictureEditor:
    """Edits pictures with a UNet that sees them.

    Args:
        unet: a UNet2DConditionModel that takes twice as many channels as the VAE's latents have:
            the noisy latents first, then those of the input picture.
        vae: an AutoencoderKL.
        scheduler: any scheduler of diffusers that fits the UNet; its state is left alone.
        device: where to compute; by default where the UNet is.
        saving: of memory; by default it is chosen at each edit, by the memory that is free then.
            The parts are put where it wants them.

    Raises:
        ImgeditError: the UNet is no editing one.
    """

    def __init__(
        self,
        unet: Any,
        vae: Any,
        scheduler: Any,
        *,
        device: torch.device | None = None,
        saving: Saving | None = None,
    ) -> None:
        check_unet(unet, int(vae.config.latent_channels))
        self.unet, self.vae, self.scheduler = unet, vae, scheduler
        self.device = device or next(unet.parameters()).device
        self.saving = saving or Saving(automatic=True)
        self.saving.prepare(unet, vae, self.device)
        self._colors: LatentColors | None = None

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | None = None,
        saving: Saving | None = None,
    ) -> PictureEditor:
        """The editor of a folder that `save` or a diffusers pipeline has written.

        Args:
            folder: with ``unet``, ``vae`` and ``scheduler`` in it; safetensors alone are read.
            dtype: of UNet and VAE.
            device: where to compute; the CPU by default.
            saving: of memory.

        Raises:
            WeightsError: a part is missing or does not fit its configuration.
            ImgeditError: the UNet is no editing one.
        """
        unet, vae, scheduler = folders.load(folder, dtype)
        return cls(unet, vae, scheduler, device=device or torch.device("cpu"), saving=saving)

    def save(self, folder: Path) -> None:
        """Write UNet, VAE and scheduler as safetensors and JSON; the folder appears whole.

        Raises:
            WeightsError: there is something at that place.
        """
        folders.save(folder, self.unet, self.vae, self.scheduler)

    @property
    def factor(self) -> int:
        """What the sides of pictures must be multiples of, in pixels."""
        return factor_of(self.vae)

    @property
    def width(self) -> int:
        """Width of the conditioning."""
        return attended_width(self.unet)

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the UNet."""
        found: torch.dtype = next(self.unet.parameters()).dtype
        return found

    @torch.no_grad()
    def edit(
        self,
        pictures: Tensor,
        conditioning: Conditioning,
        sampling: Sampling | None = None,
        *,
        seeds: Sequence[int] = (0,),
        noise: Tensor | None = None,
        job: Job | None = None,
        on_preview: OnPreview | None = None,
    ) -> Tensor:
        """Edited pictures, one for each seed.

        The same seed gives the same picture on one machine, whatever else is in the batch up to
        the rounding of matrix products, and the same noise on all machines and in all precisions.

        Args:
            pictures: (1 or batch, 3, height, width) in 0..1, sRGB; sides are multiples of `factor`.
            conditioning: a batch of 1, or of as many as there are seeds.
            sampling: steps, guidance, and another scheduler than the editor's own.
            seeds: one for each edited picture; of the first noise and of what the scheduler adds.
            noise: (batch, latent channels, height / factor, width / factor) of unit variance,
                instead of the seeds' first noise.
            job: progress, one report a step under the name `STAGE`, and cancellation between steps.
            on_preview: called after each step; previews are made only then.

        Returns:
            (batch, 3, height, width), float32 on the CPU, in 0..1.

        Raises:
            ImgeditError: shapes that do not go together; numbers that a model cannot have.
            JobCancelledError: the job was cancelled.
        """
        job, sampling = job or Job(), sampling or Sampling()
        self._check(pictures, conditioning, seeds, noise)
        batch = len(seeds)
        scheduler = fresh(sampling.scheduler or self.scheduler)
        times = prepared(scheduler, sampling.steps, self.device)
        saving = self._chosen_saving(pictures, batch, len(sampling.guidance.weights), job)
        job.report(STAGE, 0, len(times))
        with saving.at_work(self.vae, self.device):
            seen = input_latents(self.vae, pictures.to(self.device)).to(self.dtype)
            if on_preview is not None and self._colors is None:
                self._colors = LatentColors.of(self.vae)
        seen = seen.expand(batch, *seen.shape[1:])
        run = _Run(
            scheduler,
            seen,
            conditioning.to(self.device, self.dtype).expanded(batch).padded(),
            sampling.guidance,
            [torch.Generator().manual_seed(seed) for seed in seeds],
            saving,
        )
        latents = self._paint(run, times, noise, job, on_preview)
        if not bool(latents.isfinite().all()):
            raise ImgeditError(
                f"The model made numbers that are none, in {self.dtype}.",
                hint="Use bf16 or fp32, or other guidance.",
            )
        job.report(STAGE, len(times), len(times))
        with saving.at_work(self.vae, self.device):
            return decoded(self.vae, latents.to(next(self.vae.parameters()).dtype)).cpu()

    @torch.no_grad()
    def rebuilt(self, pictures: Tensor) -> Tensor:
        """Pictures through the VAE and back, with no edit: what is lost even so.

        Args:
            pictures: (batch, 3, height, width) in 0..1; sides are multiples of `factor`.

        Returns:
            The same shape, float32 on the CPU, in 0..1.
        """
        # The edit of these pictures has told how memory is saved.
        with self._chosen_saving(pictures, len(pictures), 0, Job()).at_work(self.vae, self.device):
            latents = input_latents(self.vae, pictures) * self.vae.config.scaling_factor
            return decoded(self.vae, latents).cpu()

    # --- inside -------------------------------------------------------------------------------

    def _chosen_saving(self, pictures: Tensor, batch: int, branches: int, job: Job) -> Saving:
        """How memory is saved in an edit; said aloud where it was chosen for want of memory."""
        if not self.saving.automatic:
            return self.saving
        parts = (self.unet, self.vae)
        weights = [sum(p.numel() * p.element_size() for p in x.parameters()) for x in parts]
        height, width = pictures.shape[2:]
        needed = memory.needs(
            self.unet.config,
            self.vae.config,
            size=(int(height), int(width)),
            number=max(next(part.parameters()).element_size() for part in parts),
            weights=(weights[0], weights[1]),
            branches=branches,
            pictures=batch,
        )
        there = sum(
            size
            for size, part in zip(weights, parts, strict=True)
            if next(part.parameters()).device.type == self.device.type
        )
        free = memory.free(self.device)
        elsewhere = self.device.type == "cuda"  # Apple's GPU shares the machine's memory
        saving, fits = memory.chosen(
            needed, int(memory.ROOM * free) + there, self.saving, elsewhere=elsewhere
        )
        if elsewhere:  # they may still lie where the edit before wanted them
            saving.prepare(self.unet, self.vae, self.device)
        if saving != self.saving or not fits:
            _tell(saving, free, job, fits=fits)
        return saving

    def _paint(
        self, run: _Run, times: Tensor, noise: Tensor | None, job: Job, on_preview: OnPreview | None
    ) -> Tensor:
        """Denoised latents."""
        latents = self._first_noise(run, noise) * run.scheduler.init_noise_sigma
        extra = {"generator": run.generators} if takes(run.scheduler, "generator") else {}
        with run.saving.at_work(self.unet, self.device):
            for number, time in enumerate(times):
                job.report(STAGE, number, len(times))
                predicted = self._predicted(run, latents, time)
                step = run.scheduler.step(predicted, time, latents, **extra)
                if on_preview is not None:
                    assert self._colors is not None
                    guess = denoised(run.scheduler, step, predicted, time, latents)
                    on_preview(Preview(number + 1, len(times), self._colors(guess)))
                latents = step.prev_sample
        return torch.as_tensor(latents)

    def _first_noise(self, run: _Run, noise: Tensor | None) -> Tensor:
        if noise is None:
            shape = run.pictures.shape[1:]
            # On the CPU and in float32, so that a seed means the same everywhere.
            noise = torch.stack([torch.randn(shape, generator=one) for one in run.generators])
        return noise.to(self.device, self.dtype)

    def _predicted(self, run: _Run, latents: Tensor, time: Tensor) -> Tensor:
        """The guided prediction of a step."""
        noisy = run.scheduler.scale_model_input(latents, time)
        branches = tuple(run.guidance.weights)
        at_once = 1 if run.saving.branches_apart else len(branches)
        predicted: list[Tensor] = []
        for begin in range(0, len(branches), at_once):
            some = branches[begin : begin + at_once]
            text, mask = _attended(run.conditioning, [branch.text for branch in some])
            blank = torch.zeros_like(run.pictures)
            seen = torch.cat([run.pictures if branch != NEITHER else blank for branch in some])
            out = self.unet(
                torch.cat([torch.cat([noisy] * len(some)), seen], dim=1),
                time,
                encoder_hidden_states=text,
                encoder_attention_mask=mask,
                return_dict=False,
            )[0]
            predicted += out.chunk(len(some))
        return run.guidance.combined(dict(zip(branches, predicted, strict=True)))

    def _check(
        self,
        pictures: Tensor,
        conditioning: Conditioning,
        seeds: Sequence[int],
        noise: Tensor | None,
    ) -> None:
        check_pictures(self.vae, pictures)
        batch, shape = len(seeds), tuple(pictures.shape)
        if not batch or shape[0] not in (1, batch):
            raise ImgeditError(
                f"There are {shape[0]} pictures for {batch} seeds.",
                hint="Give one picture for all seeds, or one for each.",
            )
        if conditioning.width != self.width:
            raise ImgeditError(
                f"The conditioning is {conditioning.width} wide and this UNet attends to "
                f"{self.width}."
            )
        rest = (shape[2] // self.factor, shape[3] // self.factor)
        wanted = (batch, int(self.vae.config.latent_channels), *rest)
        if noise is not None and tuple(noise.shape) != wanted:
            raise ImgeditError(f"The noise is {tuple(noise.shape)} and must be {wanted}.")


def _tell(saving: Saving, free: int, job: Job, *, fits: bool) -> None:
    """A stage where the result stays as it is, else a warning."""
    text = f"{free / 1e9:.1f} GB are free, so memory is saved: {saving.told or 'nothing helps'}"
    if fits and not saving.tiled_vae:
        job.report(text)
        return
    if saving.tiled_vae:
        text += " (large pictures differ a little by it)"
    job.warn(f"{text}." if fits else f"{text}. It may still not be enough: lower the resolution.")


def _attended(conditioning: Conditioning, texts: list[bool]) -> tuple[Tensor, Tensor | None]:
    """The sequences of several branches, one after the other, and their mask."""
    sequence = torch.cat([conditioning.embeddings if text else conditioning.null for text in texts])
    if conditioning.mask is None or conditioning.null_mask is None:
        return sequence, None
    masks = [conditioning.mask if text else conditioning.null_mask for text in texts]
    return sequence, torch.cat(masks)
