"""The training loop in one process: what it computes, what it writes, what it refuses."""

import dataclasses
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.torch

import torch  # noqa: E402
from torch import nn  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))
from tiny_task import CONFIG, TinyModel, TinyTask  # noqa: E402

from imgedit_modelkit.checkpoints import load_weights  # noqa: E402
from imgedit_modelkit.errors import MissingPackageError, RunError, TrainingError  # noqa: E402
from imgedit_modelkit.runs import RunFolder  # noqa: E402
from imgedit_modelkit.training import TrainConfig, train  # noqa: E402
from imgedit_plugins.errors import JobCancelledError  # noqa: E402
from imgedit_plugins.jobs import Job  # noqa: E402

PLAIN = TrainConfig(steps=6, batch_size=4, learning_rate=0.05, log_every=1, validate_every=3)


class PlainTask(TinyTask):
    def __init__(self):
        super().__init__(noisy=False)


def weights_of(run: Path, name: str = "weights") -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    checkpoint = RunFolder.open(run).latest()
    assert checkpoint
    return load_file(checkpoint.path / f"{name}.safetensors")


# --- what it computes -------------------------------------------------------------------------


def by_hand(config: TrainConfig) -> dict[str, torch.Tensor]:
    """The same training without any of our code: AdamW, a cosine, clipping, a running average."""
    task = PlainTask()
    torch.manual_seed(config.seed)
    model = task.build()
    order = [int(i) for epoch in range(99) for i in shuffled(config.seed, epoch, 37)]
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": 0.1},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1.0, betas=(0.9, 0.999))
    average = {n: p.detach().clone() for n, p in model.named_parameters()}
    place = 0
    for step in range(config.steps or 0):
        warm = 2
        way = (step - warm) / (config.steps - 1 - warm)
        falling = 0.001 + 0.049 * (1 + math.cos(math.pi * way)) / 2
        rate = 0.01 + (0.05 - 0.01) * step / warm if step < warm else falling
        for group in optimizer.param_groups:
            group["lr"] = rate
        for _ in range(2):
            batch = task.collate(order[place : place + 4], torch.Generator())
            place += 4
            (nn.functional.mse_loss(model(batch["x"]), batch["y"]) / 2).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        optimizer.zero_grad()
        decay = min(0.9, (1 + step) / (10 + step))
        for name, p in model.named_parameters():
            average[name] = decay * average[name] + (1 - decay) * p.detach()
    return {**dict(model.named_parameters()), **{f"ema/{n}": a for n, a in average.items()}}


def shuffled(seed, epoch, count):
    from imgedit_modelkit.fingerprints import seed_of

    generator = torch.Generator().manual_seed(seed_of(seed, "epoch", epoch))
    return torch.randperm(count, generator=generator)


def test_it_computes_what_a_loop_by_hand_computes(tmp_path):
    config = dataclasses.replace(
        PLAIN, accumulate=2, steps=12, warmup_steps=2, warmup_learning_rate=0.01,
        final_learning_rate=0.001, weight_decay=0.1, clip=0.5, ema=0.9,
    )  # fmt: skip
    train(PlainTask(), config, tmp_path / "run", Job())
    expected = by_hand(config)
    found = weights_of(tmp_path / "run")
    found |= {f"ema/{n}": a for n, a in weights_of(tmp_path / "run", "ema").items()}
    assert found.keys() == expected.keys()
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name].detach(), rtol=1e-5, atol=1e-6)


def test_accumulating_is_a_larger_batch(tmp_path):
    train(PlainTask(), dataclasses.replace(PLAIN, accumulate=2), tmp_path / "a", Job())
    train(PlainTask(), dataclasses.replace(PLAIN, batch_size=8), tmp_path / "b", Job())
    a, b = weights_of(tmp_path / "a"), weights_of(tmp_path / "b")
    for name, value in a.items():
        torch.testing.assert_close(value, b[name], rtol=1e-4, atol=1e-6)


def test_every_item_is_seen_once_an_epoch(tmp_path):
    seen = []

    class Watching(PlainTask):
        def collate(self, items, generator):
            seen.extend(items)
            return super().collate(items, generator)

        def validation_items(self):
            return []

    config = TrainConfig(epochs=2, batch_size=4, seed=1)
    report = train(Watching(), config, tmp_path / "run", Job())
    assert RunFolder.open(tmp_path / "run").state["steps"] == 19  # ceil(2 * 37 / 4)
    assert sorted(seen[:37]) == sorted(seen[37:74]) == list(range(37))
    assert seen[:37] != seen[37:74]
    assert report.metrics.keys() == {"loss", "items", "gradient_norm", "learning_rate"}


