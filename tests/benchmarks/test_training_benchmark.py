"""The training benchmark measures, writes what it measured, and knows its sources."""

import json

import pytest

pytestmark = pytest.mark.torch

from benchmarks import training  # noqa: E402


def test_it_writes_its_figures_with_the_hash_of_the_sources(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["training", "--rounds", "1", "--steps", "2", "--json",
                                     str(tmp_path / "training.json")])  # fmt: skip
    code = training.main()
    told = json.loads((tmp_path / "training.json").read_text("utf-8"))
    assert told["plain"] > 0
    assert told["loop"] > 0
    assert told["passed"] == (told["ratio"] >= told["limit"] == training.LIMIT) == (code == 0)
    assert told["sources_sha256"] == training.sources_sha256()
    assert f"{told['ratio']:.3f}" in capsys.readouterr().out


def test_another_loop_has_another_hash(tmp_path, monkeypatch):
    before = training.sources_sha256()
    kit = tmp_path / "modelkit" / "imgedit_modelkit"
    kit.mkdir(parents=True)
    (kit / "loop.py").write_text("steps = 0")
    monkeypatch.setattr(training.imgedit_modelkit, "__file__", str(kit / "__init__.py"))
    monkeypatch.setattr(training, "__file__", str(kit / "training.py"))
    (kit / "training.py").write_text("")
    assert training.sources_sha256() != before
