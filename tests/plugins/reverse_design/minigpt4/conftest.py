"""A tiny MiniGPT-4 in a model folder, made by the import of files under the published names."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import published  # noqa: E402

from imgedit_plugins.jobs import Job  # noqa: E402
from imgedit_plugins.requests import Options, WeightsReport, WeightsRequest  # noqa: E402
from imgedit_reverse_design.plugin import import_weights  # noqa: E402


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> dict[str, Path]:
    """The user's files, by the name of their part."""
    folder = tmp_path_factory.mktemp("published")
    torch.save(published.eva(), folder / "eva_vit_g.pth")
    torch.save(published.projection(), folder / "pretrained_minigpt4_llama2_7b.pth")
    return {
        "eva": folder / "eva_vit_g.pth",
        "projection": folder / "pretrained_minigpt4_llama2_7b.pth",
        "language-model": published.language_model(folder / "Llama-2-tiny"),
    }


def imported(files: dict[str, Path], out: Path, **options: str) -> WeightsReport:
    settings: Options = {"wrap": "llama-2", "precision": "fp16", **options}
    request = WeightsRequest(weights="minigpt4", files=files, out=out, options=settings)
    report = import_weights(request, Job())
    assert report is not None
    return report


@pytest.fixture(scope="session")
def model_folder(files, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("model")
    imported(files, out)
    return out


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    return published.data_set(tmp_path_factory.mktemp("data") / "imad")
