"""A tiny MGIE in a model folder, made by the import of files under the published names."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """diffusers' Euler schedulers convert arrays in a way that NumPy 2 warns of."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            told = "ignore:__array__ implementation:DeprecationWarning"
            item.add_marker(pytest.mark.filterwarnings(told))


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The user's files, by the name of their part."""
    import tiny_mgie

    return tiny_mgie.published(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="session")
def model_folder(files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What their import makes."""
    import tiny_mgie

    out = tmp_path_factory.mktemp("model")
    tiny_mgie.imported(files, out)
    return out


@pytest.fixture(scope="session")
def pix2pix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """InstructPix2Pix's folder."""
    import tiny_mgie

    return tiny_mgie.pix2pix(tmp_path_factory.mktemp("pix2pix"))


@pytest.fixture(autouse=True)
def own_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights of the user are never looked at."""
    monkeypatch.setenv("IMGEDIT_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"
