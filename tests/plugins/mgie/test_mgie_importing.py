"""Import: published names and shapes in, a model folder out, every misfit named."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.torch

import tiny_mgie  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from tiny_mgie import imported  # noqa: E402

from imgedit_mgie.folders import FILE, read_config  # noqa: E402
from imgedit_mgie.loading import load_head, load_llava  # noqa: E402
from imgedit_modelkit.diffusion.folders import load as load_diffusion  # noqa: E402
from imgedit_plugins.errors import WeightsError  # noqa: E402
from imgedit_plugins.jobs import Job  # noqa: E402
from imgedit_plugins.plugins import PluginManager  # noqa: E402
from imgedit_plugins.weights import find, verify  # noqa: E402
from imgedit_plugins.weights import import_weights as import_by_core  # noqa: E402


def save(tensors: object, path: Path) -> Path:
    torch.save(tensors, path)
    return path


def test_the_folder_holds_all_parts_in_safetensors(model_folder):
    found = {path.relative_to(model_folder).as_posix() for path in model_folder.rglob("*.*")}
    assert found >= {
        "mgie.json", "tower.safetensors", "projector.safetensors", "edit_head.safetensors",
        "language_model/config.json", "language_model/model.safetensors.index.json",
        "language_model/tokenizer.json", "unet/config.json", "vae/config.json",
        "unet/diffusion_pytorch_model.safetensors", "scheduler/scheduler_config.json",
    }  # fmt: skip
    assert not [path for path in found if path.endswith((".bin", ".pth", ".pt", ".part"))]


def test_released_tensors_arrive_bit_for_bit(model_folder):
    released, unet = tiny_mgie.mllm(), tiny_mgie.unet()
    language = tiny_mgie.all_tensors(model_folder / "language_model")
    assert torch.equal(language["model.embed_tokens.weight"], released["model.embed_tokens.weight"])
    assert torch.equal(language["lm_head.weight"], released["lm_head.weight"])
    head = load_file(model_folder / "edit_head.safetensors")
    assert torch.equal(head.pop("emb"), released["emb"])
    assert {f"edit_head.{n}" for n in head} == {n for n in released if n.startswith("edit_head.")}
    assert all(torch.equal(t, released[f"edit_head.{n}"]) for n, t in head.items())
    written = load_file(model_folder / "unet" / "diffusion_pytorch_model.safetensors")
    assert written.keys() == unet.keys()
    assert all(torch.equal(t, unet[n]) for n, t in written.items())


def test_the_released_head_s_names_and_shapes_are_those_of_the_authors():
    """apple/ml-mgie: nn.Linear, a parameter, nn.Transformer, nn.Linear, at full size."""
    from imgedit_mgie.edit_head import EditHead
    from imgedit_mgie.folders import Head

    class Theirs(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.llm2hid = torch.nn.Linear(4096, 512)
            self.query = torch.nn.Parameter(torch.randn(1, 77, 512))
            self.mapper = torch.nn.Transformer(512, 4, 4, 4, 2048, 0.0, batch_first=True)
            self.hid2feat = torch.nn.Linear(512, 768)

    with torch.device("meta"):
        theirs, ours = Theirs(), EditHead(Head())
    shapes = [{n: t.shape for n, t in m.state_dict().items()} for m in (theirs, ours)]
    assert shapes[0] == shapes[1]


def test_lineage_and_licences_are_kept(model_folder):
    config = read_config(model_folder)
    parts = {part.part: part for part in config.lineage}
    assert list(parts) == ["llava", "mllm", "unet", "clip", "diffusion"]
    assert parts["mllm"].licence == parts["unet"].licence == "CC-BY-NC-4.0"
    assert len(parts["mllm"].sha256) == 64
    assert config.head == tiny_mgie.HEAD
    assert config.language.projector == "linear"


def test_the_non_commercial_licence_is_said_aloud(files, tmp_path):
    from imgedit_mgie.plugin import import_weights
    from imgedit_plugins.requests import WeightsRequest

    job = Job()
    import_weights(WeightsRequest(weights="mgie", files=files, out=tmp_path / "out"), job)
    assert any("CC-BY-NC-4.0" in told and "commercial" in told for told in job.warnings)


def test_pickled_and_safe_llavas_come_to_the_same(files, tmp_path):
    pickled = tiny_mgie.llava_10(tmp_path / "pickled", pickled=True)
    imported({**files, "llava": pickled}, tmp_path / "out", precision="fp32")
    imported(files, tmp_path / "other", precision="fp32")
    one, other = (tiny_mgie.all_tensors(tmp_path / n / "language_model") for n in ("out", "other"))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_llama_s_padding_token_does_not_silence_a_visual_token(model_folder):
    assert load_llava(model_folder).table.padding_idx is None


# --- deltas -----------------------------------------------------------------------------------


def test_a_delta_is_added_to_its_base(files, tmp_path):
    folder, whole = tiny_mgie.delta(tmp_path / "llava", tmp_path / "llama")
    given = {**files, "llava": folder, "base": tmp_path / "llama"}
    imported(given, tmp_path / "out", precision="fp32")
    written = tiny_mgie.all_tensors(tmp_path / "out" / "language_model")
    for name in written:
        if "embed_tokens" not in name and "lm_head" not in name:  # those are MGIE's
            assert torch.allclose(written[name], whole[name], atol=1e-6), name


def test_a_delta_without_its_base_is_noticed_and_a_base_without_a_delta(files, tmp_path):
    folder, _ = tiny_mgie.delta(tmp_path / "llava", tmp_path / "llama")
    with pytest.raises(WeightsError, match="looks like a delta"):
        imported({**files, "llava": folder}, tmp_path / "out")
    with pytest.raises(WeightsError, match="is no delta"):
        imported({**files, "base": tmp_path / "llama"}, tmp_path / "out")


# --- LLaVA 1.5 and fresh models ---------------------------------------------------------------


def test_llava_15_becomes_a_model_to_be_trained(files, tmp_path):
    folder, model = tiny_mgie.llava_15(tmp_path / "llava-1.5")
    report = imported(
        {"llava": folder, "diffusion": files["diffusion"]},
        tmp_path / "out",
        fresh=True,
        precision="fp32",
    )
    assert len(report.missing_keys) == len(load_head(tmp_path / "out")[0].state_dict())
    assert all(n.startswith("edit_head.") and "begins at random" in n for n in report.missing_keys)
    llava = load_llava(tmp_path / "out")
    assert llava.config.projector == "mlp"
    assert llava.config.patch == "<image>"
    table = model.get_input_embeddings().weight
    assert len(llava.table.weight) == len(table), "it has rows to spare"
    first = llava.tokens.visual[0]
    assert torch.equal(llava.table.weight[:first], table[:first])
    assert torch.allclose(llava.visual_embeddings(), table[:first].mean(0).expand(8, -1), atol=1e-6)
    again = imported(
        {"llava": folder, "diffusion": files["diffusion"]}, tmp_path / "again", fresh=True,
        precision="fp32",
    )  # fmt: skip
    assert again.missing_keys == report.missing_keys
    heads = [load_file(tmp_path / n / "edit_head.safetensors") for n in ("out", "again")]
    assert all(torch.equal(heads[0][n], heads[1][n]) for n in heads[0]), "the seed decides"


def test_a_text_to_image_unet_gets_channels_for_the_picture(files, tmp_path):
    plain = tiny_mgie.diffusion(tmp_path / "sd", channels=4)
    given = {"llava": files["llava"], "clip": files["clip"], "diffusion": plain}
    imported(given, tmp_path / "out", fresh=True, precision="fp32")
    unet, _, _ = load_diffusion(tmp_path / "out")
    assert unet.conv_in.weight.shape[1] == 8
    assert (unet.conv_in.weight[:, 4:] == 0).all()
    assert (unet.conv_in.weight[:, :4] != 0).any()


def test_mllm_and_unet_belong_together(files, tmp_path):
    for lacking in ("mllm", "unet"):
        given = {name: path for name, path in files.items() if name != lacking}
        with pytest.raises(WeightsError, match=f"needs --{lacking}.*CC-BY-NC") as told:
            imported(given, tmp_path / "out")
        assert "fresh=yes" in told.value.hint


# --- what is wrong is named -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "gone"),
    [
        ("mllm", ["lm_head.weight", "edit_head.mapper.decoder.layers.1.linear2.bias"]),
        ("mllm", ["model.embed_tokens.weight"]),
        ("mllm", ["edit_head.query", "edit_head.hid2feat.bias"]),
        ("unet", ["mid_block.resnets.0.conv1.weight", "conv_out.bias"]),
    ],
)
def test_every_missing_tensor_is_named(files, tmp_path, part, gone):
    tensors = tiny_mgie.mllm() if part == "mllm" else tiny_mgie.unet()
    for name in gone:
        del tensors[name]
    given = {**files, part: save(tensors, tmp_path / f"{part}.pt")}
    with pytest.raises(WeightsError, match="lacks") as told:
        imported(given, tmp_path / "out")
    assert all(name in str(told.value) for name in gone)
    assert not (tmp_path / "out" / FILE).exists()


def test_every_unexpected_tensor_is_named_and_left_out(files, tmp_path):
    more = {"edit_head.extra": torch.zeros(2), "model.layers.0.other": torch.zeros(2)}
    given = {
        **files,
        "mllm": save({**tiny_mgie.mllm(), **more}, tmp_path / "mllm.pt"),
        "unet": save({**tiny_mgie.unet(), "extra.weight": torch.zeros(1)}, tmp_path / "unet.pt"),
    }
    report = imported(given, tmp_path / "out")
    assert set(report.unexpected_keys) == {*more, "extra.weight"}
    load_llava(tmp_path / "out")
    load_head(tmp_path / "out")


def test_a_lack_in_llava_or_clip_is_named(files, tmp_path):
    folder = shutil.copytree(files["llava"], tmp_path / "llava")
    path = sorted(folder.glob("*.safetensors"))[0]
    tensors = load_file(path)
    gone = next(name for name in tensors if "layers" in name)
    del tensors[gone]
    from safetensors.torch import save_file

    save_file(tensors, path)
    with pytest.raises(WeightsError, match="lacks weights of its language model") as told:
        imported({**files, "llava": folder}, tmp_path / "out")
    assert gone in str(told.value)
    with pytest.raises(WeightsError, match="holds no vision model of CLIP"):
        imported({**files, "clip": files["llava"]}, tmp_path / "out")
    with pytest.raises(WeightsError, match="is no LLaVA"):
        imported({**files, "llava": files["clip"]}, tmp_path / "out")


def test_parts_of_other_sizes_are_refused(files, tmp_path):
    other = tiny_mgie.mllm()
    other["edit_head.hid2feat.weight"] = torch.zeros(48, tiny_mgie.HEAD.hidden)
    other["edit_head.hid2feat.bias"] = torch.zeros(48)
    given = {**files, "mllm": save(other, tmp_path / "mllm.pt")}
    with pytest.raises(WeightsError, match="leads from 32 to 48, and it must lead from 32"):
        imported(given, tmp_path / "out")
    short = tiny_mgie.mllm()
    short["lm_head.weight"] = short["lm_head.weight"][:-8]
    short["model.embed_tokens.weight"] = short["model.embed_tokens.weight"][:-8]
    given = {**files, "mllm": save(short, tmp_path / "short.pt")}
    with pytest.raises(WeightsError, match="embeddings for"):
        imported(given, tmp_path / "out")


class Bomb:
    """Unpickling it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_with_a_program_in_it_is_not_run(files, tmp_path):
    for name in ("mllm", "unet"):
        path = tmp_path / f"{name}.pt"
        path.write_bytes(pickle.dumps({"a": Bomb(tmp_path / "ran")}, protocol=2))
        with pytest.raises(WeightsError, match="is not loaded"):
            imported({**files, name: path}, tmp_path / "out")
    assert not (tmp_path / "ran").exists()


