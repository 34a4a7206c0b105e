"""A third-party plugin for tests of the menu: options of all types, and results of all kinds."""

MANIFEST = """
schema = "imgedit-plugin/1"
name = "gal_lery"
title = "Gallery"
summary = "Makes what the tests of the editors ask for."
hooks = ["apply_edit", "predict_operations"]

[[accepts]]
hook = "apply_edit"
inputs = ["picture"]

[[accepts]]
hook = "predict_operations"
inputs = ["source", "instruction"]

[[actions]]
id = "hang"
label = "Hang_pictures…"
hook = "apply_edit"
inputs = ["picture"]
help = "Makes pictures or a plan."

[[actions]]
id = "say"
label = "Say what to do…"
hook = "predict_operations"
inputs = ["picture", "instruction"]
help = "Plans an edit from words."

[[options]]
hook = "apply_edit"
name = "make"
type = "choice"
choices = ["pictures", "plan", "smaller", "colours"]
default = "pictures"
help = "What to make."

[[options]]
hook = "apply_edit"
name = "seed"
type = "boolean"
default = true
help = "Has the name of one of the bridge's own arguments."

[[options]]
hook = "apply_edit"
name = "many"
type = "integer"
help = "Has neither a range nor a default."

[[options]]
hook = "apply_edit"
name = "share"
type = "number"
minimum = 0.25
maximum = 2
default = 1
unit = "px"
help = "A number."

[[options]]
hook = "apply_edit"
name = "words"
type = "string"
default = "none"
help = "A text."

[[options]]
hook = "apply_edit"
name = "file"
type = "path"
default = ""
help = "A file."

[[options]]
hook = "apply_edit"
name = "out-folder"
type = "path"
default = ""
help = "A folder."
"""

CODE = """
import json

import numpy as np

from imgedit_plugins import hookimpl
from imgedit_plugins.plan import EditPlan, step
from imgedit_plugins.requests import Candidate, EditResult

PLAN = EditPlan(operations=(step("bright", offset=30.0), step("invert")), explanation="Turned.")


@hookimpl
def apply_edit(request, job):
    make = request.options["make"]
    if make == "plan":
        return EditResult(plan=PLAN, explanation="A plan.", warnings=("mind the gap",))
    pixels = request.picture.pixels
    if make == "smaller":
        made = Candidate(picture=request.picture.with_pixels(pixels[5:-7, 3:-9].copy()),
                         offset=(3, 5))
        return EditResult(candidates=(made,))
    if make == "colours":
        grey = request.picture.color[:, :, :1]
        pixels = np.concatenate([grey, grey // 2, grey], axis=2)
    made = tuple(Candidate(picture=request.picture.with_pixels(pixels // (n + 2)), seed=n)
                 for n in range(3))
    told = json.dumps({**request.options, "the seed": request.seed}, sort_keys=True)
    return EditResult(candidates=made, plan=PLAN, explanation=told)


@hookimpl
def predict_operations(request, job):
    if request.instruction == "no":
        return EditPlan(abstained=True)
    return PLAN
"""


def install(root, venv):
    """Put it into a virtual environment of the root, as pip would; returns what removes it."""
    return install_plugin(root, venv, "gallery", "gal_lery", MANIFEST, CODE)


def install_plugin(root, venv, distribution, name, manifest, code):
    """Put a plugin of one module into a virtual environment; returns what removes it."""
    purelib = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = root.outside(root.call([f"{venv}/bin/python", "-c", purelib]).strip())
    package, info = site / f"{distribution}_plugin", site / f"{distribution}-1.0.dist-info"
    files = {
        package / "__init__.py": code,
        package / "imgedit_plugin.toml": manifest,
        info / "METADATA": f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n",
        info / "entry_points.txt": f"[imgedit_plugins]\n{name} = {distribution}_plugin\n",
    }
    # All of it, or pip leaves the folder behind, and nobody can install it again in this session.
    own = [f"{info.name}/{name}" for name in ("INSTALLER", "RECORD")]
    listed = [*(str(path.relative_to(site)) for path in files), *own]
    for folder in (package, info):
        folder.mkdir()
    for path, text in files.items():
        path.write_text(text, "utf-8")
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in listed), "utf-8")
    (info / "INSTALLER").write_text("pip\n", "utf-8")
    return lambda: root.call([f"{venv}/bin/pip", "uninstall", "-y", distribution])
