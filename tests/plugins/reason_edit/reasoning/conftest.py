"""What the tests of reasoned plans share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[3] / "core"))  # plan_strategies, plugin_factory

from plugin_factory import Site

from imgedit_modelkit.language.endpoint import KEY_VARIABLE


@pytest.fixture(autouse=True)
def nobody_elses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No key, weights or choice of plugins of the user."""
    for name in (KEY_VARIABLE, "IMGEDIT_PLUGINS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IMGEDIT_WEIGHTS", str(tmp_path / "no-weights"))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Where a test installs plugins that paint."""
    folder = tmp_path / "site"
    folder.mkdir()
    return Site(folder, monkeypatch)
