"""The editors' worker in an environment without PyTorch: it edits with bundles of all families."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import mgie_exported
import minigpt4_exported
import numpy as np
import pytest
import reason_exported
import tiny_mgie

from imgedit_bridges import starting
from imgedit_bridges.client import Client
from imgedit_bridges.locations import find_places, lock_holder
from imgedit_bridges.protocol import JobRequest
from imgedit_plugins.jobs import Job
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plugins import PluginManager
from imgedit_plugins.requests import ApplyRequest, PredictRequest

pytestmark = [
    pytest.mark.torch,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ impl"),
]

ROOT = Path(__file__).parents[2]
LARGEST_MIB = 400
ABSENT = ("torch", "transformers", "diffusers", "accelerate", "onnx", "scipy", "pip")
OPTIONS = {"steps": 2, "resolution": 64, "candidates": 1, "exact": "off", "device": "cpu"}


@pytest.fixture(scope="module")
def environment() -> Iterator[Path]:
    """What docs/export.md says to an artist who is short of room."""
    with tempfile.TemporaryDirectory(prefix="imgedit-runtime-") as made:
        folder = Path(made) / "venv"
        quiet = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        pins = [f"--constraint={ROOT}/constraints/{name}.txt" for name in ("dev", "torch")]
        command = [sys.executable, "-m", "pip", "--python", folder, "install", "--no-compile",
                   "--disable-pip-version-check", "--quiet", *pins, f"{ROOT}[runtime]"]  # fmt: skip
        subprocess.run(command, check=True, env=quiet)
        yield folder


@pytest.fixture(scope="module")
def client(environment) -> Iterator[Client]:
    """An editor at the worker of that environment."""
    with tempfile.TemporaryDirectory(prefix="iw") as home:
        folders = {"RUNTIME_DIR": "run", "CONFIG_HOME": "config", "CACHE_HOME": "cache"}
        for name in folders.values():
            (Path(home) / name).mkdir(mode=0o700)
        environ = {n: v for n, v in os.environ.items() if not n.startswith(("XDG_", "PYTHON"))}
        environ |= {f"XDG_{name}": f"{home}/{folder}" for name, folder in folders.items()}
        places = find_places(environ)
        yield Client("test", python=str(environment / "bin" / "python"), environ=environ)
        if (pid := lock_holder(places)) is not None:
            starting.end_process(places, pid, hangs=True)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bundles")
    for name in "abc":
        (folder / name).mkdir()
    mgie_exported.exported(mgie_exported.model(folder / "a"), folder / "mgie")
    reason_exported.exported(reason_exported.model(folder / "b"), folder / "reason_edit")
    minigpt4_exported.exported(minigpt4_exported.model(folder / "c"), folder / "reverse_design")
    return {name: folder / name for name in ("mgie", "reason_edit", "reverse_design")}


def put(client: Client, picture: Picture):
    height, width, channels = picture.pixels.shape
    return client.put_picture(
        picture.pixels.tobytes(), width=width, height=height, channels=channels
    )


@pytest.mark.parametrize(("plugin", "model"), [("mgie", "auto"), ("reason_edit", "reason_pix2pix")])
def test_it_edits(client, bundles, plugin, model):
    picture = tiny_mgie.picture(48, 64)
    options = {**OPTIONS, "model": model, "weights": str(bundles[plugin])}
    inputs, told = {"picture": put(client, picture)}, []
    request = JobRequest(
        "apply_edit", inputs, plugin=plugin, instruction="make it red", options=options, seed=5
    )
    job, result = client.run(request, on_event=told.append)
    with client.open_picture(result.pictures[0].ref) as file:
        found = np.frombuffer(bytes(file.data[: picture.pixels.size]), np.uint8)
    client.forget(job)
    assert "painting" in {event.get("stage") for event in told}
    here = PluginManager.discover().call(
        "apply_edit",
        ApplyRequest(picture=picture, instruction="make it red", options=options, seed=5),
        Job(),
        plugin,
    )
    wanted = here.candidates[0].picture.pixels.astype(int)
    assert np.abs(found.reshape(wanted.shape) - wanted).max() <= 1
    assert np.abs(wanted - picture.pixels).max() > 5
    assert result.explanation == here.explanation


def test_it_recovers_an_edit(client, bundles):
    source = tiny_mgie.picture(60, 80)
    edited = Picture(np.clip(source.pixels.astype(int) + 30, 0, 255).astype(np.uint8))
    options = {"model": "minigpt4", "weights": str(bundles["reverse_design"]), "effort": "quick"}
    inputs = {"source": put(client, source), "edited": put(client, edited)}
    request = JobRequest("predict_operations", inputs, plugin="reverse_design", options=options)
    _, result = client.run(request)
    assert result.plan is not None
    assert [step["name"] for step in result.plan["operations"]] == ["bright"]
    assert result.plan["provenance"]["model"] == "minigpt4+search"
    here = PluginManager.discover().call(
        "predict_operations",
        PredictRequest(source=source, edited=edited, options=options),
        Job(),
        "reverse_design",
    )
    assert result.explanation == here.explanation


def test_there_is_no_pytorch(environment, client):
    code = "import importlib.util as u, sys; print([n for n in sys.argv[1:] if u.find_spec(n)])"
    command = [environment / "bin" / "python", "-c", code, *ABSENT]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    maps = Path(f"/proc/{client.worker}/maps")
    if maps.exists():
        assert "torch" not in maps.read_text()


def test_it_is_small_after_all_that_too(environment):
    """As `du` counts, with the bytecode of what was imported."""
    size = sum(path.lstat().st_blocks * 512 for path in environment.rglob("*")) / 2**20
    assert size < LARGEST_MIB, f"{size:.0f} MiB"
