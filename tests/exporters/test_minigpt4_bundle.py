"""MiniGPT-4 as a bundle: the same answers as its original, without PyTorch."""

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import published
import pytest
import torch

from imgedit_exporters.exporting import Wanted, export
from imgedit_exporters.runtime import bundles
from imgedit_exporters.runtime.sessions import Bundle
from imgedit_exporters.verifying import verify
from imgedit_plugins.errors import OptionError
from imgedit_plugins.jobs import Job
from imgedit_plugins.picture_files import save_picture
from imgedit_plugins.pictures import Picture
from imgedit_plugins.requests import BundleRequest, ExportRequest, PredictRequest
from imgedit_reverse_design.minigpt4.bundled import BundledMiniGPT4, loaded
from imgedit_reverse_design.minigpt4.model import load_model
from imgedit_reverse_design.minigpt4.predicting import _asked_of_bundle, ask
from imgedit_reverse_design.minigpt4.prompts import draw
from imgedit_reverse_design.plugin import export_parts, verify_bundle
from imgedit_reverse_design.predict import pair_of

pytestmark = pytest.mark.torch


def checked(folder: Path, job: Job):
    return verify_bundle(BundleRequest(bundle=folder), job)


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory) -> Path:
    folder, out = tmp_path_factory.mktemp("published"), tmp_path_factory.mktemp("minigpt4")
    torch.save(published.eva(), folder / "eva.pth")
    torch.save(published.projection(), folder / "projection.pth")
    files = {
        "eva": folder / "eva.pth", "projection": folder / "projection.pth",
        "language-model": published.language_model(folder / "llama"),
    }  # fmt: skip
    published.imported(files, out, precision="fp32")
    return out


@pytest.fixture(scope="module")
def bundle(model_folder, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("bundle") / "minigpt4"
    report = export_parts(ExportRequest(options={"weights": str(model_folder)}), Job())
    assert report is not None
    export(report, "reverse_design", out, Wanted(golden=6), checked, Job())
    return out


def pair(seed: int) -> tuple[Picture, Picture]:
    source = published.noise(60, 80, seed)
    edited = np.clip(source.pixels.astype(int) + 30, 0, 255).astype(np.uint8)
    return source, Picture(edited)


def test_the_certificate(bundle):
    document = bundles.read(bundle)
    assert {part.name: part.role for part in document.parts} == {
        "tower": "vision-tower", "projection": "projection", "embeddings": "embeddings",
        "decoder": "decoder",
    }  # fmt: skip
    assert document.certificate.passed
    assert {one.what: one.value for one in document.certificate.edits}[
        "tokens that are equal, share"
    ] == 1.0
    assert verify(bundle, checked, Job()).faults == ()


@pytest.mark.parametrize("command", [None, "make it brighter"])
def test_answers_and_their_probabilities_are_the_same(bundle, model_folder, command):
    model, ours = load_model(model_folder), BundledMiniGPT4(Bundle(bundle, device="cpu"))
    source, edited = (one.rgb8() for one in pair(3))
    prompt = draw(random.Random(5), command, "llama-2")
    (wanted,) = model.answer(model.pixels([(source, edited)]), [prompt], longest=40)
    found = ours.answer((source, edited), prompt, longest=40)
    assert found.tokens == wanted.tokens
    assert len(found.tokens) > 5
    np.testing.assert_allclose(found.probabilities, wanted.probabilities, atol=1e-4)
    assert ours.strings == list(model.language.strings)


def test_what_is_said_of_a_pair_is_the_same(bundle, model_folder):
    source, edited = pair(4)
    options = {"weights": str(bundle), "device": "cpu", "precision": "auto", "bits": "full"}
    request = PredictRequest(source=source, edited=edited, options=options, seed=2)
    prepared = pair_of(source, edited, Job())
    wanted = ask(load_model(model_folder), prepared, request, Job())
    found = _asked_of_bundle(bundle, prepared, request, Job())
    assert found[2] == wanted[2]
    assert found[0] == wanted[0]


def test_wrong_statistics_of_the_preprocessing_are_found(bundle, tmp_path):
    folder = shutil.copytree(bundle, tmp_path / "bundle")
    document = json.loads((folder / bundles.FILE).read_text())
    document["settings"]["pixels"]["mean"] = [0.485, 0.456, 0.406]
    (folder / bundles.FILE).write_text(json.dumps(document))
    assert any("pixels for the tower" in fault for fault in verify(folder, checked, Job()).faults)


def test_what_a_bundle_cannot_do_is_told(bundle):
    with pytest.raises(OptionError, match="constrained yet"):
        loaded(bundle, {"constrained": True}, Job())
    with pytest.raises(OptionError, match="bits is that of its parts"):
        loaded(bundle, {"bits": "4"}, Job())


def test_a_plan_from_the_command_line_without_torch(bundle, tmp_path):
    for name, picture in zip(("before.png", "after.png"), pair(6), strict=True):
        save_picture(picture, tmp_path / name)
    code = (
        "import sys\nfor name in ('torch', 'transformers', 'onnx'): sys.modules[name] = None\n"
        "from imgedit_plugins.cli import main\nmain()\n"
    )
    command = [sys.executable, "-c", code, "predict", tmp_path / "before.png",
               tmp_path / "after.png", "--plugin", "reverse_design", "-Omodel=minigpt4",
               f"-Oweights={bundle}", "-Oeffort=quick", "--json"]  # fmt: skip
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert [step["name"] for step in plan["operations"]] == ["bright"]
    assert plan["provenance"]["model"] == "minigpt4+search"
    assert plan["provenance"]["model_sha256"]
