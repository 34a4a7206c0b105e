"""Training at tiny size: what learns and what stays, losses, batches, resuming, what comes out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.torch

import tiny_mgie  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from imgedit_mgie.folders import read_config  # noqa: E402
from imgedit_mgie.loading import load_head, load_llava  # noqa: E402
from imgedit_mgie.plugin import train  # noqa: E402
from imgedit_mgie.rows import Row, read_rows  # noqa: E402
from imgedit_mgie.task import Form, Losses, MgieTask  # noqa: E402
from imgedit_mgie.trained import Start  # noqa: E402
from imgedit_modelkit.diffusion.folders import load as load_diffusion  # noqa: E402
from imgedit_modelkit.modes import set_training, trained  # noqa: E402
from imgedit_modelkit.readers.splits import split_share  # noqa: E402
from imgedit_plugins.errors import DataError, JobCancelledError, WeightsError  # noqa: E402
from imgedit_plugins.jobs import Job  # noqa: E402
from imgedit_plugins.manifest import FILE_NAME, load  # noqa: E402
from imgedit_plugins.options import resolve_options  # noqa: E402
from imgedit_plugins.plugins import PluginManager  # noqa: E402
from imgedit_plugins.requests import ApplyRequest, TrainReport, TrainRequest  # noqa: E402

MANIFEST = Path(__file__).parents[3] / "plugins" / "mgie" / "imgedit_mgie" / FILE_NAME
FORM = Form(size=16, longest=200, shown=0)


@pytest.fixture(scope="module")
def folder(files, tmp_path_factory) -> Path:
    """The tiny model in full precision."""
    out = tmp_path_factory.mktemp("fp32")
    tiny_mgie.imported(files, out, precision="fp32")
    return out


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return tiny_mgie.data_set(tmp_path_factory.mktemp("data") / "rows")


def task_of(folder: Path, data: Path, *, losses: Losses | None = None, form: Form = FORM,
            told: Any = "summarised", **start: Any) -> MgieTask:  # fmt: skip
    rows = read_rows(data, told, Job())
    return MgieTask(
        Start(start.pop("kind", "mgie"), folder, **start), rows[:10], rows[10:], losses, form
    )


def batch_of(task: MgieTask, rows: int = 3, seed: int = 0) -> Any:
    return task.collate(list(task.train_items())[:rows], torch.Generator().manual_seed(seed))


# --- what learns ------------------------------------------------------------------------------


def test_what_learns_is_what_the_paper_says(folder, data):
    model = task_of(folder, data).build()
    learnt = trained(model)
    parts = {name.split(".")[0] if "llava" not in name else name for name in learnt}
    assert parts == {
        "edit_head",
        "diffusion",
        "llava.language_model.model.embed_tokens.weight",
        "llava.language_model.lm_head.weight",
    }
    assert not [name for name in learnt if name.startswith("diffusion.vae")]
    assert {p.dtype for p in learnt.values()} == {torch.float32}


def test_both_losses_reach_their_parts(folder, data):
    """The picture's loss goes through the edit head to the embeddings; not to the output layer."""

    def gradients(losses: Losses) -> dict[str, bool]:
        task = task_of(folder, data, losses=losses, dropout=0.0)
        model = task.build()
        set_training(model)
        task.loss(model, batch_of(task))[0].backward()
        found = {}
        for name, parameter in trained(model).items():
            part = name.split(".")[-2] if "llava" in name else name.split(".")[0]
            moved = parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)
            found[part] = found.get(part, False) or moved
        return found

    both = {"embed_tokens": True, "lm_head": True, "edit_head": True, "diffusion": True}
    assert gradients(Losses()) == both
    assert gradients(Losses(instruction=0.0)) == {**both, "lm_head": False}
    assert gradients(Losses(edit=0.0)) == {**both, "edit_head": False, "diffusion": False}


def test_the_loss_is_the_sum_of_its_parts(folder, data):
    task = task_of(folder, data, losses=Losses(2.0, 0.25))
    model = task.build()
    loss, figures = task.loss(model, batch_of(task))
    expected = 2.0 * figures["instruction_loss"] + 0.25 * figures["edit_loss"]
    assert torch.allclose(loss, expected)
    assert figures["instruction_loss"] > 0.5
    assert figures["edit_loss"] > 0.1


def test_the_instruction_loss_is_transformers_own(folder, data):
    task = task_of(folder, data)
    model = task.build()
    batch = batch_of(task, rows=1)
    ids = torch.tensor([batch["prompts"][0] + batch["answers"][0]])
    labels = ids.clone()
    labels[:, : len(batch["prompts"][0])] = -100
    llava = model.llava
    with torch.no_grad():
        embedded = llava.embed(ids, llava.see(batch["pixels"]))
        expected = llava.language_model(inputs_embeds=embedded, labels=labels).loss
        _, figures = task.loss(model, batch)
    assert figures["instruction_loss"] == pytest.approx(float(expected), rel=1e-5)


