"""A plugin for the tests of the command line, and ways to run the program."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from click.testing import CliRunner
from plugin_factory import Site

from imgedit_plugins.cli import cli
from imgedit_plugins.picture_files import open_picture, save_picture
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-c", "from imgedit_plugins.cli import main; main()"]

MANIFEST = """
schema = "imgedit-plugin/1"
name = "tested"
title = "Tested plugin"
summary = "Answers the tests of the command line."
hooks = ["predict_operations", "apply_edit", "evaluate", "make_data"]

[[accepts]]
hook = "predict_operations"
inputs = ["source"]
optional = ["edited", "instruction"]
rank = 7

[[accepts]]
hook = "apply_edit"
inputs = ["picture"]
optional = ["instruction", "plan", "mask"]

[[accepts]]
hook = "evaluate"
inputs = ["data"]

[[accepts]]
hook = "make_data"
inputs = ["recipe"]

[[actions]]
id = "invert"
label = "Invert…"
hook = "apply_edit"
inputs = ["picture", "instruction"]

[[options]]
hook = "predict_operations"
name = "effort"
type = "choice"
choices = ["quick", "thorough"]
default = "quick"
help = "How long to search."

[[options]]
hook = "apply_edit"
name = "amount"
type = "integer"
minimum = 1
maximum = 8
default = 2
unit = "px"
help = "How much."

[[data]]
name = "make-pairs"
title = "Pairs"
help = "Makes pairs."

[[data.options]]
name = "images"
type = "path"
help = "Folder of pictures."

[[data.options]]
name = "count"
type = "integer"
minimum = 1
default = 3
help = "How many."

[[data.options]]
name = "fine-grained"
type = "boolean"
default = false
help = "Smaller steps."
"""

CODE = """
import time

from imgedit_plugins import hookimpl
from imgedit_plugins.errors import PictureError
from imgedit_plugins.plan import EditPlan, Provenance, Residual, step
from imgedit_plugins.requests import Candidate, Case, DataReport, EditResult, EvaluateReport, Table


@hookimpl
def predict_operations(request, job):
    words = request.instruction or ""
    if words == "abstain":
        return EditPlan(abstained=True, explanation="no plan explains <this> edit")
    if words == "crash":
        raise RuntimeError("a bug of the plugin")
    if words == "slow":
        for number in range(600):
            job.report("searching", number, 600)
            time.sleep(0.05)
    if words == "warn":
        job.warn("The picture is small.")
    job.report("searching", 1, 2)
    return EditPlan(
        operations=(step("bright", 0.98, offset=50), step("rotate", degrees=90)),
        residual=Residual(psnr_db=43.14, explained=0.99996),
        explanation=f"brightened with {request.options['effort']} effort and seed {request.seed}",
        provenance=Provenance(plugin="tested", model="none", version="1.0"),
    )


@hookimpl
def apply_edit(request, job):
    if request.instruction == "refuse":
        raise PictureError("This picture is refused.")
    if request.instruction == "slow" and request.picture.width == 9:
        for number in range(600):
            job.report("painting", number, 600)
            time.sleep(0.05)
    if request.instruction == "plan":
        plan = EditPlan(operations=(step("invert"),), explanation="Turned into a negative.")
        return EditResult(plan=plan, explanation=plan.explanation)
    if request.instruction == "abstain":
        return EditResult(plan=EditPlan(abstained=True))
    pixels = request.picture.pixels.copy()
    pixels[:] = request.options["amount"]
    picture = request.picture.with_pixels(pixels)
    if request.instruction == "several":
        made = [picture.with_pixels(pixels + number) for number in range(3)]
        return EditResult(
            candidates=tuple(Candidate(picture=one) for one in made),
            plan=EditPlan(operations=(step("bright", offset=5),)),
            explanation="The sky is darker.",
        )
    if request.instruction == "patch":
        picture = picture.with_pixels(pixels[:2, :3].copy())
        return EditResult(candidates=(Candidate(picture=picture, offset=(1, 2)),))
    return EditResult(candidates=(Candidate(picture=picture),), warnings=("Mind the gap.",))


@hookimpl
def evaluate(request, job):
    if str(request.data) == "unasked":
        raise RuntimeError("the work must not begin")
    table = Table(title="Scores", columns=("metric", "value"), rows=(("F1", 0.98765), ("n", None)))
    if request.baseline:
        told = "published elsewhere by others"
        table = Table(title="Scores", columns=("metric", f"value, {told}"), rows=(("F1", 0.5),))
    cases = tuple(Case(title=f"case {number}") for number in range(request.worst))
    return EvaluateReport(tables=(table,), details={"data": str(request.data)}, cases=cases)


@hookimpl
def make_data(request, job):
    if request.options["images"] == "none":
        return DataReport(folder=request.out, rows=0, details={"hours": 2.5, "pairs": 7})
    request.out.mkdir(parents=True)
    (request.out / "options.txt").write_text(repr(sorted(request.options.items())))
    return DataReport(folder=request.out, rows=request.options["count"], resumed=1)
"""


def environment(site: Path) -> dict[str, str]:
    """For a subprocess that finds the code under test and the plugins of `site`."""
    path = [site, ROOT / "core", ROOT / "plugins" / "reverse_design"]
    return {
        **{k: v for k, v in os.environ.items() if not k.startswith("IMGEDIT_")},
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "IMGEDIT_PLUGINS": "tested,broken",
    }


def run_program(
    site: Path, *arguments: object, python: str = "", **kwargs: object
) -> subprocess.CompletedProcess[str]:
    """Run `imgedit-plugins` (or other Python code) in a process of its own."""
    command = [sys.executable, "-c", python] if python else PROGRAM
    env = {**environment(site), **kwargs.pop("env", {})}
    return subprocess.run(
        [*command, *map(str, arguments)],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **kwargs,
    )


def write_picture(path: Path, width: int = 8, height: int = 6, *, seed: int = 0) -> Path:
    """A small RGB picture of random pixels."""
    pixels = np.random.default_rng(seed).integers(0, 200, (height, width, 3), dtype=np.uint8)
    save_picture(Picture(pixels), path)
    return path


# --- in this process --------------------------------------------------------------------------


def install_tested(folder, monkeypatch):
    """A site in a folder, with the plugin, and the working folder there."""
    site = folder / "site"
    site.mkdir()
    monkeypatch.setenv("IMGEDIT_PLUGINS", "tested,broken")
    monkeypatch.chdir(folder)
    made = Site(site, monkeypatch)
    made.install("tested", code=CODE, manifest=MANIFEST)
    return made


def write_plan(path, *steps, **fields):
    path.write_text(EditPlan(operations=steps, **fields).to_json())
    return path


def run(*arguments, code=0, stdin=None):
    result = CliRunner().invoke(cli, [str(a) for a in arguments], input=stdin)
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    return result


def pixels(path):
    return open_picture(path).pixels.astype(int)
