"""How large everything is, so that one processor core is enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from imgedit_reverse_design.minigpt4.config import Tower


@dataclass(frozen=True)
class Sizes:
    """Sizes of the model and of all trainings.

    Attributes:
        image, patch, joined: pixels of a side, of a patch, and patch tokens joined to one.
        width, layers: of the vision encoder.
        language_width, language_layers, vocabulary: of the language model.
        encoder_steps, encoder_batch, encoder_rate: of the encoder's measuring.
        encoder_until: the step at which it is ended; the schedule is that of all steps.
        gallery: different pictures that are captioned.
        pretraining_steps, pretraining_batch, pretraining_rate: of the captioning.
        pictures, rows: scenes to edit, and pairs made of them (80 / 10 / 10 by scene).
        steps, batch, rate, warmup, validate_every, answers: of a fine-tuning.
        test_rows, verified_rows: test pairs that the model alone, and with verification, answers.
        seeds: of the fine-tunings.
    """

    image: int = 64
    patch: int = 8
    joined: int = 16
    width: int = 96
    layers: int = 3
    language_width: int = 96
    language_layers: int = 3
    vocabulary: int = 900
    encoder_steps: int = 1000
    encoder_until: int = 400
    encoder_batch: int = 32
    encoder_rate: float = 2e-3
    gallery: int = 5000
    pretraining_steps: int = 1500
    pretraining_batch: int = 24
    pretraining_rate: float = 2e-3
    pictures: int = 1500
    rows: int = 4500
    steps: int = 1200
    batch: int = 16
    rate: float = 3e-3
    warmup: int = 30
    answers: int = 48
    validate_every: int = 300
    test_rows: int = 450
    verified_rows: int = 60
    seeds: tuple[int, ...] = (0, 1, 2)

    def tower(self) -> Tower:
        """The vision encoder, of EVA's kind."""
        vision = {
            "hidden_size": self.width,
            "intermediate_size": 2 * self.width,
            "num_hidden_layers": self.layers,
            "num_attention_heads": 4,
            "image_size": self.image,
            "patch_size": self.patch,
        }
        return Tower(kind="eva", vision=vision, joined=self.joined)

    def language_model(self, tokenizer: Any) -> Any:
        """A LLaMA with drawn weights."""
        from transformers import LlamaConfig, LlamaForCausalLM

        return LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=self.language_width,
                intermediate_size=2 * self.language_width,
                num_hidden_layers=self.language_layers,
                num_attention_heads=4,
                num_key_value_heads=4,
                max_position_embeddings=512,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
            )
        )