def test_without_the_instruction_loss_the_output_layer_is_frozen(folder, data):
    task = task_of(folder, data, writes=False)
    model = task.build()
    assert "llava.language_model.lm_head.weight" not in trained(model)
    assert "instruction_loss" not in task.loss(model, batch_of(task))[1]


def test_adapters_learn_in_the_place_of_the_unet(folder, data):
    model = task_of(folder, data, lora=2).build()
    names = [name for name in trained(model) if name.startswith("diffusion.")]
    assert names
    assert all("lora_" in name for name in names)


def test_dropouts_are_for_learning_only(folder, data):
    task = task_of(folder, data, dropout=0.3)
    model, batch = task.build(), batch_of(task, rows=8)
    with torch.no_grad():
        model.eval()
        judged = float(task.loss(model, batch)[1]["edit_loss"])
        none = task_of(folder, data, dropout=0.0)
        assert float(none.loss(none.build(), batch)[1]["edit_loss"]) == pytest.approx(judged)
        set_training(model)
        assert float(task.loss(model, batch)[1]["edit_loss"]) != pytest.approx(judged, rel=1e-6)


# --- batches ----------------------------------------------------------------------------------


def test_a_batch_is_prompts_answers_and_pictures(folder, data):
    task = task_of(folder, data)
    batch = batch_of(task)
    tokens = task._tokens
    assert batch["inputs"].shape == batch["goals"].shape == (3, 3, 16, 16)
    assert batch["pixels"].shape == (3, 3, 28, 28)
    assert not torch.equal(batch["inputs"], batch["goals"])
    for row, prompt, answer in zip(
        task.train_items(), batch["prompts"], batch["answers"], strict=False
    ):
        assert prompt.count(tokens.patch) == 16
        assert f"if '{row.instruction}'" in tokens.decode(prompt)
        assert answer[-9:] == [*tokens.visual, tokens.end]
        assert tokens.decode(answer[:-9]).strip() == row.expressive


def test_lgie_s_batches_have_no_picture_for_the_language_model(folder, data):
    batch = batch_of(task_of(folder, data, kind="lgie"))
    assert "pixels" not in batch
    assert not any(task_of(folder, data)._tokens.patch in prompt for prompt in batch["prompts"])


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("summarised", "The block is red."),
        ("short", "The block is red. The rest stays as it was."),
        ("full", "The block is red. The rest stays as it was. Nobody is there."),
    ],
)
def test_which_instructions_are_learnt(data, told, expected):
    assert read_rows(data, told, Job())[0].expressive == expected


def test_how_and_what(folder, data):
    form = Form(size=16, longest=200, asked="how", shown=0)
    task = task_of(folder, data, form=form)
    assert "how to edit this image if 'make it red'" in task._tokens.decode(
        batch_of(task)["prompts"][0]
    )


def test_a_long_answer_is_cut_before_its_visual_tokens(folder, data):
    task = task_of(folder, data)
    tokens = task._tokens
    length = len(batch_of(task, rows=1)["prompts"][0])
    short = task_of(folder, data, form=Form(size=16, longest=length + 12, shown=0))
    (answer,) = batch_of(short, rows=1)["answers"]
    assert len(answer) == 12
    assert answer[-9:] == [*tokens.visual, tokens.end]
    with pytest.raises(DataError, match="max-length"):
        batch_of(task_of(folder, data, form=Form(size=16, longest=length, shown=0)))


def test_a_batch_hangs_on_its_generator_alone(folder, data):
    task = task_of(folder, data)
    torch.manual_seed(1)
    first = batch_of(task, seed=5)
    assert first["seed"] == batch_of(task, seed=5)["seed"] != batch_of(task, seed=6)["seed"]
    model = task.build()
    set_training(model)
    with torch.no_grad():
        one = float(task.loss(model, first)[0])
        torch.manual_seed(99)
        assert float(task.loss(model, first)[0]) == one


def test_a_row_is_always_on_the_same_side(data):
    rows = read_rows(data, "short", Job())

    def name(row: Row) -> str:
        return str(row.id)

    first = split_share(rows, 0.25, name)
    assert [len(part) for part in first] == [9, 3]
    assert {r.id for r in first[1]} == {r.id for r in split_share(rows[::-1], 0.25, name)[1]}
    assert [len(part) for part in split_share(rows, 0.0, name)] == [12, 0]
    assert [len(part) for part in split_share(rows, 0.01, name)] == [11, 1]


