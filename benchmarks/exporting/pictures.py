"""Models of pictures that are measured: Stable Diffusion 1.5's shapes as an editor, and MGIE's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
FACTOR = 8
"""Pixels of a latent's side."""


@dataclass(frozen=True)
class Sizes:
    """Of all parts.

    Attributes:
        unet, vae, tower, head: what differs from the defaults of their classes.
        latents: side of the latents that a step of the UNet sees.
        edit, steps: side of the picture of a whole edit in pixels, and its steps.
        tokens, width: what the UNet attends to.
        states: (visual tokens, width) of what the edit head reads.
        pixels: side of what the vision tower sees.
    """

    unet: Mapping[str, Any]
    vae: Mapping[str, Any]
    tower: Mapping[str, Any]
    head: Mapping[str, Any]
    latents: int
    edit: int
    steps: int
    tokens: int
    width: int
    states: tuple[int, int]
    pixels: int

    def shapes(self, part: str) -> dict[str, tuple[int, ...]]:
        """Of the inputs of a part, as it is measured."""
        side = self.latents
        shapes: dict[str, dict[str, tuple[int, ...]]] = {
            "unet": {
                "latents": (3, 8, side, side),
                "time": (1,),
                "attended": (3, self.tokens, self.width),
            },
            "tower": {"pixels": (1, 3, self.pixels, self.pixels)},
            "edit_head": {"states": (1, *self.states)},
        }
        return shapes[part]

    def inputs(self, part: str, number: int) -> dict[str, Array]:
        """Of a round."""
        rng = np.random.default_rng([8, number])
        made = {n: rng.standard_normal(s, np.float32) for n, s in self.shapes(part).items()}
        if "time" in made:
            made["time"] = np.array([500], np.float32)
        return made


_UNET = {"in_channels": 8, "out_channels": 4}
_BLOCKS = {
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "layers_per_block": 1,
}
_VAE_BLOCKS = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
}

SIZES = {
    "full": Sizes(
        unet={**_UNET, "sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8},
        vae={
            **_VAE_BLOCKS,
            "block_out_channels": (128, 256, 512, 512),
            "layers_per_block": 2,
            "sample_size": 512,
        },
        tower={
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "image_size": 224,
            "patch_size": 14,
            "projection_dim": 768,
        },
        head={},
        latents=64,
        edit=256,
        steps=4,
        tokens=77,
        width=768,
        states=(8, 4096),
        pixels=224,
    ),
    "quick": Sizes(
        unet={
            **_UNET,
            **_BLOCKS,
            "sample_size": 16,
            "block_out_channels": (32, 64),
            "cross_attention_dim": 32,
            "attention_head_dim": 4,
        },
        vae={**_VAE_BLOCKS, "block_out_channels": (32, 32, 32, 32), "sample_size": 64},
        tower={
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "image_size": 28,
            "patch_size": 14,
        },
        head={
            "width": 64,
            "hidden": 32,
            "heads": 4,
            "layers": 1,
            "feedforward": 64,
            "queries": 7,
            "features": 32,
        },
        latents=16,
        edit=64,
        steps=2,
        tokens=7,
        width=32,
        states=(8, 64),
        pixels=28,
    ),
}


def some(array: Array, count: int = 512) -> list[float]:
    """Numbers from all over an array, to compare it by."""
    flat = array.reshape(-1)
    places = np.linspace(0, flat.size - 1, min(count, flat.size)).astype(np.int64)
    return [float(number) for number in flat[places]]


def edited_inputs(sizes: Sizes, number: int) -> dict[str, Array]:
    """Of a whole edit: 'pixels' (side, side, 3) in 0..1, 'text', 'null', and 'first' noise."""
    rng = np.random.default_rng([9, number])
    side = sizes.edit // FACTOR
    text = (sizes.tokens, sizes.width)
    return {
        "pixels": rng.uniform(0, 1, (sizes.edit, sizes.edit, 3)).astype(np.float32),
        "text": rng.standard_normal(text, np.float32),
        "null": rng.standard_normal(text, np.float32),
        "first": rng.standard_normal((4, side, side), np.float32),
    }
