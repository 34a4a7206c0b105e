"""MGIE as a bundle: the same edits as its original, and none of PyTorch's."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import mgie_exported
import numpy as np
import pytest
import tiny_mgie
import torch
from bundle_faults import WITHOUT_TORCH, agreeing, changed, run, zero

from imgedit_exporters.quantising import Grain, quantise
from imgedit_exporters.runtime import bundles
from imgedit_exporters.runtime.decoding import Decoder
from imgedit_exporters.runtime.painting import Guidance
from imgedit_exporters.runtime.painting import Noise as AllNoise
from imgedit_exporters.runtime.sessions import Bundle
from imgedit_exporters.verifying import verify
from imgedit_mgie import bundled_editing
from imgedit_mgie.bundled import BundledModel
from imgedit_mgie.deriving import derived_of
from imgedit_mgie.expressive import so_far
from imgedit_mgie.loading import load_head, load_llava
from imgedit_mgie.writer import Writer
from imgedit_modelkit.diffusion.editor import PictureEditor, Sampling
from imgedit_modelkit.diffusion.guidance import Guidance as OriginalGuidance
from imgedit_plugins.errors import ImgeditError, OptionError, WeightsError
from imgedit_plugins.jobs import Job, Progress
from imgedit_plugins.picture_files import open_picture, save_picture
from imgedit_plugins.plugins import PluginManager
from imgedit_plugins.requests import ApplyRequest, ExportRequest

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:__array__ impl")]

PARTS = {
    "tower": "vision-tower", "projector": "projection", "embeddings": "embeddings",
    "decoder": "decoder", "edit_head": "edit-head", "unet": "unet", "vae_encoder": "vae-encoder",
    "vae_decoder": "vae-decoder",
}  # fmt: skip


@pytest.fixture(scope="module")
def model(mgie_model) -> Path:
    return mgie_model


@pytest.fixture(scope="module")
def bundle(mgie_bundle) -> Path:
    return mgie_bundle


@pytest.fixture(scope="module")
def ours(bundle) -> BundledModel:
    return BundledModel(Bundle(bundle, device="cpu", threads=1))


@pytest.fixture(scope="module")
def writer(model) -> Writer:
    return Writer(load_llava(model), *load_head(model)).eval()


@pytest.fixture(scope="module")
def editor(model) -> PictureEditor:
    return PictureEditor.load(model)


# --- the certificate --------------------------------------------------------------------------


def test_every_part_and_the_edits_are_in_the_certificate(bundle):
    document = bundles.read(bundle)
    assert {part.name: part.role for part in document.parts} == PARTS
    assert all(0 <= part.compared.largest < 5e-5 for part in document.parts)
    edits = {one.what: one for one in document.certificate.edits}
    assert document.certificate.passed
    assert edits["tokens that are equal, share"].value == 1.0
    assert edits["edited pictures, lowest PSNR in dB"].value > 60
    assert [one.part for one in document.lineage] == [
        "llava", "mllm", "unet", "clip", "diffusion"
    ] or {one.part for one in document.lineage} >= {"llava", "mllm", "unet"}  # fmt: skip
    assert all(one.licence for one in document.lineage)


def test_verify_makes_the_same_edits_again(bundle):
    verdict = verify(bundle, mgie_exported.checked, Job())
    assert verdict.faults == ()
    assert set(verdict.parts) == set(PARTS)
    assert len(verdict.edits) == 3


@pytest.mark.parametrize("part", ["projector", "unet"])
def test_a_part_that_is_zeroed_spoils_the_edits_too(bundle, tmp_path, part):
    folder = changed(bundle, tmp_path / "bundle", part, zero)
    faults = verify(folder, mgie_exported.checked, Job()).faults
    assert any(fault.startswith(f"The part {part!r} fails") for fault in faults)
    assert any(fault.startswith("The edits fail") for fault in faults)


@pytest.mark.parametrize(
    "wrong", [{"mean": [0.485, 0.456, 0.406]}, {"deviation": [0.229, 0.224, 0.225]}]
)
def test_a_wrong_constant_of_the_preprocessing_is_found_by_the_edits(bundle, tmp_path, wrong):
    """ImageNet's statistics instead of CLIP's: no part is wrong."""
    folder = shutil.copytree(bundle, tmp_path / "bundle")
    pixels = bundles.read(bundle).settings["pixels"] | wrong
    told = verify(agreeing(folder, pixels=pixels), mgie_exported.checked, Job())
    assert not any(part.fault for part in told.parts.values())
    assert any("pixels for the tower" in fault for fault in told.faults)


def test_a_decoder_in_few_bits_that_is_declared_as_fp32_is_found(bundle, tmp_path):
    folder = shutil.copytree(bundle, tmp_path / "bundle")
    quantise(bundle / "decoder.onnx", folder / "decoder.onnx", Grain(4))
    faults = verify(agreeing(folder), mgie_exported.checked, Job()).faults
    assert any(fault.startswith("The part 'decoder' fails") for fault in faults)


# --- the same edits ---------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(40, 56), (56, 40), (33, 33)])
def test_the_tower_sees_the_same(ours, writer, shape):
    picture = tiny_mgie.picture(*shape, seed=sum(shape)).rgb8()
    wanted = writer.look(picture)
    np.testing.assert_allclose(ours.look(picture), wanted[0].detach().numpy(), atol=1e-4)


@pytest.mark.parametrize("instruction", ["make it red", "how to edit [IMG0] </s> the sky"])
def test_the_expressive_instruction_is_the_same(ours, writer, instruction):
    picture = tiny_mgie.picture(seed=4).rgb8()
    told: list[int] = []
    wanted = writer.derive(picture, instruction, longest=40)
    found = ours.derive(picture, instruction, longest=40, on_token=told.append)
    assert found.expressive == wanted.expressive
    assert found.complete == wanted.complete
    np.testing.assert_allclose(found.states, wanted.states[0].numpy(), atol=1e-3)
    assert told == list(range(1, len(told) + 1))


def test_the_expressive_instruction_is_told_while_it_is_written(bundle, ours, writer):
    request = ApplyRequest(
        picture=tiny_mgie.picture(seed=4), instruction="make it red",
        options=options(bundle, expressive="", **{"max-tokens": 24}),
    )  # fmt: skip
    answers = []
    for model in (ours, writer):
        pieces: list[str] = []
        written: list[int] = []
        told: list[Progress] = []
        model.derive(
            request.picture.rgb8(), "make it red", longest=24,
            on_token=written.append, on_text=pieces.append,
        )  # fmt: skip
        derived_of(model, request.picture.rgb8(), request, Job(told.append), guided=True)
        assert len(pieces) > 3
        assert {one.stage for one in told} == {"writing the expressive instruction"}
        assert told[-1].text == so_far("".join(pieces))
        assert len({one.text for one in told}) > 3
        counts = [one.done for one in told]
        assert sorted(counts) == counts
        assert (counts[-1], told[-1].total) == (written[-1], 24)
        answers.append(pieces)
    assert answers[0] == answers[1]


def test_what_is_known_of_a_picture_is_not_found_out_again(bundle, ours, monkeypatch):
    model = BundledModel(Bundle(bundle, device="cpu", threads=1))
    run_part, read_with = Bundle.run, Decoder.__call__
    ran, prompts = [], []
    for seed, instruction in ((4, "make it red"), (4, "make it green"), (4, "make it green")):
        picture, read = tiny_mgie.picture(seed=seed).rgb8(), []
        ours.bundle.release()
        wanted = ours.derive(picture, instruction, longest=20)
        with monkeypatch.context() as patch:
            patch.setattr(Bundle, "run", lambda *a: ran.append(a[1]) or run_part(*a))
            patch.setattr(
                Decoder, "__call__", lambda *a, to=read: to.append(len(a[1])) or read_with(*a)
            )
            found = model.derive(picture, instruction, longest=20)
        assert found.tokens == wanted.tokens
        np.testing.assert_allclose(found.states, wanted.states, atol=1e-4)
        prompts.append(read[0])
    assert ran.count("tower") == ran.count("projector") == 1
    whole, parts, same = prompts
    assert same == 1 < parts < whole
    assert (model.look(tiny_mgie.picture(seed=5).rgb8()) != model.look(picture)).any()


def test_a_given_expressive_instruction_is_reread_the_same(ours, writer):
    picture, given = tiny_mgie.picture(seed=5).rgb8(), "The sky is darker."
    wanted = writer.reread(picture, "darker", given)
    found = ours.reread(picture, "darker", given)
    np.testing.assert_allclose(found.states, wanted.states[0].numpy(), atol=1e-3)
    text, null = ours.conditioning(found.states)
    conditioning = writer.conditioning(wanted.states)
    np.testing.assert_allclose(text, conditioning.embeddings[0].numpy(), atol=1e-3)
    np.testing.assert_allclose(null, conditioning.null[0].numpy(), atol=1e-3)


@pytest.mark.parametrize("name", ["", "DDIMScheduler"])
@pytest.mark.parametrize(("text", "image"), [(7.5, 1.5), (3.0, 1.0)])
def test_the_picture_is_the_same(ours, writer, editor, name, text, image):
    from imgedit_modelkit.diffusion.schedulers import named

    picture = tiny_mgie.picture(24, 32, seed=6).pixels.astype(np.float32) / 255
    states = torch.randn(1, 8, 32, generator=torch.Generator().manual_seed(1))
    shape = (1, 4, 12, 16)
    first = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    steps = torch.Generator().manual_seed(3)
    noise = [torch.randn(shape, generator=steps)[0].numpy() for _ in range(6)]
    wanted = editor.edit(
        torch.from_numpy(picture).permute(2, 0, 1)[None],
        writer.conditioning(states),
        Sampling(6, OriginalGuidance(text, image), named(name, editor.scheduler) if name else None),
        seeds=[3],
        noise=first,
    )
    found = ours.paint(
        picture,
        ours.conditioning(states[0].numpy()),
        guidance=Guidance(text, image),
        steps=6,
        noise=AllNoise(first[0].numpy(), lambda number: noise[number]),
        name=name,
    )
    goal = wanted[0].permute(1, 2, 0).numpy()
    assert goal.std() > 0.05, "there is something to compare"
    assert np.abs(found - goal).max() < 5e-3
    assert -10 * np.log10(np.square(found - goal).mean()) > 60
    other = ours.paint(
        picture, ours.conditioning(-states[0].numpy()), guidance=Guidance(text, image), steps=6,
        noise=AllNoise(first[0].numpy(), lambda number: noise[number]), name=name,
    )  # fmt: skip
    assert np.abs(other - goal).max() > 0.02, "the instruction has a say"


def test_what_the_vae_alone_makes_of_a_picture_is_the_same(ours, editor):
    picture = tiny_mgie.picture(24, 32, seed=6).pixels.astype(np.float32) / 255
    wanted = editor.rebuilt(torch.from_numpy(picture).permute(2, 0, 1)[None])[0].numpy()
    np.testing.assert_allclose(ours.rebuild(picture), wanted.transpose(1, 2, 0), atol=1e-4)


# --- the plugin -------------------------------------------------------------------------------


def options(bundle: Path, **given) -> dict:
    settings = {"weights": str(bundle), "steps": 2, "resolution": 64, "max-tokens": 16}
    return {**settings, "exact": "off", "device": "cpu", **given}


def applied(request: ApplyRequest, job: Job | None = None):
    try:
        return PluginManager.discover().call("apply_edit", request, job or Job(), "mgie")
    finally:
        bundled_editing.MODELS.release()


def test_apply_edit_takes_a_bundle(bundle):
    picture = tiny_mgie.picture(48, 64)
    mask = np.zeros((48, 64), np.uint8)
    mask[:, :32] = 255
    stages: list[str] = []
    request = ApplyRequest(
        picture=picture, instruction="make it red", mask=mask,
        options=options(bundle, candidates=2), seed=5,
    )  # fmt: skip
    result = applied(request, Job(on_progress=lambda p: stages.append(p.stage)))
    one, two = (candidate.picture for candidate in result.candidates)
    assert one.pixels.shape == picture.pixels.shape
    np.testing.assert_array_equal(one.pixels[mask == 0], picture.pixels[mask == 0])
    assert np.abs(one.pixels.astype(int) - picture.pixels).max() > 5
    assert (one.pixels != two.pixels).any(), "each candidate has a seed of its own"
    assert stages.count("painting") == 4
    again = applied(request)
    np.testing.assert_array_equal(again.candidates[0].picture.pixels, one.pixels)
    assert again.explanation == result.explanation
    given = options(bundle, expressive="The sky is dark.")
    result = applied(request.model_copy(update={"options": given}))
    assert result.explanation == "The sky is dark."


def test_what_a_bundle_cannot_do_is_told(bundle, model):
    request = ApplyRequest(picture=tiny_mgie.picture(), instruction="make it red")
    for given, told in (
        ({"model": "lgie"}, "is mgie, not lgie"),
        ({"precision": "bf16"}, "is that of its parts"),
        ({"painter": "StableDiffusionInstructPix2PixPipeline"}, "takes no painter"),
        ({"scheduler": "HeunDiscreteScheduler"}, "no scheduler"),
        ({"device": "tpu"}, "does not run on"),
    ):
        changed_ = request.model_copy(update={"options": options(bundle, **given)})
        with pytest.raises(OptionError, match=told):
            applied(changed_)
    job = Job(on_progress=lambda p: job.cancel() if p.stage == "painting" else None)
    with pytest.raises(ImgeditError, match="cancelled"):
        applied(request.model_copy(update={"options": options(bundle)}), job)


def test_another_plugin_s_bundle_is_refused(bundle, tmp_path):
    folder = shutil.copytree(bundle, tmp_path / "bundle")
    document = json.loads((folder / bundles.FILE).read_text())
    (folder / bundles.FILE).write_text(json.dumps(document | {"plugin": "other"}))
    with pytest.raises(WeightsError, match="one of 'other', not of mgie"):
        BundledModel(Bundle(folder))


def test_a_model_that_cannot_be_exported_yet_is_told(model):
    with pytest.raises(OptionError, match="is 'mgie', not 'lgie'"):
        PluginManager.discover().call(
            "export_parts",
            ExportRequest(model="lgie", options={"weights": str(model)}),
            Job(),
            "mgie",
        )


# --- the command line, without PyTorch --------------------------------------------------------


def test_an_edit_from_the_command_line_without_torch(bundle, tmp_path):
    save_picture(tiny_mgie.picture(48, 64), tmp_path / "in.png")
    settings = [f"-O{name}={value}" for name, value in options(bundle).items()]
    done = run(
        "apply", tmp_path / "in.png", "--plugin", "mgie", "--instruction", "make it red", *settings,
        "-o", tmp_path / "out.png",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    edited = open_picture(tmp_path / "out.png")
    assert np.abs(edited.pixels.astype(int) - tiny_mgie.picture(48, 64).pixels).max() > 5


def test_verify_and_show_without_torch(bundle, tmp_path):
    done = run("bundle", "verify", bundle, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["passed"]
    assert len(told["parts"]) == len(PARTS)
    assert len(told["edits"]) == 3
    shown = run("bundle", "show", bundle).stdout
    for wanted in ("mgie", "checks: passed", "edit_head", "fp32", "CC-BY-NC-4.0"):
        assert wanted in shown
    folder = changed(bundle, tmp_path / "bundle", "edit_head", zero)
    failed = run("bundle", "verify", folder)
    assert failed.returncode == 1
    assert "The part 'edit_head' fails" in failed.stdout


def test_exporting_without_torch_is_told_in_a_sentence(model, tmp_path):
    code = WITHOUT_TORCH.replace(
        "from imgedit_plugins.cli",
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda n, *a: None if n in ('torch', 'onnx') else find(n, *a)\n"
        "from imgedit_plugins.cli",
    )
    command = [
        sys.executable,
        "-c",
        code,
        "export",
        "mgie",
        "--to",
        "onnx",
        "-o",
        str(tmp_path / "x"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: Exporting needs packages that are not installed: torch")
    assert "pip install 'imgedit-plugins[torch,export,runtime]'" in done.stderr


@pytest.mark.parametrize("arguments", [("export", "--help"), ("bundle", "--help"), ("--help",)])
def test_help_imports_none_of_it(arguments):
    code = (
        "import sys\nfrom imgedit_plugins.cli import cli\n"
        f"cli({list(arguments)!r}, standalone_mode=False)\n"
        "heavy = {'torch', 'onnx', 'onnxruntime', 'numpy', 'transformers'}\n"
        "print('LOADED', heavy & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "export" in done.stdout + " export"
    assert done.stdout.rstrip().endswith("LOADED set()"), done.stdout + done.stderr
