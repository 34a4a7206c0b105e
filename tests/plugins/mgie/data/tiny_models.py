"""A tiny LLaVA and T5 of transformers' own classes, random but of a realistic scale; pairs."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

WORDS = (
    "the sky grass pizza is are will becomes brighter darker red green includes tomatoes herbs "
    "fresh on top of a an and with picture image shows now warm light . , ! ' alternative"
)


def tokenizer(special: list[str]) -> Any:
    """Words, and characters for what is none: any prompt can be read."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = [*string.ascii_letters, *string.digits, *string.punctuation]
    vocabulary = dict.fromkeys([*special, *WORDS.split(), *pieces, *(f"##{p}" for p in pieces)])
    numbered = {word: number for number, word in enumerate(vocabulary)}
    made = Tokenizer(models.WordPiece(numbered, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()]
    )
    made.decoder = decoders.WordPiece(prefix="##")
    return PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token="<unk>", eos_token="</s>", pad_token="<pad>"
    )


def _shaken(model: Any, seed: int, scale: float = 0.15) -> Any:
    """Weights far enough from the tiny ones of the initialisation that outputs differ."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(scale * torch.randn(parameter.shape, generator=generator))
    return model


def llava(folder: Path, seed: int = 0) -> Path:
    """A LLaVA 1.5 with a CLIP of 32 pixels (16 picture tokens) and a LLaMA of two layers."""
    import torch
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    words = tokenizer(["<pad>", "</s>", "<unk>", "<image>"])
    words.add_special_tokens({"additional_special_tokens": ["<image>"]})
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
             "num_attention_heads": 4}  # fmt: skip
    torch.manual_seed(seed)
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**small, image_size=32, patch_size=8),
        text_config=LlamaConfig(**small, vocab_size=len(words), max_position_embeddings=512),
        image_token_index=words.convert_tokens_to_ids("<image>"),
        image_seq_length=16,
    )
    config.text_config.pad_token_id = words.pad_token_id
    model = _shaken(LlavaForConditionalGeneration(config), seed)
    model.generation_config.eos_token_id = words.eos_token_id
    model.generation_config.pad_token_id = words.pad_token_id
    model.generation_config.bos_token_id = None
    model.save_pretrained(folder)
    LlavaProcessor(
        CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
        words, patch_size=8, vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def summariser(folder: Path, seed: int = 1) -> Path:
    """A T5 of two layers."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    words = tokenizer(["<pad>", "</s>", "<unk>"])
    torch.manual_seed(seed)
    config = T5Config(
        vocab_size=len(words), d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4,
        decoder_start_token_id=words.pad_token_id, pad_token_id=words.pad_token_id,
        eos_token_id=words.eos_token_id, feed_forward_proj="gated-gelu", tie_word_embeddings=False,
    )  # fmt: skip
    _shaken(T5ForConditionalGeneration(config), seed).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def write_pairs(folder: Path, count: int) -> Path:
    """Pairs in InstructPix2Pix's folders, two seeds for each instruction."""
    rng = np.random.default_rng(0)
    for number in range(count):
        edit = folder / f"{number // 2:07d}"
        edit.mkdir(parents=True, exist_ok=True)
        (edit / "prompt.json").write_text(json.dumps({"edit": f"make the sky {number // 2}"}))
        for which in (0, 1):
            tiles = rng.integers(0, 256, (4, 5, 3), np.uint8)
            picture = Image.fromarray(tiles).resize((40, 32), Image.Resampling.NEAREST)
            picture.save(edit / f"{100 + number}_{which}.jpg", quality=90)
    return folder
