"""Folders of safetensors: written whole, read strictly."""

from __future__ import annotations

import json

import pytest

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:__array__ impl")]

import torch  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from imgedit_modelkit.diffusion.editor import PictureEditor, Sampling  # noqa: E402
from imgedit_modelkit.diffusion.testing import tiny_editor  # noqa: E402
from imgedit_plugins.errors import WeightsError  # noqa: E402

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture
def folder(tmp_path, editor):
    editor.save(tmp_path / "editor")
    return tmp_path / "editor"


def test_saved_and_loaded_it_is_the_same(folder, editor, picture, conditioning):
    loaded = PictureEditor.load(folder)
    a, b = (e.edit(picture, conditioning, Sampling(3)) for e in (editor, loaded))
    assert torch.equal(a, b)
    assert type(loaded.scheduler) is type(editor.scheduler)
    assert loaded.scheduler.config.beta_end == 0.012
    kinds = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert kinds == {".safetensors", ".json"}
    assert [path.name for path in folder.parent.iterdir()] == ["editor"]


def test_loaded_in_half_precision(folder):
    loaded = PictureEditor.load(folder, dtype=torch.bfloat16)
    assert loaded.dtype == torch.bfloat16
    assert not loaded.unet.training
    assert not loaded.vae.training


def test_a_folder_of_diffusers_is_read(tmp_path, editor, picture, conditioning):
    from diffusers import StableDiffusionInstructPix2PixPipeline

    StableDiffusionInstructPix2PixPipeline(
        editor.vae, None, None, editor.unet, editor.scheduler, None, None, None, False
    ).save_pretrained(tmp_path / "pipeline")
    loaded = PictureEditor.load(tmp_path / "pipeline")
    a, b = (e.edit(picture, conditioning, Sampling(2)) for e in (editor, loaded))
    assert torch.equal(a, b)


def test_several_files_of_one_model(tmp_path, editor):
    editor.save(tmp_path / "editor")
    editor.unet.save_pretrained(tmp_path / "parts", max_shard_size="200KB")
    for path in (tmp_path / "editor" / "unet").iterdir():
        path.unlink()
    for path in (tmp_path / "parts").iterdir():
        path.rename(tmp_path / "editor" / "unet" / path.name)
    assert len(list((tmp_path / "editor" / "unet").glob("*.safetensors"))) > 1
    loaded = PictureEditor.load(tmp_path / "editor")
    assert torch.equal(loaded.unet.conv_in.weight, editor.unet.conv_in.weight)


def test_files_called_fp16_are_taken_where_there_are_no_others(folder):
    unet = folder / "unet"
    half = {name: t.half() for name, t in load_file(unet / WEIGHTS).items()}
    save_file(half, unet / "diffusion_pytorch_model.fp16.safetensors")
    (unet / WEIGHTS).unlink()
    loaded = PictureEditor.load(folder)
    assert loaded.dtype == torch.float32
    assert torch.equal(loaded.unet.conv_in.weight, half["conv_in.weight"].float())


def test_nothing_is_written_over(folder, editor):
    with pytest.raises(WeightsError, match="is there already"):
        editor.save(folder)


# --- what does not fit ------------------------------------------------------------------------


def test_missing_and_unexpected_names_are_told(folder):
    path = folder / "unet" / WEIGHTS
    tensors = load_file(path)
    tensors["something.weight"] = tensors.pop("conv_in.weight")
    save_file(tensors, path)
    with pytest.raises(WeightsError, match=r"missing conv_in\.weight; unexpected something\.w"):
        PictureEditor.load(folder)


def test_another_shape_is_refused(folder):
    path = folder / "unet" / WEIGHTS
    tensors = load_file(path)
    tensors["conv_in.weight"] = tensors["conv_in.weight"][:, :4].contiguous()
    save_file(tensors, path)
    with pytest.raises(WeightsError, match=r"conv_in\.weight"):
        PictureEditor.load(folder)


@pytest.mark.parametrize("part", ["unet", "vae"])
def test_a_cut_file_is_refused(folder, part):
    path = folder / part / WEIGHTS
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightsError, match=part):
        PictureEditor.load(folder)


def test_pickles_are_not_read(folder):
    path = folder / "unet" / WEIGHTS
    torch.save(load_file(path), path.with_suffix(".bin"))
    path.unlink()
    with pytest.raises(WeightsError, match=r"holds no .*safetensors.*\.bin"):
        PictureEditor.load(folder)


def test_a_missing_part(folder, tmp_path):
    with pytest.raises(WeightsError, match=r"unet.config\.json is missing"):
        PictureEditor.load(tmp_path)
    (folder / "scheduler" / "scheduler_config.json").unlink()
    with pytest.raises(WeightsError, match="holds no scheduler"):
        PictureEditor.load(folder)


@pytest.mark.parametrize("name", ["os", "AutoencoderKL", "NoSuchScheduler"])
def test_schedulers_are_of_diffusers_alone(folder, name):
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "_class_name": name}))
    with pytest.raises(WeightsError, match=f"no scheduler '{name}'"):
        PictureEditor.load(folder)


def test_an_old_editor_stays_when_saving_fails(tmp_path, monkeypatch):
    editor = tiny_editor()
    monkeypatch.setattr(editor.vae, "save_pretrained", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        editor.save(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []
