"""The benchmark of the diffusion editor, at its smallest."""

from __future__ import annotations

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


def test_the_hash_is_of_the_sources(monkeypatch, tmp_path):
    assert len(diffusion.sources_sha256()) == 64
    before = diffusion.sources_sha256()
    (tmp_path / "modelkit/imgedit_modelkit/diffusion").mkdir(parents=True)
    (tmp_path / "modelkit/imgedit_modelkit/diffusion/editor.py").write_text("")
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks/diffusion.py").write_text("")
    monkeypatch.setattr(diffusion, "_ROOT", tmp_path)
    monkeypatch.setattr(diffusion, "__file__", str(tmp_path / "benchmarks/diffusion.py"))
    assert diffusion.sources_sha256() != before
