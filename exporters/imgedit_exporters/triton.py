"""A bundle's parts as a model repository of NVIDIA's Triton Inference Server."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from imgedit_exporters.runtime.bundles import BundlePart, Port

FOLDER = "triton"
MOST = 16
"""Requests that Triton may join, where the first axis is a batch."""

_BATCH = ("batch", "batch_size", "pictures")
"""What parts call an axis along which nothing depends on its neighbours."""

_TYPES = {
    "float": "TYPE_FP32",
    "float16": "TYPE_FP16",
    "double": "TYPE_FP64",
    "int64": "TYPE_INT64",
    "int32": "TYPE_INT32",
    "bool": "TYPE_BOOL",
}


def write_repository(bundle: Path, model: str, parts: Iterable[BundlePart]) -> None:
    """Write the repository into the folder `triton` of a bundle.

    The models are the bundle's own files under a second name, or copies where the disk has no such
    names.

    Args:
        bundle: its folder, with the parts in it.
        model: its name, which the names of the parts get in front.
        parts: of the bundle.
    """
    for part in parts:
        name = model_name(model, part.name)
        version = bundle / FOLDER / name / "1"
        version.mkdir(parents=True)
        _link(bundle / part.file, version / "model.onnx")
        # The graph names the file of its weights, so that keeps its name.
        weights = bundle / f"{part.file}.data"
        if weights.is_file():
            _link(weights, version / weights.name)
        (version.parent / "config.pbtxt").write_text(configuration(name, part), "utf-8")


def model_name(model: str, part: str) -> str:
    """What Triton calls a part."""
    return f"{re.sub(r'[^a-z0-9]+', '_', model.lower()).strip('_')}_{part}"


def configuration(name: str, part: BundlePart) -> str:
    """``config.pbtxt`` of a part: its inputs and outputs, and whether requests may be joined."""
    batched = _is_batched(part)
    lines = [
        f"name: {_text(name)}",
        'backend: "onnxruntime"',
        'default_model_filename: "model.onnx"',
        f"max_batch_size: {MOST if batched else 0}",
        *_ports("input", part.inputs, batched=batched),
        *_ports("output", part.outputs, batched=batched),
        "version_policy { latest { num_versions: 1 } }",
        *(["dynamic_batching { }"] if batched else []),
    ]
    return "\n".join(lines) + "\n"


def _is_batched(part: BundlePart) -> bool:
    """Whether all that goes in and comes out has the same batch as its first axis."""
    first = {port.shape[0] if port.shape else 1 for port in (*part.inputs, *part.outputs)}
    return len(first) == 1 and first <= set(_BATCH)


def _ports(kind: str, ports: Iterable[Port], *, batched: bool) -> list[str]:
    lines = []
    for port in ports:
        sizes = [size if isinstance(size, int) else -1 for size in port.shape]
        sizes = sizes[1:] if batched else sizes
        # Triton wants a size; one that the model has not is taken away again.
        dims = f"dims: [ {', '.join(map(str, sizes))} ]" if sizes else "dims: [ 1 ] reshape { }"
        lines.append(f"{kind} {{ name: {_text(port.name)} data_type: {_TYPES[port.type]} {dims} }}")
    return lines


def _text(text: str) -> str:
    return json.dumps(text)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