def test_frozen_parts_stay_and_are_not_saved(tmp_path):
    models = []

    class Keeping(TinyTask):
        def build(self):
            models.append(super().build())
            self.before = {n: t.clone() for n, t in models[0].encoder.state_dict().items()}
            return models[0]

    task = Keeping()
    train(task, CONFIG, tmp_path / "run", Job())
    after = models[0].encoder.state_dict()
    assert all(torch.equal(after[name], value) for name, value in task.before.items())
    assert set(weights_of(tmp_path / "run")) == {
        "norm.weight",
        "norm.bias",
        "head.weight",
        "head.bias",
    }
    changed = set(weights_of(tmp_path / "run", "buffers"))
    assert changed == {"norm.running_mean", "norm.running_var", "norm.num_batches_tracked"}


def test_mixed_precision_learns_and_follows_one_in_full(tmp_path):
    dtypes = []

    class Watching(PlainTask):
        def loss(self, model, batch):
            dtypes.append(model(batch["x"]).dtype)
            return super().loss(model, batch)

    for precision in ("fp32", "bf16", "fp32"):
        config = dataclasses.replace(PLAIN, steps=30, precision=precision)
        out = tmp_path / f"{precision}{len(dtypes)}"
        train(Watching(), config, out, Job())
        losses = [line["loss"] for line in RunFolder.open(out).metrics("train")]
        assert np.mean(losses[-5:]) < 0.5 * losses[0]
    assert dtypes == [torch.float32] * 30 + [torch.bfloat16] * 30 + [torch.float32] * 30


