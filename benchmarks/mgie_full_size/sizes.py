"""How large the parts are: as published, or smaller to try the measurement itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from imgedit_mgie.folders import Head, Language


@dataclass(frozen=True)
class Scale:
    """Sizes of an MGIE.

    Attributes:
        name: 'full', 'small' or 'tiny'.
        side: of the picture, in pixels.
        llama, vision, unet, vae: fields of the configurations of transformers and diffusers that
            are not their defaults.
        head: of the edit head.
    """

    name: str
    side: int
    llama: dict[str, Any]
    vision: dict[str, Any]
    head: Head
    unet: dict[str, Any]
    vae: dict[str, Any] = field(default_factory=dict)

    @property
    def language(self) -> Language:
        """How the language model sees: as LLaVA 1.0."""
        return Language(vision=self.vision)


def _llama(width: int, inner: int, layers: int, heads: int, words: int) -> dict[str, Any]:
    return {
        "hidden_size": width, "intermediate_size": inner, "num_hidden_layers": layers,
        "num_attention_heads": heads, "vocab_size": words, "max_position_embeddings": 2048,
    }  # fmt: skip


def _clip(width: int, layers: int, heads: int, side: int) -> dict[str, Any]:
    return {
        "hidden_size": width, "intermediate_size": 4 * width, "num_hidden_layers": layers,
        "num_attention_heads": heads, "image_size": side, "patch_size": 14,
        "projection_dim": 3 * width // 4,
    }  # fmt: skip


def _unet(channels: tuple[int, ...], attended: int, heads: int) -> dict[str, Any]:
    return {
        "sample_size": 64, "in_channels": 8, "out_channels": 4, "block_out_channels": channels,
        "cross_attention_dim": attended, "attention_head_dim": heads,
    }  # fmt: skip


def _vae(channels: tuple[int, ...]) -> dict[str, Any]:
    levels = len(channels)
    return {
        "block_out_channels": channels, "layers_per_block": 2, "latent_channels": 4,
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels, "sample_size": 512,
    }  # fmt: skip


FULL = Scale(
    "full", 512,
    # LLaMA-7B with LLaVA's four tokens and the eight visual ones.
    _llama(4096, 11008, 32, 32, 32_012),
    _clip(1024, 24, 16, 224),
    Head(),
    _unet((320, 640, 1280, 1280), 768, 8),
    _vae((128, 256, 512, 512)),
)  # fmt: skip

SMALL = Scale(
    "small", 256,
    _llama(1024, 2752, 8, 8, 32_012),
    _clip(256, 6, 4, 224),
    Head(width=1024, hidden=256, layers=2, feedforward=512, queries=77, features=256),
    _unet((96, 192, 384, 384), 256, 8),
    _vae((32, 64, 128, 128)),
)  # fmt: skip

TINY = Scale(
    "tiny", 64,
    _llama(64, 128, 2, 4, 700),
    _clip(32, 2, 2, 28),
    Head(width=64, hidden=32, layers=1, feedforward=64, queries=8, features=32),
    _unet((32, 64, 64, 64), 32, 4),
    _vae((32, 32, 32, 32)),
)  # fmt: skip

SCALES = {scale.name: scale for scale in (FULL, SMALL, TINY)}
