"""Encoders, a pipeline, a benchmark, and a plugin that paints."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[3] / "core"))  # plugin_factory
sys.path.append(str(Path(__file__).parents[1] / "model"))  # tiny_reasoner

from plugin_factory import Site


@pytest.fixture(autouse=True)
def nobody_elses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No weights or choice of plugins of the user."""
    monkeypatch.delenv("IMGEDIT_PLUGINS", raising=False)
    monkeypatch.setenv("IMGEDIT_WEIGHTS", str(tmp_path / "no-weights"))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Where a test installs plugins that edit."""
    folder = tmp_path / "site"
    folder.mkdir()
    return Site(folder, monkeypatch)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import tiny_reasoned_data as tiny

    from imgedit_modelkit.metrics.testing import save_tiny_clip

    return save_tiny_clip(tmp_path_factory.mktemp("clip"), tiny.WORDS)


@pytest.fixture(scope="session")
def dino(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from imgedit_modelkit.metrics.testing import save_tiny_dino

    return save_tiny_dino(tmp_path_factory.mktemp("dino"))


@pytest.fixture(scope="session")
def pix2pix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from imgedit_modelkit.diffusion.testing import save_tiny_instruct_pix2pix

    return save_tiny_instruct_pix2pix(tmp_path_factory.mktemp("pix2pix"))


@pytest.fixture(scope="session")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import tiny_reasoned_data as tiny

    return tiny.benchmark(tmp_path_factory.mktemp("benchmark"), rows=4)


@pytest.fixture(scope="session")
def reasoner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the paper's kind: LLaVA in front of a diffusion model."""
    import tiny_reasoner

    folder = tmp_path_factory.mktemp("reasoner")
    files = {
        "mllm": tiny_reasoner.llava(folder / "llava"),
        "diffusion": tiny_reasoner.pix2pix(folder / "diffusion"),
    }
    tiny_reasoner.imported(files, folder / "model")
    return folder / "model"
