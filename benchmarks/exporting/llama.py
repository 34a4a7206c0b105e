"""LLaMAs of transformers with drawn weights."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.exporting.shapes import Shape

_DEVIATION = 0.02
"""Of weights, as LLaMAs are initialised."""


def config(shape: Shape, layers: int) -> Any:
    """Of transformers."""
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_hidden_layers=layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.groups,
        max_position_embeddings=2048,
        rms_norm_eps=1e-5,
        tie_word_embeddings=False,
    )


@torch.no_grad()
def drawn(shape: Shape, layers: int, dtype: torch.dtype = torch.float32) -> Any:
    """A model in eval mode; the same each time.

    The deviation is larger where it is narrow, so that what it writes depends on what it reads.
    """
    from transformers import LlamaForCausalLM

    kind: Any = LlamaForCausalLM
    with torch.device("meta"):
        model = kind(config(shape, layers)).to(dtype)
    model.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(8)
    for name, one in model.named_parameters():
        if "norm" in name:
            one.fill_(1.0)
        else:
            one.normal_(0, max(_DEVIATION, shape.width**-0.5), generator=generator)
    rotary = model.model.rotary_emb
    rotary.inv_freq = rotary.original_inv_freq = type(rotary)(model.config).inv_freq
    return model.eval()
