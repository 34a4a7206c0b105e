"""The shared sizes, and those of CLIP and LLaVA as transformers has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.tiny_editing import sizes


@dataclass(frozen=True)
class Sizes(sizes.Sizes):
    """Sizes for which one processor core is enough.

    Attributes:
        clip_steps, clip_batch, clip_rate: of CLIP's training before LLaVA's.
    """

    clip_steps: int = 1500
    clip_batch: int = 32
    clip_rate: float = 2e-3
    llava_steps: int = 2400

    def llava(self, tokenizer: Any, image: str) -> Any:
        """A LlavaForConditionalGeneration with drawn weights.

        Args:
            tokenizer: of the language model.
            image: the token that a picture's tokens take the place of.
        """
        from transformers import CLIPVisionConfig, LlavaConfig, LlavaForConditionalGeneration

        config = LlavaConfig(
            vision_config=CLIPVisionConfig(**self.vision()),
            text_config=self.language(tokenizer),
            image_token_index=tokenizer.convert_tokens_to_ids(image),
            image_seq_length=(self.seen // self.patch) ** 2,
        )
        return LlavaForConditionalGeneration(config)
