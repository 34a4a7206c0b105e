"""Families of models share parts: each is traced once. (The same part gives the same bytes.)"""

import contextlib
import hashlib
from collections.abc import Iterator

import pytest
import torch

from imgedit_exporters import tracing

_TRACED: dict[tuple, bytes] = {}


def _key(part, dtype) -> tuple:
    digest = hashlib.sha256()
    for name, tensor in part.module.state_dict().items():
        digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    shapes = [array.shape for array in part.example.values()]
    return part.name, dtype, str(part.module), str(shapes), digest.hexdigest()


@contextlib.contextmanager
def traced_once() -> Iterator[None]:
    original = tracing.to_onnx

    def traced(part, path, dtype=torch.float32, **other):
        key = _key(part, dtype)
        if key not in _TRACED:
            original(part, path, dtype, **other)
            _TRACED[key] = path.read_bytes()  # tiny ones lie in one file
        path.write_bytes(_TRACED[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracing, "to_onnx", traced)
        yield
