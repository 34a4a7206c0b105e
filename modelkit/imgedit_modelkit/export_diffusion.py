"""Diffusion models that edit, declared for the exporters, and golden edits by the originals.

`bundled_diffusion` and `bundled_golden` are the other side of it, without torch.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imgedit_exporters.runtime.tokens import described
from imgedit_modelkit.bundled_diffusion import (
    GOLDEN_LATENTS,
    GOLDEN_STEPS,
    TEXT_ENCODER,
    TEXT_TOKENIZER,
)
from imgedit_modelkit.diffusion.conditioning import Conditioning
from imgedit_modelkit.diffusion.editor import PictureEditor, Sampling
from imgedit_modelkit.diffusion.folders import load_part, load_scheduler
from imgedit_modelkit.diffusion.saving import Saving
from imgedit_modelkit.diffusion.text_reader import TextReader
from imgedit_modelkit.export_parts import Arrays, smooth
from imgedit_plugins.exporting import Array, Part, Precision
from imgedit_plugins.jobs import Job
from imgedit_plugins.pictures import RGB8

_INSTRUCTIONS = ("make the sky darker", "add a little colour to the grass")

_LIMITS: dict[Precision, float] = {"int8": 0.03, "int4": 0.25}
"""Of UNet and VAE: most of them are convolutions, which stay float32, so that few bits hurt them
less than what is all matrices."""

Guide = Callable[[RGB8, str], tuple[Conditioning, Arrays]]
"""What guides the edit of a picture by an instruction, and golden arrays of how it came to that."""


def loaded_editor(unet: Path, vae: Path, scheduler: Path) -> PictureEditor:
    """A diffusion model in float32, of the folders of its parts.

    Raises:
        WeightsError: one is missing or cannot be read.
    """
    from diffusers import AutoencoderKL, UNet2DConditionModel

    return PictureEditor(
        load_part(UNet2DConditionModel, unet),
        load_part(AutoencoderKL, vae),
        load_scheduler(scheduler),
        saving=Saving(),
    )


# --- UNet and VAE -----------------------------------------------------------------------------


class Noise(nn.Module):
    """A UNet that gives a tensor."""

    def __init__(self, unet: Any) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, latents: Tensor, time: Tensor, attended: Tensor) -> Tensor:
        """The predicted noise."""
        return torch.as_tensor(
            self.unet(latents, time, encoder_hidden_states=attended, return_dict=False)[0]
        )


class Encoder(nn.Module):
    """A VAE's encoder: pictures in 0..1 in, the posterior's mode out, not scaled."""

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, pictures: Tensor) -> Tensor:
        """Latents of pictures."""
        return torch.as_tensor(self.vae.encode(2.0 * pictures - 1.0).latent_dist.mode())


class Pictures(nn.Module):
    """A VAE's decoder: scaled latents in, pictures in 0..1 out."""

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, latents: Tensor) -> Tensor:
        """Pictures of latents."""
        made = self.vae.decode(latents / self.vae.config.scaling_factor, return_dict=False)[0]
        return torch.as_tensor((made * 0.5 + 0.5).clamp(0, 1))


