"""The models that learn, each with what is frozen around it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from imgedit_mgie import folders
from imgedit_mgie.edit_head import EditHead
from imgedit_mgie.folders import Kind, part
from imgedit_mgie.llava import Llava
from imgedit_mgie.loading import load_head, load_llava
from imgedit_modelkit.diffusion.conditioning import Conditioning
from imgedit_modelkit.diffusion.learning import Diffusion, DiffusionStart
from imgedit_modelkit.diffusion.text_reader import TextReader


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
    def diffusion(self) -> DiffusionStart:
        """Its diffusion model."""
        return DiffusionStart(
            unet=self.place(folders.UNET),
            vae=self.place(folders.VAE),
            scheduler=self.place(folders.SCHEDULER),
            precision=self.precision,
            dropout=self.dropout,
            lora=self.lora,
        )

    def place(self, name: str) -> Path:
        """Where a part lies."""
        ours = (self.folder / folders.FILE).is_file()
        return part(self.folder, name) if ours else self.folder / name


class Guided(nn.Module):
    """MGIE and LGIE: language model, edit head and diffusion model, end to end.

    Learnt are the embeddings, the output layer, the edit head and the UNet.
    """

    def __init__(self, start: Start) -> None:
        super().__init__()
        self.llava: Llava = load_llava(start.folder, start.precision)
        self.edit_head: EditHead = load_head(start.folder)[0].requires_grad_(requires_grad=True)
        self.diffusion = Diffusion(start.diffusion)
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
        self.diffusion = Diffusion(start.diffusion)


def build(start: Start) -> Guided | Texted:
    """The model of a training, on the CPU."""
    return Guided(start) if start.guided else Texted(start)
