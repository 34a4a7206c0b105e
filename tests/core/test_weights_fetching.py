"""Weights fetched from a hub that breaks, lies and refuses, by the hub's own library."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.torch  # which brings huggingface_hub

from cli_plugin import ROOT, run  # noqa: E402
from heavy_plugin import CODE, MANIFEST  # noqa: E402
from hub_server import Hub  # noqa: E402
from plugin_factory import Site  # noqa: E402

from imgedit_plugins.weights import home  # noqa: E402

PYTHONPATH = os.pathsep.join(map(str, [ROOT / "core"]))
LARGE = os.urandom(24_000_000)
CHUNK = 10 * 1024 * 1024  # what the hub's library reads before it writes


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setenv("IMGEDIT_PLUGINS", "heavy")
    monkeypatch.setenv("IMGEDIT_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.chdir(tmp_path)
    return Site(folder, monkeypatch)


@pytest.fixture
def heavy(site):
    site.install("heavy", code=CODE, manifest=MANIFEST.format(pinned=""))
    return site


@pytest.fixture
def hub():
    made = Hub({"model.safetensors": LARGE, "sub/config.json": b'{"width": 3}'})
    yield made
    made.close()


def program(site: Site, hub: Hub | str, *arguments: str, **env: str) -> dict:
    """Arguments for `subprocess` that run the program against a hub."""
    address = hub if isinstance(hub, str) else hub.address
    return {
        "args": [
            sys.executable, "-c", "from imgedit_plugins.cli import main; main()", *arguments
        ],
        "env": {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(site.folder), PYTHONPATH]),
            "HF_ENDPOINT": address,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HOME": str(site.folder.parent / "hf"),
            **env,
        },
        "text": True,
    }  # fmt: skip


def fetch(site: Site, hub: Hub | str, *arguments: str, code: int = 0, **env: str):
    made = program(site, hub, "weights", "fetch", "heavy/big", *arguments, **env)
    done = subprocess.run(**made, capture_output=True, timeout=120, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def weights_folder() -> Path:
    return home() / "heavy" / "big"


# --- fetching ---------------------------------------------------------------------------------


def test_size_and_licence_come_first_and_nothing_is_fetched_unasked(heavy, hub):
    done = fetch(heavy, hub, code=2)
    assert "A big model: 24.0 MB in 2 files, licence Apache-2.0" in done.stderr
    assert "--yes" in done.stderr
    assert not hub.gets()
    assert not weights_folder().exists()


def test_fetched_files_are_recorded_and_verified(heavy, hub):
    done = fetch(heavy, hub, "--yes")
    assert "2 files, 24.0 MB, all verified" in done.stdout
    folder = weights_folder()
    assert (folder / "model.safetensors").read_bytes() == LARGE
    record = json.loads((folder / "weights.json").read_text())
    assert record["revision"] == hub.commit
    assert record["licence"] == "Apache-2.0"
    assert record["files"]["model.safetensors"] == {
        "sha256": hashlib.sha256(LARGE).hexdigest(),
        "size": len(LARGE),
    }
    assert {p.name for p in folder.rglob("*") if p.is_file()} == {
        "model.safetensors", "config.json", "weights.json"
    }  # fmt: skip
    assert "all verified" in run("weights", "verify", "heavy/big").stdout
    asked = len(hub.gets())
    fetch(heavy, hub, "--yes")
    assert len(hub.gets()) == asked, "what is there is not fetched again"


@pytest.mark.parametrize("accepts_range", [True, False])
def test_broken_connections_are_gone_on_with(heavy, hub, accepts_range):
    hub.breaks, hub.accepts_range = 2, accepts_range
    fetch(heavy, hub, "--yes")
    assert (weights_folder() / "model.safetensors").read_bytes() == LARGE
    ranges = [range_ for path, range_ in hub.gets() if path == "model.safetensors"]
    assert ranges == ["", f"bytes={CHUNK}-", f"bytes={CHUNK}-"]


def test_a_killed_download_goes_on_in_the_next_run(heavy, hub, tmp_path):
    hub.breaks = 1_000  # halves for ever: it gets nearer and nearer and never there
    process = subprocess.Popen(
        **program(heavy, hub, "weights", "fetch", "heavy/big", "--yes"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while len(hub.gets()) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()
    (partial,) = weights_folder().glob(".model.safetensors.*.part")
    there = partial.stat().st_size
    assert there == CHUNK
    assert not (weights_folder() / "model.safetensors").exists()
    hub.breaks = 0
    hub.asked.clear()
    fetch(heavy, hub, "--yes")
    assert hub.gets()[0] == ("model.safetensors", f"bytes={there}-")
    assert (weights_folder() / "model.safetensors").read_bytes() == LARGE
    assert not list(weights_folder().glob(".*"))


def test_a_mirror_helps_where_the_publisher_fails(heavy, hub):
    dead = "http://127.0.0.1:9"
    done = fetch(heavy, dead, "--yes", code=1)
    assert "cannot be fetched (the publisher:" in done.stderr
    assert "Traceback" not in done.stderr
    fetch(heavy, dead, "--yes", "--mirror", hub.address)
    assert (weights_folder() / "model.safetensors").read_bytes() == LARGE


@pytest.mark.parametrize("path", ["model.safetensors", "sub/config.json"])
def test_a_mirror_that_lies_is_found_out(heavy, hub, path):
    hub.lies.add(path)
    done = fetch(heavy, hub, "--yes", code=1)
    assert f"{path} of heavy/big came with" in done.stderr
    assert "thrown away" in done.stderr
    assert not (weights_folder() / path).exists()
    assert not list(weights_folder().rglob("*.part"))
    assert not (weights_folder() / "weights.json").exists()


def test_the_manifest_s_hash_counts_more_than_the_hub_s(site, hub):
    pinned = f'sha256 = "{"0" * 64}"\nsize = {len(LARGE)}'
    site.install("heavy", code=CODE, manifest=MANIFEST.format(pinned=pinned))
    done = fetch(site, hub, "--yes", code=1)
    assert f"the plugin expects {'0' * 64}" in done.stderr


def test_another_size_than_the_manifest_s_is_told_before_anything_is_fetched(site, hub):
    pinned = f'sha256 = "{"0" * 64}"\nsize = 77'
    site.install("heavy", code=CODE, manifest=MANIFEST.format(pinned=pinned))
    assert "not 77 as the plugin expects" in fetch(site, hub, "--yes", code=1).stderr
    assert not hub.gets()


def test_a_licence_to_be_accepted_is_told(heavy, hub):
    hub.gated = True
    done = fetch(heavy, hub, "--yes", code=1)
    assert "its licence must be accepted first, at https://huggingface.co/somebody" in done.stderr
    assert "hf auth login" in done.stderr


def test_a_missing_file_is_told(heavy, hub):
    del hub.files["sub/config.json"]
    done = fetch(heavy, hub, "--yes", code=1)
    assert "sub/config.json of heavy/big cannot be fetched" in done.stderr
    assert "there is no such file" in done.stderr


def test_a_changed_file_is_fetched_again(heavy, hub):
    fetch(heavy, hub, "--yes")
    path = weights_folder() / "model.safetensors"
    path.write_bytes(b"x" + LARGE[1:])
    assert "has another content" in run("weights", "verify", "heavy/big", code=1).stderr
    fetch(heavy, hub, "--yes")
    assert path.read_bytes() == LARGE


@pytest.mark.parametrize("way", ["option", "variable"])
def test_offline_asks_nobody(heavy, hub, way):
    arguments, env = (["--offline"], {}) if way == "option" else ([], {"HF_HUB_OFFLINE": "1"})
    done = fetch(heavy, hub, *arguments, code=1, **env)
    assert "heavy/big cannot be had offline" in done.stderr
    fetch(heavy, hub, "--yes")
    hub.asked.clear()
    assert "all verified" in fetch(heavy, hub, *arguments, **env).stdout
    (weights_folder() / "model.safetensors").unlink()
    assert "model.safetensors is missing" in fetch(heavy, hub, *arguments, code=1, **env).stderr
    assert not hub.asked


def test_list_tells_of_what_was_fetched(heavy, hub):
    fetch(heavy, hub, "--yes")
    listed = {w["name"]: w for w in json.loads(run("weights", "list", "--json").stdout)}
    assert listed["heavy/big"]["state"] == "here"
    (weights_folder() / "model.safetensors").write_bytes(b"cut")
    assert "in part: model.safetensors missing or cut" in run("weights", "list").stdout
    assert "has 3 bytes, not 24000000" in run("weights", "verify", "heavy/big", code=1).stderr
