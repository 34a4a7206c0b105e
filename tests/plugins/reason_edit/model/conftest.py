"""A tiny model that was put together by the import, and rows in both layouts."""

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
def reasoner_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The user's files, by the name of their part."""
    import tiny_reasoner

    folder = tmp_path_factory.mktemp("reasoner")
    return {
        "mllm": tiny_reasoner.llava(folder / "llava"),
        "diffusion": tiny_reasoner.pix2pix(folder / "pix2pix"),
    }


@pytest.fixture(scope="session")
def reasoner(reasoner_files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What their import makes."""
    import tiny_reasoner

    out = tmp_path_factory.mktemp("model")
    tiny_reasoner.imported(reasoner_files, out)
    return out


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of each part: I and III as files, II in a tar file."""
    import tiny_reasoner

    folder = tmp_path_factory.mktemp("parts")
    return {
        "I": tiny_reasoner.data_set(folder / "I", "I", 8),
        "II": tiny_reasoner.data_set(folder / "II", "II", 6, layout="tar"),
        "III": tiny_reasoner.data_set(folder / "III", "III", 4),
    }


@pytest.fixture(autouse=True)
def own_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights of the user are never looked at."""
    monkeypatch.setenv("IMGEDIT_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"
