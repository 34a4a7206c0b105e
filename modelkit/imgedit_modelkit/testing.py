"""Real model classes at tiny size, and a small cluster, for the tests of plugins on the model kit.

Nothing is downloaded: tokenizers are trained on the texts at hand, weights are drawn.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from torch import nn

from imgedit_modelkit.vision_towers import TowerConfig

M = TypeVar("M", bound=nn.Module)

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"


def tiny_tokenizer(
    texts: Sequence[str],
    *,
    kind: Literal["sentencepiece", "bytes"] = "sentencepiece",
    size: int = 400,
    digits: bool = True,
) -> Any:
    """A byte-pair tokenizer of transformers, trained on `texts`.

    Args:
        texts: what it shall write well; everything else falls back to bytes.
        kind: 'sentencepiece' marks spaces as LLaMA's does, 'bytes' as GPT-2's does.
        size: of the vocabulary, at most.
        digits: whether digits stay apart, as LLaMA's do.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    apart = [pre_tokenizers.Digits(individual_digits=True)] if digits else []
    spaces: Any = (
        pre_tokenizers.ByteLevel(add_prefix_space=False)
        if kind == "bytes"
        else pre_tokenizers.Metaspace(prepend_scheme="first")
    )
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Sequence([*apart, spaces])
    special = [BEGIN, END, UNKNOWN]
    alphabet = pre_tokenizers.ByteLevel.alphabet() if kind == "bytes" else []
    trainer = trainers.BpeTrainer(
        vocab_size=len(special) + len(alphabet) + size,
        special_tokens=special,
        initial_alphabet=alphabet,
        show_progress=False,
    )
    made.train_from_iterator(texts, trainer)
    if kind == "bytes":
        made.decoder = decoders.ByteLevel()
    else:
        made.model = _with_byte_tokens(made)
        steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
        made.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)])
    wrapped: Any = PreTrainedTokenizerFast
    return wrapped(tokenizer_object=made, bos_token=BEGIN, eos_token=END, unk_token=UNKNOWN)


def _with_byte_tokens(made: Any) -> Any:
    """The trained model with a token for each byte, as sentencepiece's byte fallback wants."""
    from tokenizers import models

    model = json.loads(made.to_str())["model"]
    vocabulary: dict[str, int] = model["vocab"]
    for byte in range(256):
        vocabulary.setdefault(f"<0x{byte:02X}>", len(vocabulary))
    merges = [tuple(merge) for merge in model["merges"]]
    return models.BPE(vocabulary, merges, byte_fallback=True, unk_token=UNKNOWN)


def tiny_llama(
    tokenizer: Any, *, width: int = 32, layers: int = 2, heads: int = 4, seed: int = 0
) -> Any:
    """A LLaMA with random weights that fits a tokenizer; two heads share keys and values."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads // 2,
        max_position_embeddings=2048,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    made: Any = realistic(LlamaForCausalLM(config), seed=seed)
    return made.eval()


def tiny_eva(*, joined: int = 4, queries: int = 0) -> TowerConfig:
    """EVA ViT at 28 px with patches of 7: 16 patch tokens of width 16, two layers."""
    vision = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 7,
    }
    qformer = {
        "hidden_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 48,
    }
    return TowerConfig("eva", vision, joined, queries, qformer if queries else {})


def tiny_clip(*, layer: int = -2) -> TowerConfig:
    """CLIP's vision model at 28 px with patches of 7: 16 patch tokens of width 16."""
    vision = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 7,
        "projection_dim": 16,
    }
    return TowerConfig("clip", vision, layer=layer)


def realistic(module: M, *, seed: int = 0) -> M:
    """The module with weights drawn at the scale of trained ones.

    Some models start so small (BLIP-2: 1e-10) that any two outputs compare as equal.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim > 1:
                fan = parameter[0].numel()
                parameter.copy_(noise * fan**-0.5)
            else:
                centre = 1.0 if name.endswith("weight") else 0.0
                parameter.copy_(centre + 0.1 * noise)
    return module


def save_tiny_language_model(folder: Path, tokenizer: Any, model: Any) -> Path:
    """Save both as a folder that transformers loads."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@contextlib.contextmanager
def two_ray_nodes(attempts: int = 6) -> Iterator[str]:
    """A Ray cluster of two nodes with one processor each, on this machine; yields its address.

    Args:
        attempts: how often to start it: Ray gives a node 30 seconds, which a busy machine may need.
    """
    from ray.cluster_utils import Cluster

    for attempt in range(attempts):
        nodes: Any = Cluster()
        try:
            nodes.add_node(num_cpus=1, include_dashboard=False)
            nodes.add_node(num_cpus=1)
            nodes.wait_for_nodes()
            break
        except Exception:  # Ray has no narrower one for this
            nodes.shutdown()
            if attempt + 1 == attempts:
                raise
    try:
        yield str(nodes.address)
    finally:
        nodes.shutdown()
