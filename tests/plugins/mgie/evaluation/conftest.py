"""Encoders, data, and one evaluation of all kinds of rows that many tests look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def only_mgie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGEDIT_PLUGINS", "mgie")


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import tiny_evaluation

    return tiny_evaluation.clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="session")
def dino(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import tiny_evaluation

    return tiny_evaluation.dino(tmp_path_factory.mktemp("dino"))


@pytest.fixture(scope="session")
def alexnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import tiny_evaluation

    return tiny_evaluation.alexnet(tmp_path_factory.mktemp("alexnet") / "alexnet.pth")


@pytest.fixture
def any_alexnet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn weights have another hash than torchvision's."""
    monkeypatch.setattr("imgedit_modelkit.metrics.encoders.ALEXNET_SHA256", "")


@pytest.fixture(scope="session")
def ma5k(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import tiny_evaluation

    return tiny_evaluation.ma5k(tmp_path_factory.mktemp("ma5k"), rows=4)


@pytest.fixture(scope="session")
def kept(
    ma5k: Path, model_folder: Path, clip: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Any]:
    """A kept evaluation of MGIE, LGIE and the input itself, and its report."""
    import tiny_evaluation

    folder = tmp_path_factory.mktemp("kept") / "results"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IMGEDIT_PLUGINS", "mgie")
        report = tiny_evaluation.evaluated(
            ma5k,
            models=f"mgie:{model_folder},lgie:{model_folder},copy",
            clip=clip,
            keep=folder,
            worst=2,
            baseline=True,
            table="zero-shot",
        )
    return folder, report