def test_no_rows_are_told(tmp_path):
    with pytest.raises(DataError, match=r"prepare\.json"):
        read_rows(tmp_path, "short", Job())


# --- the hook ---------------------------------------------------------------------------------


def request(data: Path, out: Path, folder: Path | str, **options: Any) -> TrainRequest:
    given = {name.replace("_", "-"): value for name, value in options.items()}
    small = {"learning-rate": 1e-2, "batch-size": 4, "size": 16, "precision": "fp32", "samples": 0,
             "max-length": 200, "gradient-checkpointing": False, "validation": 0.2}  # fmt: skip
    specs = load(MANIFEST).options_for("train")
    resolved = resolve_options(specs, {**small, "weights": str(folder), **given})
    return TrainRequest(data=data, out=out, options=resolved, seed=3)


def run(*arguments: Any, job: Job | None = None, **options: Any) -> TrainReport:
    report = train(request(*arguments, **options), job or Job())
    assert report is not None
    return report


def test_a_short_training_lowers_both_losses_and_leaves_the_rest_alone(data, folder, tmp_path):
    before = {p: p.read_bytes() for p in folder.rglob("*.safetensors")}
    out = tmp_path / "run"
    run(data, out, folder, steps=40, validate_every=10, ema=0.9)
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    first, *_, last = [line for line in lines if line["kind"] == "validation"]
    assert last["instruction_loss"] < 0.6 * first["instruction_loss"]
    assert last["edit_loss"] < first["edit_loss"]
    assert {p: p.read_bytes() for p in folder.rglob("*.safetensors")} == before
    learnt, old = load_llava(out / "model"), load_llava(folder)
    assert not torch.equal(learnt.table.weight, old.table.weight)
    changed = [
        name
        for name, tensor in learnt.state_dict().items()
        if not torch.equal(tensor, old.state_dict()[name])
    ]
    assert {name.rpartition(".")[0].rpartition(".")[2] for name in changed} == {
        "embed_tokens",
        "lm_head",
    }


def test_the_result_is_a_model_folder_with_its_lineage(data, folder, tmp_path):
    out = tmp_path / "run"
    run(data, out, folder, steps=3, validate_every=3, model="lgie", prompt="how", samples=1)
    config = read_config(out / "model")
    assert (config.model, config.prompt) == ("lgie", "how")
    assert config.base == str(folder.resolve())
    assert config.lineage[-1].part == "training"
    assert config.lineage[:-1] == read_config(folder).lineage
    checkpoint = load_file(next((out / "checkpoints").glob("*/weights.safetensors")))
    head, _ = load_head(out / "model")
    assert torch.equal(head.query, checkpoint["edit_head.query"])
    unet, _, _ = load_diffusion(_joined(out / "model", folder, tmp_path / "joined"))
    assert torch.equal(unet.conv_in.weight, checkpoint["diffusion.unet.conv_in.weight"])
    (samples,) = (out / "samples").iterdir()
    assert len(list(samples.glob("*.png"))) == 1
    assert "make it" in (samples / "instructions.tsv").read_text()
    run(data, tmp_path / "more", out, steps=2, validate_every=2, model="lgie")
    assert read_config(tmp_path / "more" / "model").base == str((out / "model").resolve())


def _joined(trained_folder: Path, base: Path, target: Path) -> Path:
    """As an editor's folder: the trained UNet, the base's VAE and scheduler."""
    target.mkdir()
    for name, source in (("unet", trained_folder), ("vae", base), ("scheduler", base)):
        (target / name).symlink_to(source / name)
    return target


def test_adapters_are_merged_into_the_result(data, folder, tmp_path):
    out = tmp_path / "run"
    run(data, out, folder, steps=6, validate_every=6, lora=2)
    new = load_file(out / "model" / "unet" / "diffusion_pytorch_model.safetensors")
    old = load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")
    assert new.keys() == old.keys()
    changed = {name for name in new if not torch.equal(new[name], old[name])}
    assert changed
    assert all(
        any(f".{t}." in name for t in ("to_q", "to_k", "to_v", "to_out.0")) for name in changed
    )


def test_a_cancelled_training_goes_on_to_the_same_bits(data, folder, tmp_path):
    how = {"steps": 6, "validate_every": 6, "ema": 0.9, "gradient_checkpointing": True}
    run(data, tmp_path / "whole", folder, **how)
    job = Job(on_progress=lambda p: job.cancel() if (p.stage, p.done) == ("training", 3) else None)
    with pytest.raises(JobCancelledError):
        run(data, tmp_path / "cut", folder, job=job, **how)
    assert not (tmp_path / "cut" / "model").exists()
    run(data, tmp_path / "cut", folder, **how)
    for name in ("edit_head", "embeddings", "unet/diffusion_pytorch_model"):
        one, other = (
            load_file(tmp_path / run_ / "model" / f"{name}.safetensors")
            for run_ in ("whole", "cut")
        )
        assert all(torch.equal(one[n], other[n]) for n in one), name


