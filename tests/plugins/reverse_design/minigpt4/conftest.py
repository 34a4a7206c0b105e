"""A tiny MiniGPT-4 in a model folder, made by the import of files under the published names."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The user's files, by the name of their part."""
    import published
    import torch

    folder = tmp_path_factory.mktemp("published")
    torch.save(published.eva(), folder / "eva_vit_g.pth")
    torch.save(published.projection(), folder / "pretrained_minigpt4_llama2_7b.pth")
    return {
        "eva": folder / "eva_vit_g.pth",
        "projection": folder / "pretrained_minigpt4_llama2_7b.pth",
        "language-model": published.language_model(folder / "Llama-2-tiny"),
    }


@pytest.fixture(scope="session")
def model_folder(files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    import published

    out = tmp_path_factory.mktemp("model")
    published.imported(files, out)
    return out


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import published

    return published.data_set(tmp_path_factory.mktemp("data") / "imad")
