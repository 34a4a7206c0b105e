"""Triton's model repository: what its rules say of names, sizes and batches."""

import importlib.util
import re
from pathlib import Path

import pytest

from imgedit_exporters import triton
from imgedit_exporters.runtime.bundles import BundlePart, Compared, Port

BATCHED = [
    Port("pixels", "float", ("pictures", 3, 224, 224)), Port("flag", "bool", ("pictures",)),
    Port("tokens", "float16", ("pictures", 257, 1024)),
]  # fmt: skip


def part(*ports: Port, name: str = "tower", file: str = "tower.onnx") -> BundlePart:
    return BundlePart(
        name, "other", "fp32", file, tuple(ports[:-1]), ports[-1:], Compared(2, 0.0, 0.0, 1.0, 1.0)
    )


def test_a_batch_is_no_size_of_a_tensor():
    text = triton.configuration("mgie_tower", part(*BATCHED))
    assert 'name: "mgie_tower"' in text
    assert "max_batch_size: 16" in text
    assert "dynamic_batching { }" in text
    assert 'name: "pixels" data_type: TYPE_FP32 dims: [ 3, 224, 224 ]' in text
    assert 'name: "flag" data_type: TYPE_BOOL dims: [ 1 ] reshape { }' in text
    assert 'output { name: "tokens" data_type: TYPE_FP16 dims: [ 257, 1024 ] }' in text


@pytest.mark.parametrize(
    "ports",
    [
        # MGIE's UNet: the time belongs to all.
        [Port("latents", "float", ("batch", 8, "h", "w")), Port("time", "float", (1,)),
         Port("predicted", "float", ("batch", 4, "h", "w"))],
        # A text: its positions hang on each other.
        [Port("ids", "int64", ("length", 3)), Port("embeds", "float", ("length", 3))],
        [Port("ids", "int64", (1, "length")), Port("embeds", "float", (1, "length", 64))],
    ],
)  # fmt: skip
def test_without_a_batch_every_size_stands_there(ports):
    text = triton.configuration("x", part(*ports))
    assert "max_batch_size: 0" in text
    assert "dynamic_batching" not in text
    for port in ports:
        sizes = [size if isinstance(size, int) else -1 for size in port.shape]
        assert f'name: "{port.name}"' in text
        assert f"dims: [ {', '.join(map(str, sizes))} ]" in text


def test_the_repository_s_folders(tmp_path):
    (tmp_path / "tower.onnx").write_bytes(b"graph")
    (tmp_path / "tower.onnx.data").write_bytes(b"weights")
    triton.write_repository(tmp_path, "MGIE v1.5", [part(*BATCHED)])
    name = "mgie_v1_5_tower"
    files = {p.relative_to(tmp_path).as_posix() for p in (tmp_path / "triton").rglob("*.*")}
    assert files == {
        f"triton/{name}/config.pbtxt", f"triton/{name}/1/model.onnx",
        f"triton/{name}/1/tower.onnx.data",
    }  # fmt: skip
    version = tmp_path / "triton" / name / "1"
    assert (version / "tower.onnx.data").read_bytes() == b"weights"
    assert f'name: "{name}"' in (version.parent / "config.pbtxt").read_text()
    assert re.fullmatch(r"[1-9][0-9]*", version.name), "Triton takes numbers from 1 on"


def test_triton_s_own_schema_takes_it():
    """`pip install --no-deps tritonclient` brings it; its pins are not those of the rest."""
    spec = importlib.util.find_spec("tritonclient")
    if spec is None:
        pytest.skip("tritonclient is not installed")
    from google.protobuf import text_format

    (folder,) = spec.submodule_search_locations
    path = Path(folder) / "grpc/model_config_pb2.py"
    made = importlib.util.spec_from_file_location("triton_model_config", path)
    module = importlib.util.module_from_spec(made)
    made.loader.exec_module(module)
    config = text_format.Parse(
        triton.configuration("mgie_tower", part(*BATCHED)), module.ModelConfig()
    )
    assert (config.name, config.backend, config.max_batch_size) == (
        "mgie_tower", "onnxruntime", 16
    )  # fmt: skip
    assert [list(one.dims) for one in config.input] == [[3, 224, 224], [1]]
    assert config.input[1].HasField("reshape")
    assert config.output[0].data_type == module.TYPE_FP16
    assert config.HasField("dynamic_batching")
    assert config.version_policy.latest.num_versions == 1
