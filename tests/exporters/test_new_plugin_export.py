"""A plugin that `new` wrote, as a third party has it: exported, verified, and run without torch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from imgedit_exporters.runtime.sessions import Bundle
from imgedit_plugins.authoring import scaffold

pytestmark = pytest.mark.torch

WITHOUT_TORCH = (
    "import sys\nfor name in ('torch', 'onnx'): sys.modules[name] = None\n"
    "from imgedit_plugins.cli import main\nmain()\n"
)


@pytest.fixture
def call(tmp_path):
    """The command line beside the plugin, which pip has installed."""
    folder, site = scaffold.new("warm-look", tmp_path / "new"), tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
           "--no-build-isolation", "--disable-pip-version-check", "--target", site,
           folder]  # fmt: skip
    subprocess.run(list(map(str, pip)), check=True, capture_output=True)
    path = os.pathsep.join([str(site), *filter(None, sys.path)])

    def command(*arguments: object, code: str = "") -> str:
        start = ["-c", code] if code else ["-m", "imgedit_plugins.cli"]
        done = subprocess.run(
            [sys.executable, *start, *map(str, arguments)],
            capture_output=True, text=True, check=False,
            env=os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    return command


def test_a_new_plugin_is_exported_and_verified(call, tmp_path):
    bundle = tmp_path / "bundle"
    made = json.loads(call("export", "warm-look", "--to", "onnx", "-o", bundle, "--json"))
    (part,) = made["parts"]
    assert (part["name"], part["compared"]["golden"]) == ("balance", 500)
    assert made["certificate"]["passed"]
    found = json.loads(call("bundle", "verify", bundle, "--json", code=WITHOUT_TORCH))
    assert (found["passed"], found["faults"]) == (True, [])
    grey = np.full((40, 3, 3), 0.5, np.float32)
    (warmed,) = Bundle(Path(bundle), device="cpu").run("balance", [grey, np.ones(1, np.float32)])
    np.testing.assert_allclose(warmed[7, 1], [0.6, 0.5, 0.4], atol=1e-6)
