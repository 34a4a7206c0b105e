"""What an edit will need, before anything is loaded: memory by part, and time on this machine.

The diffusion model's part is the model kit's (`diffusion.forecast`). A language model reads all its
weights for each token, so their bytes are divided by the measured bandwidth, and its prompt at
once.
"""

from __future__ import annotations

import torch

from imgedit_mgie.folders import read_config
from imgedit_mgie.setting import Setting, language_parts, painter_parts
from imgedit_modelkit.diffusion.forecast import (
    Forecast,
    bandwidth,
    painting,
    speed,
    unet_operations,
)
from imgedit_modelkit.tensor_files import numbers_in

__all__ = ["Forecast", "forecast", "unet_operations"]

_WORDS = 80
"""Tokens of a prompt without a picture."""


def forecast(
    setting: Setting,
    *,
    device: torch.device,
    dtype: torch.dtype,
    size: tuple[int, int],
    steps: int,
    branches: int,
    candidates: int,
    tokens: int,
) -> Forecast:
    """What an edit with these settings will need.

    Args:
        setting: the models.
        device: where, whose speed is measured once.
        dtype: of the weights.
        size: (width, height) of the picture inside the diffusion model.
        steps: of the diffusion model.
        branches: forward passes in each of them.
        candidates: how many results.
        tokens: that the language model may write.
    """
    size_of = torch.finfo(dtype).bits // 8
    language = sum(map(numbers_in, language_parts(setting))) * size_of
    weights = sum(map(numbers_in, painter_parts(setting))) * size_of
    seconds = 0.0
    if setting.writer is not None:
        seconds = tokens * language / bandwidth(device, dtype)
        read = 2.0 * language / size_of * _prompt(setting)
        seconds += read / speed(device, dtype)  # large products, which are as fast as measured
    if setting.model == "painter":
        return Forecast(language, weights, 0, seconds)
    unet, vae = painter_parts(setting)[:2]
    told = painting(
        unet,
        vae,
        device=device,
        dtype=dtype,
        size=size,
        steps=steps,
        branches=branches,
        candidates=candidates,
    )
    return Forecast(language, weights, told.working, seconds + told.seconds, told.least)


def _prompt(setting: Setting) -> int:
    """Tokens of a prompt, those of the picture among them, roughly."""
    assert setting.writer is not None
    language = read_config(setting.writer).language
    if language is None or not setting.sees:
        return _WORDS
    vision = language.vision
    side = int(vision.get("image_size", 224)) // int(vision.get("patch_size", 32))
    return side * side + _WORDS