def diffusion_parts(editor: PictureEditor) -> tuple[Part, ...]:
    """The parts 'unet', 'vae_encoder' and 'vae_decoder'."""
    unet, vae = editor.unet, editor.vae
    channels, width = int(unet.config.in_channels), editor.width
    step, factor = _levels(unet), editor.factor

    def noise(rng: np.random.Generator) -> Arrays:
        batch, tokens = (int(number) for number in rng.integers((1, 2), (4, 9)))
        return {
            "latents": rng.standard_normal((batch, channels, *_sides(rng, step)), np.float32),
            "time": rng.uniform(0, 999, 1).astype(np.float32),
            "attended": rng.standard_normal((batch, tokens, width), np.float32),
        }

    def pictures(rng: np.random.Generator) -> Arrays:
        return {"pictures": smooth(rng, int(rng.integers(1, 3)), *_sides(rng, factor))}

    def latents(rng: np.random.Generator) -> Arrays:
        shape = (int(rng.integers(1, 3)), channels // 2, *_sides(rng, 1))
        return {"latents": rng.standard_normal(shape, np.float32)}

    sized = {0: "batch", 2: "height", 3: "width"}
    return (
        Part(
            name="unet", role="unet", module=Noise(unet), draw=noise, outputs=("predicted",),
            example={
                "latents": _zeros(3, channels, 2 * step, 3 * step),
                "time": np.array([500], np.float32), "attended": _zeros(3, 5, width),
            },
            dynamic={"latents": sized, "attended": {0: "batch", 1: "tokens"}}, exact=("time",),
            limits=_LIMITS,
        ),
        Part(
            name="vae_encoder", role="vae-encoder", module=Encoder(vae), draw=pictures,
            outputs=("latents",), example={"pictures": _zeros(2, 3, 2 * factor, 3 * factor)},
            dynamic={"pictures": sized}, limits=_LIMITS,
        ),
        Part(
            name="vae_decoder", role="vae-decoder", module=Pictures(vae), draw=latents,
            outputs=("pictures",), example={"latents": _zeros(2, channels // 2, 4, 6)},
            dynamic={"latents": sized}, limits=_LIMITS,
        ),
    )  # fmt: skip


def diffusion_settings(editor: PictureEditor) -> dict[str, Any]:
    """What `bundled_diffusion.BundledDiffusion` needs to know of a model."""
    return {
        "factor": editor.factor,
        "multiple": editor.factor * _levels(editor.unet),
        "scaling": float(editor.vae.config.scaling_factor),
        "scheduler": _scheduler_settings(editor.scheduler),
    }


def _scheduler_settings(scheduler: Any) -> dict[str, Any]:
    """A scheduler's configuration, and what of it its class filled in, as another will do anew."""
    settings: dict[str, Any] = json.loads(scheduler.to_json_string())
    open_ = sorted(scheduler.config.get("_use_default_values", ()))
    return settings | {"_use_default_values": open_}


def _levels(unet: Any) -> int:
    """What the sides of latents are multiples of."""
    return int(2 ** (len(unet.config.block_out_channels) - 1))


def _sides(rng: np.random.Generator, multiple: int) -> tuple[int, int]:
    high, wide = (int(number) for number in rng.integers(2, 5, 2))
    return high * multiple, wide * multiple


def _zeros(*shape: int) -> NDArray[np.float32]:
    return np.zeros(shape, np.float32)


# --- text read by CLIP ------------------------------------------------------------------------


class TextStates(nn.Module):
    """CLIP's text encoder: tokens in, the last layer's states out, as Stable Diffusion has it."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, ids: Tensor) -> Tensor:
        """(batch, tokens, width) of (batch, tokens)."""
        return torch.as_tensor(self.encoder(ids).last_hidden_state)


def text_part(reader: TextReader) -> Part:
    """The part 'text_encoder'; it reads as many tokens as the encoder has places for."""
    longest, words = reader.longest, int(reader.encoder.config.vocab_size)

    def draw(rng: np.random.Generator) -> Arrays:
        shape = (int(rng.integers(1, 3)), longest)
        return {"ids": rng.integers(0, words, shape, np.int64)}

    return Part(
        name=TEXT_ENCODER, role="text-encoder", module=TextStates(reader.encoder), draw=draw,
        outputs=("states",), example={"ids": np.zeros((2, longest), np.int64)},
        dynamic={"ids": {0: "batch"}},
    )  # fmt: skip


def text_settings(reader: TextReader) -> tuple[dict[str, Any], dict[str, bytes]]:
    """What `bundled_diffusion.BundledText` needs to know of a reader, and its files.

    Raises:
        WeightsError: the tokenizer is none that runs without transformers.
    """
    tokenizer, special = described(reader.tokenizer)
    settings = {
        "special": special,
        "longest": reader.longest,
        "pad": int(reader.tokenizer.pad_token_id),
    }
    return settings, {TEXT_TOKENIZER: tokenizer}


def guided_by_text(reader: TextReader, text: str) -> tuple[Conditioning, Arrays]:
    """What a text comes to, and as golden arrays ``ids`` that the encoder reads."""
    return reader.conditioning([text]), {"ids": reader.ids([text])[0].numpy()}


# --- golden edits -----------------------------------------------------------------------------


def golden_edits(editor: PictureEditor, guide: Guide, job: Job) -> Arrays:
    """Edits by the original, small and in few steps, with all that goes into them.

    Args:
        editor: the diffusion model.
        guide: what the family makes of a picture and an instruction.
        job: progress, cancellation.

    Returns:
        For edit N: ``N/picture`` (height, width, 3) uint8, ``N/instruction``, ``N/first`` and
        ``N/noise`` (steps, ...), ``N/edited`` (height, width, 3) in 0..1, and what `guide` gives.
    """
    rng = np.random.default_rng(8)
    side = GOLDEN_LATENTS * editor.factor
    found: Arrays = {}
    for number, instruction in enumerate(_INSTRUCTIONS):
        job.report("making golden edits", number, len(_INSTRUCTIONS))
        seen = smooth(rng, 1, side, side + 8 * editor.factor)[0].transpose(1, 2, 0)
        picture = np.rint(seen * 255).astype(np.uint8)
        conditioning, arrays = guide(picture, instruction)
        made = {"picture": picture, "instruction": np.array(instruction), **arrays}
        made |= _painted(editor, picture, conditioning, number)
        found |= {f"{number}/{name}": array for name, array in made.items()}
    return found


def _painted(editor: PictureEditor, picture: RGB8, conditioning: Conditioning, seed: int) -> Arrays:
    height, width = (side // editor.factor for side in picture.shape[:2])
    shape = (1, int(editor.vae.config.latent_channels), height, width)
    first = torch.randn(shape, generator=torch.Generator().manual_seed(seed + 100))
    pixels = torch.from_numpy(picture.astype(np.float32) / 255).permute(2, 0, 1)[None]
    sampling = Sampling(steps=GOLDEN_STEPS)
    made = editor.edit(pixels, conditioning, sampling, seeds=[seed], noise=first)
    edited: Array = np.ascontiguousarray(made[0].permute(1, 2, 0).numpy())
    # The scheduler draws from the generator of the seed, one latent after the other.
    generator = torch.Generator().manual_seed(seed)
    noise = [torch.randn(shape, generator=generator)[0] for _ in range(GOLDEN_STEPS)]
    return {"first": first[0].numpy(), "noise": torch.stack(noise).numpy(), "edited": edited}
