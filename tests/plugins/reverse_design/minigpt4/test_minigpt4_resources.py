"""Less work and less memory: the cache of features, few bits, adapters; all through the hooks."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.torch

import torch  # noqa: E402
from forked import together  # noqa: E402
from made_pictures import edit, picture  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from imgedit_modelkit import adapters as adapters_module  # noqa: E402
from imgedit_modelkit import modes  # noqa: E402
from imgedit_modelkit.adapters import adapters  # noqa: E402
from imgedit_modelkit.errors import MissingPackageError, RunError, TrainingError  # noqa: E402
from imgedit_modelkit.vision_towers import VisionTower  # noqa: E402
from imgedit_plugins.errors import DataError, JobCancelledError, OptionError  # noqa: E402
from imgedit_plugins.jobs import Job  # noqa: E402
from imgedit_plugins.manifest import FILE_NAME, load  # noqa: E402
from imgedit_plugins.options import resolve_options  # noqa: E402
from imgedit_plugins.pictures import Picture  # noqa: E402
from imgedit_plugins.requests import PredictRequest, TrainReport, TrainRequest  # noqa: E402
from imgedit_reverse_design.minigpt4 import predicting, tower_cache  # noqa: E402
from imgedit_reverse_design.minigpt4 import task as task_module  # noqa: E402
from imgedit_reverse_design.minigpt4.config import Adapted, read_config  # noqa: E402
from imgedit_reverse_design.minigpt4.model import Frozen, load_model, tower_tokens  # noqa: E402
from imgedit_reverse_design.plugin import __file__ as plugin_file  # noqa: E402
from imgedit_reverse_design.plugin import train  # noqa: E402

PROGRAM = Path(__file__).parent / "train_minigpt4_in_processes.py"
SMALL = {"learning-rate": 3e-2, "warmup-steps": 0, "batch-size": 3, "precision": "fp32",
         "steps": 6, "validate-every": 3, "answers": 4}  # fmt: skip


@pytest.fixture(autouse=True)
def short_answers(monkeypatch):
    """Untrained models never end: 256 tokens each would be all that these tests do."""
    monkeypatch.setattr(task_module, "MAX_NEW_TOKENS", 8)


@pytest.fixture
def run(data, model_folder, tmp_path):
    """Train through the hook, in a folder of that name."""

    def call(name: str, job: Job | None = None, **options) -> TrainReport:
        given = {key.replace("_", "-"): value for key, value in options.items()}
        specs = load(Path(plugin_file).parent / FILE_NAME).options_for("train")
        resolved = resolve_options(specs, {**SMALL, "weights": str(model_folder), **given})
        request = TrainRequest(data=data, out=tmp_path / name, options=resolved, seed=3)
        report = train(request, job or Job())
        assert report is not None
        return report

    return call


def results(folder: Path) -> dict[str, bytes]:
    """All that a training leaves but what tells of time and place."""
    kinds = ("*.safetensors", "metrics.jsonl", "answers.jsonl", "checkpoint.json")
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for kind in kinds
        for path in sorted(folder.rglob(kind))
    }


# --- the cache --------------------------------------------------------------------------------


@pytest.fixture
def encoded(monkeypatch):
    """How many pictures went through the tower."""
    seen: list[int] = []
    forward = VisionTower.forward

    def counting(tower, pixels):
        seen.append(len(pixels))
        return forward(tower, pixels)

    monkeypatch.setattr(VisionTower, "forward", counting)
    return seen


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_with_the_cache_the_same_bits_and_each_picture_once(run, tmp_path, encoded, precision):
    run("without", precision=precision)
    assert sum(encoded) > 40
    encoded.clear()
    run("with", precision=precision, cache=str(tmp_path / "cache"))
    assert encoded == [1] * 22, "11 pairs in training and validation; the tests' are left alone"
    encoded.clear()
    run("again", precision=precision, cache=str(tmp_path / "cache"))
    assert encoded == []
    assert (
        results(tmp_path / "with") == results(tmp_path / "without") == results(tmp_path / "again")
    )
    assert len(results(tmp_path / "with")) > 8


def test_a_run_goes_on_with_the_cache_or_without(run, tmp_path):
    def cut(name: str, **options) -> None:
        job = Job(on_progress=lambda p: job.cancel() if (p.stage, p.done) == ("training", 4) else 0)
        with pytest.raises(JobCancelledError):
            run(name, job, **options)

    cache = str(tmp_path / "cache")
    run("whole")
    cut("first with", cache=cache)
    run("first with")
    cut("then with")
    run("then with", cache=cache)
    whole = {n: c for n, c in results(tmp_path / "whole").items() if "checkpoints" not in n}
    for name in ("first with", "then with"):
        found = results(tmp_path / name)
        assert {n: found[n] for n in whole} == whole


def test_filling_is_gone_on_with_after_a_cancellation(run, tmp_path, encoded, monkeypatch):
    fill = tower_cache.FeatureCache.fill
    monkeypatch.setattr(
        tower_cache.FeatureCache,
        "fill",
        lambda *a, **k: fill(*a, **k, batch_size=2, shard_batches=2),
    )
    job = Job(on_progress=lambda p: job.cancel() if (p.stage, p.done) == ("encoding", 8) else 0)
    with pytest.raises(JobCancelledError):
        run("run", job, cache=str(tmp_path / "cache"))
    run("run", cache=str(tmp_path / "cache"))
    assert sum(encoded) == 22 + 2, "what was not yet in a file is encoded again"


def test_a_damaged_cache_is_made_anew(run, tmp_path, encoded):
    run("one", cache=str(tmp_path / "cache"))
    (path,) = (tmp_path / "cache").rglob("*.npy")
    features = bytearray(path.read_bytes())
    features[-3] ^= 64
    path.write_bytes(features)
    encoded.clear()
    job = Job()
    run("two", job, cache=str(tmp_path / "cache"))
    assert len(encoded) == 22
    assert any("not what was written" in warning for warning in job.warnings)
    assert results(tmp_path / "one") == results(tmp_path / "two")


def test_what_will_not_fit_is_told_before_anything_is_encoded(run, tmp_path, encoded):
    with pytest.raises(RunError, match=r"of 22 pictures take .* GB in .*, and the limit is 1e-05"):
        run("run", cache=str(tmp_path / "cache"), cache_limit=1e-5)
    assert encoded == []
    assert not (tmp_path / "run").exists()


def test_another_tower_has_features_of_its_own(run, model_folder, tmp_path, encoded):
    import shutil

    run("one", cache=str(tmp_path / "cache"))
    other = shutil.copytree(model_folder, tmp_path / "other")
    tensors = load_file(other / "tower.safetensors")
    from safetensors.torch import save_file

    tensors["vision.embeddings.class_embedding"] += 1
    save_file(tensors, other / "tower.safetensors")
    encoded.clear()
    run("two", cache=str(tmp_path / "cache"), weights=str(other))
    assert len(encoded) == 22


def test_a_picture_s_tokens_do_not_hang_on_its_batch(model_folder):
    tower = load_model(model_folder).tower
    pixels = torch.randn(5, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    together = tower_tokens(tower, pixels)
    with torch.autocast("cpu", torch.bfloat16):
        alone = [tower_tokens(tower, pixels[i : i + 1]) for i in range(5)]
    assert torch.equal(torch.cat(alone), together)


def test_two_processes_share_the_encoding(data, model_folder, tmp_path):
    """Each encodes its half, and what they train is what they train without the cache."""
    for name, cache in (("without", ""), ("with", tmp_path / "cache")):
        codes, printed = together(PROGRAM, data, model_folder, tmp_path / name, cache)
        assert codes == [0, 0], printed
        told = [line for line in printed.splitlines() if line.startswith("encoded")]
        assert sorted(told) == ["encoded 11", "encoded 11"] or name == "without"
    assert results(tmp_path / "with") == results(tmp_path / "without")


@pytest.mark.parametrize("adapters", [0, 2])
def test_two_processes_share_the_model(data, model_folder, tmp_path, adapters):
    for how in ("none", "fsdp"):
        options = [f"sharding={how}", f"lora={adapters}", "answers=2"]
        codes, printed = together(PROGRAM, data, model_folder, tmp_path / how, "", *options)
        assert codes == [0, 0], printed
    whole, shared = (
        {path.name: load_file(path) for path in (tmp_path / how / "model").glob("*.safetensors")}
        for how in ("none", "fsdp")
    )
    assert (
        set(shared)
        == set(whole)
        == {"projection.safetensors", "lora.safetensors"}
        - (set() if adapters else {"lora.safetensors"})
    )
    for name, tensors in whole.items():
        for key, tensor in tensors.items():
            torch.testing.assert_close(shared[name][key], tensor, rtol=1e-3, atol=1e-4)
    load_model(tmp_path / "fsdp" / "model")


# --- few bits ---------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", ["8", "4"])
def test_a_projection_learns_before_a_language_model_in_few_bits(run, tmp_path, bits):
    run("run", bits=bits, steps=30, validate_every=15, answers=2)
    losses = [
        line["loss"]
        for line in map(json.loads, (tmp_path / "run" / "metrics.jsonl").read_text().splitlines())
        if line["kind"] == "validation"
    ]
    assert losses[-1] < losses[0]
    assert set(load_file(tmp_path / "run" / "model" / "projection.safetensors")) == {
        "weight", "bias"
    }  # fmt: skip
    model = load_model(tmp_path / "run" / "model", Frozen(bits=int(bits)))
    layer = model.language.language_model.model.layers[0].mlp.up_proj
    assert layer.weight.dtype == {"8": torch.int8, "4": torch.uint8}[bits]


def test_a_run_in_few_bits_resumes_to_the_same_bits(run, tmp_path):
    job = Job(on_progress=lambda p: job.cancel() if (p.stage, p.done) == ("training", 4) else 0)
    run("whole", bits="4")
    with pytest.raises(JobCancelledError):
        run("cut", job, bits="4")
    with pytest.raises(RunError, match=r"task\.bits: 4 there, None now"):
        run("cut")
    run("cut", bits="4")
    name = Path("model") / "projection.safetensors"
    assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize("bits", ["8", "4"])
def test_an_answer_in_few_bits_is_near_the_whole_one(model_folder, bits):
    photo = picture(72, 72, seed=1)
    asked = {
        name: PredictRequest(
            source=Picture(photo),
            edited=Picture(edit(photo, ("invert", None))),
            options={"model": "minigpt4", "weights": str(model_folder), "device": "cpu",
                     "precision": "fp32", "bits": name, "verify": False, "constrained": True,
                     "min-explained": 0.0},
        )
        for name in ("full", bits)
    }  # fmt: skip
    for request in asked.values():
        plan = predicting.predict_by_model(request, Job())
        assert not plan.abstained
    full, few = (predicting._loaded(model_folder, r.options).model for r in asked.values())
    pixels = full.pixels([(photo, photo)])
    prompt = [("which edits?", 0, 1)]
    with torch.no_grad():
        one, other = (m(pixels, prompt, ["x\ninvert: 1.00"]).logits for m in (full, few))
    apart = float((one - other).norm() / one.norm())
    assert 0 < apart < {"8": 0.1, "4": 0.6}[bits]


def test_gradients_pass_through_four_bits_after_a_validation(model_folder):
    """On CPUs with AVX512-BF16 bitsandbytes packs weights in use without gradients, for good."""
    model = load_model(model_folder, Frozen(bits=4)).requires_grad_(False)
    model.projection.requires_grad_(True)
    modes.keep_gradients(model)
    pixels = torch.randn(1, 2, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    prompt, answer = [("which edits?", 0, 1)], ["x\ninvert: 1.00"]

    def gradient() -> torch.Tensor:
        model.zero_grad()
        model(pixels, prompt, answer).logits.float().square().mean().backward()
        return model.projection.weight.grad.clone()

    before = gradient()
    model.answer(pixels, prompt, longest=3)
    assert torch.equal(gradient(), before)
    assert before.abs().sum() > 0


def test_without_bitsandbytes_or_on_its_wrong_device_one_sentence(tmp_path, monkeypatch):
    with pytest.raises(
        TrainingError, match=r"keeps no part in 8 bits on the device 'meta'"
    ) as told:
        adapters_module.quantisation(8, torch.device("meta"))
    assert "cpu" in told.value.hint
    broken = tmp_path / "bitsandbytes" / "__init__.py"  # as where its library does not load
    broken.parent.mkdir()
    broken.write_text("raise RuntimeError('libbitsandbytes.so is not there')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "bitsandbytes", raising=False)
    with pytest.raises(TrainingError, match=r"bitsandbytes does not work here \(lib"):
        adapters_module.quantisation(8)
    monkeypatch.setattr(adapters_module.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingPackageError, match="Keeping a frozen part in 4 bits needs"):
        adapters_module.quantisation(4)


# --- adapters ---------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [{"precision": "fp32"}, {"precision": "bf16"}, {"bits": "4"}])
def test_adapters_learn_and_are_loaded_again(run, tmp_path, model_folder, how):
    run("run", lora=2, steps=20, validate_every=10, answers=2, **how)
    folder = tmp_path / "run" / "model"
    assert read_config(folder).lora == Adapted(2, ("q_proj", "v_proj"))
    tensors = load_file(folder / "lora.safetensors")
    assert len(tensors) == 2 * 2 * 2  # layers, projections, A and B
    assert all(t.dtype == torch.float32 for t in tensors.values())
    assert all(t.abs().sum() > 0 for t in tensors.values()), "B began as zeros"
    model = load_model(folder)
    for name, parameter in adapters(model.language.language_model).items():
        assert torch.equal(parameter, tensors[name])
    first = predicting._loaded(folder, {"device": "cpu"}).sha256
    assert first != predicting._loaded(model_folder, {"device": "cpu"}).sha256


def test_adapters_are_gone_on_with_kept_or_left(run, tmp_path):
    run("first", lora=2)
    folder = tmp_path / "first" / "model"
    before = load_file(folder / "lora.safetensors")
    run("kept", weights=str(folder))
    kept = load_file(tmp_path / "kept" / "model" / "lora.safetensors")
    assert all(torch.equal(kept[name], tensor) for name, tensor in before.items())
    run("more", weights=str(folder), lora=2)
    more = load_file(tmp_path / "more" / "model" / "lora.safetensors")
    assert not all(torch.equal(more[name], tensor) for name, tensor in before.items())
    run("fresh", weights=str(folder), fresh=True)
    assert not (tmp_path / "fresh" / "model" / "lora.safetensors").exists()
    with pytest.raises(OptionError, match=r"have rank 2 in q_proj,v_proj, not 3 in k_proj"):
        run("other", weights=str(folder), lora=3, lora_targets="k_proj")


def test_wrong_adapters_are_told(run, tmp_path):
    with pytest.raises(TrainingError, match=r"has no layer 'query'. .*q_proj"):
        run("run", lora=2, lora_targets="q_proj, query")
    run("run2", lora=2)
    path = tmp_path / "run2" / "model" / "lora.safetensors"
    from safetensors.torch import save_file

    tensors = load_file(path)
    name, tensor = tensors.popitem()
    save_file({**tensors, "foreign": tensor}, path)
    with pytest.raises(DataError, match=r"missing .*lora_.*; unexpected foreign") as told:
        load_model(tmp_path / "run2" / "model")
    assert name in str(told.value)


# --- settings ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other", [{"experiment": "2"}, {"fresh": True}, {"lora": 2}, {"bits": "8"}, {"answers": 5}]
)
def test_a_run_refuses_other_settings_of_its_own(run, other):
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    run("run")
    (name,) = other
    with pytest.raises(RunError, match=rf"task\.{name}: .* there, .* now"):
        run("run", **other)
