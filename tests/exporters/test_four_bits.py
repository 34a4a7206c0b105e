"""Matrices in 4 bits: beside onnxruntime's own quantiser, and as its kernel reads them."""

import tracemalloc

import numpy as np
import onnxruntime
import pytest

from imgedit_exporters import four_bits
from imgedit_exporters.four_bits import in_four_bits
from imgedit_exporters.quantising import Grain, quantise

onnx = pytest.importorskip("onnx")

BLOCKS = (16, 32, 64, 128, 256)


def by_onnxruntime(matrix, block):
    """Numbers and scales of its quantiser, which takes the number furthest from 0 by -8."""
    from onnxruntime.quantization import matmul_nbits_quantizer as tools

    config = tools.DefaultWeightOnlyQuantConfig(block_size=block, is_symmetric=True, bits=4)
    return tools.DefaultWeightOnlyQuantizer(config).qbits_block_quant(matrix)[:2]


def unpacked(packed):
    """(columns, blocks, block), from 0 to 15."""
    return np.stack([packed & 15, packed >> 4], -1).reshape(*packed.shape[:2], -1)


def meant(packed, scales, rows):
    """The matrix that numbers and scales stand for, in float64."""
    numbers = unpacked(packed).astype(int) - 8
    return (numbers * scales[..., None].astype(float)).reshape(len(scales), -1)[:, :rows].T


def errors(made, matrix, block):
    """The squared error of each block."""
    rows, columns = matrix.shape
    apart = np.zeros((-(-rows // block) * block, columns))
    apart[:rows] = np.square(meant(*made, rows) - matrix)
    return apart.reshape(-1, block, columns).sum(1)


def drawn(kind: str) -> np.ndarray:
    rng = np.random.default_rng(7)
    shape = (300, 70)  # no multiple of any block
    matrix = rng.standard_normal(shape, np.float32)
    if kind == "with outliers":
        matrix[rng.random(shape) < 0.01] *= 30
    elif kind == "peaked":
        matrix = rng.laplace(size=shape).astype(np.float32)
    elif kind == "even":
        matrix = rng.uniform(-0.3, 1, shape).astype(np.float32)
    elif kind == "mostly zero":
        matrix[rng.random(shape) < 0.9] = 0
        matrix[:64, :9] = 0
    elif kind == "tiny":
        matrix *= np.float32(1e-36)
        matrix[:, :9] = 1e-42  # what has no reciprocal
    return matrix


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize(
    "kind", ["normal", "with outliers", "peaked", "even", "mostly zero", "tiny"]
)
def test_no_block_is_further_from_its_weights_than_by_onnxruntime_s_quantiser(kind, block):
    matrix = drawn(kind)
    ours = errors(in_four_bits(matrix, block), matrix, block)
    theirs = errors(by_onnxruntime(matrix, block), matrix, block)
    assert np.isfinite(ours).all()
    room = 1e-6 * np.square(matrix.astype(float)).sum() / ours.size  # scales are float32
    assert (ours <= theirs + room).all()
    assert ours.sum() < theirs.sum()


@pytest.mark.parametrize(("block", "most", "theirs"), [(32, 0.0815, 0.085), (64, 0.0905, 0.094)])
def test_normal_weights_lose_less(block, most, theirs):
    matrix = np.random.default_rng(0).standard_normal((1024, 512), np.float32)
    size = np.square(matrix, dtype=float).sum()
    assert np.sqrt(errors(in_four_bits(matrix, block), matrix, block).sum() / size) < most
    found = errors(by_onnxruntime(matrix, block), matrix, block)
    assert np.sqrt(found.sum() / size) > theirs


@pytest.mark.parametrize("block", BLOCKS)
def test_what_4_bits_can_hold_is_packed_as_onnxruntime_packs_it(block):
    rng = np.random.default_rng(3)
    rows, columns = 256 + 2 * block + 3, 37
    numbers = rng.integers(-8, 8, (rows, columns))
    numbers[::block] = -8  # each block has one that says the scale
    scales = np.exp2(rng.integers(-6, 6, (-(-rows // block), columns))) * rng.choice([-1, 1])
    matrix = (numbers * np.repeat(scales, block, axis=0)[:rows]).astype(np.float32)
    packed, found = in_four_bits(matrix, block)
    wanted = by_onnxruntime(matrix, block)
    assert (packed.dtype, packed.shape) == (wanted[0].dtype, wanted[0].shape)
    ours, theirs = (unpacked(one).reshape(columns, -1) for one in (packed, wanted[0]))
    assert np.array_equal(ours[:, :rows], theirs[:, :rows])
    assert (ours[:, rows:] == 8).all(), "what fills the last block is 0; they leave it undefined"
    assert found.dtype == wanted[1].dtype
    assert np.array_equal(found, wanted[1])
    assert np.array_equal(meant(packed, found, rows), matrix)


@pytest.mark.parametrize("block", BLOCKS)
def test_onnxruntime_multiplies_by_what_is_meant(block, tmp_path):
    """A product with the unit matrix is the matrix, dequantised by the kernel."""
    matrix = drawn("normal")
    rows, columns = matrix.shape
    wanted = meant(*in_four_bits(matrix, block), rows)
    ports = [onnx.helper.make_tensor_value_info(name, 1, shape)
             for name, shape in (("x", [rows, rows]), ("y", [rows, columns]))]  # fmt: skip
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"], name="product")], "one",
        ports[:1], ports[1:], [onnx.numpy_helper.from_array(matrix, "w")],
    )  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)])
    model.ir_version = 10
    onnx.save(model, tmp_path / "whole.onnx")
    for level, allowed in ((1, 1e-6), (4, 0.02)):  # level 4 rounds the other factor to 8 bits
        path = tmp_path / f"{level}.onnx"
        assert quantise(tmp_path / "whole.onnx", path, Grain(4, block, level)) == 1
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        (found,) = session.run(None, {"x": np.eye(rows, dtype=np.float32)})
        assert np.abs(found - wanted).max() <= allowed * np.abs(wanted).max(), level


def test_pieces_do_not_show_in_the_bytes_and_little_memory_is_taken(monkeypatch):
    matrix = np.random.default_rng(1).standard_normal((2048, 1000), np.float32)
    tracemalloc.start()
    whole = in_four_bits(matrix, 32)
    taken = tracemalloc.get_traced_memory()[1] - sum(one.nbytes for one in whole)
    tracemalloc.stop()
    assert taken < matrix.nbytes / 2
    monkeypatch.setattr(four_bits, "_AT_ONCE", 5000)
    for one, other in zip(whole, in_four_bits(matrix, 32), strict=True):
        assert one.tobytes() == other.tobytes()
