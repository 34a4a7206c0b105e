"""How large everything is, so that one processor core is enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Sizes:
    """Sizes of the model and of all trainings.

    Attributes:
        vae_channels: of the VAE's levels; each halves the picture but the first.
        vae_steps, vae_batch, vae_rate: of its training.
        seen, patch: pixels of a side and of a patch of what CLIP sees.
        vision_width, vision_layers: of CLIP; the last layer is not used.
        width, layers, vocabulary: of the language model.
        llava_steps, llava_batch, llava_rate: of LLaVA's training.
        unet_channels, attended: of the UNet's levels, and the width that it attends to.
        unet_steps, unet_batch, unet_rate: of its training before MGIE's.
        head, head_layers, queries: of the edit head.
        said_rows, first_steps: of the first training of all, on edits that are said in full.
        rows, steps: pairs of the training of MGIE or LGIE, and its steps.
        batch, rate, ema, validation, validate_every: of both, as the options of `train mgie`.
        tests: test pairs of each family.
        painting: steps of the diffusion model in a test.
        guidance, image_guidance: of a test.
        seeds: of MGIE's trainings.
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
    unet_steps: int = 1400
    unet_batch: int = 16
    unet_rate: float = 1e-3
    head: int = 64
    head_layers: int = 1
    queries: int = 8
    said_rows: int = 3000
    first_steps: int = 700
    rows: int = 3000
    steps: int = 350
    batch: int = 16
    rate: float = 1e-3
    ema: float = 0.99
    validation: float = 0.02
    validate_every: int = 200
    tests: int = 24
    painting: int = 10
    guidance: float = 1.5
    image_guidance: float = 1.5
    seeds: tuple[int, ...] = (0, 1, 2)

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
        """DDIM that begins at pure noise, so that brightness can change as a whole."""
        from diffusers import DDIMScheduler

        kind: Any = DDIMScheduler
        return kind(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            clip_sample=False,
            set_alpha_to_one=True,
            prediction_type="v_prediction",
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

    def language_model(self, tokenizer: Any) -> Any:
        """A LLaMA with drawn weights."""
        from transformers import LlamaConfig, LlamaForCausalLM

        return LlamaForCausalLM(
            LlamaConfig(
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
        )
