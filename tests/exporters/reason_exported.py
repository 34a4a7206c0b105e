"""A tiny ReasonPix2Pix, smaller than that of its own tests, in each of its kinds."""

from pathlib import Path

import msgspec
import pytest
import tiny_reasoner
from mgie_exported import small_unet, small_vae
from traced_once import traced_once

from imgedit_exporters.exporting import Wanted, export
from imgedit_exporters.runtime.bundles import Document
from imgedit_modelkit.testing import tiny_llama
from imgedit_plugins.exporting import ExportReport
from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import BundleRequest, ExportRequest
from imgedit_reason_edit.model.folders import Kind, read_config, write_config
from imgedit_reason_edit.plugin import export_parts, verify_bundle


def model(folder: Path) -> Path:
    """A model folder as the import makes it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny_reasoner, "tiny_unet", small_unet)
        patch.setattr(tiny_reasoner, "tiny_vae", small_vae)
        patch.setattr(
            tiny_reasoner, "tiny_llama",
            lambda known, width, seed=0: tiny_llama(known, width=width, layers=1, seed=seed),
        )  # fmt: skip
        files = {
            "mllm": tiny_reasoner.llava(folder / "llava"),
            "diffusion": tiny_reasoner.pix2pix(folder / "pix2pix"),
        }
        tiny_reasoner.imported(files, folder / "model")
    return folder / "model"


def trained(model: Path, folder: Path, kind: Kind, **encoder) -> Path:
    """The same, said to be trained as some kind, its encoder with other fields."""
    folder.mkdir()
    for path in model.iterdir():
        (folder / path.name).symlink_to(path)
    config = read_config(model)
    assert config.encoder is not None
    changed = msgspec.structs.replace(
        config, trained=True, model=kind,
        encoder=msgspec.structs.replace(config.encoder, **encoder),
    )  # fmt: skip
    (folder / "reason_edit.json").unlink()
    write_config(folder, changed)
    return folder


def declared(folder: Path, kind: str = "") -> ExportReport:
    report = export_parts(ExportRequest(model=kind, options={"weights": str(folder)}), Job())
    assert report is not None
    return report


def checked(folder: Path, job: Job):
    return verify_bundle(BundleRequest(bundle=folder), job)


def exported(folder: Path, out: Path, wanted: Wanted | None = None) -> Document:
    with traced_once():
        return export(
            declared(folder), "reason_edit", out, wanted or Wanted(golden=4), checked, Job()
        )
