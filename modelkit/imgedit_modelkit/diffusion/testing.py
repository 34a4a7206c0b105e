"""A UNet, a VAE and a scheduler of diffusers at tiny size, for tests of plugins."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

from imgedit_modelkit.diffusion.editor import PictureEditor
from imgedit_modelkit.testing import realistic


def tiny_unet(*, channels: int = 8, width: int = 32, seed: int = 0) -> Any:
    """A UNet2DConditionModel with random weights.

    Args:
        channels: of its input; 4 for one that does not see a picture.
        width: of what it attends to.
        seed: of the weights.
    """
    from diffusers import UNet2DConditionModel

    kind: Any = UNet2DConditionModel
    unet = kind(
        sample_size=8,
        in_channels=channels,
        out_channels=4,
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=width,
        attention_head_dim=8,
        norm_num_groups=8,
    )
    return realistic(unet, seed=seed).eval()


def tiny_vae(*, seed: int = 1) -> Any:
    """An AutoencoderKL with random weights; its factor is 4."""
    from diffusers import AutoencoderKL

    kind: Any = AutoencoderKL
    vae = kind(
        block_out_channels=(8, 8, 16),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=32,
    )
    return realistic(vae, seed=seed).eval()


def stable_diffusion_scheduler(
    kind: str = "EulerAncestralDiscreteScheduler", **settings: Any
) -> Any:
    """A scheduler of diffusers with the noise levels of Stable Diffusion 1."""
    import diffusers

    levels = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    return getattr(diffusers, kind)(**levels, num_train_timesteps=1000, **settings)


def tiny_editor(
    *, width: int = 32, scheduler: str = "EulerAncestralDiscreteScheduler"
) -> PictureEditor:
    """A `PictureEditor` of tiny random parts."""
    return PictureEditor(tiny_unet(width=width), tiny_vae(), stable_diffusion_scheduler(scheduler))


def save_tiny_instruct_pix2pix(folder: Path, *, width: int = 16) -> Path:
    """StableDiffusionInstructPix2PixPipeline of tiny random parts, as diffusers saves it.

    Args:
        folder: to write into.
        width: of what the UNet attends to.

    Returns:
        The pipeline's folder, below it.
    """
    from diffusers import StableDiffusionInstructPix2PixPipeline
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    letters = f"{string.ascii_lowercase}T."
    tokens = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{x}</w>" for x in letters)]
    words = folder / "words"
    words.mkdir(parents=True)
    (words / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}))
    (words / "merges.txt").write_text("#version: 0.2\n")
    config = CLIPTextConfig(
        vocab_size=len(tokens),
        hidden_size=width,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=24,
        bos_token_id=0,
        eos_token_id=1,
    )
    encoder: Any = CLIPTextModel
    spelling: Any = CLIPTokenizer
    kind: Any = StableDiffusionInstructPix2PixPipeline
    pipeline = kind(
        vae=tiny_vae(),
        text_encoder=realistic(encoder(config), seed=5).eval(),
        tokenizer=spelling(
            str(words / "vocab.json"), str(words / "merges.txt"), model_max_length=24
        ),
        unet=tiny_unet(width=width, seed=3),
        scheduler=stable_diffusion_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder / "pipeline")
    return folder / "pipeline"
