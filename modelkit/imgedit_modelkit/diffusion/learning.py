"""The diffusion model of a training: a UNet that learns, whole or by adapters, and a frozen VAE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imgedit_modelkit.adapters import Lora, add_lora, merge_lora
from imgedit_modelkit.diffusion.conditioning import Conditioning
from imgedit_modelkit.diffusion.files import write_part
from imgedit_modelkit.diffusion.folders import load_part, load_scheduler
from imgedit_modelkit.diffusion.loss import Dropout, EditingLoss
from imgedit_modelkit.diffusion.unet import with_picture_channels

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
"""Layers of the UNet that adapters are put on."""


@dataclass(frozen=True)
class DiffusionStart:
    """What the diffusion model of a training begins with.

    Attributes:
        unet, vae, scheduler: their folders, as diffusers saves them.
        precision: of the frozen parts.
        dropout: share of rows without text, without picture and without both, each.
        lora: rank of adapters on the UNet; 0 trains it whole.
    """

    unet: Path
    vae: Path
    scheduler: Path
    precision: torch.dtype = torch.float32
    dropout: float = 0.05
    lora: int = 0

    @property
    def adapters(self) -> Lora | None:
        """On the UNet's attention, where there are any."""
        return Lora(ATTENTION, rank=self.lora, alpha=self.lora) if self.lora else None


class Diffusion(nn.Module):
    """The UNet that learns, and the frozen VAE.

    Args:
        start: what it begins with.
    """

    def __init__(self, start: DiffusionStart) -> None:
        super().__init__()
        from diffusers import AutoencoderKL

        self.unet = load_unet(start)
        # In fp16 the VAE of Stable Diffusion overflows.
        half = start.precision != torch.float16
        precision = start.precision if half else torch.float32
        self.vae = load_part(AutoencoderKL, start.vae, precision)
        self.vae.requires_grad_(False)
        scheduler = load_scheduler(start.scheduler)
        share = start.dropout
        self._learning = EditingLoss(self.unet, self.vae, scheduler, Dropout(share, share, share))
        self._judging = EditingLoss(self.unet, self.vae, scheduler, Dropout(0, 0, 0))
        self.scheduler = scheduler

    def forward(
        self, inputs: Tensor, goals: Tensor, conditioning: Conditioning, seed: int
    ) -> Tensor:
        """The loss of a batch; without dropouts where it is not in training mode.

        Args:
            inputs: (batch, 3, size, size) in 0..1, before the edit.
            goals: the same after it.
            conditioning: of each row.
            seed: of noise, times and dropouts.
        """
        loss = self._learning if self.training else self._judging
        return loss(inputs, goals, conditioning, torch.Generator().manual_seed(seed))


def load_unet(start: DiffusionStart) -> Any:
    """The UNet that a training begins with; what learns of it is in float32."""
    from diffusers import UNet2DConditionModel

    adapters = start.adapters
    precision = start.precision if adapters else torch.float32
    unet = load_part(UNet2DConditionModel, start.unet, precision)
    unet = with_picture_channels(unet)
    if adapters is None:
        return unet.requires_grad_(True)
    unet = add_lora(unet, adapters)
    for parameter in unet.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return unet


def write_learnt_unet(start: DiffusionStart, learnt: Mapping[str, Tensor], folder: Path) -> None:
    """The whole UNet after a training, with adapters merged into it, as diffusers reads it.

    Args:
        start: what the training began with.
        learnt: its tensors by name, without a prefix.
        folder: to write.
    """
    unet = load_unet(start)
    parameters = dict(unet.named_parameters())
    with torch.no_grad():
        for name, tensor in learnt.items():
            parameters[name].copy_(tensor)
    if start.lora:
        merge_lora(unet)
    tensors = {
        name.replace(".base_layer.", "."): tensor
        for name, tensor in unet.state_dict().items()
        if ".lora_" not in name
    }
    write_part(folder, unet.config, tensors)


def below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Those tensors whose names begin so, without the prefix."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def stacked(pictures: Sequence[NDArray[np.float32]]) -> Tensor:
    """(rows, height, width, 3) arrays as a batch (rows, 3, height, width)."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()
