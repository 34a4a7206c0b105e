"""What a training will need, before it begins: memory by part, and time from this machine's speed.

Operations of UNet and VAE are counted by PyTorch on models without memory; the language model's are
two for each weight and token, forward, and as many again backward, since its weights are frozen.
Memory of activations is an estimate.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import torch

from imgedit_mgie import folders
from imgedit_mgie.diffusion_files import empty_part, vae_factor
from imgedit_mgie.forecast import unet_operations, vae_operations
from imgedit_mgie.task import Form
from imgedit_mgie.trained import ATTENTION, Start
from imgedit_modelkit.devices import choose_device, measured_speed
from imgedit_modelkit.tensor_files import numbers_in
from imgedit_modelkit.training import TrainConfig, shares

_EFFICIENCY = 0.5
"""Share of a large matrix product's speed that whole models reach."""

_UNET_KEPT, _TOKEN_KEPT = 90_000, 600_000
"""Numbers kept for the backward pass: of each latent of a UNet of Stable Diffusion's width, and of
each token of a 7B language model; both are scaled by the number of parameters."""

_UNET_SIZE, _LANGUAGE_SIZE = 860e6, 6.7e9

_CHECKPOINTED = 0.15
"""Share of the activations that is kept with gradient checkpointing."""

_SLACK = 1.1

_LORA = 16
"""Rank of the adapters that are advised where the whole UNet does not fit."""


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


def forecast(start: Start, config: TrainConfig, form: Form) -> Forecast:
    """What a training with these settings will need, on this machine."""
    unet, vae = (numbers_in(start.place(name)) for name in (folders.UNET, folders.VAE))
    frozen, learnt, language = vae, unet, 0
    if start.lora:
        added = adapter_parameters(start.place(folders.UNET), start.lora)
        frozen, learnt = frozen + unet, added
    if start.guided:
        language = numbers_in(start.place(folders.LANGUAGE_MODEL))
        tables = _tables(start) if start.writes else _tables(start) // 2
        frozen += language + numbers_in(start.place(folders.TOWER)) - tables
        learnt += tables + numbers_in(start.place(folders.EDIT_HEAD))
    else:
        frozen += numbers_in(start.place(folders.TEXT_ENCODER))
    size = torch.finfo(start.precision).bits // 8
    rows = config.batch_size
    latents = max(1, form.size // vae_factor(start.place(folders.VAE)))
    kept = rows * latents**2 * _UNET_KEPT * unet / _UNET_SIZE
    kept += rows * form.longest * _TOKEN_KEPT * language / _LANGUAGE_SIZE
    share = _CHECKPOINTED if config.gradient_checkpointing else 1.0
    again = 1 if config.gradient_checkpointing else 0
    operations = (3 + again) * unet_operations(start.place(folders.UNET), (latents, latents))
    operations += 2 * vae_operations(start.place(folders.VAE), (form.size, form.size))[0]
    operations += (2 + again) * 2.0 * language * form.longest
    device = choose_device("auto")
    speed = _EFFICIENCY * measured_speed(device, start.precision, 0.3)
    return Forecast(
        frozen=frozen,
        learnt=learnt,
        weights=frozen * size + learnt * 4,
        training=learnt * (12 + (4 if config.ema else 0)),
        activations=int(kept * share * size),
        seconds=operations * rows * config.accumulate / speed,
        shares=shares(config),
    )


def lighter(
    start: Start, config: TrainConfig, form: Form, room: int
) -> tuple[str, Forecast] | None:
    """The options that make a training fit into so many bytes, and its forecast then.

    They are tried one after another, each with those before it; None where all are too little.
    """
    options: list[str] = []
    if not config.gradient_checkpointing:
        config = dataclasses.replace(config, gradient_checkpointing=True)
        options.append("gradient-checkpointing=yes")
        if (told := forecast(start, config, form)).memory <= room:
            return _asked(options), told
    if config.batch_size > 1:
        parts = config.batch_size * config.accumulate
        config = dataclasses.replace(config, batch_size=1, accumulate=parts)
        options += ["batch-size=1", f"accumulate={parts}"]
        if (told := forecast(start, config, form)).memory <= room:
            return _asked(options), told
    if not start.lora:
        options.append(f"lora={_LORA}")
        told = forecast(dataclasses.replace(start, lora=_LORA), config, form)
        if told.memory <= room:
            return _asked(options), told
    return None


def _asked(options: list[str]) -> str:
    return " ".join(f"-O {one}" for one in options)


def _tables(start: Start) -> int:
    """Numbers in the language model's first and last layer."""
    import json

    path = start.place(folders.LANGUAGE_MODEL) / "config.json"
    fields = json.loads(path.read_text("utf-8"))
    return 2 * int(fields["vocab_size"]) * int(fields["hidden_size"])


def adapter_parameters(folder: Path, rank: int) -> int:
    """How many parameters adapters on a UNet's attention have."""
    from diffusers import UNet2DConditionModel

    layers = empty_part(UNet2DConditionModel, folder).named_modules()
    return sum(
        rank * (layer.in_features + layer.out_features)
        for name, layer in layers
        if isinstance(layer, torch.nn.Linear) and name.endswith(ATTENTION)
    )
