"""What the names and shapes of the published files say about the model they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from imgedit_modelkit.vision_towers import from_blip2, from_eva
from imgedit_plugins.errors import WeightsError
from imgedit_reverse_design.minigpt4.config import Tower

PROJECTION = "llama_proj."
"""What MiniGPT-4 calls its projection."""

_BLOCKS = 39
"""Of EVA ViT-g's 40 blocks BLIP-2 and MiniGPT-4 run all but the last."""

_EVA_HEAD, _BERT_HEAD = 88, 64
"""Widths of one attention head, which no shape tells."""


def eva_tensors(checkpoint: Mapping[str, Tensor], path: Path) -> tuple[Tower, dict[str, Tensor]]:
    """The tower that an EVA checkpoint fits, and its tensors under the tower's names.

    Raises:
        WeightsError: the names that tell the sizes are not there.
    """
    needed = ("cls_token", "pos_embed", "patch_embed.proj.weight", "blocks.0.mlp.fc1.weight")
    if absent := [name for name in needed if name not in checkpoint]:
        raise WeightsError(f"{path} is no EVA ViT checkpoint: it lacks {absent[0]}.", path=path)
    width, patch = checkpoint["cls_token"].shape[-1], checkpoint[needed[2]].shape[-1]
    side = round((checkpoint["pos_embed"].shape[1] - 1) ** 0.5)
    vision = {
        "hidden_size": width,
        "intermediate_size": checkpoint[needed[3]].shape[0],
        "num_hidden_layers": min(_BLOCKS, _layers(checkpoint, "blocks.")),
        "num_attention_heads": max(1, width // _EVA_HEAD),
        "image_size": side * patch,
        "patch_size": patch,
    }
    tensors = {f"vision.{name}": tensor for name, tensor in from_eva(checkpoint).items()}
    return Tower(vision=vision), tensors


def with_qformer(
    tower: Tower, checkpoint: Mapping[str, Tensor], path: Path
) -> tuple[Tower, dict[str, Tensor]]:
    """The tower with the Q-Former of a BLIP-2 checkpoint, and that one's tensors.

    Raises:
        WeightsError: it has none.
    """
    tensors = from_blip2(checkpoint)
    inner = "qformer.encoder.layer.0.intermediate_query.dense.weight"
    if "queries" not in tensors or inner not in tensors:
        raise WeightsError(f"{path} has no Q-Former (query_tokens, Qformer.bert...).", path=path)
    width = tensors["queries"].shape[-1]
    qformer = {
        "hidden_size": width,
        "intermediate_size": tensors[inner].shape[0],
        "num_hidden_layers": _layers(tensors, "qformer.encoder.layer."),
        "num_attention_heads": max(1, width // _BERT_HEAD),
    }
    queries = tensors["queries"].shape[1]
    return Tower(vision=tower.vision, joined=1, queries=queries, qformer=qformer), tensors


def projection_tensors(checkpoint: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """The projection's tensors under our names, and the names that are none of them."""
    ours = {
        name.removeprefix(PROJECTION): tensor.float()
        for name, tensor in checkpoint.items()
        if name.startswith(PROJECTION)
    }
    return ours, [name for name in checkpoint if not name.startswith(PROJECTION)]


def _layers(tensors: Mapping[str, Tensor], prefix: str) -> int:
    numbers = {
        int(name.removeprefix(prefix).partition(".")[0])
        for name in tensors
        if name.startswith(prefix)
    }
    return max(numbers) + 1
