"""First stage: a VAE learns to hold generated pictures in a few numbers."""

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
from imgedit_modelkit.checkpoints import load_weights
from imgedit_modelkit.diffusion.latents import input_latents
from imgedit_plugins.jobs import Job

VALIDATION = 1_000_000_000
"""Seeds of validation items begin here; those of pairs to edit at twice it."""

_DIVERGENCE = 1e-6  # weight of the divergence from a normal distribution
_QUIET = -6.0  # logarithm of the latents' variance at first: else noise drowns them for long
_SCALED_ON = 512  # pictures


def picture(seed: int) -> np.ndarray:
    """One side of an edit, (SIDE, SIDE, 3) codes."""
    rng = np.random.default_rng(seed)
    edit = edits.draw_edit(edits.FAMILIES[seed % len(edits.FAMILIES)], rng)
    return edit.after if rng.random() < 0.6 else edit.before


def pixels(pictures: Sequence[np.ndarray]) -> Tensor:
    """(n, 3, SIDE, SIDE) in 0..1."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255


class VaeTask:
    """A `TrainingTask`: items are seeds of pictures, each seen once."""

    def __init__(self, sizes: Sizes) -> None:
        self._sizes = sizes

    def build(self) -> nn.Module:
        """The VAE, with drawn weights."""
        made: Any = self._sizes.vae()
        variances = slice(made.config.latent_channels, None)
        with torch.no_grad():
            made.quant_conv.weight[variances] *= 0.1
            made.quant_conv.bias[variances] = _QUIET
        built: nn.Module = made
        return built

    def train_items(self) -> range:
        """As many as the training sees."""
        return range(self._sizes.vae_steps * self._sizes.vae_batch)

    def validation_items(self) -> range:
        """Other pictures."""
        return range(VALIDATION, VALIDATION + 48)

    def collate(self, items: Sequence[int], generator: torch.Generator) -> Tensor:  # noqa: ARG002
        """Pictures in -1..1."""
        return 2 * pixels([picture(seed) for seed in items]) - 1

    def loss(self, model: nn.Module, batch: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Absolute and squared errors of the picture, and the divergence of its latents."""
        vae: Any = model
        posterior = vae.encode(batch).latent_dist
        wrong = vae.decode(posterior.sample()).sample - batch
        error = wrong.abs().mean()
        divergence = posterior.kl().mean() / batch[0].numel()
        told: dict[str, Any] = {"error": error.detach() / 2, "divergence": divergence.detach()}
        return error + 4 * wrong.square().mean() + _DIVERGENCE * divergence, told

    def validate(self, model: nn.Module, batches: Iterable[Any]) -> dict[str, float]:
        """Means over the batches."""
        found = [self.loss(model, batch) for batch in batches]
        errors = [float(told["error"]) for _, told in found]
        losses = [float(loss) for loss, _ in found]
        return {"loss": sum(losses) / len(losses), "error": sum(errors) / len(errors)}

    def sample(self, model: nn.Module, folder: Path, step: int) -> None:
        """Nothing."""


def train_vae(folder: Path, sizes: Sizes, job: Job) -> Any:
    """The VAE of a run folder, trained before or now; its factor scales latents to deviation 1."""
    task = VaeTask(sizes)
    config = settings(sizes.vae_steps, sizes.vae_batch, sizes.vae_rate)
    trained(task, config, folder, job)
    vae: Any = task.build()
    load_weights(vae, folder)
    vae.requires_grad_(requires_grad=False).eval()
    with torch.no_grad():
        latents = input_latents(vae, pixels([picture(seed) for seed in range(_SCALED_ON)]))
    vae.register_to_config(scaling_factor=round(1 / float(latents.std()), 4))
    return vae
