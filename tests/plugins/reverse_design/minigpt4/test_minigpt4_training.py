"""Training: batches, what learns, what resumes, and what each experiment's loss does."""

from __future__ import annotations

import json
import random
from pathlib import Path

import msgspec
import pytest

pytestmark = pytest.mark.torch

import torch  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from imgedit_modelkit.adapters import adapters, add_lora  # noqa: E402
from imgedit_modelkit.readers.imad import read_imad  # noqa: E402
from imgedit_modelkit.readers.splits import split_by_image  # noqa: E402
from imgedit_plugins.errors import DataError, JobCancelledError, WeightsError  # noqa: E402
from imgedit_plugins.jobs import Job  # noqa: E402
from imgedit_plugins.manifest import FILE_NAME, load  # noqa: E402
from imgedit_plugins.options import resolve_options  # noqa: E402
from imgedit_plugins.requests import TrainReport, TrainRequest  # noqa: E402
from imgedit_reverse_design.minigpt4 import task as task_module  # noqa: E402
from imgedit_reverse_design.minigpt4.config import Adapted, read_config  # noqa: E402
from imgedit_reverse_design.minigpt4.experiments import experiments  # noqa: E402
from imgedit_reverse_design.minigpt4.forecast import forecast, shapes_of, step_operations  # noqa: E402
from imgedit_reverse_design.minigpt4.model import Frozen, load_model  # noqa: E402
from imgedit_reverse_design.minigpt4.predicting import model_folder as find_model  # noqa: E402
from imgedit_reverse_design.minigpt4.task import ReverseDesignTask, Setting  # noqa: E402
from imgedit_reverse_design.plugin import __file__ as plugin_file  # noqa: E402
from imgedit_reverse_design.plugin import train  # noqa: E402


@pytest.fixture(scope="module")
def rows(data):
    return split_by_image(read_imad(data, Job()), fractions=(0.5, 0.25, 0.25))


def task_of(model_folder, rows, experiment="1", **more) -> ReverseDesignTask:
    setting = Setting(model_folder, experiment, **more)
    return ReverseDesignTask(setting, rows["train"], rows["validation"])


def batch_of(task, count=4, seed=0):
    items = [row for row in task.train_items() if row.command][:count]
    return task.collate(items, torch.Generator().manual_seed(seed))


