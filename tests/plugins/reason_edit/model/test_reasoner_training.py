"""`train reason_edit` at tiny size: rows, what learns, the cache, resuming, what comes out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.torch

import tiny_reasoner  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from imgedit_modelkit.modes import set_training, trained  # noqa: E402
from imgedit_plugins.errors import (  # noqa: E402
    DataError,
    ImgeditError,
    JobCancelledError,
    OptionError,
    WeightsError,
)
from imgedit_plugins.jobs import Job  # noqa: E402
from imgedit_plugins.manifest import FILE_NAME, load  # noqa: E402
from imgedit_plugins.options import resolve_options  # noqa: E402
from imgedit_plugins.requests import TrainReport, TrainRequest  # noqa: E402
from imgedit_reason_edit.model import training  # noqa: E402
from imgedit_reason_edit.model.folders import read_config  # noqa: E402
from imgedit_reason_edit.model.rows import parts_of, rows_of, split  # noqa: E402
from imgedit_reason_edit.model.task import ReasonTask  # noqa: E402
from imgedit_reason_edit.plugin import train  # noqa: E402

MANIFEST = Path(__file__).parents[4] / "plugins/reason_edit/imgedit_reason_edit" / FILE_NAME
SMALL = {"learning-rate": 1e-2, "batch-size": 2, "size": 16, "precision": "fp32", "samples": 0,
         "max-length": 60, "gradient-checkpointing": False, "validation": 0.2, "ema": 0.9,
         "steps": 4, "validate-every": 4}  # fmt: skip


def request(data: Path | str, out: Path, folder: Path | str, **options: Any) -> TrainRequest:
    given = {name.replace("_", "-"): value for name, value in options.items()}
    specs = load(MANIFEST).options_for("train")
    resolved = resolve_options(specs, {**SMALL, "weights": str(folder), **given})
    return TrainRequest(data=Path(data), out=out, options=resolved, seed=3)


def run(*arguments: Any, job: Job | None = None, **options: Any) -> TrainReport:
    report = train(request(*arguments, **options), job or Job())
    assert report is not None
    return report


def task_of(data: Path | str, folder: Path, **options: Any) -> ReasonTask:
    asked = request(data, Path("none"), folder, **options)
    return training.task_of(asked, training.start_of(asked.options, Job()), Job())


def batch_of(task: ReasonTask, rows: int = 3, seed: int = 0) -> Any:
    return task.collate(list(task.train_items())[:rows], torch.Generator().manual_seed(seed))


def all_of(parts: dict[str, Path]) -> Path:
    return Path(",".join(map(str, parts.values())))


def learnt(run_folder: Path) -> dict[str, torch.Tensor]:
    unet = load_file(run_folder / "model" / "unet" / "diffusion_pytorch_model.safetensors")
    return {**unet, **load_file(run_folder / "model" / "projection.safetensors")}


def assert_same(one: Path, other: Path) -> None:
    first, second = learnt(one), learnt(other)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


# --- rows -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "expected"), [("I", {"I": 8}), ("I,II", {"I": 8, "II": 6}),
                            ("all", {"I": 8, "II": 6, "III": 4})],
)  # fmt: skip
def test_the_paper_s_ablation_of_parts(parts, asked, expected):
    """Figure 15a; a row's own part counts, not its folder."""
    rows = rows_of(all_of(parts), parts_of(asked), "reasoning", Job())
    assert {part: sum(row.part == part for row in rows) for part in expected} == expected
    assert len(rows) == sum(expected.values())
    assert len({row.id for row in rows}) == len(rows)


def test_parts_that_there_are_not(parts):
    with pytest.raises(OptionError, match="not 'IV'"):
        parts_of("I,IV")
    with pytest.raises(DataError, match="has no row of part III"):
        rows_of(parts["I"], ("III",), "reasoning", Job())


def test_which_instruction_is_learnt(parts):
    rows = {told: rows_of(parts["I"], ("I",), told, Job())
            for told in ("reasoning", "direct", "both")}  # fmt: skip
    assert rows["reasoning"][0].instruction == "what would a red bee like to sit on?"
    assert rows["direct"][0].instruction == "Turn the block to a red block."
    assert {row.instruction for row in rows["both"]} == {
        row.instruction for name in ("reasoning", "direct") for row in rows[name]
    }
    assert len(rows["both"]) == 16


def test_both_layouts_have_the_same_pictures(tmp_path):
    tasks = []
    for layout in ("folders", "tar"):
        data = tiny_reasoner.data_set(tmp_path / layout, "I", 3, layout=layout)
        rows = rows_of(data, ("I",), "reasoning", Job())
        tasks.append([(r.source_sha256, r.source.read_bytes()) for r in rows])
    assert tasks[0] == tasks[1]