# --- through the core -------------------------------------------------------------------------


def test_the_core_records_hashes_and_finds_fetched_parts(files, tmp_path, own_weights):
    manager = PluginManager.discover({"IMGEDIT_PLUGINS": "mgie"})
    known = find(manager, "mgie/mgie")
    given = {name: files[name] for name in ("llava", "mllm", "unet")}
    with pytest.raises(WeightsError, match="needs --clip") as told:
        import_by_core(manager, known, given, tmp_path / "out", Job())
    assert "weights fetch mgie/clip-vit-large-patch14" in told.value.hint
    for part, name in (("clip", "clip-vit-large-patch14"), ("diffusion", "instruct-pix2pix")):
        shutil.copytree(files[part], own_weights / "mgie" / name)
    import_by_core(manager, known, given, tmp_path / "out", Job())
    record = verify(tmp_path / "out", Job())
    assert "mgie.json" in record.files
    assert record.licence.startswith("CC-BY-NC-4.0")
    assert {p.part for p in read_config(tmp_path / "out").lineage} == set(files)
    changed = tmp_path / "out" / "unet" / "config.json"
    changed.write_text(changed.read_text() + " ")
    with pytest.raises(WeightsError, match=r"unet/config.json has"):
        verify(tmp_path / "out", Job())
