"""The models that learn, each with what is frozen around it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from imgedit_modelkit.diffusion.conditioning import Conditioning
from imgedit_modelkit.diffusion.learning import Diffusion, DiffusionStart
from imgedit_modelkit.diffusion.text_reader import TextReader
from imgedit_modelkit.picture_features import PictureReader, Reading
from imgedit_reason_edit.model import folders
from imgedit_reason_edit.model.folders import Encoder, Kind, part
from imgedit_reason_edit.model.projection import load_projection


@dataclass(frozen=True)
class Start:
    """What a training begins with.

    Attributes:
        kind: what is trained.
        folder: the model folder that it begins with.
        encoder: the language model with the settings of this training; None for 'clip'.
        precision: of the frozen parts.
        dropout: share of rows without text, without picture and without both, each.
        lora: rank of adapters on the UNet; 0 trains it whole.
        cached: whether the language model's part is read from a cache.
    """

    kind: Kind
    folder: Path
    encoder: Encoder | None = None
    precision: torch.dtype = torch.float32
    dropout: float = 0.05
    lora: int = 0
    cached: bool = False

    @property
    def sees(self) -> bool:
        """Whether the language model sees the picture."""
        return self.kind == "reason_pix2pix"

    @property
    def diffusion(self) -> DiffusionStart:
        """Its diffusion model."""
        return DiffusionStart(
            unet=part(self.folder, folders.UNET),
            vae=part(self.folder, folders.VAE),
            scheduler=part(self.folder, folders.SCHEDULER),
            precision=self.precision,
            dropout=self.dropout,
            lora=self.lora,
        )


class Guided(nn.Module):
    """The language model's hidden states guide the UNet; projection and UNet learn."""

    def __init__(self, start: Start) -> None:
        super().__init__()
        self.reader = None if start.cached else load_reader(start)
        self.projection = load_projection(part(start.folder, folders.PROJECTION))
        self.projection.requires_grad_(requires_grad=True)
        self.diffusion = Diffusion(start.diffusion)

    def conditioning(self, states: Tensor) -> Conditioning:
        """What the UNet attends to.

        Args:
            states: (batch, longest, width + 1), as `cached.padded` makes them.
        """
        found: Conditioning = self.projection(states[..., :-1], states[..., -1] != 0)
        return found


class Texted(nn.Module):
    """CLIP's frozen text encoder guides the UNet, which learns: InstructPix2Pix."""

    def __init__(self, start: Start) -> None:
        super().__init__()
        places = [part(start.folder, n) for n in (folders.TEXT_ENCODER, folders.TOKENIZER)]
        self.reader = TextReader.load(places[0], places[1], start.precision)
        self.reader.requires_grad_(requires_grad=False)
        self.diffusion = Diffusion(start.diffusion)


def load_reader(start: Start) -> PictureReader:
    """The frozen language model of a training, on the CPU.

    Raises:
        WeightsError, DataError: it is missing or cannot be loaded.
        ImgeditError: it has no such layer.
    """
    assert start.encoder is not None
    reading = Reading(start.encoder.layer, start.encoder.tokens)
    return PictureReader.load(part(start.folder, folders.MLLM), start.precision, reading)


def build(start: Start) -> Any:
    """The model of a training, on the CPU."""
    return Texted(start) if start.kind == "clip" else Guided(start)
