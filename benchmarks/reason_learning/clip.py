"""CLIP's vision model learns what generated pictures show, before the language model learns of it.

Large vision-language models begin with such a one too. What it is taught is what each of its
patches shows; captions would need many more pictures.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.learning import settings, trained
from benchmarks.reason_learning.sizes import Sizes
from benchmarks.tiny_editing import patches, scenes
from benchmarks.tiny_editing.vae import VALIDATION
from imgedit_modelkit.checkpoints import load_weights
from imgedit_plugins.jobs import Job

_LAYER = -2
"""Whose states LLaVA takes."""


def image_processor(sizes: Sizes) -> Any:
    """What makes pixels of pictures for it."""
    from transformers import CLIPImageProcessorPil

    side = {"height": sizes.seen, "width": sizes.seen}
    kind: Any = CLIPImageProcessorPil
    return kind(size={"shortest_edge": sizes.seen}, crop_size=side)


def patch_states(tower: Any, pixels: Tensor) -> Tensor:
    """What a vision model makes of pictures: (n, patches, width)."""
    states = tower(pixels, output_hidden_states=True).hidden_states
    return torch.as_tensor(states[_LAYER][:, 1:])


class Seeing(nn.Module):
    """The vision model, and the heads that read its patches."""

    def __init__(self, sizes: Sizes) -> None:
        from transformers import CLIPVisionConfig, CLIPVisionModel

        super().__init__()
        self.tower = CLIPVisionModel(CLIPVisionConfig(**sizes.vision()))
        self.heads = patches.heads(sizes.vision_width)


class SeeingTask:
    """A `TrainingTask`: items are seeds of scenes, each seen once."""

    def __init__(self, sizes: Sizes) -> None:
        self._sizes = sizes
        self._processor = image_processor(sizes)

    def build(self) -> Seeing:
        """The model, with drawn weights."""
        return Seeing(self._sizes)

    def train_items(self) -> range:
        """As many as the training sees."""
        return range(self._sizes.clip_steps * self._sizes.clip_batch)

    def validation_items(self) -> range:
        """Other scenes."""
        return range(VALIDATION, VALIDATION + 192)

    def collate(self, items: Sequence[int], generator: torch.Generator) -> dict[str, Any]:  # noqa: ARG002
        """Pixels, and what their patches show."""
        rngs = [np.random.default_rng(seed) for seed in items]
        drawn = [scenes.draw_scene(rng, int(rng.integers(1, 3))) for rng in rngs]
        pictures = [scenes.drawn(scene) for scene in drawn]
        return {
            "pixels": self._processor(pictures, return_tensors="pt").pixel_values,
            "shown": patches.batch_of(drawn, self._sizes.seen // self._sizes.patch),
        }

    def loss(self, model: nn.Module, batch: Any) -> tuple[Tensor, dict[str, float]]:
        """Cross-entropies of kinds and colours."""
        assert isinstance(model, Seeing)
        told = patches.losses(
            model.heads, patch_states(model.tower, batch["pixels"]), batch["shown"]
        )
        figures: dict[str, Any] = {name: value.detach() for name, value in told.items()}
        return torch.stack(list(told.values())).sum(), figures

    def validate(self, model: nn.Module, batches: Iterable[Any]) -> dict[str, float]:
        """Means over the batches."""
        found = [float(self.loss(model, batch)[0].detach()) for batch in batches]
        return {"loss": sum(found) / len(found)}

    def sample(self, model: nn.Module, folder: Path, step: int) -> None:
        """Nothing."""


def train_clip(folder: Path, sizes: Sizes, job: Job) -> Seeing:
    """The model of a run folder, trained before or now."""
    task = SeeingTask(sizes)
    trained(task, settings(sizes.clip_steps, sizes.clip_batch, sizes.clip_rate), folder, job)
    model = task.build()
    load_weights(model, folder)
    return model
