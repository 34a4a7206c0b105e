"""What a picture looks like while it is being painted, without the VAE's decoder.

Colours are nearly a linear function of latents. The function is found for the VAE at hand: a chart
of colours is encoded once, and the straight line that leads from its latents to its colours is
taken. So there is nothing to publish or to download, and a VAE trained here has previews as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imgedit_modelkit.diffusion.latents import factor_of, input_latents

_PATCHES = 12
_PATCH = 3  # latents along the side of a patch; its middle is little touched by its neighbours


@dataclass(frozen=True, eq=False)
class Preview:
    """What an edit looks like after a step.

    Attributes:
        step: 1 for the first.
        steps: of the whole edit.
        pictures: (batch, height, width, 3), a pixel for each latent.
    """

    step: int
    steps: int
    pictures: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class LatentColors:
    """Colours as a linear function of scaled latents.

    Attributes:
        weight: (latent channels + 1, 3), the last row for the constant; on the CPU.
    """

    weight: Tensor

    @classmethod
    def of(cls, vae: Any) -> LatentColors:
        """The function of a VAE, wherever it is."""
        chart = _chart(factor_of(vae))
        with torch.no_grad():
            latents = input_latents(vae, chart).float().cpu() * vae.config.scaling_factor
        centre = slice(_PATCH // 2, None, _PATCH)
        middle = latents[0, :, centre, centre].flatten(1).T
        factor = factor_of(vae) * _PATCH
        colors = chart[0, :, factor // 2 :: factor, factor // 2 :: factor].flatten(1).T
        known = torch.cat([middle, torch.ones(len(middle), 1)], dim=1).double()
        # A little pull towards no dependence keeps latents that say nothing about colour out.
        pull = torch.eye(known.shape[1], dtype=torch.float64) * 1e-3 * len(known)
        pull[-1, -1] = 0
        weight = torch.linalg.solve(known.T @ known + pull, known.T @ colors.double())
        return cls(weight.float())

    def __call__(self, latents: Tensor) -> NDArray[np.uint8]:
        """Colours of scaled latents: (batch, height, width, 3)."""
        weight = self.weight.to(latents.device)
        colors = torch.einsum("bchw,cr->bhwr", latents.float(), weight[:-1]) + weight[-1]
        shown: NDArray[np.uint8] = (colors.nan_to_num().clamp(0, 1) * 255).byte().cpu().numpy()
        return shown


def denoised(scheduler: Any, step: Any, predicted: Tensor, time: Tensor, noisy: Tensor) -> Tensor:
    """The scheduler's guess of the finished latents at a step.

    Args:
        scheduler: that made the step.
        step: what it returned.
        predicted: what the UNet said.
        time: of the step.
        noisy: (batch, channels, height, width) before the step.

    Returns:
        Latents; the noisy ones after the step where this scheduler does not let one know.
    """
    guess = getattr(step, "pred_original_sample", None)
    if guess is not None:
        return torch.as_tensor(guess)
    alphas, kind = getattr(scheduler, "alphas_cumprod", None), _predicts(scheduler)
    if alphas is None or kind is None:
        return torch.as_tensor(step.prev_sample)
    signal = float(alphas[int(time)]) ** 0.5
    spread = (1 - signal**2) ** 0.5
    noisy, predicted = noisy.float(), predicted.float()
    if kind == "sample":
        return predicted
    if kind == "v_prediction":
        return torch.as_tensor(signal * noisy - spread * predicted)
    return torch.as_tensor((noisy - spread * predicted) / max(signal, 1e-3))


def _predicts(scheduler: Any) -> str | None:
    kind = getattr(scheduler.config, "prediction_type", None)
    return kind if kind in ("epsilon", "sample", "v_prediction") else None


def _chart(factor: int) -> Tensor:
    """(1, 3, side, side): squares of colours from all over the cube."""
    generator = torch.Generator().manual_seed(0)
    colors = torch.rand(1, 3, _PATCHES, _PATCHES, generator=generator)
    return colors.repeat_interleave(_PATCH * factor, 2).repeat_interleave(_PATCH * factor, 3)
