"""The models that learn, each with what is frozen around it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from imgedit_mgie import folders
from imgedit_mgie.edit_head import EditHead
from imgedit_mgie.folders import Kind, part
from imgedit_mgie.llava import Llava
from imgedit_mgie.loading import load_head, load_llava
from imgedit_mgie.text_painting import TextReader
from imgedit_modelkit.adapters import Lora, add_lora
from imgedit_modelkit.diffusion.conditioning import Conditioning
from imgedit_modelkit.diffusion.folders import load_part, load_scheduler
from imgedit_modelkit.diffusion.loss import Dropout, EditingLoss
from imgedit_modelkit.diffusion.unet import with_picture_channels

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
"""Layers of the UNet that adapters are put on."""


@dataclass(frozen=True)
class Start:
    """What a training begins with.

    Attributes:
        kind: what is trained.
        folder: of the model that it begins with: one of ours, or of diffusers where the kind has
            no language model.
        precision: of the frozen parts.
        dropout: share of rows without text, without picture and without both, each.
        writes: whether the language model learns to write the expressive instruction.
        lora: rank of adapters on the UNet; 0 trains it whole.
    """

    kind: Kind
    folder: Path
    precision: torch.dtype = torch.float32
    dropout: float = 0.05
    writes: bool = True
    lora: int = 0

    @property
    def guided(self) -> bool:
        """Whether visual tokens guide the UNet, or text read by CLIP."""
        return self.kind in ("mgie", "lgie")

    @property
    def adapters(self) -> Lora | None:
        """On the UNet's attention, where there are any."""
        return Lora(ATTENTION, rank=self.lora, alpha=self.lora) if self.lora else None

    def place(self, name: str) -> Path:
        """Where a part lies."""
        ours = (self.folder / folders.FILE).is_file()
        return part(self.folder, name) if ours else self.folder / name


class Diffusion(nn.Module):
    """The UNet that learns, and the frozen VAE.

    Args:
        start: what it begins with.
    """

    def __init__(self, start: Start) -> None:
        super().__init__()
        from diffusers import AutoencoderKL

        self.unet = load_unet(start)
        # In fp16 the VAE of Stable Diffusion overflows.
        half = start.precision != torch.float16
        precision = start.precision if half else torch.float32
        self.vae = load_part(AutoencoderKL, start.place(folders.VAE), precision)
        self.vae.requires_grad_(False)
        scheduler = load_scheduler(start.place(folders.SCHEDULER))
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


def load_unet(start: Start) -> Any:
    """The UNet that a training begins with; what learns of it is in float32."""
    from diffusers import UNet2DConditionModel

    adapters = start.adapters
    precision = start.precision if adapters else torch.float32
    unet = load_part(UNet2DConditionModel, start.place(folders.UNET), precision)
    unet = with_picture_channels(unet)
    if adapters is None:
        return unet.requires_grad_(True)
    unet = add_lora(unet, adapters)
    for parameter in unet.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return unet


class Guided(nn.Module):
    """MGIE and LGIE: language model, edit head and diffusion model, end to end.

    Learnt are the embeddings, the output layer, the edit head and the UNet.
    """

    def __init__(self, start: Start) -> None:
        super().__init__()
        self.llava: Llava = load_llava(start.folder, start.precision)
        self.edit_head: EditHead = load_head(start.folder)[0].requires_grad_(requires_grad=True)
        self.diffusion = Diffusion(start)
        learnt = [self.llava.table, *([self.llava.output] if start.writes else [])]
        for layer in learnt:
            layer.float()
            layer.weight.requires_grad_(True)

    def conditioning(self, states: Tensor) -> Conditioning:
        """What the UNet attends to, with a gradient to the edit head and what is before it."""
        visual = self.llava.visual_embeddings()
        return Conditioning(self.edit_head(states, visual), self.edit_head.null(visual))


class Texted(nn.Module):
    """InstructPix2Pix and FT: a frozen text encoder, and the diffusion model."""

    def __init__(self, start: Start) -> None:
        super().__init__()
        places = (start.place(folders.TEXT_ENCODER), start.place(folders.TOKENIZER))
        self.reader = TextReader.load(*places, start.precision)
        self.reader.requires_grad_(requires_grad=False)
        self.diffusion = Diffusion(start)


def build(start: Start) -> Guided | Texted:
    """The model of a training, on the CPU."""
    return Guided(start) if start.guided else Texted(start)
