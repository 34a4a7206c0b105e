"""The command line in processes of its own, and the editors' worker over its real socket."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.torch

import forked_commands  # noqa: E402
import tiny_mgie  # noqa: E402

from imgedit_bridges import starting  # noqa: E402
from imgedit_bridges.client import Client  # noqa: E402
from imgedit_bridges.locations import find_places, lock_holder  # noqa: E402
from imgedit_bridges.protocol import JobRequest  # noqa: E402
from imgedit_plugins.picture_files import open_picture, save_picture  # noqa: E402

ROOT = Path(__file__).parents[3]
SOURCES = ("bridges", "core", "modelkit", "plugins/mgie")
SMALL = ("steps=2", "resolution=64", "max-tokens=16", "precision=fp32")


def environment(weights: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(ROOT / source) for source in SOURCES),
        "IMGEDIT_PLUGINS": "mgie",
        "IMGEDIT_WEIGHTS": str(weights),
    }


def program(weights: Path, *arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run `imgedit-plugins`."""
    done = subprocess.run(
        [sys.executable, "-m", "imgedit_plugins.cli", *map(str, arguments)],
        env=environment(weights),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture
def photo(tmp_path) -> Path:
    path = tmp_path / "photo.png"
    save_picture(tiny_mgie.picture(), path)
    return path


def test_import_and_apply_from_the_command_line(files, photo, tmp_path, own_weights):
    """As in the issue: three parts, the other two fetched before."""
    for part, name in (("clip", "clip-vit-large-patch14"), ("diffusion", "instruct-pix2pix")):
        shutil.copytree(files[part], own_weights / "mgie" / name)
    parts = [a for name in ("llava", "mllm", "unet") for a in (f"--{name}", files[name])]
    told = forked_commands.run(["weights", "import", "mgie", *parts], environment(own_weights))
    assert told.returncode == 0, told.stderr
    assert f"mgie/mgie is in {own_weights / 'mgie' / 'mgie'}" in told.stdout
    assert "CC-BY-NC-4.0" in told.stderr
    options = [a for one in SMALL for a in ("--option", one)]
    asked = ("--plugin", "mgie", "--instruction", "make it red", "--seed", "3")
    program(own_weights, "apply", photo, *asked, *options, "-o", tmp_path / "red.png")
    result = open_picture(tmp_path / "red.png").pixels
    assert result.shape == open_picture(photo).pixels.shape
    assert result.std() > 5
    assert not np.array_equal(result, open_picture(photo).pixels)


def test_without_weights_the_command_line_says_what_to_do(photo, tmp_path):
    asked = ("--plugin", "mgie", "--instruction", "make it red", "-o", tmp_path / "red.png")
    told = program(tmp_path / "none", "apply", photo, *asked, code=1).stderr
    assert "14 GB" in told
    assert "CC-BY-NC-4.0" in told
    assert "weights import mgie" in told
    assert not (tmp_path / "red.png").exists()
    listed = json.loads(program(tmp_path / "none", "weights", "list", "--json").stdout)
    assert {one["name"]: one["state"] for one in listed}["mgie/mgie"] == "not here"


def test_describing_and_listing_import_no_torch(tmp_path):
    code = (
        "import sys; from imgedit_plugins.cli import main; sys.argv[1:] = ['describe', 'mgie'];\n"
        "try: main()\nexcept SystemExit: pass\n"
        "assert 'torch' not in sys.modules and 'imgedit_mgie' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(tmp_path), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "edit-by-instruction" in done.stdout or "Edit by instruction" in done.stdout


@pytest.fixture
def client(tmp_path) -> Iterator[Client]:
    """An editor at a worker of its own; a Unix socket's path must be short."""
    folder = Path(tempfile.mkdtemp(prefix="im"))
    for name in ("run", "config", "cache"):
        (folder / name).mkdir(mode=0o700)
    environ = {
        **environment(tmp_path / "weights"),
        "XDG_RUNTIME_DIR": str(folder / "run"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    python = folder / "python"
    path = environ["PYTHONPATH"]
    python.write_text(f"#!/bin/sh\nPYTHONPATH='{path}' exec '{sys.executable}' \"$@\"\n")
    python.chmod(0o755)
    places = find_places(environ)
    made = Client("test", python=str(python), environ=environ)
    made.connect()
    yield made
    for _ in range(10):  # one that lost a race may take the place of the one that is ended
        if (pid := lock_holder(places)) is None:
            break
        starting.end_process(places, pid, hangs=True)
        time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)  # made by mkdtemp above


def test_editors_reach_it_through_the_worker(client, model_folder):
    (action,) = [a for a in client.actions() if a["plugin"] == "mgie"]
    assert action["id"] == "edit-by-instruction"
    assert action["inputs"] == ["picture", "selection", "instruction"]
    shown = [o["name"] for o in action["options"] if not o.get("expert")]
    assert {"candidates", "expressive", "guidance", "image-guidance", "steps"} <= set(shown)
    pixels = tiny_mgie.picture().pixels
    height, width, channels = pixels.shape
    picture = client.put_picture(pixels.data, width, height, channels, "uint8", b"")
    options = {"weights": str(model_folder), "steps": 2, "resolution": 64, "max-tokens": 16}
    request = JobRequest(
        "apply_edit", {"picture": picture}, plugin="mgie", instruction="make it red",
        options={**options, "candidates": 2}, seed=4,
    )  # fmt: skip
    _, result = client.run(request)
    assert result.explanation
    assert len(result.pictures) == 2
    ref = result.pictures[0].ref
    with client.open_picture(ref) as file:
        edited = np.frombuffer(file.data, "uint8", height * width * 3).copy()
    assert edited.std() > 5
    assert not np.array_equal(edited, pixels.ravel())
