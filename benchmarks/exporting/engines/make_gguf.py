"""A saved LLaMA as a GGUF file, by the gguf package; needs numpy beside it, and no torch."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.exporting.shapes import Shape

_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
Floats = NDArray[np.float32]


def prepare(task: Mapping[str, Any]) -> Callable[[int], dict[str, Any]]:
    """Writes the file where it works."""

    def work(_: int) -> dict[str, Any]:
        target = Path(task["file"])
        _write(Path(task["folder"]), target, Shape.of(task["shape"]), task["precision"] == "int4")
        return {"bytes": target.stat().st_size}

    return work


def _write(folder: Path, target: Path, shape: Shape, few: bool) -> None:
    import gguf

    api: Any = gguf
    kind = api.GGMLQuantizationType
    weights = _weights(folder / "model.safetensors")
    writer = api.GGUFWriter(str(target), "llama")
    writer.add_context_length(2048)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.groups)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(shape.width // shape.heads)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_tokenizer_model("none")
    writer.add_file_type(api.LlamaFileType.MOSTLY_Q4_0 if few else api.LlamaFileType.ALL_F32)
    made: dict[str, NDArray[Any]] = {}

    def add(name: str, source: str, of: Floats) -> None:
        quantised = few and of.ndim == 2
        if quantised and source not in made:
            made[source] = api.quants.quantize(of, kind.Q4_0)
        data = made.get(source, of)
        writer.add_tensor(name, data, raw_dtype=kind.Q4_0 if quantised else kind.F32)

    for name, source in (
        ("token_embd", "model.embed_tokens"),
        ("output_norm", "model.norm"),
        ("output", "lm_head"),
    ):
        add(f"{name}.weight", source, weights[f"{source}.weight"])
    for layer in range(shape.layers):
        of = _layer(layer, shape)
        for theirs, name in _NAMES.items():
            key = f"model.layers.{of}.{theirs}"
            add(f"blk.{layer}.{name}.weight", key, _turned(weights[f"{key}.weight"], theirs, shape))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _layer(layer: int, shape: Shape) -> int:
    """Which of the layers that there are stands for one."""
    if layer == 0 or shape.layers == shape.made:
        return layer
    return shape.made - 1 if layer == shape.layers - 1 else 1


def _turned(weight: Floats, name: str, shape: Shape) -> Floats:
    """llama.cpp rotates neighbouring numbers, transformers the halves of a head."""
    if not name.endswith(("q_proj", "k_proj")):
        return weight
    heads = shape.heads if name.endswith("q_proj") else shape.groups
    halves = weight.reshape(heads, 2, -1, weight.shape[1])
    return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(weight.shape)


def _weights(path: Path) -> dict[str, Floats]:
    """The float32 tensors of a safetensors file, memory-mapped."""
    whole = np.memmap(path, np.uint8, "r")
    length = int(whole[:8].view(np.uint64)[0])
    begin, header = 8 + length, json.loads(whole[8 : 8 + length].tobytes())
    found = {}
    for name, one in header.items():
        if name != "__metadata__":
            first, last = (begin + offset for offset in one["data_offsets"])
            assert one["dtype"] == "F32", name
            found[name] = np.frombuffer(whole[first:last].data, np.float32).reshape(one["shape"])
    return found
