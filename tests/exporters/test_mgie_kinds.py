"""MGIE's other models as bundles: LGIE, FT, FZ and InstructPix2Pix."""

from pathlib import Path

import mgie_exported
import msgspec
import numpy as np
import pytest
import tiny_mgie
import torch
from bundle_faults import run

from imgedit_exporters import tracing
from imgedit_exporters.runtime import bundles
from imgedit_exporters.runtime.sessions import open_session
from imgedit_exporters.verifying import verify
from imgedit_mgie import bundled_editing, exporting
from imgedit_mgie.edit_head import EditHead
from imgedit_mgie.folders import Config, Head, read_config, write_config
from imgedit_modelkit.diffusion import testing
from imgedit_modelkit.testing import realistic
from imgedit_plugins.jobs import Job
from imgedit_plugins.picture_files import save_picture
from imgedit_plugins.plugins import PluginManager
from imgedit_plugins.requests import ApplyRequest

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:__array__ impl")]

DIFFUSION = {"unet", "vae_encoder", "vae_decoder"}
LANGUAGE = {"embeddings", "decoder"}
PARTS = {
    "lgie": LANGUAGE | {"edit_head"},
    "ft": LANGUAGE | {"tower", "projector", "text_encoder"},
    "fz": LANGUAGE | {"tower", "projector", "text_encoder"},
    "instructpix2pix": {"text_encoder"},
}


@pytest.fixture(scope="session")
def pix2pix(tmp_path_factory) -> Path:
    """InstructPix2Pix as diffusers saves it, with the UNet of few layers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(testing, "tiny_unet", mgie_exported.small_unet)
        patch.setattr(testing, "tiny_vae", mgie_exported.small_vae)
        return tiny_mgie.pix2pix(tmp_path_factory.mktemp("pix2pix"))


@pytest.fixture(scope="session")
def exported(mgie_model, pix2pix, tmp_path_factory):
    """The bundle of each model; made when it is asked for."""
    made: dict[str, Path] = {}

    def of(kind: str) -> Path:
        if kind not in made:
            folder = tmp_path_factory.mktemp("kind")
            weights = _trained(mgie_model, pix2pix, folder / "model", kind)
            mgie_exported.exported(
                weights, folder / "bundle", model="" if kind in ("ft", "lgie") else kind,
                **{"painter-weights": str(pix2pix)},
            )  # fmt: skip
            made[kind] = folder / "bundle"
        return made[kind]

    return of


def _trained(mgie: Path, pix2pix: Path, folder: Path, kind: str) -> Path:
    """What a training leaves: a folder with its own parts, the others in its base."""
    if kind in ("fz", "instructpix2pix"):
        return mgie
    folder.mkdir()
    if kind == "ft":
        for name in ("unet", "vae", "scheduler", "text_encoder", "tokenizer"):
            (folder / name).symlink_to(pix2pix / name)
        write_config(folder, Config(model="ft", base=str(mgie)))
        return folder
    config = msgspec.structs.replace(read_config(mgie), model="lgie", base=str(mgie))
    write_config(folder, config)
    return folder


@pytest.mark.parametrize("kind", PARTS)
def test_the_certificate_of_each(exported, kind):
    document = bundles.read(exported(kind))
    assert document.model == kind
    assert {part.name for part in document.parts} == PARTS[kind] | DIFFUSION
    assert document.certificate.passed
    edits = {one.what: one.value for one in document.certificate.edits}
    assert edits["edited pictures, lowest PSNR in dB"] > 60
    writes = "embeddings" in PARTS[kind]
    assert edits.get("tokens that are equal, share") == (1.0 if writes else None)
    read = edits.get("prompts with the same tokens, share")
    assert read == (1.0 if "text_encoder" in PARTS[kind] else None)
    assert ("pixels for the tower, largest difference" in edits) == ("tower" in PARTS[kind])
    assert document.lineage
    assert all(one.licence for one in document.lineage)
    assert verify(exported(kind), mgie_exported.checked, Job()).faults == ()


@pytest.mark.parametrize("kind", PARTS)
def test_apply_edit_takes_each(exported, kind):
    picture = tiny_mgie.picture(32, 48)
    options = {"weights": str(exported(kind)), "steps": 2, "resolution": 64, "max-tokens": 16}
    made = []
    try:
        for instruction in ("make it red", "turn the sky to green"):
            request = ApplyRequest(
                picture=picture, instruction=instruction, seed=3,
                options={**options, "exact": "off", "device": "cpu", "model": kind},
            )  # fmt: skip
            result = PluginManager.discover().call("apply_edit", request, Job(), "mgie")
            made.append(result.candidates[0].picture.pixels)
            assert bool(result.explanation) == ("embeddings" in PARTS[kind])
    finally:
        bundled_editing.MODELS.release()
    assert np.abs(made[0].astype(int) - picture.pixels).max() > 5
    assert (made[0] != made[1]).any(), "the instruction has a say"


def test_instruct_pix2pix_from_the_command_line_without_torch(exported, tmp_path):
    save_picture(tiny_mgie.picture(32, 48), tmp_path / "in.png")
    bundle = exported("instructpix2pix")
    done = run(
        "apply", tmp_path / "in.png", "--plugin", "mgie", "--instruction", "make it red",
        f"-Oweights={bundle}", "-Osteps=2", "-Oresolution=64", "-Oexact=off", "-Odevice=cpu",
        "-o", tmp_path / "out.png",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = run("bundle", "verify", bundle)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_an_edit_head_that_wants_no_gradient_is_exported(tmp_path, dtype):
    """PyTorch has one operator for a whole layer of such a transformer, which ONNX has not."""
    sizes = Head(width=32, hidden=16, heads=4, feedforward=32, queries=7, layers=1, features=16)
    head = realistic(EditHead(sizes)).eval().requires_grad_(False)
    part, path = exporting.head_part(head, torch.randn(4, 32)), tmp_path / "head.onnx"
    tracing.to_onnx(part, path, dtype)
    given = next(part.inputs(1))
    (made,), (wanted,) = open_session(path).run(None, given), tracing.original(part, given)
    np.testing.assert_allclose(made, wanted, atol=2e-2 if dtype == torch.float16 else 1e-4)
    assert torch.backends.mha.get_fastpath_enabled()