def test_the_callers_random_numbers_are_left_alone(tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(PlainTask(), PLAIN, tmp_path / "run", Job())
    assert torch.equal(torch.rand(3), expected)


# --- what it writes ---------------------------------------------------------------------------


def test_the_best_by_validation_is_kept_and_loaded(tmp_path):
    class Scripted(PlainTask):
        figures = iter((3.0, 1.0, math.nan, 2.0, 2.5))

        def validate(self, model, batches):
            list(batches)
            return {"score": next(self.figures)}

    config = dataclasses.replace(PLAIN, steps=10, validate_every=2, keep=1, best_by="score")
    report = train(Scripted(), config, tmp_path / "run", Job())
    run = RunFolder.open(tmp_path / "run")
    assert [c.step for c in run.checkpoints()] == [4, 10]
    assert run.best().step == run.state["best_step"] == 4
    assert report.metrics == {"score": 1.0}
    model = PlainTask().build()
    assert load_weights(model, tmp_path / "run").step == 4
    assert load_weights(model, tmp_path / "run", best=False).step == 10


def test_validation_sees_averages_in_eval_mode_without_gradients(tmp_path):
    seen = []

    class Watching(TinyTask):
        def validate(self, model, batches):
            seen.append((model.training, torch.is_grad_enabled(), model.head.weight.clone()))
            return super().validate(model, batches)

    train(Watching(), CONFIG, tmp_path / "run", Job())
    assert {(training, gradients) for training, gradients, _ in seen} == {(False, False)}
    averages = weights_of(tmp_path / "run", "ema")
    assert torch.equal(seen[-1][2], averages["head.weight"])
    assert not torch.equal(seen[-1][2], weights_of(tmp_path / "run")["head.weight"])
    model = TinyModel()
    model.encoder.load_state_dict(frozen_encoder().state_dict())
    load_weights(model, tmp_path / "run")
    assert torch.equal(model.head.weight, averages["head.weight"])


def frozen_encoder() -> nn.Module:
    torch.manual_seed(CONFIG.seed)
    return TinyModel().encoder


def test_a_finished_run_is_left_as_it_is(tmp_path):
    first = train(PlainTask(), PLAIN, tmp_path / "run", Job())
    written = {
        p: p.stat().st_mtime_ns for p in (tmp_path / "run").rglob("*") if p.suffix != ".json"
    }
    assert train(PlainTask(), PLAIN, tmp_path / "run", Job()) == first
    assert {p: p.stat().st_mtime_ns for p in written if p.exists()} == written


def test_tensorboard_files_can_be_read(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(PlainTask(), dataclasses.replace(PLAIN, tensorboard=True), tmp_path / "run", Job())
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    lines = RunFolder.open(tmp_path / "run").metrics("train")
    points = [(e.step, e.value) for e in events.Scalars("train/loss")]
    assert points == [(line["step"], pytest.approx(line["loss"])) for line in lines]
    assert [e.step for e in events.Scalars("validation/loss")] == [3, 6]


def test_without_tensorboard_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingPackageError, match="pip install tensorboard"):
        train(PlainTask(), dataclasses.replace(PLAIN, tensorboard=True), tmp_path / "run", Job())


# --- cancelling -------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["training", "validating"])
def test_cancelled_and_gone_on_with_ends_the_same(tmp_path, stage):
    config = dataclasses.replace(CONFIG, checkpoint_every=100)
    train(TinyTask(), config, tmp_path / "whole", Job())
    told = []

    def cancel_late(progress):
        told.append(progress)
        if progress.stage == stage and sum(p.stage == "training" for p in told) >= 8:
            job.cancel()

    job = Job(on_progress=cancel_late)
    with pytest.raises(JobCancelledError):
        train(TinyTask(), config, tmp_path / "run", job)
    run = RunFolder.open(tmp_path / "run")
    assert run.state["status"] == "cancelled"
    assert run.state["step"] == run.latest().step == 8
    train(TinyTask(), config, tmp_path / "run", Job())
    assert run.metrics() == RunFolder.open(tmp_path / "whole").metrics()
    assert all(
        torch.equal(value, weights_of(tmp_path / "whole")[name])
        for name, value in weights_of(tmp_path / "run").items()
    )


# --- what it refuses --------------------------------------------------------------------------


def test_other_settings_are_refused_by_name(tmp_path):
    train(PlainTask(), PLAIN, tmp_path / "run", Job())
    other = dataclasses.replace(PLAIN, learning_rate=0.1, keep=5)
    with pytest.raises(RunError, match=r"\(learning_rate: 0.05 there, 0.1 now\)"):
        train(PlainTask(), other, tmp_path / "run", Job())
    train(PlainTask(), dataclasses.replace(PLAIN, keep=5), tmp_path / "run", Job())


def test_other_settings_of_the_task_are_refused_by_name(tmp_path):
    class Set(TinyTask):
        loss_kind = "mse"

        def settings(self):
            return {"loss": self.loss_kind}

    train(Set(), CONFIG, tmp_path / "run", Job())
    train(Set(), CONFIG, tmp_path / "run", Job())
    Set.loss_kind = "l1"
    with pytest.raises(RunError, match=r"task\.loss: 'mse' there, 'l1' now"):
        train(Set(), CONFIG, tmp_path / "run", Job())


def test_other_data_is_refused(tmp_path):
    class Hashed(PlainTask):
        fingerprint = "a"

        def data_fingerprint(self):
            return self.fingerprint

    train(Hashed(), PLAIN, tmp_path / "run", Job())
    Hashed.fingerprint = "b"
    with pytest.raises(RunError, match=r"data: .*'fingerprint': 'a'"):
        train(Hashed(), PLAIN, tmp_path / "run", Job())


def test_another_frozen_part_is_refused(tmp_path):
    class Other(TinyTask):
        def build(self):
            model = super().build()
            with torch.no_grad():
                model.encoder[0].weight[0, 0] += 1e-3
            return model

    job = Job(on_progress=lambda p: job.cancel() if p.done == 5 else None)
    with pytest.raises(JobCancelledError):
        train(TinyTask(), CONFIG, tmp_path / "run", job)
    with pytest.raises(RunError, match=r"frozen part 'encoder' .* not the one"):
        train(Other(), CONFIG, tmp_path / "run", Job())
    with pytest.raises(RunError, match="frozen part 'encoder'"):
        load_weights(TinyModel(), tmp_path / "run")


def test_a_damaged_checkpoint_is_left_out_and_made_again(tmp_path):
    train(TinyTask(), CONFIG, tmp_path / "whole", Job())
    job = Job(on_progress=lambda p: job.cancel() if p.done == 8 else None)
    with pytest.raises(JobCancelledError):
        train(TinyTask(), CONFIG, tmp_path / "run", job)
    run = RunFolder.open(tmp_path / "run")
    latest = run.latest()
    assert not run.verify()
    (latest.path / "weights.safetensors").write_bytes(b"broken")
    assert "weights.safetensors has 6 bytes" in run.verify()[0]
    with pytest.raises(RunError, match="damaged"):
        load_weights(TinyModel(), tmp_path / "run", best=False)
    job = Job()
    train(TinyTask(), CONFIG, tmp_path / "run", job)
    assert "is damaged and left out" in job.warnings[0]
    whole = weights_of(tmp_path / "whole")
    assert all(torch.equal(v, whole[n]) for n, v in weights_of(tmp_path / "run").items())


@pytest.mark.parametrize(("log_every", "told_at"), [(1, 5), (100, 6)])
def test_a_loss_that_is_no_number_stops_before_a_checkpoint(tmp_path, log_every, told_at):
    class Exploding(PlainTask):
        calls = 0

        def loss(self, model, batch):
            self.calls += 1
            loss, figures = super().loss(model, batch)
            return (loss * math.nan if self.calls > 4 else loss), figures

    config = dataclasses.replace(PLAIN, log_every=log_every)
    with pytest.raises(TrainingError, match=f"loss is nan at step {told_at}"):
        train(Exploding(), config, tmp_path / "run", Job())
    assert RunFolder.open(tmp_path / "run").latest().step == 3


def faulty(**changes):
    return type("Faulty", (PlainTask,), changes)


@pytest.mark.parametrize(
    ("task", "told"),
    [
        (faulty(train_items=lambda self: []), "training set is empty"),
        (faulty(build=lambda self: nn.Linear(6, 3).requires_grad_(False)), "No parameter"),
        (faulty(loss=lambda self, m, b: (m(b["x"]), {})), r"of shape \(4, 3\)"),
        (faulty(loss=lambda self, m, b: (torch.tensor(1.0), {})), "requires_grad False"),
        (faulty(validate=lambda self, m, b: {"psnr": 1.0}), r"'loss'.*one of these: psnr"),
    ],
)
def test_faulty_tasks_are_told_what_is_wrong(tmp_path, task, told):
    with pytest.raises(TrainingError, match=told):
        train(task(), PLAIN, tmp_path / "run", Job())


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU can do it")
def test_fp16_without_a_gpu_is_refused(tmp_path):
    with pytest.raises(TrainingError, match=r"'fp16' needs a GPU, and this is 'cpu'"):
        train(PlainTask(), dataclasses.replace(PLAIN, precision="fp16"), tmp_path / "run", Job())


def test_scaled_gradients_skip_overflows_and_resume_to_the_same_bits(tmp_path, monkeypatch):
    """The arithmetic of fp16 with a scaler on the CPU, whose first scales are far too large."""
    from imgedit_modelkit import setup

    def accelerator(config, make=setup.accelerator):
        made = make(dataclasses.replace(config, precision="fp32"))
        made.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127, growth_interval=3)
        return made

    class Large(PlainTask):
        def loss(self, model, batch):
            return 16 * super().loss(model, batch)[0], {}

    monkeypatch.setattr(setup, "accelerator", accelerator)
    config = dataclasses.replace(PLAIN, precision="fp16", steps=20, clip=0.5)
    train(Large(), config, tmp_path / "whole", Job())
    job = Job(on_progress=lambda progress: job.cancel() if progress.done == 8 else None)
    with pytest.raises(JobCancelledError):
        train(Large(), config, tmp_path / "run", job)
    train(Large(), config, tmp_path / "run", Job())
    whole, cut = (RunFolder.open(tmp_path / name) for name in ("whole", "run"))
    norms = [line["gradient_norm"] for line in whole.metrics("train")]
    assert norms[0] is None  # infinite; and again whenever the scale has grown
    assert 3 < norms.count(None) < 15
    assert json.dumps(whole.metrics()) == json.dumps(cut.metrics())
    assert whole.latest().record["scaler"] == cut.latest().record["scaler"]
    assert whole.metrics("train")[-1]["loss"] < whole.metrics("train")[0]["loss"]


def test_gradient_checkpointing_needs_a_part_that_knows_it(tmp_path):
    config = dataclasses.replace(PLAIN, gradient_checkpointing=True)
    with pytest.raises(TrainingError, match="No part of Sequential knows gradient checkpointing"):
        train(PlainTask(), config, tmp_path / "run", Job())


def test_a_foreign_folder_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(RunError, match=r"holds 'mine\.txt' and no run"):
        train(PlainTask(), PLAIN, tmp_path, Job())
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_changed_code_is_told(tmp_path):
    job = Job(on_progress=lambda p: job.cancel())
    with pytest.raises(JobCancelledError):
        train(PlainTask(), PLAIN, tmp_path / "run", job)
    path = tmp_path / "run" / "run.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps({**facts, "versions": {"torch": "1.0"}}))
    job = Job()
    train(PlainTask(), PLAIN, tmp_path / "run", job)
    assert [w for w in job.warnings if "The versions changed" in w]
