"""Bundles with planted faults, whose hashes agree; and the command line without PyTorch."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from imgedit_exporters.runtime import bundles
from imgedit_plugins.jobs import Job

WITHOUT_TORCH = (
    "import sys\n"
    "for name in ('torch', 'transformers', 'diffusers', 'accelerate', 'onnx'):\n"
    "    sys.modules[name] = None\n"
    "from imgedit_plugins.cli import main\n"
    "sys.argv[0] = 'imgedit-plugins'\n"
    "main()\n"
)


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command line in a process that has no PyTorch."""
    command = [sys.executable, "-c", WITHOUT_TORCH, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def changed(bundle: Path, folder: Path, part: str, change) -> Path:
    """A copy of the bundle in which one part is another, with hashes that agree."""
    shutil.copytree(bundle, folder)
    model = onnx.load(folder / f"{part}.onnx")
    change(model)
    onnx.save(model, folder / f"{part}.onnx")
    return agreeing(folder)


def agreeing(folder: Path, **settings) -> Path:
    """The bundle with other settings, and hashes that agree with its files."""
    path = folder / bundles.FILE
    document = json.loads(path.read_text())
    document["settings"] |= settings
    path.write_text(json.dumps(document))
    found = bundles.files_of(folder, Job())
    document["files"] = {n: {"sha256": f.sha256, "size": f.size} for n, f in found.items()}
    path.write_text(json.dumps(document))
    return folder


def zero(model) -> None:
    """A part whose matrices are zero."""
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype == np.float32 and array.ndim > 1:
            tensor.CopyFrom(numpy_helper.from_array(np.zeros_like(array), tensor.name))