def test_no_picture_is_on_both_sides(parts):
    rows = rows_of(all_of(parts), parts_of("all"), "both", Job())
    learn, check = split(rows, 0.3)
    assert {row.picture for row in learn}.isdisjoint(row.picture for row in check)
    assert len(learn) + len(check) == len(rows)
    assert check


# --- batches ----------------------------------------------------------------------------------


def test_rows_are_mirrored_half_of_the_time_in_training_alone(parts, reasoner):
    task = task_of(parts["I"], reasoner)
    plain = task_of(parts["I"], reasoner, mirror=False)
    turned = 0
    for seed in range(8):
        got, straight = batch_of(task, 4, seed), batch_of(plain, 4, seed)
        for row in range(4):
            same = torch.equal(got["inputs"][row], straight["inputs"][row])
            flipped = straight["inputs"][row].flip(-1)
            assert same or torch.equal(got["inputs"][row], flipped)
            assert torch.equal(
                got["goals"][row],
                straight["goals"][row] if same else straight["goals"][row].flip(-1),
            )
            seen = got["seen"][row].permute(2, 0, 1).float() / 255
            assert (seen - got["inputs"][row]).abs().max() < 0.003, "the model sees it as it is"
            turned += not same
    assert 8 < turned < 24
    rows = list(task.validation_items())
    for seed in range(4):
        draw = torch.Generator().manual_seed(seed)
        checked = task.collate(rows, draw)
        draw = torch.Generator().manual_seed(seed)
        assert torch.equal(checked["inputs"], plain.collate(rows, draw)["inputs"])


def test_a_batch_hangs_on_its_generator_alone(parts, reasoner):
    task = task_of(parts["I"], reasoner)
    one, again, other = (batch_of(task, seed=seed) for seed in (1, 1, 2))
    assert one["seed"] == again["seed"] != other["seed"]
    assert torch.equal(one["inputs"], again["inputs"])


# --- what learns ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["reason_pix2pix", "text", "clip"])
def test_projection_and_unet_learn_and_nothing_else(parts, reasoner, kind):
    task = task_of(parts["I"], reasoner, model=kind)
    model = task.build()
    names = {".".join(name.split(".")[:2]) for name in trained(model)}
    projection = {f"projection.{name}" for name in ("norm", "linear", "null")}
    assert names == {"diffusion.unet", *(set() if kind == "clip" else projection)}
    set_training(model)
    task.loss(model, batch_of(task))[0].backward()
    grads = {n: p.grad for n, p in trained(model).items()}
    assert all(grad is not None for grad in grads.values())
    unmoved = [n for n, grad in grads.items() if not grad.abs().sum() > 0 and "null" not in n]
    assert not unmoved


def test_the_null_learns_where_the_text_is_dropped(parts, reasoner):
    for dropout, moves in ((0.0, False), (0.3, True)):
        task = task_of(parts["I"], reasoner, dropout=dropout)
        model = task.build()
        set_training(model)
        total = torch.zeros(())
        for seed in range(4):
            loss, _ = task.loss(model, batch_of(task, 4, seed))
            total = total + loss
        total.backward()
        grad = model.projection.null.grad
        assert (grad is not None and bool(grad.abs().sum() > 0)) == moves


def test_what_guides_hangs_on_the_picture_and_not_in_the_text_only_twin(parts, reasoner):
    rows = task_of(parts["I"], reasoner).train_items()
    first = rows[0]
    other = next(r for r in rows if r.picture != first.picture)
    from dataclasses import replace

    swapped = replace(first, source=other.source, goal=other.goal)
    for kind, differs in (("reason_pix2pix", True), ("text", False)):
        task = task_of(parts["I"], reasoner, model=kind, mirror=False)
        model = task.build()
        draw = torch.Generator().manual_seed(0)
        batch = task.collate([first, swapped], draw)
        guided = task._conditioning(model, batch)
        assert (guided.embeddings[0] - guided.embeddings[1]).abs().max().item() > 0.01 or (
            not differs
        )
        assert torch.equal(guided.embeddings[0], guided.embeddings[1]) == (not differs)
        assert guided.mask is not None
        assert guided.mask.sum(1).min() > 3


def test_padding_does_not_matter(parts, reasoner):
    losses = []
    for longest in (40, 60):
        task = task_of(parts["I"], reasoner, max_length=longest, mirror=False)
        model = task.build().eval()
        with torch.no_grad():
            losses.append(float(task.loss(model, batch_of(task))[0]))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_a_short_training_learns_and_leaves_the_rest_alone(parts, reasoner, tmp_path):
    before = {path: path.read_bytes() for path in reasoner.rglob("*.safetensors")}
    out = tmp_path / "run"
    run(parts["I"], out, reasoner, steps=60, validate_every=2, mirror=False)
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    first, *_, last = [line["loss"] for line in lines if line["kind"] == "validation"]
    assert last < 0.97 * first
    rates = {line["learning_rate"] for line in lines if line["kind"] == "train"}
    assert rates == {1e-2}, "it stays as it is, as InstructPix2Pix's"
    assert {path: path.read_bytes() for path in reasoner.rglob("*.safetensors")} == before


