"""Tiny MiniGPT-4s of every kind, by the import of files under the published names, and bundles."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import published
import pytest
import torch

from imgedit_exporters import tracing
from imgedit_exporters.exporting import Wanted, export
from imgedit_exporters.runtime.bundles import Document
from imgedit_modelkit.adapters import adapters
from imgedit_modelkit.tensor_files import save_tensors
from imgedit_plugins.exporting import ExportReport
from imgedit_plugins.jobs import Job
from imgedit_plugins.pictures import Picture
from imgedit_plugins.requests import BundleRequest, ExportRequest
from imgedit_reverse_design.minigpt4 import config as folders
from imgedit_reverse_design.minigpt4.config import Adapted, Config, read_config, write_config
from imgedit_reverse_design.minigpt4.model import load_untrained
from imgedit_reverse_design.plugin import export_parts, verify_bundle


def model(folder: Path, *, qformer: bool = False) -> Path:
    """A model folder; with a Q-Former it is the variant for Vicuna."""
    torch.save(published.eva(), folder / "eva.pth")
    projection = published.projection(24) if qformer else published.projection()
    torch.save(projection, folder / "projection.pth")
    files = {
        "eva": folder / "eva.pth", "projection": folder / "projection.pth",
        "language-model": published.language_model(folder / "llama"),
    }  # fmt: skip
    if qformer:
        torch.save({"model": published.qformer()}, folder / "blip2.pth")
        files["qformer"] = folder / "blip2.pth"
    wrap = "vicuna" if qformer else "llama-2"
    published.imported(files, folder / "model", precision="fp32", wrap=wrap)
    return folder / "model"


def with_adapters(base: Path, folder: Path) -> Path:
    """The model of a folder with adapters that change its answers, as a training leaves it."""
    before = read_config(base)
    config = Config(
        tower=before.tower, wrap=before.wrap, lora=Adapted(2, ("q_proj", "v_proj")), base=str(base)
    )
    made = load_untrained(base, config=config)
    generator = torch.Generator().manual_seed(8)
    drawn = {
        name: 0.3 * torch.randn(tensor.shape, generator=generator)
        for name, tensor in adapters(made.language.language_model).items()
    }
    folder.mkdir()
    save_tensors(folder / folders.LORA, drawn, torch.float32)
    (folder / folders.PROJECTION).write_bytes((base / folders.PROJECTION).read_bytes())
    write_config(folder, config)
    return folder


def declared(folder: Path) -> ExportReport:
    report = export_parts(ExportRequest(options={"weights": str(folder)}), Job())
    assert report is not None
    return report


def checked(folder: Path, job: Job):
    return verify_bundle(BundleRequest(bundle=folder), job)


def exported(
    folder: Path,
    out: Path,
    wanted: Wanted | None = None,
    traced: Mapping[str, Path] | None = None,
) -> Document:
    """A bundle of a model folder.

    Args:
        traced: by part, the ONNX file of another export of the very same part, since tracing takes
            seconds; it is compared with its original all the same.
    """
    to_onnx, there = tracing.to_onnx, traced or {}

    def trace(part, path, dtype=torch.float32):
        if part.name in there and dtype == torch.float32:
            shutil.copy(there[part.name], path)
        else:
            to_onnx(part, path, dtype)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracing, "to_onnx", trace)
        wanted = wanted or Wanted(golden=6)
        return export(declared(folder), "reverse_design", out, wanted, checked, Job())


def parts_of(bundle: Path, *names: str) -> dict[str, Path]:
    """For `traced`."""
    return {name: bundle / f"{name}.onnx" for name in names}


def pair(seed: int) -> tuple[Picture, Picture]:
    """A picture and a brighter one."""
    source = published.noise(60, 80, seed)
    edited = np.clip(source.pixels.astype(int) + 30, 0, 255).astype(np.uint8)
    return source, Picture(edited)
