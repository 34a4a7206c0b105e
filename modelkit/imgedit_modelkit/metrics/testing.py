"""CLIP and DINO at tiny size, in the files that they are published in, for tests of plugins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from imgedit_modelkit.testing import realistic


def save_tiny_clip(folder: Path, words: Sequence[str], *, seed: int = 3) -> Path:
    """CLIP, both halves, with random weights and a tokenizer of words.

    Args:
        folder: to write.
        words: that its tokenizer knows, 37 at most; it splits at white space and at marks.
        seed: of the weights.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, PreTrainedTokenizerFast

    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
             "num_attention_heads": 4}  # fmt: skip
    config = CLIPConfig(
        text_config={**small, "vocab_size": 40, "max_position_embeddings": 24, "eos_token_id": 1,
                     "bos_token_id": 1},
        vision_config={**small, "image_size": 32, "patch_size": 8}, projection_dim=16,
    )  # fmt: skip
    model: Any = CLIPModel
    realistic(model(config), seed=seed).save_pretrained(folder)
    size = {"height": 32, "width": 32}
    processor: Any = CLIPImageProcessor
    processor(size={"shortest_edge": 32}, crop_size=size).save_pretrained(folder)
    tokens = {w: i for i, w in enumerate(["<pad>", "<end>", "<unk>", *words])}
    tokenizer = Tokenizer(models.WordLevel(tokens, unk_token="<unk>"))  # noqa: S106 (a word)
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    # CLIP looks at the end token; without one only the first word would count.
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <end>", special_tokens=[("<end>", tokens["<end>"])]
    )
    saved: Any = PreTrainedTokenizerFast
    marks = {"pad_token": "<pad>", "eos_token": "<end>"}
    saved(tokenizer_object=tokenizer, **marks).save_pretrained(folder)
    return folder


def save_tiny_dino(folder: Path) -> Path:
    """DINO as Facebook publishes it: a ViT without a pooler, pickled; with random weights."""
    import torch
    from transformers import ViTConfig, ViTImageProcessor, ViTModel

    config = ViTConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                       intermediate_size=32, image_size=28, patch_size=14)  # fmt: skip
    kind: Any = ViTModel
    model = realistic(kind(config, add_pooling_layer=False), seed=4)
    config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    size = {"height": 28, "width": 28}
    processor: Any = ViTImageProcessor
    processor(size=size).save_pretrained(folder)
    return folder
