"""Import: published names and shapes in, a model folder out, every misfit named."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.torch

import published  # noqa: E402
import torch  # noqa: E402
from published import imported  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from imgedit_modelkit.vision_towers import VisionTower  # noqa: E402
from imgedit_plugins import manifest  # noqa: E402
from imgedit_plugins.errors import WeightsError  # noqa: E402
from imgedit_plugins.jobs import Job  # noqa: E402
from imgedit_plugins.plugins import PluginManager  # noqa: E402
from imgedit_plugins.weights import find, verify  # noqa: E402
from imgedit_plugins.weights import import_weights as import_by_core  # noqa: E402
from imgedit_reverse_design.minigpt4.checkpoints import eva_tensors, open_checkpoint  # noqa: E402
from imgedit_reverse_design.minigpt4.config import FILE, read_config  # noqa: E402
from imgedit_reverse_design.minigpt4.model import load_model  # noqa: E402
from imgedit_reverse_design.plugin import __file__ as plugin_file  # noqa: E402


def save(tensors: object, path: Path) -> Path:
    torch.save(tensors, path)
    return path


def test_the_folder_holds_the_model_in_safetensors(model_folder):
    found = {path.relative_to(model_folder).as_posix() for path in model_folder.rglob("*.*")}
    assert found >= {
        "minigpt4.json", "projection.safetensors", "tower.safetensors",
        "language_model/config.json", "language_model/model.safetensors",
        "language_model/tokenizer.json",
    }  # fmt: skip
    assert not [path for path in found if path.endswith((".bin", ".pth", ".pt", ".part"))]
    projection = load_file(model_folder / "projection.safetensors")
    published_projection = published.projection()["model"]
    assert torch.equal(projection["weight"], published_projection["llama_proj.weight"])
    assert torch.equal(projection["bias"], published_projection["llama_proj.bias"])
    assert {t.dtype for t in load_file(model_folder / "tower.safetensors").values()} == {
        torch.float16
    }


def test_lineage_and_licences_are_kept(model_folder, files):
    config = read_config(model_folder)
    parts = {part.part: part for part in config.lineage}
    assert list(parts) == ["eva", "projection", "language-model"]
    assert parts["language-model"].licence == "LLaMA 2 Community License"
    assert parts["eva"].file == "eva_vit_g.pth"
    assert len(parts["eva"].sha256) == 64
    assert parts["eva"].source.startswith("https://")
    assert not config.own_sentences, "their checkpoint was trained on their sentences"


def test_the_tower_computes_what_the_checkpoint_s_tensors_come_to(model_folder):
    """The imported tower against one that was filled in memory, in full precision."""
    tower, tensors = eva_tensors(published.eva(), Path("eva"))
    memory = VisionTower(tower.config())
    memory.load_state_dict({n: t.float() for n, t in tensors.items()}, strict=False)
    model = load_model(model_folder)
    pixels = torch.randn(2, 2, 3, 28, 28, generator=torch.manual_seed(0))
    tokens = memory(pixels.flatten(0, 1))
    assert tokens.shape == (4, 4, 64)
    assert tokens.std() > 0.5
    expected = torch.nn.functional.linear(
        tokens, *(published.projection()["model"][f"llama_proj.{n}"] for n in ("weight", "bias"))
    )
    with torch.no_grad():
        assert torch.allclose(model.encode(pixels).flatten(0, 1), expected, atol=1e-3)


def test_without_a_q_former_the_last_layer_norm_stays_as_it_begins(files, tmp_path):
    report = imported(files, tmp_path / "out")
    assert report.missing_keys == (
        "vision.post_layernorm.weight (stays as it begins)",
        "vision.post_layernorm.bias (stays as it begins)",
    )
    assert report.unexpected_keys == ()
    norm = load_model(tmp_path / "out").tower.vision.post_layernorm
    assert (norm.weight == 1).all()
    assert (norm.bias == 0).all()
    assert norm.eps == 1e-5


def test_the_fortieth_block_and_the_classifier_are_named_and_left_out(files, tmp_path):
    checkpoint = published.eva(blocks=40) | {"head.weight": torch.zeros(3, published.WIDTH)}
    given = {**files, "eva": save(checkpoint, tmp_path / "eva.pth")}
    report = imported(given, tmp_path / "out")
    assert "vision.head.weight" in report.unexpected_keys
    fortieth = [k for k in report.unexpected_keys if k.startswith("vision.encoder.layers.39.")]
    assert len(fortieth) == 12
    assert load_model(tmp_path / "out").tower.vision.config.num_hidden_layers == 39


def test_every_missing_tensor_of_the_tower_is_named(files, tmp_path):
    checkpoint = published.eva()
    del checkpoint["blocks.1.mlp.fc2.weight"], checkpoint["blocks.0.norm1.bias"]
    given = {**files, "eva": save(checkpoint, tmp_path / "eva.pth")}
    with pytest.raises(WeightsError) as caught:
        imported(given, tmp_path / "out")
    for name in ("encoder.layers.1.mlp.fc2.weight", "encoder.layers.0.layer_norm1.bias"):
        assert name in str(caught.value)
    assert not (tmp_path / "out" / FILE).exists()


def test_another_kind_of_checkpoint_is_refused(files, tmp_path):
    given = {**files, "eva": files["projection"]}
    with pytest.raises(WeightsError, match="is no EVA ViT checkpoint: it lacks cls_token"):
        imported(given, tmp_path / "out")
    given = {**files, "projection": files["eva"]}
    with pytest.raises(WeightsError, match=r"lacks llama_proj\.weight and llama_proj\.bias"):
        imported(given, tmp_path / "out")


# --- projections ------------------------------------------------------------------------------


def test_the_authors_checkpoint_replaces_the_projection(files, tmp_path):
    theirs = published.projection(seed=8)
    theirs["model"]["llama_model.model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.zeros(4)
    given = {**files, "checkpoint": save(theirs, tmp_path / "checkpoint_best.pth")}
    report = imported(given, tmp_path / "out")
    found = load_file(tmp_path / "out" / "projection.safetensors")
    assert torch.equal(found["weight"], theirs["model"]["llama_proj.weight"])
    assert report.unexpected_keys == ("llama_model.model.layers.0.self_attn.rotary_emb.inv_freq",)
    config = read_config(tmp_path / "out")
    assert [part.part for part in config.lineage][-1] == "checkpoint"


def test_a_projection_of_another_model_is_refused(files, tmp_path):
    given = {**files, "projection": save(published.projection(24), tmp_path / "vicuna.pth")}
    with pytest.raises(WeightsError, match="leads from 24 to 32, and it must lead from 64") as told:
        imported(given, tmp_path / "out")
    assert "With Vicuna, --qformer must be given" in str(told.value)
    assert not (tmp_path / "out").exists(), "all is checked before anything is written"


def test_the_vicuna_variant_has_a_q_former(files, tmp_path):
    given = {
        **files,
        "projection": save(published.projection(24), tmp_path / "vicuna.pth"),
        "qformer": save({"model": published.qformer()}, tmp_path / "blip2.pth"),
    }
    report = imported(given, tmp_path / "out", wrap="vicuna")
    assert report.missing_keys == ()
    told = set(report.unexpected_keys)
    assert {"t5_proj.weight", "Qformer.bert.embeddings.word_embeddings.weight"} < told
    text = [f"Qformer.bert.encoder.layer.{n}.{part}" for n in range(2)
            for part in ("intermediate.dense", "output.dense", "output.LayerNorm")]  # fmt: skip
    names = {f"{name}.{kind}" for name in text for kind in ("weight", "bias")}
    assert names <= told, "the text branch, which nobody here reads"
    assert len(told) == 2 + len(names)
    model = load_model(tmp_path / "out")
    assert (model.tower.tokens, model.tower.width) == (5, 24)
    norm = model.tower.vision.post_layernorm
    assert torch.allclose(norm.weight, published.qformer()["ln_vision.weight"], atol=1e-3)
    queries = published.qformer()["query_tokens"]
    assert torch.allclose(model.tower.queries, queries, atol=1e-3)
    pixels = torch.randn(1, 2, 3, 28, 28, generator=torch.manual_seed(0))
    with torch.no_grad():
        tokens = model.encode(pixels)
    assert tokens.shape == (1, 2, 5, 32)
    assert (tokens[0, 0] - tokens[0, 1]).abs().mean() > 1e-3
    assert model.config.wrap == "vicuna"


# --- pickles ----------------------------------------------------------------------------------


class Evil:
    def __reduce__(self):
        return os.system, ("touch evil-was-here",)


@pytest.mark.parametrize("form", ["torch", "pickle"])
def test_a_pickle_with_a_program_in_it_is_not_run(files, tmp_path, monkeypatch, form):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "evil.pth"
    if form == "torch":
        torch.save({"model": {"llama_proj.weight": torch.zeros(1)}, "config": Evil()}, path)
    else:
        path.write_bytes(pickle.dumps(Evil(), protocol=2))
    with pytest.raises(WeightsError, match="holds more than tensors and plain data"):
        imported({**files, "projection": path}, tmp_path / "out")
    assert not (tmp_path / "evil-was-here").exists()


def test_no_checkpoint_at_all_is_told(files, tmp_path):
    path = tmp_path / "page.pth"
    path.write_text("<!DOCTYPE html> Google Drive can't scan this file for viruses")
    with pytest.raises(WeightsError, match=r"page\.pth"):
        imported({**files, "projection": path}, tmp_path / "out")
    save({"epoch": 3}, path)
    with pytest.raises(WeightsError, match="holds no tensors by name"):
        imported({**files, "projection": path}, tmp_path / "out")


def test_safetensors_are_taken_as_well(files, tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "projection.safetensors"
    save_file(published.projection()["model"], path)
    imported({**files, "projection": path}, tmp_path / "out")
    assert load_model(tmp_path / "out").projection.weight.shape == (32, 64)
    path.write_bytes(b"cut")
    with pytest.raises(WeightsError, match="cannot be read"):
        open_checkpoint(path)


# --- language models --------------------------------------------------------------------------


def test_a_pickled_language_model_becomes_safetensors(files, tmp_path):
    source = tmp_path / "pickled"
    shutil.copytree(files["language-model"], source)
    tensors = load_file(source / "model.safetensors")
    (source / "model.safetensors").unlink()
    names = sorted(tensors)
    for number, part in enumerate((names[:7], names[7:]), 1):
        path = source / f"pytorch_model-{number:05}-of-00002.bin"
        torch.save({name: tensors[name] for name in part}, path)
    imported({**files, "language-model": source}, tmp_path / "out")
    found = {p.name for p in (tmp_path / "out" / "language_model").iterdir()}
    assert "model-00001-of-00002.safetensors" in found
    assert not [name for name in found if name.endswith(".bin")]
    loaded = load_model(tmp_path / "out").language.language_model.state_dict()
    assert all(torch.equal(loaded[name], tensors[name]) for name in names)


def test_tied_embeddings_are_not_missed(files, tmp_path):
    """GPT-2 keeps its output matrix as its embeddings, and only there."""
    from transformers import GPT2Config, GPT2LMHeadModel

    from imgedit_modelkit.testing import realistic, save_tiny_language_model, tiny_tokenizer

    tokenizer = tiny_tokenizer(published.texts(), kind="bytes")
    config = GPT2Config(vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=4,
                        bos_token_id=0, eos_token_id=1)  # fmt: skip
    made = realistic(GPT2LMHeadModel(config))
    source = save_tiny_language_model(tmp_path / "gpt2", tokenizer, made)
    report = imported({**files, "language-model": source}, tmp_path / "out", wrap="plain")
    assert not report.unexpected_keys
    language = load_model(tmp_path / "out").language.language_model
    table = language.get_input_embeddings().weight
    assert language.get_output_embeddings().weight is table
    assert torch.equal(table, made.transformer.wte.weight)


def test_a_language_model_that_lacks_weights_is_refused(files, tmp_path):
    from safetensors.torch import save_file

    source = tmp_path / "cut"
    shutil.copytree(files["language-model"], source)
    tensors = load_file(source / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.zeros(4)
    tensors["lm_head.weight"] = tensors["lm_head.weight"][:, :-1].contiguous()
    save_file(tensors, source / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        WeightsError, match=r"lacks .*model\.layers\.1\.mlp\.up_proj\.weight"
    ) as told:
        imported({**files, "language-model": source}, tmp_path / "out")
    assert "lm_head.weight (there it is (" in str(told.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [("consolidated.00.pth", "Meta's own form"), ("other.txt", "no config.json")],
)
def test_other_folders_are_refused(files, tmp_path, name, said):
    source = tmp_path / "other"
    source.mkdir()
    (source / name).write_bytes(b"x")
    with pytest.raises(WeightsError, match=said):
        imported({**files, "language-model": source}, tmp_path / "out")


def test_no_code_of_a_language_model_is_run(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "code"
    shutil.copytree(files["language-model"], source)
    config = json.loads((source / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Own"}}
    (source / "config.json").write_text(json.dumps(config))
    (source / "own.py").write_text("import os; os.system('touch evil-was-here'); Own = object")
    with pytest.raises(WeightsError, match="contains custom code"):
        imported({**files, "language-model": source}, tmp_path / "out")
    assert not (tmp_path / "evil-was-here").exists()
    assert not (tmp_path / "out").exists()


# --- through the core -------------------------------------------------------------------------


def test_the_core_records_every_file(files, tmp_path, reverse_design: PluginManager):
    one = find(reverse_design, "reverse_design/minigpt4")
    out = tmp_path / "out"
    report = import_by_core(
        reverse_design, one, files, out, Job(), {"wrap": "llama-2", "precision": "fp16"}
    )
    record = verify(out, Job())
    assert len(record.files) == len(report.files) >= 7
    assert record.parts["eva"] == str(files["eva"])
    (out / "tower.safetensors").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"tower\.safetensors has 0 bytes"):
        verify(out, Job())


def test_the_manifest_names_what_the_import_wants():
    path = Path(plugin_file).parent / manifest.FILE_NAME
    (weights,) = [w for w in manifest.load(path).weights if w.id == "minigpt4"]
    assert [(p.name, p.optional) for p in weights.parts] == [
        ("eva", False), ("projection", False), ("language-model", False),
        ("checkpoint", True), ("qformer", True),
    ]  # fmt: skip
