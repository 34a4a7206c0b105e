"""A tiny MGIE, smaller than that of its own tests: tracing takes seconds for each layer."""

from pathlib import Path

import pytest
import tiny_mgie
from traced_once import traced_once

from imgedit_exporters.exporting import Wanted, export
from imgedit_exporters.runtime.bundles import Document
from imgedit_mgie.folders import Head
from imgedit_mgie.plugin import export_parts, verify_bundle
from imgedit_modelkit.testing import realistic, tiny_llama
from imgedit_plugins.exporting import ExportReport
from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import BundleRequest, ExportRequest


def small_unet(*, channels: int = 8, width: int = 32, seed: int = 0):
    """Two levels, and one place where it attends."""
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel(
        sample_size=8, in_channels=channels, out_channels=4, block_out_channels=(8, 16),
        layers_per_block=1, down_block_types=("DownBlock2D",) * 2,
        up_block_types=("UpBlock2D",) * 2, cross_attention_dim=width, attention_head_dim=8,
        norm_num_groups=8,
    )  # fmt: skip
    return realistic(unet, seed=seed).eval()


def small_vae(*, seed: int = 1):
    from diffusers import AutoencoderKL

    vae = AutoencoderKL(
        block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=4, norm_num_groups=4,
        sample_size=16,
    )  # fmt: skip
    return realistic(vae, seed=seed).eval()


def model(folder: Path) -> Path:
    """A model folder, by the import of files under the published names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny_mgie, "tiny_unet", small_unet)
        patch.setattr(tiny_mgie, "tiny_vae", small_vae)
        patch.setattr(tiny_mgie, "HEAD", Head(
            width=32, hidden=16, layers=1, heads=4, feedforward=24, queries=5, features=32
        ))  # fmt: skip
        patch.setattr(
            tiny_mgie, "llama", lambda known, seed=0: tiny_llama(known, layers=1, seed=seed)
        )
        files = tiny_mgie.published(folder)
        tiny_mgie.imported(files, folder / "model", precision="fp32")
    return folder / "model"


def declared(folder: Path, model: str = "", **options) -> ExportReport:
    given = {"weights": str(folder), **options}
    report = export_parts(ExportRequest(model=model, options=given), Job())
    assert report is not None
    return report


def checked(folder: Path, job: Job):
    return verify_bundle(BundleRequest(bundle=folder), job)


def exported(
    folder: Path, out: Path, wanted: Wanted | None = None, *, model: str = "", **options
) -> Document:
    report = declared(folder, model, **options)
    with traced_once():
        return export(report, "mgie", out, wanted or Wanted(golden=4), checked, Job())
