"""A third-party plugin that paints: part of what it does are operations, and it shows its steps."""

import gallery
import numpy as np

from imgedit_plugins.plan import parse_plan
from imgedit_plugins.render import render_plan

MANIFEST = """
schema = "imgedit-plugin/1"
name = "painter"
title = "Painter"
summary = "Paints what the tests of the editors ask for."
hooks = ["apply_edit"]

[[accepts]]
hook = "apply_edit"
inputs = ["picture", "instruction"]
optional = ["mask"]

[[actions]]
id = "paint"
label = "Paint by words…"
hook = "apply_edit"
inputs = ["picture", "selection", "instruction"]
help = "Paints as it is told."

[[options]]
hook = "apply_edit"
name = "steps"
type = "integer"
default = 2
minimum = 1
maximum = 1000
help = "More take longer."
"""

CODE = """
import time

import numpy as np

from imgedit_plugins import hookimpl
from imgedit_plugins.errors import WeightsError
from imgedit_plugins.requests import Candidate, EditResult


@hookimpl
def apply_edit(request, job):
    words = request.instruction
    if "weights" in words:
        raise WeightsError("The weights are missing (2 GB, CC-BY-NC-4.0).", hint="Run `get them`.")
    pixels = request.picture.pixels
    height, width = pixels.shape[:2]
    after = pixels.astype(int)
    if "brighter" in words:
        after[..., :3] += 40
    after = np.clip(after, 0, 255).astype(np.uint8)
    if "thing" in words:
        after[height // 4 : height // 2, width // 4 : width // 2, :3] = (200, 30, 30)
    if request.mask is not None:
        after = np.where(request.mask[:, :, None] > 0, after, pixels)
    steps = request.options["steps"]
    for step in range(steps):
        job.report("painting", step, steps)
        shown = np.full((height // 4, width // 4, 3), 90, np.uint8)
        shown[:, : shown.shape[1] * (step + 1) // steps] = after[::4, ::4, :3][
            : shown.shape[0], : shown.shape[1] * (step + 1) // steps
        ]
        job.preview(shown, (0, 0, width, height))
        time.sleep(0.05)
    made = Candidate(picture=request.picture.with_pixels(after))
    told = "It is as you said – naïvely."
    return EditResult(candidates=(made,), explanation=told, exact_first=True)
"""

BRIGHTER = {"operations": [{"name": "bright", "parameters": {"offset": 40.0}}]}


def install(root, venv):
    """Put it into a virtual environment of the root; returns what removes it."""
    return gallery.install_plugin(root, venv, "painter", "painter", MANIFEST, CODE)


def brighter(picture, mask=None):
    """What the operation makes of a picture."""
    return np.asarray(render_plan(picture, parse_plan(BRIGHTER), mask=mask).pixels)


def with_thing(pixels, mask=None):
    """The thing that is painted."""
    height, width = pixels.shape[:2]
    made = pixels.copy()
    made[height // 4 : height // 2, width // 4 : width // 2] = (200, 30, 30)
    return made if mask is None else np.where(mask[:, :, None] > 0, made, pixels)
