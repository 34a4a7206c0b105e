"""onnxruntime's own operators, in place of the many that PyTorch's exporter writes for one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

DOMAIN = "com.microsoft"


def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """How PyTorch's operators are written, for `torch.onnx.export`'s `custom_translation_table`."""
    aten = torch.ops.aten
    return {aten.scaled_dot_product_attention.default: _attention, aten.gelu.default: _gelu}


def _attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """Attention that never holds all scores, which are most of a UNet's memory.

    On CPUs onnxruntime does that without a mask alone, so attention with one stays as it is.
    """
    from onnxscript import opset18
    from onnxscript.function_libs.torch_lib.ops import nn

    op: Any = opset18
    heads = query.shape[1]
    if attn_mask is not None or is_causal or dropout_p or enable_gqa or not isinstance(heads, int):
        return nn.aten_scaled_dot_product_attention(
            query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa
        )
    flat = op.Constant(value_ints=[0, 0, -1])
    given = [op.Reshape(op.Transpose(one, perm=[0, 2, 1, 3]), flat) for one in (query, key, value)]
    attend = _operator("MultiHeadAttention", ("query", "key", "value"), ("num_heads", "scale"))
    factor = {} if scale is None else {"scale": float(scale)}
    made = attend(*given, num_heads=heads, **factor)
    split = op.Constant(value_ints=[0, 0, heads, -1])
    return op.Transpose(op.Reshape(made, split), perm=[0, 2, 1, 3])


def _gelu(self: Any, approximate: str = "none") -> Any:
    """GELU in one pass over memory instead of five."""
    from onnxscript.function_libs.torch_lib.ops import nn

    if approximate != "none":
        return nn.aten_gelu(self, approximate)
    return _operator("Gelu", ("X",))(self)


@functools.cache
def _operator(name: str, inputs: tuple[str, ...], attributes: tuple[str, ...] = ()) -> Any:
    """An operator by name, in a form that onnxscript takes: the onnx package knows only its own."""
    from onnx import defs
    from onnxscript import values

    kind = defs.OpSchema
    types = {"num_heads": kind.AttrType.INT, "scale": kind.AttrType.FLOAT}
    schema = kind(
        name,
        DOMAIN,
        1,
        inputs=[kind.FormalParameter(one, "T") for one in inputs],
        outputs=[kind.FormalParameter("output", "T")],
        type_constraints=[("T", ["tensor(float)", "tensor(float16)"], "")],
        attributes=[kind.Attribute(one, types[one], required=False) for one in attributes],
    )
    return values.Op(values.Opset(DOMAIN, 1), name, schema)
