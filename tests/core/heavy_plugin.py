"""A plugin with weights, for the tests of weights."""

from __future__ import annotations

MANIFEST = """
schema = "imgedit-plugin/1"
name = "heavy"
title = "Heavy"
summary = "Has weights."
hooks = ["import_weights"]

[[accepts]]
hook = "import_weights"
inputs = ["weights"]

[[options]]
hook = "import_weights"
name = "half"
type = "boolean"
default = false
help = "Half of it."

[[weights]]
id = "big"
title = "A big model"
licence = "Apache-2.0"
source = "https://huggingface.co/somebody/model"
[[weights.files]]
path = "model.safetensors"
{pinned}
[[weights.files]]
path = "sub/config.json"

[[weights]]
id = "own"
title = "What you have"
licence = "Somebody's licence"
source = "https://example.org/own"
[[weights.parts]]
name = "eyes"
help = "The eyes."
licence = "MIT"
source = "https://example.org/eyes"
[[weights.parts]]
name = "big-brain"
kind = "folder"
help = "The brain."
licence = "BSD-3-Clause"
source = "https://example.org/brain"
optional = true
"""

CODE = """
from imgedit_plugins import hookimpl
from imgedit_plugins.atomic import write_bytes_atomic
from imgedit_plugins.requests import WeightsReport


@hookimpl
def import_weights(request, job):
    request.out.mkdir(parents=True, exist_ok=True)
    content = request.files["eyes"].read_bytes()
    written = request.out / "eyes.safetensors"
    kept = len(content) // 2 if request.options["half"] else len(content)
    write_bytes_atomic(written, content[:kept])
    return WeightsReport(files=(written,), missing_keys=("ear",), unexpected_keys=("tail",))
"""
