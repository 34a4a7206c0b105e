"""The benchmark of the diffusion editor, at its smallest."""

from __future__ import annotations

import json

import pytest

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:__array__ impl")]

from benchmarks import diffusion  # noqa: E402


def test_both_make_the_same_pixels_and_are_timed():
    result = diffusion.compare("tiny", rounds=1, steps=2)
    assert result.same_pixels
    assert result.diffusers > 0
    assert result.editor > 0


def test_other_pixels_or_too_long_is_a_failure():
    figures = {"size": "tiny", "rounds": 1, "steps": 2, "diffusers": 1.0, "editor": 1.0}
    assert diffusion.Result(**figures, ratio=1.05, same_pixels=True).passed
    assert not diffusion.Result(**figures, ratio=1.06, same_pixels=True).passed
    assert not diffusion.Result(**figures, ratio=0.5, same_pixels=False).passed


def test_it_writes_its_figures_with_the_sources_that_were_measured(tmp_path, monkeypatch, capsys):
    path = tmp_path / "diffusion.json"
    monkeypatch.setattr("sys.argv", ["diffusion", "--rounds", "1", "--steps", "2", "--size", "tiny",
                                     "--json", str(path)])  # fmt: skip
    code = diffusion.main()
    told = json.loads(path.read_text("utf-8"))
    assert told["passed"] == (told["ratio"] <= told["limit"] and told["same_pixels"]) == (code == 0)
    assert {"modelkit/imgedit_modelkit/diffusion/editor.py", "benchmarks/diffusion.py"} <= set(
        told["sources"]
    )
    assert f"{told['ratio']:.3f}" in capsys.readouterr().out
