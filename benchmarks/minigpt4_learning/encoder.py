"""First stage of the pre-training: the vision encoder learns to measure generated pictures.

From each patch token a linear head reads the patch's measures, and from their mean another reads
the looks of the picture with their strengths, and its measures.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.minigpt4_learning import scenes
from benchmarks.minigpt4_learning.sizes import Sizes
from imgedit_modelkit.vision_towers import VisionTower, to_pixels
from imgedit_plugins.pictures import RGB8

NUMBERS = len(scenes.LOOKS) + 2 + len(scenes.MEASURES)
VALIDATION = 1_000_000_000
"""Seeds of validation items begin here; those of scenes to edit (`data`) at twice it."""

_SCENES = 3000  # different ones in the pre-training, each in ever other looks


class Measuring(nn.Module):
    """A tower that learns, and its two heads."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.tower = VisionTower(sizes.tower().config())
        self.tower.requires_grad_(requires_grad=True)
        self.whole = nn.Linear(sizes.width, NUMBERS)
        self.local = nn.Linear(sizes.width, 7)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """(n, numbers) of pictures, and (n, patches, 7)."""
        vision: Any = self.tower.vision
        patches = vision(pixel_values=pixels).last_hidden_state[:, 1:]
        return self.whole(patches.mean(1)), self.local(patches)


class EncoderTask:
    """A `TrainingTask`: items are seeds of pictures."""

    def __init__(self, sizes: Sizes) -> None:
        self._sizes = sizes

    def build(self) -> Measuring:
        """The model, with drawn weights."""
        return Measuring(self._sizes)

    def train_items(self) -> range:
        """Each is seen once."""
        return range(self._sizes.encoder_steps * self._sizes.encoder_batch)

    def validation_items(self) -> range:
        """Other pictures."""
        return range(VALIDATION, VALIDATION + 256)

    def collate(self, items: Sequence[int], generator: torch.Generator) -> dict[str, Tensor]:  # noqa: ARG002
        """Pixels and what is to be read."""
        made = [looking(seed) for seed in items]
        pictures = [picture for picture, _ in made]
        local = [scenes.local_measures(picture, self._sizes.patch) for picture in pictures]
        return {
            "pixels": to_pixels(pictures, self._sizes.image),
            "whole": torch.tensor(
                [numbers(looks, scenes.measures(p)) for p, looks in made], dtype=torch.float32
            ),
            "local": torch.from_numpy(np.stack(local)),
        }

    def loss(self, model: nn.Module, batch: Any) -> tuple[Tensor, dict[str, float]]:
        """Squared errors."""
        whole, local = model(batch["pixels"])
        errors = (whole - batch["whole"]).square().mean(), (local - batch["local"]).square().mean()
        told = {"whole": float(errors[0].detach()), "local": float(errors[1].detach())}
        return 10 * (errors[0] + errors[1]), told

    def validate(self, model: nn.Module, batches: Iterable[Any]) -> dict[str, float]:
        """Means over the batches; 'explained' is the share of the looks' variance."""
        found, errors, wanted = [], [], []
        for batch in batches:
            loss, told = self.loss(model, batch)
            found.append({"loss": float(loss), **told})
            errors.append((model(batch["pixels"])[0] - batch["whole"]).square())
            wanted.append(batch["whole"])
        means = {name: sum(one[name] for one in found) / len(found) for name in found[0]}
        shares = 1 - torch.cat(errors).mean(0) / torch.cat(wanted).var(0)
        names = [name for name in scenes.LOOKS if name != "rotate"] + ["turn 1", "turn 2", "turn 3"]
        told = dict(zip(names, shares.tolist(), strict=False))
        return means | {f"explained/{name}": value for name, value in told.items()}

    def sample(self, model: nn.Module, folder: Path, step: int) -> None:
        """Nothing."""


@functools.lru_cache(maxsize=_SCENES)
def _scene(number: int) -> RGB8:
    return scenes.scene(np.random.default_rng(number))


def looking(seed: int) -> tuple[RGB8, dict[str, float]]:
    """A picture in drawn looks, and those."""
    rng = np.random.default_rng(seed)
    plain = _scene(seed % _SCENES) if seed < VALIDATION else scenes.scene(rng)
    looks = scenes.draw_looks(rng)
    return scenes.with_looks(plain, looks), looks


def numbers(looks: Mapping[str, float], measures: Mapping[str, float]) -> list[float]:
    """Strengths (0 without the look), the turn as three yes or no, and the measures."""
    strengths = [looks.get(name, 0.0) for name in scenes.LOOKS if name != "rotate"]
    turned = [float(round(3 * looks.get("rotate", 0.0)) == turn) for turn in (1, 2, 3)]
    return [*strengths, *turned, *measures.values()]
