"""A UNet learns to follow edits that are said in full, as InstructPix2Pix has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.learning import settings, trained
from benchmarks.tiny_editing import edits
from benchmarks.tiny_editing.sizes import Sizes
from benchmarks.tiny_editing.vae import VALIDATION, pixels
from benchmarks.tiny_editing.words import Table, numbers
from imgedit_modelkit.checkpoints import load_weights
from imgedit_modelkit.diffusion.conditioning import Conditioning
from imgedit_modelkit.diffusion.loss import Dropout, EditingLoss
from imgedit_plugins.jobs import Job

_DROPPED = Dropout(0.05, 0.05, 0.05)


class Following(nn.Module):
    """The UNet that learns, with a table of words; VAE and scheduler are around it."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.unet = sizes.unet()
        self.table = Table(sizes.attended)

    def conditioning(self, numbers: Tensor) -> Conditioning:
        """Words, each with its place; the empty text without any."""
        return Conditioning(self.table(numbers), self.table(torch.zeros_like(numbers[:1])))


class FollowingTask:
    """A `TrainingTask`: items are seeds of edits, each seen once.

    Args:
        sizes: of the UNet and the training.
        vae: frozen.
    """

    def __init__(self, sizes: Sizes, vae: Any) -> None:
        self._sizes, self._vae = sizes, vae

    def build(self) -> Following:
        """The model, with drawn weights."""
        return Following(self._sizes)

    def train_items(self) -> range:
        """As many as the training sees."""
        return range(self._sizes.unet_steps * self._sizes.unet_batch)

    def validation_items(self) -> range:
        """Other pictures."""
        return range(VALIDATION, VALIDATION + 96)

    def collate(self, items: Sequence[int], generator: torch.Generator) -> dict[str, Any]:
        """Pictures of both sides, words, and a seed for all that is drawn later."""
        made = [edits.said_edit(np.random.default_rng(seed)) for seed in items]
        return {
            "inputs": pixels([edit.before for edit in made]),
            "goals": pixels([edit.after for edit in made]),
            "words": numbers([edit.expressive for edit in made]),
            "seed": int(torch.randint(2**62, (), generator=generator)),
        }

    def loss(self, model: nn.Module, batch: Any) -> tuple[Tensor, dict[str, float]]:
        """The squared error of what is predicted; without dropouts in a validation."""
        assert isinstance(model, Following)
        dropout = _DROPPED if model.training else Dropout(0, 0, 0)
        measure = EditingLoss(model.unet, self._vae, self._sizes.scheduler(), dropout)
        generator = torch.Generator().manual_seed(batch["seed"])
        told = model.conditioning(batch["words"])
        return measure(batch["inputs"], batch["goals"], told, generator), {}

    def validate(self, model: nn.Module, batches: Iterable[Any]) -> dict[str, float]:
        """The mean over the batches."""
        found = [float(self.loss(model, batch)[0]) for batch in batches]
        return {"loss": sum(found) / len(found)}

    def sample(self, model: nn.Module, folder: Path, step: int) -> None:
        """Nothing."""


def train_unet(folder: Path, sizes: Sizes, vae: Any, job: Job) -> Any:
    """The UNet of a run folder, trained before or now."""
    task = FollowingTask(sizes, vae)
    config = settings(sizes.unet_steps, sizes.unet_batch, sizes.unet_rate, ema=sizes.unet_ema)
    trained(task, config, folder, job)
    model = task.build()
    load_weights(model, folder)
    return model.unet.eval()
