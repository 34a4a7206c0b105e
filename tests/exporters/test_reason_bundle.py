"""ReasonPix2Pix as bundles of each kind: the same edits as its originals, without PyTorch."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import reason_exported
import tiny_reasoner
import torch
from bundle_faults import agreeing, changed, run, zero

from imgedit_exporters.runtime import bundles
from imgedit_exporters.runtime.sessions import Bundle
from imgedit_exporters.verifying import verify
from imgedit_modelkit.diffusion.text_reader import TextReader
from imgedit_modelkit.export_parts import Decoder
from imgedit_modelkit.picture_features import PictureReader, Reading
from imgedit_plugins.errors import ImgeditError, OptionError
from imgedit_plugins.jobs import Job
from imgedit_plugins.picture_files import open_picture, save_picture
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plugins import PluginManager
from imgedit_plugins.requests import ApplyRequest
from imgedit_reason_edit.model import bundled_editing
from imgedit_reason_edit.model.bundled import BundledModel
from imgedit_reason_edit.model.folders import KINDS
from imgedit_reason_edit.model.projection import load_projection

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:__array__ impl")]

DIFFUSION = {"unet": "unet", "vae_encoder": "vae-encoder", "vae_decoder": "vae-decoder"}
LANGUAGE = {"embeddings": "embeddings", "decoder": "decoder", "projection": "projection"}
PARTS = {
    "reason_pix2pix": {"tower": "vision-tower", "projector": "projection"} | LANGUAGE,
    "text": LANGUAGE,
    "clip": {"text_encoder": "text-encoder"},
}
PICTURE = Picture(tiny_reasoner.picture(72, 4)[:60])
TEXTS = [
    "what would a red bee like?",
    "  two\nlines,  and spaces ",
    "Größe 12 — emoji 🐝",
    "x " * 40,
]


@pytest.fixture(scope="session")
def kinds(reason_model, reason_trained, reason_bundle, tmp_path_factory):
    """Model folder and bundle by kind; made when they are asked for."""
    made = {"reason_pix2pix": (reason_trained, reason_bundle)}

    def of(kind):
        if kind not in made:
            folder = tmp_path_factory.mktemp("kind")
            model = reason_exported.trained(reason_model, folder / "model", kind)
            reason_exported.exported(model, folder / "bundle")
            made[kind] = model, folder / "bundle"
        return made[kind]

    return of


def composed(bundle: Path) -> BundledModel:
    return BundledModel(Bundle(bundle, device="cpu", threads=1))


# --- the certificate --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_part_and_the_edits_are_in_the_certificate(kinds, kind):
    document = bundles.read(kinds(kind)[1])
    assert document.model == kind
    assert {part.name: part.role for part in document.parts} == PARTS[kind] | DIFFUSION
    assert document.certificate.passed
    edits = {one.what: one.value for one in document.certificate.edits}
    assert edits["edited pictures, lowest PSNR in dB"] > 60
    assert edits["prompts with the same tokens, share"] == 1
    assert ("pixels for the tower, largest difference" in edits) == (kind == "reason_pix2pix")
    assert {one.part for one in document.lineage} >= {"mllm", "diffusion"}
    assert all(one.licence for one in document.lineage)
    assert verify(kinds(kind)[1], reason_exported.checked, Job()).faults == ()


@pytest.mark.parametrize("part", ["projector", "projection", "unet"])
def test_a_part_that_is_zeroed_spoils_the_edits_too(reason_bundle, tmp_path, part):
    folder = changed(reason_bundle, tmp_path / "bundle", part, zero)
    faults = verify(folder, reason_exported.checked, Job()).faults
    assert any(fault.startswith(f"The part {part!r} fails") for fault in faults)
    assert any(fault.startswith("The edits fail") for fault in faults)


def test_wrong_preparation_and_prompts_are_found_by_the_edits(reason_bundle, tmp_path):
    """No part is wrong."""
    reader = bundles.read(reason_bundle).settings["reader"]
    for number, (wrong, told) in enumerate((
        ({"pixels": reader["pixels"] | {"mean": [0.485, 0.456, 0.406]}}, "pixels for the tower"),
        ({"pixels": reader["pixels"] | {"resample": 2}}, "pixels for the tower"),
        ({"after": " assistant:"}, "prompts with the same tokens"),
        ({"tokens": "all"}, "edited pictures, lowest PSNR"),
    )):  # fmt: skip
        folder = shutil.copytree(reason_bundle, tmp_path / str(number))
        verdict = verify(agreeing(folder, reader=reader | wrong), reason_exported.checked, Job())
        assert not any(part.fault for part in verdict.parts.values())
        assert any(told in fault for fault in verdict.faults), wrong


def test_another_vector_for_no_instruction_is_found_by_the_edits(reason_bundle, tmp_path):
    folder = shutil.copytree(reason_bundle, tmp_path / "bundle")
    null = np.load(folder / "projection/null.npy")
    np.save(folder / "projection/null.npy", -null)
    assert any("PSNR" in told for told in verify(agreeing(folder), reason_exported.checked,
                                                 Job()).faults)  # fmt: skip
    (folder / "projection/null.npy").write_bytes(b"none")
    assert any("cannot be read" in told for told in verify(folder, reason_exported.checked,
                                                           Job()).faults)  # fmt: skip


# --- the same guidance ------------------------------------------------------------------------


@pytest.mark.parametrize("tokens", ["text", "all"])
@pytest.mark.parametrize("shape", [(48, 48), (60, 33), (33, 60), (28, 28)])
def test_the_language_model_reads_the_same(reason_bundle, reason_trained, shape, tokens):
    reader = PictureReader.load(reason_trained / "mllm", torch.float32, Reading(tokens=tokens))
    ours = composed(reason_bundle).reader
    ours._settings = ours._settings | {"tokens": tokens}
    seen = np.ascontiguousarray(tiny_reasoner.picture(60, 5)[: shape[0], : shape[1]])
    for text in TEXTS:
        wanted = reader.read(seen, text).numpy()
        found = ours.read(seen, text)
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, atol=1e-4)
    other = ours.read(255 - seen, TEXTS[0])
    assert np.abs(other - ours.read(seen, TEXTS[0])).max() > 0.05, "the picture has a say"


@pytest.mark.parametrize("kind", ["reason_pix2pix", "text"])
def test_what_the_unet_attends_to_is_the_same(kinds, kind):
    model, bundle = kinds(kind)
    reader = PictureReader.load(model / "mllm", torch.float32)
    seen = tiny_reasoner.picture(40, 6)
    states = reader.read(seen if kind == "reason_pix2pix" else None, TEXTS[0])
    with torch.no_grad():
        wanted = load_projection(model / "projection.safetensors")(states[None])
    attended, null = composed(bundle).conditioning(seen, TEXTS[0])
    np.testing.assert_allclose(attended, wanted.embeddings[0].numpy(), atol=1e-4)
    learnt = wanted.null[0].detach().numpy()
    np.testing.assert_array_equal(null, np.repeat(learnt, len(attended), 0))


def test_clip_reads_the_same(kinds):
    model, bundle = kinds("clip")
    reader = TextReader.load(model / "text_encoder", model / "tokenizer", torch.float32)
    ours = composed(bundle)
    for text in (*TEXTS, "", "UPPER and   spaces.", "no end " * 30):
        assert ours.text.ids(text) == reader.ids([text])[0].tolist()
        wanted = reader.conditioning([text])
        attended, null = ours.text.conditioning(text)
        np.testing.assert_allclose(attended, wanted.embeddings[0].numpy(), atol=1e-4)
        np.testing.assert_allclose(null, wanted.null[0].numpy(), atol=1e-4)


def test_the_states_of_any_layer(reason_trained):
    for layer in (0, 1, -2, -1):
        reader = PictureReader.load(reason_trained / "mllm", torch.float32, Reading(layer))
        ids = torch.tensor([[3, 5, 8, 13]])
        with torch.no_grad():
            out = reader.model(input_ids=ids, output_hidden_states=True)
            embeds = reader.model.get_input_embeddings()(ids)
            shape = (1, 2, 0, 8)
            found = Decoder(reader.model, layer)(embeds, torch.zeros(shape), torch.zeros(shape))
        torch.testing.assert_close(found[1], out.hidden_states[layer])
        torch.testing.assert_close(found[0], out.logits[:, -1])


def test_a_token_for_pictures_in_the_instruction_is_told(reason_bundle):
    with pytest.raises(ImgeditError, match="has 16 patches, and the prompt 32") as caught:
        composed(reason_bundle).conditioning(tiny_reasoner.picture(30), "an <image> of it")
    assert "'<image>'" in str(caught.value.hint)


def test_a_model_that_sees_in_another_way_is_refused(reason_model, tmp_path):
    import tiny_seeing

    files = {
        "mllm": tiny_seeing.idefics3(tmp_path / "idefics"),
        "diffusion": tiny_reasoner.pix2pix(tmp_path / "pix2pix"),
    }
    tiny_reasoner.imported(files, tmp_path / "model")
    with pytest.raises(OptionError, match="How Idefics3ForConditionalGeneration sees cannot be"):
        reason_exported.declared(tmp_path / "model")
    names = [part.name for part in reason_exported.declared(tmp_path / "model", "text").parts]
    assert names == [*LANGUAGE, *DIFFUSION]


# --- the plugin -------------------------------------------------------------------------------


def options(bundle: Path, **given) -> dict:
    settings = {"weights": str(bundle), "steps": 2, "resolution": 64, "model": "reason_pix2pix"}
    return {**settings, "exact": "off", "device": "cpu", **given}


def applied(request: ApplyRequest, job: Job | None = None):
    try:
        return PluginManager.discover().call("apply_edit", request, job or Job(), "reason_edit")
    finally:
        bundled_editing.MODELS.release()


@pytest.mark.parametrize("kind", KINDS)
def test_apply_edit_takes_a_bundle(kinds, kind):
    mask = np.zeros((60, 72), np.uint8)
    mask[:, :36] = 255
    given = options(kinds(kind)[1], model=kind, candidates=2)
    stages: list[str] = []
    request = ApplyRequest(
        picture=PICTURE, instruction="make it red", mask=mask, options=given, seed=5
    )
    job = Job(on_progress=lambda p: stages.append(p.stage))
    result = applied(request, job)
    one, two = (candidate.picture for candidate in result.candidates)
    assert [candidate.seed for candidate in result.candidates] == [5, 6]
    assert one.pixels.shape == PICTURE.pixels.shape
    np.testing.assert_array_equal(one.pixels[mask == 0], PICTURE.pixels[mask == 0])
    assert np.abs(one.pixels.astype(int) - PICTURE.pixels).max() > 5
    assert (one.pixels != two.pixels).any(), "each candidate has a seed of its own"
    assert stages.count("painting") == 4
    np.testing.assert_array_equal(applied(request).candidates[0].picture.pixels, one.pixels)
    assert not job.warnings
    other = applied(request.model_copy(update={"instruction": "what would a bee like?"}))
    assert (other.candidates[0].picture.pixels != one.pixels).any(), "the instruction has a say"


def test_what_a_bundle_cannot_do_is_told(reason_bundle):
    request = ApplyRequest(picture=PICTURE, instruction="make it red")
    for given, told in (
        ({"model": "clip"}, "is reason_pix2pix, not clip"),
        ({"precision": "bf16"}, "is that of its parts"),
        ({"offload": "layers"}, "is that of its parts"),
        ({"scheduler": "HeunDiscreteScheduler"}, "no scheduler"),
        ({"device": "tpu"}, "does not run on"),
    ):
        changed_ = request.model_copy(update={"options": options(reason_bundle, **given)})
        with pytest.raises(OptionError, match=told):
            applied(changed_)
    job = Job(on_progress=lambda p: job.cancel() if p.stage == "painting" else None)
    with pytest.raises(ImgeditError, match="cancelled"):
        applied(request.model_copy(update={"options": options(reason_bundle)}), job)


def test_a_model_that_nobody_trained_says_so_in_its_bundle_too(reason_bundle, tmp_path):
    folder = agreeing(shutil.copytree(reason_bundle, tmp_path / "bundle"), trained=False)
    request = ApplyRequest(picture=PICTURE, instruction="make it red", options=options(folder))
    applied(request, job := Job())
    assert "has not been trained" in job.warnings[0]


# --- the command line, without PyTorch --------------------------------------------------------


def test_an_edit_from_the_command_line_without_torch(reason_bundle, tmp_path):
    save_picture(PICTURE, tmp_path / "in.png")
    settings = [f"-O{name}={value}" for name, value in options(reason_bundle).items()]
    done = run(
        "apply", tmp_path / "in.png", "--plugin", "reason_edit", "--instruction", "make it red",
        *settings, "-o", tmp_path / "out.png",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    edited = open_picture(tmp_path / "out.png")
    assert np.abs(edited.pixels.astype(int) - PICTURE.pixels).max() > 5


def test_a_reasoned_plan_is_painted_by_a_bundle_without_torch(reason_bundle, tmp_path):
    """The document says what to paint; the painter is this plugin with a bundle as its weights."""
    document = {
        "schema": "imgedit-reasoned-edit/1", "instruction": "make it red",
        "layers": [{"title": "Block", "paint": "a red block"}],
    }  # fmt: skip
    (tmp_path / "document.json").write_text(json.dumps(document))
    save_picture(PICTURE, tmp_path / "in.png")
    given = " ".join(f"{name}={value}" for name, value in options(reason_bundle).items())
    done = run(
        "apply", tmp_path / "in.png", "--plugin", "reason_edit", "--instruction", "make it red",
        f"-Odocument={tmp_path}", "-Opainter=reason_edit", f"-Opainter-options={given}",
        "-o", tmp_path / "out.png",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    edited = open_picture(tmp_path / "out.png")
    assert np.abs(edited.pixels.astype(int) - PICTURE.pixels).max() > 5


def test_verify_and_show_without_torch(reason_bundle):
    done = run("bundle", "verify", reason_bundle, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["passed"]
    assert len(told["edits"]) == 3
    shown = run("bundle", "show", reason_bundle).stdout
    for wanted in ("reason_pix2pix", "checks: passed", "projection", "LLaMA 2 Community License"):
        assert wanted in shown
