"""A UNet, a VAE and a scheduler of diffusers at tiny size, for tests of plugins."""

from __future__ import annotations

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