# --- batches ----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 3, 4])
def test_half_of_a_batch_has_its_command(model_folder, rows, count):
    task = task_of(model_folder, rows)
    shares = set()
    for seed in range(12):
        batch = batch_of(task, count, seed)
        commanded = batch["commanded"]
        assert sum(commanded) in {count // 2, (count + 1) // 2}
        shares.add(tuple(commanded))
        texts = ["".join(p for p in prompt if isinstance(p, str)) for prompt in batch["prompts"]]
        assert [("\nCommand:\n" in text) for text in texts] == commanded
        assert batch["pixels"].shape == (count, 2, 3, 28, 28)
    assert len(shares) > 1, "drawn, not the same rows each time"


def test_a_batch_hangs_on_its_generator_alone(model_folder, rows):
    task = task_of(model_folder, rows)
    random.seed(1)
    first, again = batch_of(task, seed=5), batch_of(task, seed=5)
    assert first["prompts"] == again["prompts"]
    assert [t.text for t in first["targets"]] == [t.text for t in again["targets"]]
    assert batch_of(task, seed=6)["prompts"] != first["prompts"]


def test_a_row_without_a_command_goes_without(model_folder, data):
    every = read_imad(data, Job())
    bare = [row for row in every if not row.command]
    assert bare
    task = task_of(model_folder, {"train": bare, "validation": ()})
    assert not any(any(task.collate(bare * 2, torch.Generator())["commanded"]) for _ in range(5))


# --- losses -----------------------------------------------------------------------------------


def projection_gradient(task, model, batch) -> torch.Tensor:
    model.zero_grad()
    task.loss(model, batch)[0].backward()
    return model.projection.weight.grad.clone()


def value_of(answer) -> float:
    return float(answer[0].detach())


def test_each_experiment_s_loss_teaches_what_is_documented(model_folder, rows):
    """2 and 3 raise the loss and leave the gradient as it is; with a gradient they change it."""
    plain_task = task_of(model_folder, rows)
    model, batch = plain_task.build(), batch_of(plain_task)
    plain = projection_gradient(plain_task, model, batch)
    base = value_of(plain_task.loss(model, batch))
    assert plain.abs().sum() > 0
    for name, how in experiments().items():
        if how.auxiliary == "none":
            continue
        task = task_of(model_folder, rows, name)
        loss, figures = task.loss(model, batch)
        assert figures["auxiliary"] > 0.01, name
        assert value_of((loss, {})) == pytest.approx(base + figures["auxiliary"], rel=1e-5)
        gradient = projection_gradient(task, model, batch)
        same = torch.allclose(gradient, plain, atol=1e-7)
        assert same != how.gradient, name


@pytest.mark.parametrize("experiment", ["4", "4b"])
def test_special_tokens_reach_the_loss(model_folder, rows, experiment):
    task = task_of(model_folder, rows, experiment)
    model, batch = task.build(), batch_of(task)
    loss = value_of(task.loss(model, batch))
    assert any("<break>" in str(p) for p in batch["prompts"]) == (experiment == "4")
    model.language.averaged = ()
    assert value_of(task.loss(model, batch)) != pytest.approx(loss, rel=1e-6)


def test_a_fresh_projection_is_not_the_folder_s(model_folder, rows):
    old = load_file(model_folder / "projection.safetensors")["weight"]
    assert torch.equal(task_of(model_folder, rows).build().projection.weight, old)
    fresh = task_of(model_folder, rows, fresh=True).build().projection.weight
    assert not torch.allclose(fresh, old)


@pytest.fixture(autouse=True)
def short_answers(monkeypatch):
    """Untrained models never end: 256 tokens each would be all that these tests do."""
    monkeypatch.setattr(task_module, "MAX_NEW_TOKENS", 16)


# --- the hook ---------------------------------------------------------------------------------


def request(data, out, model_folder, **options) -> TrainRequest:
    specs = load(Path(plugin_file).parent / FILE_NAME).options_for("train")
    given = {name.replace("_", "-"): value for name, value in options.items()}
    small = {"learning-rate": 3e-2, "warmup-steps": 0, "batch-size": 4, "precision": "fp32"}
    resolved = resolve_options(specs, {**small, "weights": str(model_folder), **given})
    return TrainRequest(data=data, out=out, options=resolved, seed=3)


def run(*arguments, **options) -> TrainReport:
    report = train(request(*arguments, **options), Job())
    assert report is not None
    return report


@torch.no_grad()
def loss_of(folder, rows) -> float:
    """Over all training rows, the same prompts and sentences each time."""
    task = task_of(folder, rows, answers=0)
    items = list(task.train_items())
    batches = [task.collate(items, torch.Generator().manual_seed(n)) for n in range(4)]
    return task.validate(load_model(folder), batches)["loss"]


def test_a_short_training_lowers_the_loss_and_leaves_the_rest_alone(
    data, rows, model_folder, tmp_path
):
    before = {p: p.read_bytes() for p in model_folder.rglob("*.safetensors")}
    out = tmp_path / "run"
    report = run(data, out, model_folder, steps=40, validate_every=20, answers=4, tensorboard=True)
    assert list((out / "tensorboard").iterdir())
    figures = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert loss_of(out / "model", rows) < 0.95 * loss_of(model_folder, rows)
    assert {p: p.read_bytes() for p in model_folder.rglob("*.safetensors")} == before
    learnt = load_file(out / "model" / "projection.safetensors")
    assert set(learnt) == {"weight", "bias"}
    assert not torch.allclose(learnt["weight"], load_model(model_folder).projection.weight)
    validations = [f for f in figures if f["kind"] == "validation"]
    assert {"loss", "accuracy", "mse", "f1", "abstained"} <= set(validations[-1])
    assert report.metrics["loss"] == min(f["loss"] for f in validations)


def test_the_run_folder_is_a_model_for_predictions(data, model_folder, tmp_path):
    out = tmp_path / "run"
    run(data, out, model_folder, steps=4, validate_every=4, experiment="4", answers=0)
    folder = find_model(str(out))
    assert folder == out / "model"
    config = read_config(folder)
    assert (config.experiment, config.own_sentences) == ("4", True)
    assert config.base == str(model_folder.resolve())
    assert config.lineage[-1].part == "training"
    model = load_model(folder)
    assert torch.equal(
        model.projection.weight, load_file(folder / "projection.safetensors")["weight"]
    )
    (samples,) = (out / "samples").glob("*/answers.jsonl")
    lines = [json.loads(line) for line in samples.read_text().splitlines()]
    assert lines
    assert set(lines[0]) == {"row", "prompt", "true", "answer"}
    run(data, tmp_path / "more", folder, steps=2, validate_every=2, answers=0)
    assert read_config(tmp_path / "more" / "model").base == config.base


def test_half_precision_trains_the_projection_in_full(data, model_folder, tmp_path):
    run(data, tmp_path / "run", model_folder, steps=3, validate_every=3, precision="bf16",
        gradient_checkpointing=True, answers=1)  # fmt: skip
    learnt = load_file(tmp_path / "run" / "model" / "projection.safetensors")["weight"]
    before = load_file(model_folder / "projection.safetensors")["weight"]
    assert learnt.dtype == torch.float32
    assert learnt.isfinite().all()
    assert not torch.equal(learnt, before)


def test_a_cancelled_training_goes_on_to_the_same_weights(data, model_folder, tmp_path):
    settings = {"steps": 8, "validate_every": 8, "experiment": "2-gradient", "answers": 0}
    run(data, tmp_path / "whole", model_folder, **settings)
    job = Job(on_progress=lambda p: job.cancel() if (p.stage, p.done) == ("training", 3) else None)
    with pytest.raises(JobCancelledError):
        train(request(data, tmp_path / "cut", model_folder, **settings), job)
    assert not (tmp_path / "cut" / "model").exists()
    run(data, tmp_path / "cut", model_folder, **settings)
    weights = [tmp_path / name / "model" / "projection.safetensors" for name in ("whole", "cut")]
    one, other = map(load_file, weights)
    assert torch.equal(one["weight"], other["weight"])


def test_no_weights_no_data(data, model_folder, tmp_path):
    with pytest.raises(WeightsError, match="There is no MiniGPT-4 model in") as told:
        run(data, tmp_path / "run", tmp_path / "nowhere")
    assert "weights import reverse_design/minigpt4" in str(told.value)
    with pytest.raises(DataError):
        run(tmp_path, tmp_path / "run", model_folder)


# --- forecast ---------------------------------------------------------------------------------


def test_a_dry_run_forecasts_and_writes_nothing(data, model_folder, tmp_path):
    report = run(data, tmp_path / "run", model_folder, dry_run=True, epochs=2.0)
    assert not (tmp_path / "run").exists()
    figures = report.metrics
    model = load_model(model_folder)
    for part, name in (("tower", "tower"), ("projection", "projection"),
                       ("language", "language model")):  # fmt: skip
        count = sum(p.numel() for p in getattr(model, part).parameters())
        assert figures[f"parameters of the {name}"] == count
    assert figures["steps"] == 5  # 10 of 12 pictures, twice, four at a time
    assert figures["memory, GB"] > 0
    assert figures["hours"] == pytest.approx(figures["seconds a step"] * 5 / 3600)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_operations_are_those_that_pytorch_counts(model_folder, rows, checkpointing):
    from torch.utils.flop_counter import FlopCounterMode

    task = task_of(model_folder, rows)
    model, batch = task.build(), batch_of(task, 4)
    # The counter knows nothing of the CPU's fused attention.
    model.language.language_model.set_attn_implementation("eager")
    model.tower.vision.set_attn_implementation("eager")
    if checkpointing:
        from imgedit_modelkit.modes import checkpoint_gradients, set_training

        checkpoint_gradients(model)
        set_training(model)
    with FlopCounterMode(display=False) as counter:
        task.loss(model, batch)[0].backward()
    with torch.no_grad():
        texts = [target.text for target in batch["targets"]]
        tokens = model(batch["pixels"], batch["prompts"], texts).labels.shape[1]
    told = step_operations(shapes_of(model_folder), 4, tokens, checkpointing=checkpointing)
    assert told == pytest.approx(counter.get_total_flops(), rel=0.25)


def test_a_forecast_grows_as_it_should(model_folder):
    small = forecast(model_folder, batch=1, frozen=Frozen())
    large = forecast(model_folder, batch=8, frozen=Frozen())
    half = forecast(model_folder, batch=8, frozen=Frozen(torch.bfloat16))
    few = forecast(model_folder, batch=8, frozen=Frozen(torch.bfloat16, 4))
    spared = forecast(model_folder, batch=8, frozen=Frozen(), checkpointing=True)
    adapted = forecast(model_folder, batch=8, frozen=Frozen(), lora=Adapted(4, ("q_proj",)))
    assert large.activations == pytest.approx(8 * small.activations, rel=0.01)
    assert large.weights == small.weights > half.weights > few.weights
    model = load_model(model_folder)
    add_lora(model.language.language_model, Adapted(4, ("q_proj",)).adapters())
    learn = sum(p.numel() for p in adapters(model.language.language_model).values())
    assert adapted.parameters["adapters"] == learn > 0
    assert adapted.training - large.training == 12 * learn
    assert spared.activations < large.activations
    assert spared.operations > large.operations == 8 * small.operations
    assert small.memory == int((small.weights + small.training + small.activations) * 1.1)
    assert "GB of memory and about" in small.sentence(100)


def test_the_paper_s_model_is_forecast_from_configurations_alone(model_folder, tmp_path):
    """LLaMA-2-7b and EVA ViT-g/14 with nothing loaded: 6.7 and 1.0 thousand million parameters."""
    from transformers import LlamaConfig

    from imgedit_reverse_design.minigpt4.config import Tower, write_config

    LlamaConfig(intermediate_size=11008).save_pretrained(tmp_path / "language_model")
    write_config(tmp_path, msgspec.structs.replace(read_config(model_folder), tower=Tower()))
    told = forecast(tmp_path, batch=2, frozen=Frozen(torch.float16))
    assert told.parameters["language model"] == pytest.approx(6.74e9, rel=0.01)
    assert told.parameters["tower"] == pytest.approx(986e6, rel=0.01)
    assert told.parameters["projection"] == 5632 * 4096 + 4096
    assert 15e9 < told.weights < 16e9
    assert 16e9 < told.memory < 30e9
    in_few = forecast(tmp_path, batch=2, frozen=Frozen(torch.float16, 4))
    assert 5.5e9 < in_few.weights < 6.5e9