# --- the cache --------------------------------------------------------------------------------


class Loads:
    """Counts how often the language model is loaded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from imgedit_modelkit.picture_features import PictureReader

        self.count = 0
        usual = PictureReader.load.__func__

        def load(cls, *arguments, **options):
            self.count += 1
            return usual(cls, *arguments, **options)

        monkeypatch.setattr(PictureReader, "load", classmethod(load))


@pytest.mark.parametrize("kind", ["reason_pix2pix", "text"])
def test_cached_features_give_the_same_bits(parts, reasoner, tmp_path, monkeypatch, kind):
    loads = Loads(monkeypatch)
    data, how = all_of(parts), {"model": kind, "samples": 1}
    run(data, tmp_path / "plain", reasoner, **how)
    run(data, tmp_path / "cached", reasoner, features=str(tmp_path / "features"), **how)
    assert_same(tmp_path / "plain", tmp_path / "cached")
    assert loads.count == 2
    stages: list[str] = []
    job = Job(on_progress=lambda told: stages.append(told.stage))
    run(data, tmp_path / "again", reasoner, features=str(tmp_path / "features"), job=job, **how)
    assert loads.count == 2, "the language model is not loaded where all is cached"
    assert any("the language model is not loaded" in stage for stage in stages)
    assert_same(tmp_path / "plain", tmp_path / "again")


def test_a_stopped_reading_goes_on(parts, reasoner, tmp_path):
    features = str(tmp_path / "features")
    seen: list[int] = []

    def watch(told) -> None:
        if told.stage == "encoding":
            seen.append(told.done)
            if told.done == 66:
                job.cancel()

    job = Job(on_progress=watch)
    data = tiny_reasoner.data_set(tmp_path / "many", "I", 40, size=24)
    with pytest.raises(JobCancelledError):
        run(data, tmp_path / "run", reasoner, features=features, job=job)
    assert seen[-1] == 66
    told = run(data, tmp_path / "dry", reasoner, features=features, dry_run=True).metrics
    assert told["rows to read first"] == 72 - 64, "a file of 64 rows was complete"
    seen.clear()
    run(data, tmp_path / "run", reasoner, features=features)
    told = run(data, tmp_path / "dry", reasoner, features=features, dry_run=True).metrics
    assert told["rows to read first"] == 0
    assert not (tmp_path / "dry").exists()


# --- going on, and what comes out -------------------------------------------------------------


@pytest.mark.parametrize("cached", [False, True])
def test_a_cancelled_training_goes_on_to_the_same_bits(parts, reasoner, tmp_path, cached):
    how: dict[str, Any] = {"steps": 6, "gradient_checkpointing": True, "validate_every": 6}
    if cached:
        how["features"] = str(tmp_path / "features")
    run(parts["I"], tmp_path / "whole", reasoner, **how)
    job = Job(on_progress=lambda p: job.cancel() if (p.stage, p.done) == ("training", 3) else None)
    with pytest.raises(JobCancelledError):
        run(parts["I"], tmp_path / "cut", reasoner, job=job, **how)
    assert not (tmp_path / "cut" / "model").exists()
    run(parts["I"], tmp_path / "cut", reasoner, **how)
    assert_same(tmp_path / "whole", tmp_path / "cut")


def test_another_setting_is_refused_by_its_name(parts, reasoner, tmp_path):
    run(parts["I"], tmp_path / "run", reasoner)
    with pytest.raises(ImgeditError, match="encoder"):
        run(parts["I"], tmp_path / "run", reasoner, layer=1)
    with pytest.raises(ImgeditError, match="mirror"):
        run(parts["I"], tmp_path / "run", reasoner, mirror=False)


def test_the_result_is_a_model_folder_with_its_lineage(parts, reasoner, tmp_path):
    out = tmp_path / "run"
    run(parts["I"], out, reasoner, layer=-2, tokens="all", prompt="Edit: {instruction}", samples=1)
    config = read_config(out / "model")
    assert (config.model, config.trained, config.base) == (
        "reason_pix2pix", True, str(reasoner.resolve()),
    )  # fmt: skip
    assert config.encoder is not None
    assert (config.encoder.layer, config.encoder.tokens) == (-2, "all")
    assert config.encoder.told("make  it red") == "Edit: make it red"
    assert config.lineage[-1].part == "training"
    assert config.lineage[:-1] == read_config(reasoner).lineage
    (samples,) = (out / "samples").iterdir()
    assert len(list(samples.glob("*.png"))) == 1
    assert "bee" in (samples / "instructions.tsv").read_text()
    run(parts["I"], tmp_path / "more", out, model="text", steps=2, validate_every=2)
    further = read_config(tmp_path / "more" / "model")
    assert (further.model, further.base) == ("text", str((out / "model").resolve()))


def test_adapters_are_merged_into_the_result(parts, reasoner, tmp_path):
    run(parts["I"], tmp_path / "run", reasoner, lora=2)
    name = "unet/diffusion_pytorch_model.safetensors"
    new, old = load_file(tmp_path / "run" / "model" / name), load_file(reasoner / name)
    assert new.keys() == old.keys()
    changed = {key for key in new if not torch.equal(new[key], old[key])}
    assert changed
    assert all(any(f".{t}." in key for t in ("to_q", "to_k", "to_v", "to_out.0"))
               for key in changed)  # fmt: skip


def test_a_dry_run_forecasts_and_writes_nothing(parts, reasoner, tmp_path):
    def told(**options: Any) -> dict[str, float]:
        out = tmp_path / "run"
        figures = run(parts["I"], out, reasoner, dry_run=True, **options).metrics
        assert not out.exists()
        return figures

    figures = told()
    model = task_of(parts["I"], reasoner).build()
    count = sum(p.numel() for p in trained(model).values())
    everything = sum(p.numel() for p in model.parameters())
    assert figures["parameters, learnt"] == pytest.approx(count, rel=0.01)
    assert figures["parameters, frozen"] == pytest.approx(everything - count, rel=0.01)
    assert figures["steps"] == 4
    assert figures["memory, GB"] > 0
    assert figures["hours"] > 0
    assert told(steps=0)["steps"] == 10_000, "InstructPix2Pix's"
    assert told(steps=0, epochs=2.0)["steps"] == 6, "6 of 8 rows, twice, two at a time"
    cached = told(features=str(tmp_path / "features"))
    assert cached["parameters, frozen"] < figures["parameters, frozen"]
    assert cached["rows to read first"] == 6 + 2 + 6, "mirrored ones too; not of the validation"


def test_too_little_memory_is_told_with_what_would_help(parts, reasoner, tmp_path, monkeypatch):
    def needed(**options: Any) -> float:
        told = run(parts["I"], tmp_path / "dry", reasoner, dry_run=True, **options)
        return told.metrics["memory, GB"]

    adapted = needed(gradient_checkpointing=True, batch_size=1, lora=16)
    monkeypatch.setattr(training, "free_memory", lambda _: int(adapted * 1e9) + 1)
    job = Job()
    run(parts["I"], tmp_path / "run", reasoner, job=job, steps=1, validate_every=1)
    (warning,) = [w for w in job.warnings if "may not fit" in w]
    assert "-O lora=16" in warning


def test_what_cannot_be_trained_is_told(parts, reasoner, reasoner_files, tmp_path):
    with pytest.raises(WeightsError, match="There is no model of ReasonPix2Pix in"):
        run(parts["I"], tmp_path / "run", tmp_path / "nowhere")
    with pytest.raises(OptionError, match=r"has no \{instruction\}"):
        run(parts["I"], tmp_path / "run", reasoner, prompt="do it")
    with pytest.raises(ImgeditError, match="none of number 7"):
        run(parts["I"], tmp_path / "run", reasoner, layer=7)
    for kind in ("reason_pix2pix", "text"):
        how: dict[str, Any] = {"model": kind, "dry_run": True}
        with pytest.raises(DataError, match="tokens that guide the edit, and 5") as caught:
            run(parts["I"], tmp_path / "run", reasoner, max_length=5, **how)
        fitting = int(str(caught.value.hint).split()[3])
        with pytest.raises(DataError, match=f"has {fitting} tokens"):
            run(parts["I"], tmp_path / "run", reasoner, max_length=fitting - 1, **how)
        run(parts["I"], tmp_path / "run", reasoner, max_length=fitting, **how)
    assert not (tmp_path / "run").exists(), "all is found before anything begins"
    clip = tmp_path / "clip"
    tiny_reasoner.imported({"diffusion": reasoner_files["diffusion"]}, clip)
    with pytest.raises(WeightsError, match="has no language model, so it cannot become text"):
        run(parts["I"], tmp_path / "run", clip, model="text")
    job = Job()
    run(parts["I"], tmp_path / "clip-run", clip, model="clip", features="x", job=job)
    assert any("'features' is not needed" in one for one in job.warnings)
    assert not Path("x").exists()
