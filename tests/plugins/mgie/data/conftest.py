"""Two tiny models and a folder of pairs, good and damaged."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The options that name the two models."""
    import tiny_models

    folder = tmp_path_factory.mktemp("models")
    return {
        "model": str(tiny_models.llava(folder / "llava-tiny")),
        "summariser": str(tiny_models.summariser(folder / "flan-tiny")),
    }


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """14 pairs, and 4 damaged ones: 3 whole shards of 5 and one of 3."""
    import tiny_models

    folder = tiny_models.write_pairs(tmp_path_factory.mktemp("pairs"), 14)
    cut = folder / "0000001" / "102_1.jpg"
    whole = cut.read_bytes()
    for edit, files in {
        "0000003x": {"prompt.json": b'{"edit": "x"}', "1_0.jpg": whole},
        "0000004x": {"prompt.json": b"{", "1_0.jpg": whole, "1_1.jpg": whole},
        "0000005x": {"prompt.json": b'{"edit": "x"}', "1_0.jpg": whole[:300], "1_1.jpg": whole},
        "0000006x": {"prompt.json": b'{"edit": "x"}'},
    }.items():
        (folder / edit).mkdir()
        for name, content in files.items():
            (folder / edit / name).write_bytes(content)
    return folder
