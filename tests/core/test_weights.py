"""Weights: listed, imported, verified."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from cli_plugin import run
from heavy_plugin import CODE, MANIFEST
from plugin_factory import Site

from imgedit_plugins.weights import home


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


# --- listing and verifying --------------------------------------------------------------------


def test_list_tells_what_is_here(heavy, tmp_path):
    listed = {w["name"]: w for w in json.loads(run("weights", "list", "--json").stdout)}
    assert listed["heavy/big"]["state"] == "not here"
    assert listed["heavy/big"]["ways"] == ["fetch"]
    assert listed["heavy/own"]["ways"] == ["import"]
    (tmp_path / "eyes.pth").write_bytes(b"abcd")
    run("weights", "import", "heavy/own", "--eyes", "eyes.pth")
    assert json.loads(run("weights", "list", "--json").stdout)[1]["state"] == "here"
    (home() / "heavy" / "own" / "eyes.safetensors").write_bytes(b"cut")
    assert "in part: eyes.safetensors missing or cut" in run("weights", "list").stdout
    assert "has 3 bytes, not 4" in run("weights", "verify", "heavy/own", code=1).stderr


def test_unknown_weights_are_refused(heavy):
    assert "Did you mean 'heavy/big'" in run("weights", "fetch", "heavy/bug", code=1).stderr
    assert "no weights.json" in run("weights", "verify", "heavy/big", code=1).stderr


def test_what_can_only_be_imported_says_so(heavy):
    told = run("weights", "fetch", "heavy/own", "--yes", code=1).stderr
    assert "eyes from https://example.org/eyes" in told
    assert "weights import heavy/own" in told


# --- importing --------------------------------------------------------------------------------


def test_import_hands_the_parts_over_and_records_what_was_written(heavy, tmp_path):
    eyes, out = tmp_path / "eyes.pth", tmp_path / "out"
    eyes.write_bytes(b"abcdefgh")
    arguments = ("--eyes", eyes, "-O", "half=yes", "-o", out)
    told = run("weights", "import", "heavy/own", *arguments).stdout
    assert "Missing keys:\n  ear\nUnexpected keys:\n  tail\n" in told
    assert (out / "eyes.safetensors").read_bytes() == b"abcd"
    record = json.loads((out / "weights.json").read_text())
    assert record["weights"] == "heavy/own"
    assert record["parts"] == {"eyes": str(eyes)}
    assert "all verified" in run("weights", "verify", out).stdout
    assert run("weights", "import", "heavy/own", "--eyes", eyes).stdout
    assert (home() / "heavy" / "own" / "eyes.safetensors").exists()


def test_import_s_help_names_parts_addresses_and_licences(heavy):
    told = " ".join(run("weights", "import", "heavy/own", "--help").stdout.split())
    for wanted in ("--eyes FILE", "--big-brain FOLDER", "https://example.org/eyes", "(MIT)"):
        assert wanted in told
    assert "heavy/big" not in run("weights", "import", "--help").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 1, "needs 'eyes': The eyes. It is published at https://example.org/eyes"),
        (["--eyes", "nowhere.pth"], 1, "nowhere.pth is no file, and 'eyes' must be one"),
        (["--eyes", "eyes.pth", "--big-brain", "eyes.pth"], 1, "eyes.pth is no folder"),
        (["--eyes", "eyes.pth", "-O", "half=maybe"], 2, "must be true or false"),
        (["--ears", "eyes.pth"], 2, "--ears"),
    ],
)
def test_import_refuses(heavy, tmp_path, arguments, code, said):
    (tmp_path / "eyes.pth").write_bytes(b"ab")
    assert said in run("weights", "import", "heavy/own", *arguments, code=code).stderr


# --- places -----------------------------------------------------------------------------------


def test_home():
    assert home({"IMGEDIT_WEIGHTS": "/w"}) == Path("/w")
    if sys.platform == "linux":
        assert home({"XDG_DATA_HOME": "/data"}) == Path("/data/imgedit-plugins/weights")
        assert home({}) == Path.home() / ".local/share/imgedit-plugins/weights"
