"""`weights import reason_edit`: what is taken, what is missing, what nobody knows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.torch

import tiny_reasoner  # noqa: E402
import tiny_seeing  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from imgedit_modelkit import fingerprints  # noqa: E402
from imgedit_plugins.errors import DataError, WeightsError  # noqa: E402
from imgedit_plugins.jobs import Job  # noqa: E402
from imgedit_reason_edit.model.folders import model_folder, part, read_config  # noqa: E402
from imgedit_reason_edit.model.projection import Projection, load_projection  # noqa: E402


def copied(folder: Path, target: Path) -> Path:
    """A folder that may be broken."""
    shutil.copytree(folder, target)
    return target


def test_both_models_become_one_folder(reasoner_files, tmp_path):
    job, out = Job(), tmp_path / "model"
    report = tiny_reasoner.imported(reasoner_files, out, job)
    config = read_config(out)
    assert (config.model, config.trained, config.features) == ("reason_pix2pix", False, 24)
    assert config.encoder is not None
    assert config.encoder.sha256 == fingerprints.of_folder(out / "mllm")
    assert config.encoder.width == 32
    assert [one.part for one in config.lineage] == ["mllm", "diffusion"]
    assert all(one.licence for one in config.lineage)
    names = {"null", "norm.weight", "norm.bias", "linear.weight", "linear.bias"}
    assert set(report.missing_keys) == {f"projection.{n} (begins at random)" for n in names}
    assert report.unexpected_keys == ()
    assert all(path.is_file() for path in report.files)
    assert any("begins at random" in one for one in job.warnings)
    weights = out / "mllm" / "model.safetensors"
    assert weights.stat().st_ino == (reasoner_files["mllm"] / weights.name).stat().st_ino, "linked"


def test_a_unet_that_sees_no_picture_is_widened(reasoner_files, tmp_path):
    narrow = tiny_reasoner.pix2pix(tmp_path / "sd", channels=4)
    tiny_reasoner.imported({**reasoner_files, "diffusion": narrow}, tmp_path / "model")
    name = "unet/diffusion_pytorch_model.safetensors"
    old, new = load_file(narrow / name), load_file(tmp_path / "model" / name)
    assert torch.equal(new["conv_in.weight"][:, :4], old["conv_in.weight"])
    assert not new["conv_in.weight"][:, 4:].any()
    tiny_reasoner.imported(reasoner_files, tmp_path / "other")
    theirs = load_file(reasoner_files["diffusion"] / name)
    ours = load_file(tmp_path / "other" / name)
    assert all(torch.equal(ours[key], tensor) for key, tensor in theirs.items())


@pytest.mark.parametrize("kind", ["gemma3", "idefics3"])
def test_any_vision_language_model_will_do(reasoner_files, tmp_path, kind):
    mllm = getattr(tiny_seeing, kind)(tmp_path / kind)
    tiny_reasoner.imported({**reasoner_files, "mllm": mllm}, tmp_path / "model")
    assert read_config(tmp_path / "model").encoder.width == 32


def test_each_missing_and_each_strange_key_is_named(reasoner_files, tmp_path):
    mllm = copied(reasoner_files["mllm"], tmp_path / "mllm")
    tensors = load_file(mllm / "model.safetensors")
    gone = sorted(name for name in tensors if "mlp.down_proj" in name)
    wrong = next(name for name in tensors if "mlp.up_proj" in name)
    for name in gone:
        del tensors[name]
    tensors |= {wrong: torch.zeros(3), "strange.weight": torch.zeros(2)}
    save_file(tensors, mllm / "model.safetensors", {"format": "pt"})
    with pytest.raises(WeightsError) as caught:
        tiny_reasoner.imported({**reasoner_files, "mllm": mllm}, tmp_path / "model")
    told = str(caught.value)
    assert len(gone) == 2
    assert all(name.removeprefix("language_model.model.") in told for name in gone)
    assert "(3,), not (64, 32)" in told
    assert "strange.weight" in told
    assert not (tmp_path / "model").exists(), "all is checked before anything is written"


def test_a_strange_key_alone_is_told_and_left_out(reasoner_files, tmp_path):
    mllm = copied(reasoner_files["mllm"], tmp_path / "mllm")
    tensors = load_file(mllm / "model.safetensors")
    more = {**tensors, "strange.weight": torch.zeros(2)}
    save_file(more, mllm / "model.safetensors", {"format": "pt"})
    report = tiny_reasoner.imported({**reasoner_files, "mllm": mllm}, tmp_path / "model")
    assert report.unexpected_keys == ("strange.weight",)


def test_a_diffusion_model_that_lacks_a_tensor(reasoner_files, tmp_path):
    broken = copied(reasoner_files["diffusion"], tmp_path / "sd")
    path = broken / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    del tensors["conv_out.weight"]
    save_file(tensors, path)
    with pytest.raises(WeightsError, match=r"missing conv_out\.weight"):
        tiny_reasoner.imported({**reasoner_files, "diffusion": broken}, tmp_path / "model")


def test_pickles_and_other_models_are_refused(reasoner_files, tmp_path):
    mllm = copied(reasoner_files["mllm"], tmp_path / "mllm")
    torch.save(load_file(mllm / "model.safetensors"), mllm / "pytorch_model.bin")
    (mllm / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match="holds no model") as caught:
        tiny_reasoner.imported({**reasoner_files, "mllm": mllm}, tmp_path / "model")
    assert "Pickles (.bin) are not read" in str(caught.value.hint)
    other = copied(reasoner_files["mllm"], tmp_path / "other")
    fields = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**fields, "model_type": "bert"}))
    with pytest.raises(WeightsError, match="knows no vision-language model as in"):
        tiny_reasoner.imported({**reasoner_files, "mllm": other}, tmp_path / "model")


def test_without_a_language_model_clip_reads_the_text(reasoner_files, tmp_path):
    source = reasoner_files["diffusion"]
    report = tiny_reasoner.imported({"diffusion": source}, tmp_path / "model")
    config = read_config(tmp_path / "model")
    assert (config.model, config.encoder) == ("clip", None)
    assert report.missing_keys == ()
    assert part(tmp_path / "model", "text_encoder").is_dir()
    bare = copied(source, tmp_path / "bare")
    shutil.rmtree(bare / "text_encoder")
    with pytest.raises(WeightsError, match="has no text_encoder, and without --mllm CLIP reads"):
        tiny_reasoner.imported({"diffusion": bare}, tmp_path / "other")


def test_no_model_says_how_one_is_made():
    with pytest.raises(WeightsError) as caught:
        model_folder("")
    told = f"{caught.value} {caught.value.hint}"
    for needed in ("none was published", "14 GB", "OpenRAIL-M", "weights import reason_edit"):
        assert needed in told


# --- the projection ---------------------------------------------------------------------------


def test_the_projection_begins_at_the_scale_of_text_embeddings():
    """Whatever the scale of the hidden states."""
    torch.manual_seed(0)
    projection = Projection(256, 64).requires_grad_(False)
    for scale in (0.01, 1.0, 300.0):
        made = projection(scale * torch.randn(4, 9, 256))
        assert made.embeddings.std() == pytest.approx(1.0, abs=0.15)
    assert made.null.shape == (1, 1, 64)


def test_a_projection_s_file(tmp_path):
    made = Projection(8, 4)
    save_file(made.state_dict(), tmp_path / "good.safetensors")
    again = load_projection(tmp_path / "good.safetensors")
    states = torch.randn(1, 3, 8)
    assert torch.equal(again(states).embeddings, made(states).embeddings)
    lacking = {n: t for n, t in made.state_dict().items() if n != "null"}
    save_file({**lacking, "more": torch.zeros(1)}, tmp_path / "bad.safetensors")
    with pytest.raises(DataError, match="missing null, unexpected more"):
        load_projection(tmp_path / "bad.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "none.safetensors")
    with pytest.raises(DataError, match=r"it has no linear\.weight"):
        load_projection(tmp_path / "none.safetensors")