@pytest.mark.parametrize("kind", ["ft", "instructpix2pix"])
def test_the_diffusion_model_alone_learns_from_text(data, pix2pix, tmp_path, kind):
    task = task_of(pix2pix, data, kind=kind)
    wanted = "The block is red." if kind == "ft" else "make it red"
    assert batch_of(task)["texts"][0] == wanted
    assert {name.split(".")[1] for name in trained(task.build())} == {"unet"}
    out = tmp_path / "run"
    run(data, out, pix2pix, steps=3, validate_every=3, model=kind, samples=1)
    assert read_config(out / "model").model == kind
    names = {path.name for path in (out / "model").iterdir()}
    assert names >= {"unet", "vae", "scheduler", "text_encoder", "tokenizer"}
    run(data, tmp_path / "more", out, steps=1, validate_every=1, model=kind)


def test_an_ft_model_edits_with_the_language_model_that_was_there(
    data, pix2pix, folder, own_weights, tmp_path
):
    shutil.copytree(folder, own_weights / "mgie" / "mgie")
    run(data, tmp_path / "run", pix2pix, steps=1, validate_every=1, model="ft")
    assert read_config(tmp_path / "run" / "model").base == str(own_weights / "mgie" / "mgie")
    manager = PluginManager.discover({"IMGEDIT_PLUGINS": "mgie"})
    options = {"weights": str(tmp_path / "run"), "steps": 2, "resolution": 64, "max-tokens": 16}
    asked = ApplyRequest(picture=tiny_mgie.picture(), instruction="make it red", options=options)
    result = manager.call("apply_edit", asked, Job(), "mgie")
    assert result.explanation
    assert result.candidates[0].picture.pixels.std() > 5


def test_half_precision_keeps_what_learns_in_full(data, folder, tmp_path):
    run(data, tmp_path / "run", folder, steps=3, validate_every=3, precision="bf16",
        gradient_checkpointing=True)  # fmt: skip
    tables = load_file(tmp_path / "run" / "model" / "embeddings.safetensors")
    assert {t.dtype for t in tables.values()} == {torch.float32}
    assert all(t.isfinite().all() for t in tables.values())


def test_a_dry_run_forecasts_and_writes_nothing(data, folder, tmp_path):
    report = run(data, tmp_path / "run", folder, dry_run=True, epochs=4.0)
    assert not (tmp_path / "run").exists()
    figures = report.metrics
    model = task_of(folder, data).build()
    learnt = sum(p.numel() for p in trained(model).values())
    everything = sum(p.numel() for p in model.parameters())
    assert figures["parameters, learnt"] == pytest.approx(learnt, rel=0.01)
    assert figures["parameters, frozen"] == pytest.approx(everything - learnt, rel=0.01)
    assert figures["steps"] == 10  # 10 of 12 rows, four times, four at a time
    adapted = run(data, tmp_path / "run", folder, dry_run=True, lora=2).metrics
    fewer = sum(p.numel() for p in trained(task_of(folder, data, lora=2).build()).values())
    assert adapted["parameters, learnt"] == pytest.approx(fewer, rel=0.01)
    assert adapted["memory, GB"] < figures["memory, GB"]


def test_too_little_memory_is_told_with_what_would_help(data, folder, tmp_path, monkeypatch):
    from imgedit_mgie import training

    def needed(**options) -> float:
        return run(data, tmp_path / "dry", folder, dry_run=True, **options).metrics["memory, GB"]

    whole, apart = needed(), needed(gradient_checkpointing=True, batch_size=1)
    adapted = needed(gradient_checkpointing=True, batch_size=1, lora=16)
    assert whole > apart > adapted
    for free, told in ((apart, "-O batch-size=1 -O accumulate=4"), (adapted, "lora=16"),
                       (adapted / 2, None)):  # fmt: skip
        monkeypatch.setattr(training, "free_memory", lambda _, f=free: int(f * 1e9) + 1)
        job = Job()
        run(data, tmp_path / f"{told}", folder, job=job, steps=1, validate_every=1)
        (warning,) = [w for w in job.warnings if "may not fit" in w]
        assert (told in warning) if told else ("With" not in warning)


def test_no_weights(data, tmp_path):
    with pytest.raises(WeightsError, match="There is no MGIE model in"):
        run(data, tmp_path / "run", tmp_path / "nowhere")
    with pytest.raises(WeightsError, match="InstructPix2Pix is not in"):
        run(data, tmp_path / "run", "", model="ft")
