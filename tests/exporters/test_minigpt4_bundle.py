"""MiniGPT-4 as a bundle: the same answers as its original, without PyTorch."""

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import minigpt4_exported
import numpy as np
import pytest
import torch
from minigpt4_exported import checked, pair, parts_of

from imgedit_exporters.exporting import ExportFailedError, Wanted, export
from imgedit_exporters.runtime import bundles
from imgedit_exporters.runtime.golden import save_arrays
from imgedit_exporters.runtime.sessions import Bundle
from imgedit_exporters.verifying import verify
from imgedit_plugins.errors import ImgeditError, OptionError
from imgedit_plugins.jobs import Job
from imgedit_plugins.picture_files import save_picture
from imgedit_plugins.requests import PredictRequest
from imgedit_reverse_design.minigpt4.bundled import BundledMiniGPT4, loaded
from imgedit_reverse_design.minigpt4.exporting import golden_answers
from imgedit_reverse_design.minigpt4.golden_pairs import made_pairs
from imgedit_reverse_design.minigpt4.model import load_model
from imgedit_reverse_design.minigpt4.predicting import _asked_of_bundle, ask
from imgedit_reverse_design.minigpt4.prompts import draw
from imgedit_reverse_design.predict import pair_of

pytestmark = pytest.mark.torch


@pytest.fixture
def model_folder(minigpt4_model) -> Path:
    return minigpt4_model


@pytest.fixture
def bundle(minigpt4_bundle) -> Path:
    return minigpt4_bundle


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


@pytest.mark.parametrize("constrained", [False, True])
def test_what_is_said_of_a_pair_is_the_same(bundle, model_folder, constrained):
    source, edited = pair(4)
    options = {
        "weights": str(bundle),
        "device": "cpu",
        "precision": "auto",
        "bits": "full",
        "constrained": constrained,
        "max-operations": 3,
    }
    request = PredictRequest(source=source, edited=edited, options=options, seed=2)
    prepared = pair_of(source, edited, Job())
    wanted = ask(load_model(model_folder), prepared, request, Job())
    found = _asked_of_bundle(bundle, prepared, request, Job())
    assert found[2] == wanted[2]
    assert found[0] == wanted[0]
    np.testing.assert_allclose(found[1], wanted[1], atol=1e-4)
    assert (1 <= len(found[0]) <= 3) == constrained, "it is untrained"


def test_wrong_statistics_of_the_preprocessing_are_found(bundle, tmp_path):
    folder = shutil.copytree(bundle, tmp_path / "bundle")
    document = json.loads((folder / bundles.FILE).read_text())
    document["settings"]["pixels"]["mean"] = [0.485, 0.456, 0.406]
    (folder / bundles.FILE).write_text(json.dumps(document))
    assert any("pixels for the tower" in fault for fault in verify(folder, checked, Job()).faults)


def test_what_a_bundle_cannot_do_is_told(bundle):
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
               f"-Oweights={bundle}", "-Oeffort=quick", "-Oconstrained=yes", "--json"]  # fmt: skip
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert [step["name"] for step in plan["operations"]] == ["bright"]
    assert plan["provenance"]["model"] == "minigpt4+search"
    assert plan["provenance"]["model_sha256"]


# --- models of other kinds --------------------------------------------------------------------


def same_answers(bundle: Path, model_folder: Path) -> None:
    """Beside the original as it is, in several prompts."""
    model, ours = load_model(model_folder), BundledMiniGPT4(Bundle(bundle, device="cpu"))
    source, edited = (one.rgb8() for one in pair(7))
    for seed in range(3):
        prompt = draw(random.Random(seed), None, model.config.wrap)
        (wanted,) = model.answer(model.pixels([(source, edited)]), [prompt], longest=30)
        found = ours.answer((source, edited), prompt, longest=30)
        assert found.tokens == wanted.tokens
        assert len(found.tokens) > 5
        np.testing.assert_allclose(found.probabilities, wanted.probabilities, atol=1e-4)


def test_a_model_with_adapters_answers_as_its_unmerged_original(bundle, model_folder, tmp_path):
    adapted = minigpt4_exported.with_adapters(model_folder, tmp_path / "adapted")
    traced = parts_of(bundle, "tower", "projection", "embeddings")
    document = minigpt4_exported.exported(adapted, tmp_path / "bundle", traced=traced)
    assert document.certificate.passed
    same_answers(tmp_path / "bundle", adapted)


def test_adapters_that_were_lost_are_found(bundle, model_folder, tmp_path):
    """The parts are those of the model without adapters, and the golden answers its own."""
    adapted = minigpt4_exported.with_adapters(model_folder, tmp_path / "adapted")
    folder = shutil.copytree(bundle, tmp_path / "bundle")
    save_arrays(
        folder / bundles.EDITS, golden_answers(load_model(adapted), made_pairs(2), 2, Job())
    )
    assert any("tokens that are equal" in fault for fault in verify(folder, checked, Job()).faults)


def test_a_tower_with_a_q_former(bundle, tmp_path):
    folder = minigpt4_exported.model(tmp_path, qformer=True)
    traced = parts_of(bundle, "embeddings", "decoder")
    document = minigpt4_exported.exported(folder, tmp_path / "bundle", traced=traced)
    tower = document.part("tower")
    assert tower.compared.golden == 6
    assert tower.compared.spread > 0.05, "pictures do not all look alike to it"
    assert tower.outputs[0].shape[1:] == (5, 24)
    # Position embeddings are not stretched: a graph that was traced at one size cannot do so for
    # others, and every picture comes at the tower's own size.
    assert tower.inputs[0].shape == ("pictures", 3, 28, 28)
    same_answers(tmp_path / "bundle", folder)
    with pytest.raises(ImgeditError, match="part tower cannot be run"):
        Bundle(tmp_path / "bundle", device="cpu").run("tower", [np.zeros((1, 3, 42, 42), "f4")])


def test_a_tower_as_blip_2_begins_proves_nothing(tmp_path):
    """BLIP-2 draws its weights at 1e-10: every picture gives the same, and so would any export."""
    folder = minigpt4_exported.model(tmp_path, qformer=True)
    report = minigpt4_exported.declared(folder)
    tower = report.parts[0].module
    with torch.no_grad():
        for parameter in tower.vision.encoder.parameters():
            if parameter.ndim > 1:
                parameter.copy_(1e-10 * torch.randn(parameter.shape))
        tower.vision.embeddings.patch_embedding.weight.mul_(1e-10)
    part = report.parts[0].model_copy(update={"golden": 4})
    bare = report.model_copy(update={"parts": (part,), "golden": None})
    with pytest.raises(ExportFailedError, match="hardly depends on what it gets"):
        export(bare, "reverse_design", tmp_path / "bundle", Wanted(), None, Job())
