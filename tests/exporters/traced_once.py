"""Families of models share parts: each is traced once, by whichever process of the run is first.

(The same part gives the same bytes.)
"""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from imgedit_exporters import tracing

PLACE = "IMGEDIT_TESTS_TRACED"
"""Names the folder of what was traced; without it, as outside of these tests, nothing is kept."""


def _key(part, dtype, other) -> str:
    digest = hashlib.sha256()
    for name, tensor in part.module.state_dict().items():
        digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    shapes = [array.shape for array in part.example.values()]
    form = (part.name, str(dtype), str(part.module), str(shapes), str(sorted(other.items())))
    digest.update("\0".join(form).encode())
    return digest.hexdigest()


@contextlib.contextmanager
def traced_once() -> Iterator[None]:
    original, place = tracing.to_onnx, os.environ.get(PLACE)
    if place is None:
        yield
        return

    def traced(part, path, dtype=torch.float32, **other):
        kept = Path(place) / f"{_key(part, dtype, other)}.onnx"
        if kept.exists():
            shutil.copyfile(kept, path)
            return
        original(part, path, dtype, **other)
        partial = kept.with_name(f"{kept.name}-{os.getpid()}")
        shutil.copyfile(path, partial)  # tiny ones lie in one file
        partial.replace(kept)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracing, "to_onnx", traced)
        yield
