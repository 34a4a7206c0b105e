"""How large the shared models are, and how long VAE and UNet are trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Sizes:
    """Sizes for which one processor core is enough.

    Attributes:
        vae_channels: of the VAE's levels; each halves the picture but the first.
        vae_steps, vae_batch, vae_rate: of its training.
        seen, patch: pixels of a side and of a patch of what CLIP sees.
        vision_width, vision_layers: of CLIP; the last layer is not used.
        width, layers, vocabulary: of the language model.
        llava_steps, llava_batch, llava_rate: of LLaVA's training.
        unet_channels, attended: of the UNet's levels, and the width that it attends to.
        unet_steps, unet_batch, unet_rate, unet_ema: of its training on edits said in full.
        rows: pairs to learn from.
        tests: test pairs of each family.
    """

    vae_channels: tuple[int, ...] = (8, 24, 48)
    vae_steps: int = 1200
    vae_batch: int = 16
    vae_rate: float = 2e-3
    seen: int = 48
    patch: int = 8
    vision_width: int = 96
    vision_layers: int = 4
    width: int = 128
    layers: int = 3
    vocabulary: int = 300
    llava_steps: int = 1300
    llava_batch: int = 32
    llava_rate: float = 2e-3
    unet_channels: tuple[int, ...] = (32, 64, 96)
    attended: int = 64
    unet_steps: int = 800
    unet_batch: int = 16
    unet_rate: float = 1e-3
    unet_ema: float = 0.99
    rows: int = 3000
    tests: int = 24

    def vae(self) -> Any:
        """An AutoencoderKL with drawn weights."""
        from diffusers import AutoencoderKL

        kind: Any = AutoencoderKL
        levels = len(self.vae_channels)
        return kind(
            block_out_channels=self.vae_channels,
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
            latent_channels=4,
            layers_per_block=1,
            norm_num_groups=2,
            sample_size=64,
            mid_block_add_attention=False,
        )

    def unet(self) -> Any:
        """A UNet2DConditionModel with drawn weights that sees a picture: 8 channels."""
        from diffusers import UNet2DConditionModel

        kind: Any = UNet2DConditionModel
        levels = len(self.unet_channels)
        return kind(
            sample_size=16,
            in_channels=8,
            out_channels=4,
            block_out_channels=self.unet_channels,
            layers_per_block=1,
            down_block_types=("DownBlock2D", *("CrossAttnDownBlock2D",) * (levels - 1)),
            up_block_types=(*("CrossAttnUpBlock2D",) * (levels - 1), "UpBlock2D"),
            cross_attention_dim=self.attended,
            attention_head_dim=4,
            norm_num_groups=8,
        )

    def scheduler(self) -> Any:
        """DDIM that begins at pure noise, so that brightness can change as a whole.

        What is predicted are the latents themselves: most of them are those of the input picture,
        which a small UNet learns to hand on sooner than what is noise in them.
        """
        from diffusers import DDIMScheduler

        kind: Any = DDIMScheduler
        return kind(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            clip_sample=False,
            set_alpha_to_one=True,
            prediction_type="sample",
            rescale_betas_zero_snr=True,
            timestep_spacing="trailing",
        )

    def vision(self) -> dict[str, Any]:
        """Fields of CLIP's vision configuration."""
        return {
            "hidden_size": self.vision_width,
            "intermediate_size": 2 * self.vision_width,
            "num_hidden_layers": self.vision_layers,
            "num_attention_heads": 4,
            "image_size": self.seen,
            "patch_size": self.patch,
            "projection_dim": self.vision_width,
        }

    def language(self, tokenizer: Any) -> Any:
        """A configuration of LLaMA."""
        from transformers import LlamaConfig

        return LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=self.width,
            intermediate_size=2 * self.width,
            num_hidden_layers=self.layers,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=512,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
