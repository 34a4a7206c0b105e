"""What a training will need, before it begins: memory by part, and time from this machine's speed.

Operations of UNet and VAE are counted by PyTorch on models without memory. Memory of activations is
an estimate.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from imgedit_modelkit.devices import choose_device, measured_speed
from imgedit_modelkit.diffusion.files import empty_part, vae_factor
from imgedit_modelkit.diffusion.forecast import unet_operations, vae_operations
from imgedit_modelkit.diffusion.learning import ATTENTION, DiffusionStart
from imgedit_modelkit.tensor_files import numbers_in
from imgedit_modelkit.training import TrainConfig, shares
from imgedit_plugins.jobs import Job

_EFFICIENCY = 0.5
"""Share of a large matrix product's speed that whole models reach."""

_UNET_KEPT = 90_000
"""Numbers kept for the backward pass, of each latent of a UNet of Stable Diffusion's width; scaled
by the number of parameters."""

_UNET_SIZE = 860e6

_CHECKPOINTED = 0.15
"""Share of the activations that is kept with gradient checkpointing."""

_SLACK = 1.1

_LORA = 16
"""Rank of the adapters that are advised where the whole UNet does not fit."""


@dataclass(frozen=True)
class Counted:
    """What was counted of a model, for one row in one forward and backward pass.

    Attributes:
        frozen, learnt: numbers of parameters.
        kept: numbers that the backward pass needs, without gradient checkpointing.
        operations: forward and backward; `again` are added with gradient checkpointing.
        again: of what is computed twice then.
    """

    frozen: int = 0
    learnt: int = 0
    kept: float = 0.0
    operations: float = 0.0
    again: float = 0.0

    def __add__(self, other: Counted) -> Counted:
        sums = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
        return Counted(*(one + another for one, another in sums))


@dataclass(frozen=True)
class Forecast:
    """What a training will need.

    Attributes:
        frozen, learnt: numbers of parameters.
        weights, training, activations: bytes: of all weights; gradients, optimiser and average;
            what the backward pass needs.
        seconds: of one step.
        shares: processes that share the model.
    """

    frozen: int
    learnt: int
    weights: int
    training: int
    activations: int
    seconds: float
    shares: int = 1

    @property
    def memory(self) -> int:
        """Bytes of a process, with some slack; the main one gathers all weights at times."""
        gathered = self.weights if self.shares > 1 else 0
        kept = (self.weights + self.training) // self.shares
        return int((kept + max(self.activations, gathered)) * _SLACK)

    def sentence(self, steps: int) -> str:
        """For people."""
        return (
            f"{self.memory / 1e9:.2f} GB of memory and about {self.seconds * steps / 3600:.2g} "
            f"hours ({self.seconds:.2g} s a step, {steps:,} steps)"
        )

    def figures(self, steps: int) -> dict[str, float]:
        """For a report."""
        return {
            "parameters, frozen": float(self.frozen),
            "parameters, learnt": float(self.learnt),
            "memory, GB": self.memory / 1e9,
            "steps": float(steps),
            "seconds a step": self.seconds,
            "hours": self.seconds * steps / 3600,
        }


def forecast_of(counted: Counted, config: TrainConfig, precision: torch.dtype) -> Forecast:
    """What a model of which so much was counted will need, on this machine."""
    size, rows = torch.finfo(precision).bits // 8, config.batch_size
    share = _CHECKPOINTED if config.gradient_checkpointing else 1.0
    operations = counted.operations + (counted.again if config.gradient_checkpointing else 0)
    speed = _EFFICIENCY * measured_speed(choose_device("auto"), precision, 0.3)
    return Forecast(
        frozen=counted.frozen,
        learnt=counted.learnt,
        weights=counted.frozen * size + counted.learnt * 4,
        training=counted.learnt * (12 + (4 if config.ema else 0)),
        activations=int(counted.kept * rows * share * size),
        seconds=operations * rows * config.accumulate / speed,
        shares=shares(config),
    )


def diffusion_counted(start: DiffusionStart, size: int) -> Counted:
    """UNet and VAE, for pictures of that height and width."""
    unet, vae = numbers_in(start.unet), numbers_in(start.vae)
    frozen, learnt = vae, unet
    if start.lora:
        frozen, learnt = vae + unet, adapter_parameters(start.unet, start.lora)
    latents = max(1, size // vae_factor(start.vae))
    once = unet_operations(start.unet, (latents, latents))
    return Counted(
        frozen=frozen,
        learnt=learnt,
        kept=latents**2 * _UNET_KEPT * unet / _UNET_SIZE,
        operations=3 * once + 2 * vae_operations(start.vae, (size, size))[0],
        again=once,
    )


def adapter_parameters(folder: Path, rank: int) -> int:
    """How many parameters adapters on a UNet's attention have."""
    from diffusers import UNet2DConditionModel

    layers = empty_part(UNet2DConditionModel, folder).named_modules()
    return sum(
        rank * (layer.in_features + layer.out_features)
        for name, layer in layers
        if isinstance(layer, torch.nn.Linear) and name.endswith(ATTENTION)
    )


def lighter(
    told: Callable[[TrainConfig, int], Forecast], config: TrainConfig, lora: int, room: int
) -> tuple[str, Forecast] | None:
    """The options that make a training fit into so many bytes, and its forecast then.

    They are tried one after another, each with those before it; None where all are too little.

    Args:
        told: the forecast of settings with a rank of adapters.
        config: the settings.
        lora: the rank; 0 for none.
        room: bytes.
    """
    options: list[str] = []
    if not config.gradient_checkpointing:
        config = dataclasses.replace(config, gradient_checkpointing=True)
        options.append("gradient-checkpointing=yes")
        if (found := told(config, lora)).memory <= room:
            return _asked(options), found
    if config.batch_size > 1:
        parts = config.batch_size * config.accumulate
        config = dataclasses.replace(config, batch_size=1, accumulate=parts)
        options += ["batch-size=1", f"accumulate={parts}"]
        if (found := told(config, lora)).memory <= room:
            return _asked(options), found
    if not lora:
        options.append(f"lora={_LORA}")
        if (found := told(config, _LORA)).memory <= room:
            return _asked(options), found
    return None


def tell(
    told: Forecast, steps: int, free: int, fitting: Callable[[], tuple[str, Forecast] | None],
    job: Job,
) -> None:  # fmt: skip
    """What it needs, as a stage; a warning, with what would help, where that is not free."""
    if told.memory <= free:
        job.report(f"will need {told.sentence(steps)}")
        return
    found = fitting()
    advice = f" With {found[0]} it needs {found[1].memory / 1e9:.2f} GB." if found else ""
    job.warn(
        f"This training may not fit: it needs {told.sentence(steps)}, and {free / 1e9:.2f} GB are "
        f"free.{advice}"
    )


def _asked(options: list[str]) -> str:
    return " ".join(f"-O {one}" for one in options)
