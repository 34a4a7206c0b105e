"""Decoders by onnxruntime-genai's builder: fused attention, one cache for past and present.

The builder writes the graph and we write the file. So a model is built from memory, in every
precision that this project has, and with the bytes of the same model the same.
"""

from __future__ import annotations

import copy
import importlib.util
from pathlib import Path
from typing import Any

import torch
from torch import nn

from imgedit_exporters import tracing
from imgedit_plugins.errors import ImgeditError
from imgedit_plugins.exporting import Part

PACKAGE = "onnxruntime-genai"

_BUILDERS = {
    "LlamaForCausalLM": "LlamaModel",
    "MistralForCausalLM": "MistralModel",
    "Qwen2ForCausalLM": "QwenModel",
    "Qwen3ForCausalLM": "Qwen3Model",
}
_HEAD_WIDTH = 16
"""Of attention heads; onnxruntime's fused attention refuses what is no multiple of it."""

_OPTIONS = {"exclude_embeds": True, "include_hidden_states": True, "prune_lm_head": True}


def misfit(part: Part) -> str:
    """Why the builder cannot make a part, as a clause; '' where it can."""
    model = part.language_model
    if model is None:
        return "it names no language model"
    if importlib.util.find_spec("onnxruntime_genai") is None:
        return f"{PACKAGE} is not installed (pip install 'imgedit-plugins[export]')"
    if (kind := type(model).__name__) not in _BUILDERS:
        return f"the builder is not known to do {kind} right"
    if (width := _head_width(model.config)) % _HEAD_WIDTH:
        return f"its attention heads are {width} wide, not a multiple of {_HEAD_WIDTH}"
    vocabulary = model.config.vocab_size
    heads = [m for m in model.modules() if isinstance(m, nn.Linear) and _rows(m) == vocabulary]
    tables = [m for m in model.modules() if isinstance(m, nn.Embedding) and _rows(m) == vocabulary]
    if len(heads) != 1 or len(tables) != 1:
        # The builder knows both by the size of the vocabulary alone.
        return f"the builder cannot tell which of its layers have the {vocabulary} tokens"
    return ""


def to_onnx(part: Part, path: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write a decoder as ONNX, in the form that `runtime.fused` tells; as `tracing.to_onnx`.

    Args:
        part: which `misfit` finds nothing about.
        path: of the file.
        dtype: float32, or float16, in which the cache and all inputs and outputs are then, too.

    Raises:
        ImgeditError: the builder cannot make it.
    """
    try:
        with tracing.quiet(), torch.no_grad():
            builder = _builder(part.language_model, dtype)
            builder.make_model("")
            model = builder.model
            model.graph.sort()
    except Exception as error:  # the builder is a script, whose errors share no base
        if isinstance(error, MemoryError):
            raise
        told = " ".join(str(error).split())[:400]
        raise ImgeditError(
            f"{PACKAGE} cannot build the part {part.name!r}: {told}",
            hint="--backend torch exports it without.",
        ) from error
    _name_sizes(model, builder.num_kv_heads, builder.head_size)
    tracing.save(model, path)


def _builder(language_model: Any, dtype: torch.dtype) -> Any:
    """The builder of a model, which takes the weights that are in memory."""
    import onnx_ir as ir
    from onnxruntime_genai.models import builders

    config = copy.deepcopy(language_model.config)
    config.architectures = [type(language_model).__name__]
    kind = getattr(builders, _BUILDERS[config.architectures[0]])
    in_memory = type(kind.__name__, (kind,), {"load_weights": lambda *_: language_model})
    # The builder's graph in float16 for CPUs is another one, which does not run (measured with
    # 0.18); that for CUDA runs on both.
    half = dtype == torch.float16
    number = ir.DataType.FLOAT16 if half else ir.DataType.FLOAT
    return in_memory(config, number, number, "cuda" if half else "cpu", "", dict(_OPTIONS))


def _name_sizes(model: Any, heads: int, width: int) -> None:
    """Tell the size of the cache, which the builder leaves open."""
    import onnx_ir as ir

    for value in (*model.graph.inputs, *model.graph.outputs):
        if value.name.startswith(("past_key_values.", "present.")):
            value.shape = ir.Shape([value.shape[0], heads, value.shape[2], width])


def _head_width(config: Any) -> int:
    each = getattr(config, "head_dim", None)
    return int(each or config.hidden_size // config.num_attention_heads)


def _rows(module: Any) -> int:
    return int(module.weight.shape[0])
