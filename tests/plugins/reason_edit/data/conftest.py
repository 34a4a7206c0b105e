"""The tiny models, data in the published layouts, and a language model behind a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The options that name the models, and what they need to find small boxes."""
    import tiny_reason

    folder = tmp_path_factory.mktemp("models")
    return {
        "captioner": str(tiny_reason.blip2(folder / "blip2-tiny")),
        "detector": str(tiny_reason.grounding_dino(folder / "dino-tiny")),
        "spacy": str(tiny_reason.spacy_model(folder / "spacy-tiny")),
        "painter-weights": str(tiny_reason.painter(folder / "gligen-tiny", gligen=True)),
    }


@pytest.fixture(scope="session")
def inpainter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import tiny_reason

    return tiny_reason.painter(tmp_path_factory.mktemp("inpainter") / "tiny", gligen=False)


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import tiny_reason

    return tiny_reason.llama(tmp_path_factory.mktemp("llama") / "llama-tiny")


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 pairs, of which 2 are hardly edited, and 2 damaged ones."""
    import tiny_reason

    folder = tiny_reason.write_pairs(tmp_path_factory.mktemp("pairs"), 20, alike=2)
    for name, content in {"0000020": b"\xff\xd8\xff cut", "0000021": b""}.items():
        (folder / name).mkdir()
        (folder / name / "prompt.json").write_text('{"edit": "x", "input": "a", "output": "b"}')
        for which in (0, 1):
            (folder / name / f"1_{which}.jpg").write_bytes(content)
    return folder


@pytest.fixture(scope="session")
def v3det(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 pictures for training and 9 of the test split."""
    import tiny_reason

    folder = tiny_reason.write_v3det(tmp_path_factory.mktemp("v3det"), 16)
    return tiny_reason.write_v3det(folder, 9, "test")


@pytest.fixture(scope="session")
def wise() -> Iterator[str]:
    """The address of a server whose answers are always good, and always the same."""
    from talking import sensible

    from imgedit_modelkit.language.testing import chat_server

    with chat_server(lambda body, _: sensible(body)) as (address, _asked):
        yield address
