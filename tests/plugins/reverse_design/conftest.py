"""Pictures that many tests of reverse design use; the arrays are read-only."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest
from made_pictures import picture

from imgedit_plugins.operations import load_profile
from imgedit_plugins.pictures import RGB8
from imgedit_plugins.plugins import PluginManager
from imgedit_reverse_design.moves import Renderer


@pytest.fixture(scope="session")
def photo() -> RGB8:
    """240 x 320, asymmetric."""
    return _frozen(picture(240, 320, seed=0))


@pytest.fixture(scope="session")
def other_photo() -> RGB8:
    """240 x 320, showing something else."""
    return _frozen(picture(240, 320, seed=3))


@pytest.fixture(scope="session")
def renderer() -> Renderer:
    """With the shipped definitions."""
    return Renderer(load_profile())


@pytest.fixture
def reverse_design(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PluginManager:
    """A manager that knows this plugin alone, whether or not the project is installed."""
    if not metadata.entry_points(group="imgedit_plugins", name="reverse_design"):
        info = tmp_path / "site" / "reverse_design_for_tests-1.0.dist-info"
        info.mkdir(parents=True)
        header = "Metadata-Version: 2.1\nName: reverse-design-for-tests\nVersion: 1.0\n"
        (info / "METADATA").write_text(header)
        entry = "[imgedit_plugins]\nreverse_design = imgedit_reverse_design.plugin\n"
        (info / "entry_points.txt").write_text(entry)
        monkeypatch.syspath_prepend(info.parent)
    return PluginManager.discover({"IMGEDIT_PLUGINS": "reverse_design"})


def _frozen(pixels: RGB8) -> RGB8:
    pixels.setflags(write=False)
    return pixels
