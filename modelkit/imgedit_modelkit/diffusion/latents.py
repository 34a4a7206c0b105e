"""From pictures to latents and back.

The input picture enters the UNet as the mode of the VAE's posterior, not scaled; what is denoised
is scaled by the VAE's factor.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from imgedit_plugins.errors import ImgeditError


def factor_of(vae: Any) -> int:
    """Pixels along one side of a latent: 8 for Stable Diffusion."""
    return int(2 ** (len(vae.config.block_out_channels) - 1))


def check_pictures(vae: Any, pictures: Tensor) -> None:
    """Refuse what the VAE cannot take.

    Raises:
        ImgeditError: not (batch, 3, height, width), or sides that the factor does not divide.
    """
    shape, factor = tuple(pictures.shape), factor_of(vae)
    if len(shape) != 4 or shape[1] != 3 or 0 in shape:
        raise ImgeditError(f"Pictures have the shape (batch, 3, height, width), not {shape}.")
    if shape[2] % factor or shape[3] % factor:
        raise ImgeditError(
            f"A picture of {shape[3]}x{shape[2]} pixels does not fit this model: both sides must "
            f"be multiples of {factor}.",
            hint="Scale or pad it first, as imgedit_modelkit.regions does.",
        )
    if not pictures.is_floating_point():
        raise ImgeditError(f"Pictures are floating-point numbers in 0..1, not {pictures.dtype}.")


def _posterior(vae: Any, pictures: Tensor) -> Any:
    check_pictures(vae, pictures)
    weights = next(vae.parameters())
    return vae.encode((2.0 * pictures - 1.0).to(weights.device, weights.dtype)).latent_dist


def input_latents(vae: Any, pictures: Tensor) -> Tensor:
    """What the UNet sees of the input pictures: the posterior's mode, not scaled.

    Args:
        vae: an AutoencoderKL.
        pictures: (batch, 3, height, width) in 0..1.

    Returns:
        (batch, latent channels, height / factor, width / factor).

    Raises:
        ImgeditError: another shape or type.
    """
    return torch.as_tensor(_posterior(vae, pictures).mode())


def goal_latents(vae: Any, pictures: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """What the UNet learns to make: a sample of the posterior, times the scaling factor.

    Args:
        vae: as for `input_latents`.
        pictures: as for `input_latents`.
        generator: on the CPU or the VAE's device; the global one by default.
    """
    sample = _posterior(vae, pictures).sample(generator=generator)
    return torch.as_tensor(sample * vae.config.scaling_factor)


def decoded(vae: Any, latents: Tensor) -> Tensor:
    """Pictures from scaled latents: (batch, 3, height, width), float32, in 0..1.

    In half precision some VAEs overflow; what is no number is decoded once more in float32.
    """
    unscaled = latents / vae.config.scaling_factor
    pixels = vae.decode(unscaled, return_dict=False)[0]
    if not bool(pixels.isfinite().all()) and pixels.dtype != torch.float32:
        precision = pixels.dtype
        vae.float()
        try:
            pixels = vae.decode(unscaled.float(), return_dict=False)[0]
        finally:
            vae.to(precision)
    # diffusers' postprocessing, in the same order and precision
    return torch.as_tensor((pixels * 0.5 + 0.5).clamp(0, 1).float())
