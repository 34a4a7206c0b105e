"""The run folder and what begins a training, without torch."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from imgedit_modelkit import fingerprints
from imgedit_modelkit.errors import RunError, TrainingError
from imgedit_modelkit.runs import RunFolder
from imgedit_modelkit.schedules import WarmupCosine
from imgedit_modelkit.training import TrainConfig

FACTS = {"seed": 1, "processes": 1, "data": {"train_items": 3}, "code": "c", "versions": {}}
CONFIG = {"steps": 5, "keep": 2, "best_by": "loss", "higher_is_better": False}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.resume(tmp_path / "run", CONFIG, FACTS)[0]


def save(run: RunFolder, step: int, text: str = "weights") -> None:
    run.write_checkpoint(step, {}, lambda folder: (folder / "w.txt").write_text(text))


def test_light_modules_import_no_torch():
    modules = ("", ".runs", ".training", ".features", ".readers.imad", ".readers.gier", ".adapters")
    code = "import sys\n" + "".join(f"import imgedit_modelkit{m}\n" for m in modules)
    code += "print(sorted({'torch', 'transformers', 'accelerate', 'peft'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_new_then_gone_on_with(run):
    again, warnings = RunFolder.resume(run.path, CONFIG, FACTS)
    assert warnings == []
    assert again.facts == run.facts
    assert run.facts["schema"] == "imgedit-run/1"
    assert run.facts.items() >= FACTS.items()
    assert RunFolder.open(run.path).config == CONFIG
    assert run.state == {}
    assert run.latest() is None is run.best()


def test_differences_are_named(run):
    with pytest.raises(RunError, match=r"\(steps: 5 there, 6 now\)"):
        RunFolder.resume(run.path, {**CONFIG, "steps": 6}, FACTS)
    with pytest.raises(RunError, match=r"data: {'train_items': 3} there, {'train_items': 4} now"):
        RunFolder.resume(run.path, CONFIG, {**FACTS, "data": {"train_items": 4}})
    RunFolder.resume(run.path, {**CONFIG, "keep": 9}, FACTS, may_change={"keep"})
    assert RunFolder.open(run.path).config["keep"] == 9
    warnings = RunFolder.resume(run.path, CONFIG, {**FACTS, "code": "d"}, may_change={"keep"})[1]
    assert warnings == [
        f"The code changed since {run.path} was begun: last bits of the result may differ."
    ]


@pytest.mark.parametrize(
    ("name", "text"), [("run.json", "{"), ("config.json", "[]"), ("run.json", "{}")]
)
def test_files_that_cannot_be_read(run, name, text):
    (run.path / name).write_text(text)
    with pytest.raises(RunError):
        RunFolder.open(run.path)


def test_what_is_no_run(tmp_path):
    with pytest.raises(RunError, match=r"There is no file .*run\.json"):
        RunFolder.open(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="is a file, not a folder"):
        RunFolder.resume(tmp_path / "file", CONFIG, FACTS)


def test_checkpoints_appear_whole(run):
    def failing(folder):
        (folder / "w.txt").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.write_checkpoint(1, {}, failing)
    assert run.checkpoints() == ()
    assert list((run.path / "checkpoints").iterdir()) == []
    save(run, 2)
    assert [c.step for c in run.checkpoints()] == [2]
    assert run.verify() == []


def test_damage_is_named(run):
    save(run, 1)
    folder = run.latest().path
    (folder / "w.txt").write_text("Weights")
    assert run.verify() == [f"{folder / 'w.txt'} has another SHA-256 than when it was written"]
    (folder / "w.txt").unlink()
    assert run.verify() == [f"{folder / 'w.txt'} is missing"]


@pytest.mark.parametrize(("higher", "best"), [(False, 2), (True, 3)])
def test_the_best_stays(tmp_path, higher, best):
    config = {**CONFIG, "higher_is_better": higher}
    run, _ = RunFolder.resume(tmp_path / "run", config, FACTS)
    for step, loss in ((1, 0.5), (2, 0.2), (3, 0.9), (4, float("nan")), (5, 0.4)):
        save(run, step)
        run.append_metrics(step, "validation", {"loss": loss})
        run.append_metrics(step, "train", {"loss": -100.0})
        run.prune(1)
    assert run.best().step == best
    assert [c.step for c in run.checkpoints()] == [best, 5]


def test_rewinding_forgets_what_came_later(run):
    for step in (1, 2):
        run.append_metrics(step, "train", {"loss": float(step)})
        save(run, step)
        with run.samples(step) as folder:
            (folder / "a.txt").write_text("a")
    first = run.checkpoints()[0]
    run.rewind(1, first.record["metrics_bytes"])
    assert [c.step for c in run.checkpoints()] == [1]
    assert [line["step"] for line in run.metrics()] == [1]
    assert [p.name for p in (run.path / "samples").iterdir()] == ["step-00000001"]
    (run.path / "metrics.jsonl").write_text("")
    assert run.verify() == [f"{run.path / 'metrics.jsonl'} is shorter than at step 1"]
    with pytest.raises(RunError, match="has 0 bytes; 42 belong to step 1"):
        run.rewind(1, first.record["metrics_bytes"])


def test_a_half_written_line_is_left_out(run):
    run.append_metrics(1, "train", {"loss": 0.5})
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "ki')
    assert run.metrics() == [{"step": 1, "kind": "train", "loss": 0.5}]


def test_one_process_writes_at_a_time(run):
    code = (
        "import sys, pathlib; from imgedit_modelkit.runs import RunFolder\n"
        "with RunFolder.open(pathlib.Path(sys.argv[1])).writing():\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(run.path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(RunError, match="Another process trains"), run.writing():
            pass
        other.kill()
    with run.writing():
        pass


def test_leftovers_of_a_killed_process_go(run):
    half = run.path / "checkpoints" / ".step-00000003.part"
    half.mkdir()
    (half / "w.txt").write_text("half")
    (run.path / ".state-12345678.part.json").write_text("half")
    with run.writing():
        assert not half.exists()
    assert not list(run.path.glob(".*.part*"))


# --- settings, schedule, fingerprints ---------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "either steps or epochs"),
        ({"steps": 1, "epochs": 1}, "either steps or epochs"),
        ({"steps": 0}, "steps cannot be 0: it must be at least 1"),
        ({"epochs": 0.0}, "epochs cannot be 0.0"),
        ({"steps": 1, "batch_size": 0}, "batch_size cannot be 0"),
        ({"steps": 1, "learning_rate": 0.0}, "learning_rate cannot be 0.0: it must be above 0"),
        ({"steps": 1, "weight_decay": -0.1}, "weight_decay cannot be -0.1"),
        ({"steps": 1, "betas": (0.9, 1.0)}, "betas cannot be"),
        ({"steps": 1, "clip": 0.0}, "clip cannot be 0.0"),
        ({"steps": 1, "ema": 1.0}, "ema cannot be 1.0"),
        ({"steps": 1, "precision": "fp8"}, "precision cannot be 'fp8'"),
        ({"steps": 1, "sharding": "ddp"}, "sharding cannot be 'ddp'"),
        ({"steps": 1, "sharding": "fsdp", "precision": "fp16"}, "'bf16' can be sharded"),
    ],
)
def test_settings_that_cannot_be(settings, told):
    with pytest.raises(TrainingError) as caught:
        TrainConfig(**settings)
    assert told in str(caught.value)


def test_settings_are_json():
    document = TrainConfig(steps=3).document()
    assert json.loads(json.dumps(document)) == document


def test_the_published_schedule():
    """MiniGPT-4's: 1e-6 to 1e-4 in 5,000 steps, then down to 8e-5."""
    rates = WarmupCosine(peak=1e-4, steps=20_000, final=8e-5, warmup_steps=5_000, warmup_start=1e-6)
    assert rates(0) == 1e-6
    assert rates(2_500) == pytest.approx((1e-6 + 1e-4) / 2)
    assert rates(5_000) == 1e-4
    assert rates(5_000 + 14_999 // 2) == pytest.approx(9e-5, rel=1e-3)
    assert rates(19_999) == pytest.approx(8e-5)
    falling = [rates(step) for step in range(5_000, 20_000)]
    assert falling == sorted(falling, reverse=True)
    assert WarmupCosine(peak=1.0, steps=1)(0) == 1.0


def test_fingerprints(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.txt").write_text("x")
    before = fingerprints.of_folder(tmp_path)
    (tmp_path / ".hidden").write_text("h")
    assert fingerprints.of_folder(tmp_path) == before
    (tmp_path / "a" / "x.txt").rename(tmp_path / "a" / "y.txt")
    assert fingerprints.of_folder(tmp_path) != before
    assert fingerprints.of_code(RunFolder) == fingerprints.of_code(TrainConfig) != ""
    assert fingerprints.seed_of(1, "a") != fingerprints.seed_of(1, "b")
    assert 0 <= fingerprints.seed_of("x") < 2**63
    assert fingerprints.versions()["python"] == sys.version.split()[0]
