"""Attention and GELU are one operator each for onnxruntime, and stay what they were."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from imgedit_exporters import tracing
from imgedit_exporters.runtime.sessions import open_session
from imgedit_plugins.exporting import Part

pytestmark = pytest.mark.torch

HEADS, EACH = 4, 8


class Block(nn.Module):
    """Attention from a text to another with a GELU behind it, as transformers have it."""

    def __init__(self, attend, approximate: str = "none") -> None:
        super().__init__()
        self.attend, self.approximate = attend, approximate

    def forward(self, values: Tensor, others: Tensor) -> Tensor:
        query, key = (x.unflatten(2, (HEADS, EACH)).transpose(1, 2) for x in (values, others))
        made = self.attend(query, key, torch.tanh(key)).transpose(1, 2).flatten(2)
        return functional.gelu(made, approximate=self.approximate)


def part(attend=functional.scaled_dot_product_attention, approximate: str = "none") -> Part:
    return Part(
        name="block",
        module=Block(attend, approximate).eval(),
        example={name: np.zeros((2, 3, HEADS * EACH), np.float32) for name in ("values", "others")},
        outputs=("made",),
        dynamic={"values": {0: "batch", 1: "length"}, "others": {0: "batch", 1: "tokens"}},
        draw=lambda rng: drawn(rng, 5),
    )


def drawn(rng: np.random.Generator, tokens: int) -> dict[str, np.ndarray]:
    shapes = {"values": (3, 7, HEADS * EACH), "others": (3, tokens, HEADS * EACH)}
    return {name: rng.standard_normal(shape, np.float32) * 2 for name, shape in shapes.items()}


def operators(path: Path) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load(path).graph.node)


def difference(one: Part, path: Path, tokens: int = 5) -> float:
    inputs = drawn(np.random.default_rng(1), tokens)
    (wanted,) = tracing.original(one, inputs)
    (found,) = open_session(path).run(None, inputs)
    assert found.shape == wanted.shape
    return float(np.abs(found - wanted).max() / wanted.std())


def scaled(query, key, value):
    return functional.scaled_dot_product_attention(query, key, value, scale=0.9)


@pytest.mark.parametrize("attend", [functional.scaled_dot_product_attention, scaled])
def test_attention_and_gelu_are_one_operator_each(tmp_path, attend):
    path, one = tmp_path / "block.onnx", part(attend)
    tracing.to_onnx(one, path)
    counted = operators(path)
    assert (counted["MultiHeadAttention"], counted["Gelu"]) == (1, 1)
    assert counted["Softmax"] == counted["Erf"] == counted["MatMul"] == 0
    assert difference(one, path) < 1e-5
    assert difference(one, path, tokens=11) < 1e-5


def test_what_onnxruntime_has_no_better_operator_for_stays_right(tmp_path):
    def causal(query, key, value):
        return functional.scaled_dot_product_attention(query, query, query, is_causal=True)

    def masked(query, key, value):
        mask = torch.ones(query.shape[2], key.shape[2]).cumsum(1) != 2
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)

    for attend in (causal, masked):
        path, one = tmp_path / f"{attend.__name__}.onnx", part(attend, "tanh")
        tracing.to_onnx(one, path)
        assert operators(path)["MultiHeadAttention"] == 0
        assert difference(one, path) < 1e-5


def test_other_readers_than_onnxruntime_get_the_standard_alone(tmp_path):
    path, one = tmp_path / "block.onnx", part()
    tracing.to_onnx(one, path, fused=False)
    assert [one.domain for one in onnx.load(path).opset_import] == [""]
    assert difference(one, path) < 1e-5


def test_half_precision_and_the_same_bytes(tmp_path):
    one = part()
    for name in ("first", "second"):
        tracing.to_onnx(one, tmp_path / name, torch.float16)
    assert operators(tmp_path / "first")["MultiHeadAttention"] == 1
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    assert difference(one, tmp_path / "first") < 2e-2


def test_attention_holds_no_matrix_of_all_scores(tmp_path):
    """4096 tokens by 4096 in 4 heads would be 268 MB."""
    path, one = tmp_path / "block.onnx", part()
    tracing.to_onnx(one, path)
    session = open_session(path, threads=1)
    inputs = {
        name: np.random.default_rng(0).standard_normal((1, 4096, HEADS * EACH), np.float32)
        for name in ("values", "others")
    }
    before = peak()
    (found,) = session.run(None, inputs)
    assert math.isfinite(float(found.std()))
    assert peak() - before < 100e6


def peak() -> float:
    """The most bytes that this process has held, where the system tells."""
    try:
        lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    except OSError:
        pytest.skip("the system does not tell")
    (line,) = [line for line in lines if line.startswith("VmHWM")]
    return float(line.split()[1]) * 1024
