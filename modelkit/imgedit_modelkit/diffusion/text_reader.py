"""Text for a diffusion model that reads it with CLIP, as InstructPix2Pix does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from imgedit_modelkit.diffusion.conditioning import Conditioning
from imgedit_modelkit.model_folders import no_progress_bars
from imgedit_plugins.errors import WeightsError


class TextReader(nn.Module):
    """CLIP's text encoder with its tokenizer.

    Args:
        encoder: a CLIPTextModel.
        tokenizer: that belongs to it.
    """

    def __init__(self, encoder: Any, tokenizer: Any) -> None:
        super().__init__()
        self.encoder, self.tokenizer = encoder, tokenizer

    @classmethod
    def load(cls, encoder: Path, tokenizer: Path, dtype: torch.dtype) -> TextReader:
        """Both from their folders.

        Raises:
            WeightsError: they cannot be loaded, or tensors are missing.
        """
        from transformers import CLIPTextModel, CLIPTokenizer

        load: Any = CLIPTextModel.from_pretrained
        load_tokenizer: Any = CLIPTokenizer.from_pretrained
        try:
            known = load_tokenizer(tokenizer, local_files_only=True)
            with no_progress_bars():
                model, found = load(
                    encoder,
                    dtype=dtype,
                    local_files_only=True,
                    use_safetensors=True,
                    output_loading_info=True,
                )
        except (OSError, ValueError) as error:
            told = " ".join(str(error).split())
            raise WeightsError(
                f"{encoder} holds no text encoder of CLIP that can be loaded: {told}", path=encoder
            ) from error
        if missing := sorted(found["missing_keys"]):
            raise WeightsError(f"{encoder} lacks {', '.join(missing)}.", path=encoder)
        return cls(model.eval(), known)

    @property
    def longest(self) -> int:
        """How many tokens the encoder reads."""
        return int(self.encoder.config.max_position_embeddings)

    def ids(self, texts: list[str]) -> Tensor:
        """(texts, longest) tokens; what is longer is cut off."""
        return torch.as_tensor(
            self.tokenizer(
                texts,
                padding="max_length",
                max_length=self.longest,
                truncation=True,
                return_tensors="pt",
            ).input_ids
        )

    def forward(self, texts: list[str]) -> Tensor:
        """(texts, longest, width) of texts."""
        device = next(self.encoder.parameters()).device
        return torch.as_tensor(self.encoder(self.ids(texts).to(device)).last_hidden_state)

    @torch.no_grad()
    def conditioning(self, texts: list[str]) -> Conditioning:
        """Texts, and the empty one that stands for none."""
        both = self([*texts, ""])
        return Conditioning(both[:-1], both[-1:])
