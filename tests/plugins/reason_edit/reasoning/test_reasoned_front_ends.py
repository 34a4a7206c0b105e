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
from typing import Any

import numpy as np
import pytest
from reasoned_answers import SKY, WARM, Model, plan, revised, serving

from imgedit_bridges import starting
from imgedit_bridges.client import Client
from imgedit_bridges.locations import find_places, lock_holder
from imgedit_bridges.protocol import JobRequest
from imgedit_modelkit.language.testing import Said
from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.picture_files import open_picture, save_picture
from imgedit_plugins.plan import parse_plan, read_plan

ROOT = Path(__file__).parents[4]
SOURCES = ("bridges", "core", "modelkit", "plugins/reason_edit")
WORDS = ("--instruction", "make it a warm evening")
NO_TORCH = "import sys; sys.modules['torch'] = None; from imgedit_plugins.cli import main; main()"


def environment() -> dict[str, str]:
    path = os.pathsep.join(str(ROOT / source) for source in SOURCES)
    return {**os.environ, "PYTHONPATH": path, "IMGEDIT_PLUGINS": "reason_edit"}


def program(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run `imgedit-plugins` where there is no PyTorch."""
    done = subprocess.run(
        [sys.executable, "-c", NO_TORCH, *map(str, arguments)],
        env=environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    save_picture(photograph(160, 120), path)
    return path


def test_predict_edit_the_document_apply(photo: Path, tmp_path: Path) -> None:
    """As in docs/reason_edit.md; a server is all that it needs."""
    look = tmp_path / "look"
    model = Model([plan(WARM, SKY)], criticisms=[revised(WARM, SKY)])
    with serving(model) as address:
        told = program("predict", photo, *WORDS, "-O", f"endpoint={address}", "-O",
                       f"save-folder={look}", "-o", tmp_path / "plan.json")  # fmt: skip
    assert "A warm evening." in told.stdout
    assert "“Darker sky” is left out" in told.stderr
    assert [one.name for one in read_plan(tmp_path / "plan.json").operations] == ["temperature"]
    document = json.loads((look / "document.json").read_text("utf-8"))
    document["layers"][0]["operations"][0]["parameters"]["shift"] = -60
    (look / "document.json").write_text(json.dumps(document), "utf-8")
    asked = ("--plugin", "reason_edit", *WORDS, "-O", f"document={look}")
    program("apply", photo, *asked, "-o", tmp_path / "cold.png")
    before, after = (
        open_picture(path).pixels.astype(int) for path in (photo, tmp_path / "cold.png")
    )
    assert (after - before)[-30:, :, 2].mean() > (after - before)[-30:, :, 0].mean() + 20
    assert len(model.asked) == 2, "the given document asks nobody"


def test_json_for_scripts(photo: Path) -> None:
    with serving(Model()) as address:
        told = program("predict", photo, *WORDS, "-O", f"endpoint={address}", "--json")
    found = parse_plan(told.stdout)
    assert found.explanation == "A warm evening."


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("I'm sorry, I can't help with that.", "only \"I'm sorry, I can't help with that.\""),
        ('{"intent": "x", "layers": [', "not valid JSON, or not whole"),
        (Said(b"bad key", 401), "refuses: 401 Unauthorized. bad key"),
    ],
)
def test_a_fault_is_one_line_and_leaves_nothing(
    said: Any, why: str, photo: Path, tmp_path: Path
) -> None:
    with serving(Model([said])) as address:
        told = program("apply", photo, "--plugin", "reason_edit", *WORDS, "-O",
                       f"endpoint={address}", "-o", tmp_path / "out.png", code=1)  # fmt: skip
    (line,) = told.stderr.splitlines()
    assert line.startswith("Error: ")
    assert why in line
    assert not (tmp_path / "out.png").exists()


def test_what_only_other_means_can_do_is_an_abstention(photo: Path) -> None:
    with serving(Model([plan(SKY)])) as address:
        told = program("predict", photo, *WORDS, "-O", f"endpoint={address}", code=3)
    assert "more than operations on the whole picture: “Darker sky”." in told.stderr


def test_a_picture_is_not_sent_away_by_mistake(photo: Path, tmp_path: Path) -> None:
    told = program("apply", photo, "--plugin", "reason_edit", *WORDS, "-O",
                   "endpoint=http://192.0.2.1/v1", "-o", tmp_path / "x.png", code=2)  # fmt: skip
    assert "would be sent the picture. Set the option send-pictures=yes" in told.stderr


def test_describing_imports_no_code_of_the_plugin() -> None:
    code = (
        "import sys; from imgedit_plugins.cli import main; sys.argv[1:] = ['describe', "
        "'reason_edit']\ntry: main()\nexcept SystemExit: pass\n"
        "assert not [name for name in sys.modules if name.startswith('imgedit_reason_edit')]"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Edit by reasoning…" in done.stdout


# --- the worker -------------------------------------------------------------------------------


@pytest.fixture
def client() -> Iterator[Client]:
    """An editor at a worker of its own; a Unix socket's path must be short."""
    folder = Path(tempfile.mkdtemp(prefix="im"))
    for name in ("run", "config", "cache"):
        (folder / name).mkdir(mode=0o700)
    environ = {
        **environment(),
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


def test_editors_get_the_plan_and_what_lies_above(client: Client) -> None:
    actions = {one["id"]: one for one in client.actions() if one["plugin"] == "reason_edit"}
    assert set(actions) == {"reason", "plan", "paint"}
    assert actions["reason"]["fixed"] == {"model": "plan"}
    assert actions["reason"]["inputs"] == ["picture", "selection", "instruction"]
    shown = [one["name"] for one in actions["reason"]["options"]]
    assert {"endpoint", "document", "save-folder", "send-pictures", "criticism"} <= set(shown)
    pixels = photograph(160, 120).pixels
    picture = client.put_picture(pixels.data, 160, 120, 3, "uint8", b"")
    with serving(Model([plan(WARM, SKY)])) as address:
        request = JobRequest(
            "apply_edit", {"picture": picture}, plugin="reason_edit", instruction="warm evening",
            options={"endpoint": address}, layers=True,
        )  # fmt: skip
        job, result = client.run(request)
    assert result.explanation == "A warm evening."
    assert result.layered
    assert result.plan is not None
    assert result.plan["operations"][0]["name"] == "temperature"
    (above,) = result.pictures
    assert (above.ref.width, above.ref.height, above.ref.channels) == (160, 120, 4)
    with client.open_picture(above.ref) as file:
        alpha = np.frombuffer(file.data, "uint8", 160 * 120 * 4).reshape(120, 160, 4)[:, :, 3]
    assert set(np.unique(alpha)) == {0, 255}
    client.forget(job)
