"""What runs inside the editors: standard library only, on the Pythons that they have."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from worker_home import ROOT

FOLDER = ROOT / "bridges" / "imgedit_bridges"
EDITOR_SIDE = {
    "__init__",
    "errors",
    "strict_json",
    "protocol",
    "results",
    "locations",
    "pixels",
    "steps",
    "transport",
    "starting",
    "client",
    "edits",
    "plan_files",
}
COMMAND_LINE = {"commands", "plugin_folder"}
OLDEST = (3, 10)

ROUND_TRIP = """
import sys
sys.path[:0] = [sys.argv[1]]
from imgedit_bridges.client import Client
from imgedit_bridges.protocol import JobRequest
client = Client("other", python=sys.argv[2])
ref = client.put_picture(bytes(range(30)), 5, 2, 3)
plan = {"operations": [{"name": "invert", "parameters": {}}]}
job, result = client.run(JobRequest("render", {"picture": ref}, plan=plan))
with client.open_picture(result.pictures[0].ref) as file:
    assert file.data[:] == bytes(255 - value for value in range(30))
client.forget(job)
assert not set(sys.modules) & {"numpy", "pydantic", "click", "imgedit_plugins", "starlette"}
print("fine", *sys.version_info[:2])
"""


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), feature_version=OLDEST)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("name", sorted(EDITOR_SIDE))
def test_it_needs_the_standard_library_alone(name):
    for module in imported(FOLDER / f"{name}.py"):
        parts = module.split(".")
        if parts[0] == "imgedit_bridges":
            assert parts[1] in EDITOR_SIDE, module
        else:
            assert parts[0] in sys.stdlib_module_names, module


def test_every_module_is_on_one_side():
    assert {path.stem for path in FOLDER.glob("*.py")} == EDITOR_SIDE | COMMAND_LINE


def test_the_core_does_not_know_the_bridges():
    for path in (ROOT / "core").rglob("*.py"):
        assert "imgedit_bridges" not in path.read_text(encoding="utf-8"), path


def interpreter(minor: int) -> str | None:
    """A Python of that version that works: some names stand for one that is not installed."""
    places = [shutil.which(f"python3.{minor}")]
    places += sorted(map(str, Path.home().glob(f".pyenv/versions/3.{minor}*/bin/python3")))
    for place in filter(None, places):
        done = subprocess.run([place, "-c", ""], capture_output=True, check=False)
        if done.returncode == 0:
            return place
    return None


@pytest.mark.parametrize("minor", [10, 11, 12, 13, 14])
def test_a_round_trip_from_another_python(shared_home, minor):
    shared_home.started()
    python = interpreter(minor)
    if python is None:
        pytest.skip(f"there is no Python 3.{minor} here")
    done = subprocess.run(
        [python, "-I", "-S", "-W", "error", "-c", ROUND_TRIP, str(ROOT / "bridges"), "/nowhere"],
        env=shared_home.environ, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.stdout == f"fine 3 {minor}\n", done.stderr
