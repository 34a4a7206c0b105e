"""The evaluate hook's work: what is counted, in one process and in several."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from imgedit_modelkit.readers.imad import read_imad
from imgedit_plugins.errors import (
    DataError,
    ImgeditError,
    JobCancelledError,
    OptionError,
    PlanError,
)
from imgedit_plugins.jobs import Job, Progress
from imgedit_plugins.picture_files import save_picture
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan, step
from imgedit_plugins.requests import (
    DataRequest,
    EvaluateReport,
    EvaluateRequest,
    OptionValue,
    PredictRequest,
    Table,
)
from imgedit_reverse_design import evaluation, outcomes
from imgedit_reverse_design.evaluation import evaluate
from imgedit_reverse_design.make_imad import make_imad
from imgedit_reverse_design.scores import Sample

ROWS = 30


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set in PNG, so that the true plan gives the edited picture exactly."""
    images, out = tmp_path_factory.mktemp("images"), tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for number in range(10):
        small = rng.integers(0, 256, (6, 8, 3), np.uint8)
        pixels = cv2.resize(small, (48, 36), interpolation=cv2.INTER_CUBIC)
        save_picture(Picture(np.asarray(pixels)), images / f"{number}.png")
    options: dict[str, OptionValue] = {"images": str(images), "count": ROWS, "format": "png"}
    make_imad(DataRequest(recipe="make-imad", out=out, options=options), Job())
    return out


Prediction = Callable[[PredictRequest, Job], EditPlan | None]


def run(
    data: Path, predict: Prediction, job: Job | None = None, **options: OptionValue
) -> EvaluateReport:
    request = EvaluateRequest(data=data, options={"workers": 1, **options})
    return evaluate(request, job or Job(), predict)


def oracle(data: Path) -> Callable[[PredictRequest, Job], EditPlan | None]:
    plans = {row.source: row.plan for row in read_imad(data, Job())}

    def predict(request: PredictRequest, _: Job) -> EditPlan:
        assert request.source.origin is not None
        return plans[request.source.origin.path]

    return predict


def cells(table: Table, row: str) -> dict[str, str | int | float | None]:
    found = next(cells for cells in table.rows if cells[0] == row)
    return dict(zip(table.columns, found, strict=True))


# Predictions for processes of their own must be found by name.


def abstain(request: PredictRequest, job: Job) -> EditPlan:
    return EditPlan(abstained=True)


def not_mine(request: PredictRequest, job: Job) -> None:
    return None


def fail(request: PredictRequest, job: Job) -> EditPlan:
    raise PlanError("Nothing fits.")


def crash(request: PredictRequest, job: Job) -> EditPlan:
    raise ZeroDivisionError("a fault in the plugin")


def die(request: PredictRequest, job: Job) -> EditPlan:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def guess(request: PredictRequest, job: Job) -> EditPlan:
    name = "flip" if request.instruction is None else "invert"
    return EditPlan(operations=(step(name), step("bright", offset=50)))


def burn(request: PredictRequest, job: Job) -> EditPlan:
    """0.05 s of processor time in each of two threads, and 0.1 s of waiting."""

    def work() -> None:
        end = time.thread_time() + 0.05
        while time.thread_time() < end:
            pass

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(0.1)
    return EditPlan(abstained=True)


def wait_for_cancel(request: PredictRequest, job: Job) -> EditPlan:
    while True:
        job.check()
        time.sleep(0.01)


# --- figures ----------------------------------------------------------------------------------


def test_a_perfect_prediction(data: Path) -> None:
    report = run(data, oracle(data))
    overall, intervals, by_count, by_operation, abstention = report.tables
    best = cells(overall, "reverse_design")
    shares = ("accuracy %", "precision %", "recall %", "F1 %", "macro F1 %", "exact set %")
    assert {best[name] for name in shares} == {100.0}
    assert best["n"] == ROWS
    assert best["MSE"] == pytest.approx(0.0, abs=1e-4)
    assert best["identical %"] == best["same picture %"] == best["equivalent %"] == 100.0
    assert best["median PSNR dB"] == "identical"
    assert best["abstained %"] == 0.0
    assert cells(intervals, "accuracy %") == {
        "figure": "accuracy %", "value": 100.0, "low": 100.0, "high": 100.0,
    }  # fmt: skip
    assert [row[0] for row in by_count.rows] == ["1", "2", "3", "4", "5"]
    assert sum(int(row[1] or 0) for row in by_count.rows) == ROWS
    assert len(by_operation.rows) == 14
    assert all(row[1] == row[2] for row in by_operation.rows)
    assert {row[3] for row in by_operation.rows} == {100.0}
    (by_confidence,) = abstention.rows  # the true plans of the data say no explained share
    assert by_confidence == (
        "reverse_design", "by confidence", *[100.0] * 9,
    )  # fmt: skip


def test_baselines_are_printed_beside(data: Path) -> None:
    overall = run(data, abstain).tables[0]
    titles = [str(row[0]) for row in overall.rows]
    assert titles[1:3] == ["all 14 operations, mean values", "always 1.0: all 14 operations"]
    assert titles[3].startswith("always the mean: ")
    everything = cells(overall, titles[1])
    assert everything["accuracy %"] == everything["recall %"] == 100.0
    assert everything["exact set %"] == 0.0
    mse = [cells(overall, title)["MSE"] for title in titles[1:3]]
    assert isinstance(mse[0], float)
    assert isinstance(mse[1], float)
    assert 0 < mse[0] < mse[1]
    nothing, abstained = cells(overall, "empty plan"), cells(overall, "reverse_design")
    assert nothing["F1 %"] == 0.0
    assert nothing["precision %"] is None
    # To abstain is to predict nothing.
    different = {"method", "CPU s/pair"}
    assert {k: v for k, v in nothing.items() if k not in different} == {
        k: v for k, v in abstained.items() if k not in different
    }


def test_baselines_by_hand() -> None:
    edits = [
        {"flip": 1.0},
        {"bright": 0.2},
        {"bright": 0.6, "flip": 1.0},
        {"bright": 0.4, "hdr": 1.0},
    ]
    found = evaluation.baselines([Sample(edit, {}) for edit in edits])
    mean, ones, frequent, nothing = found.values()
    assert mean["bright"] == pytest.approx(0.4)
    assert mean["sepia"] == 1.0
    assert len(mean) == len(ones) == 14
    assert set(ones.values()) == {1.0}
    assert frequent == {"bright": pytest.approx(0.4), "flip": 1.0}  # one and two tie: two
    assert nothing == {}


def test_equivalent_words_count_as_equivalent_but_not_as_exact(data: Path) -> None:
    plans = oracle(data)

    def in_other_words(request: PredictRequest, job: Job) -> EditPlan | None:
        plan = plans(request, job)
        assert plan is not None
        undone = (step("flip"), step("flip"), step("invert"), step("invert"))
        return plan.model_copy(update={"operations": undone + plan.operations})

    found = cells(run(data, in_other_words).tables[0], "reverse_design")
    assert found["equivalent %"] == found["identical %"] == 100.0
    assert found["exact set %"] != 100.0


def test_a_wrong_turn_has_no_psnr(data: Path) -> None:
    sample = next(
        sample
        for sample in run(data, guess).details["samples"]
        if any(name == "rotate" and value != 0.667 for name, value in sample["truth"])
    )
    assert (sample["psnr_db"], sample["mean_difference"]) == (0.0, 255.0)
    assert not sample["equivalent"]


def test_an_edited_picture_of_another_size_is_compared_at_its_size() -> None:
    rendered = np.full((40, 60, 3), 100, np.uint8)
    assert outcomes.psnr_between(rendered, np.full((20, 30, 3), 110, np.uint8)) == pytest.approx(
        28.13, abs=0.01
    )
    assert outcomes.psnr_between(rendered, np.full((30, 20, 3), 100, np.uint8)) == 0.0


def test_details_are_json_and_hold_every_sample(data: Path) -> None:
    details = run(data, guess).details
    assert json.loads(json.dumps(details, allow_nan=False)) == details
    assert len(details["samples"]) == ROWS
    first = details["samples"][0]
    assert [step["name"] for step in first["predicted"]] == ["flip", "bright"]
    assert first["predicted"][1]["value"] == pytest.approx(50 / 90)
    assert set(details["figures"]) == {"overall", "by_number_of_operations", "by_operation"}


# --- options ----------------------------------------------------------------------------------


def test_commands_as_the_paper_reports_them(data: Path) -> None:
    report = run(data, guess, commands="both")
    overall = report.tables[0]
    average, given, without = (cells(overall, str(row[0])) for row in overall.rows[:3])
    assert [row[0] for row in overall.rows[:3]] == [
        "reverse_design", "reverse_design, with command", "reverse_design, without command",
    ]  # fmt: skip
    assert (average["n"], given["n"], without["n"]) == (2 * ROWS, ROWS, ROWS)
    assert isinstance(given["accuracy %"], float)
    assert isinstance(without["accuracy %"], float)
    mean = (given["accuracy %"] + without["accuracy %"]) / 2
    assert average["accuracy %"] == pytest.approx(mean, abs=0.011)
    assert cells(overall, "empty plan")["n"] == ROWS
    names = {s["with_command"]: s["predicted"][0]["name"] for s in report.details["samples"]}
    assert names == {False: "flip", True: "invert"}
    alone = run(data, guess, commands="all").details["samples"]
    assert all(sample["with_command"] for sample in alone)


def test_limit_is_a_seeded_sample(data: Path) -> None:
    ids = [sample["id"] for sample in run(data, abstain, limit=8).details["samples"]]
    assert len(ids) == 8
    assert ids == sorted(ids) != list(range(8))
    assert ids == [sample["id"] for sample in run(data, abstain, limit=8).details["samples"]]


def test_splits_are_by_picture(data: Path) -> None:
    parts = {
        name: {s["img_source"] for s in run(data, abstain, split=name).details["samples"]}
        for name in ("train", "validation", "test")
    }
    assert [len(part) for part in parts.values()] == [8, 1, 1]
    assert len(set().union(*parts.values())) == 10


@pytest.mark.parametrize(
    "options", [{"split": "half"}, {"commands": "some"}, {"limit": -1}, {"workers": True}]
)
def test_options_out_of_range(data: Path, options: dict[str, int | str]) -> None:
    with pytest.raises(OptionError):
        run(data, abstain, None, **options)


def test_the_manifest_offers_what_the_hook_takes() -> None:
    from importlib.resources import files

    from imgedit_plugins import manifest
    from imgedit_plugins.options import resolve_options

    path = Path(str(files("imgedit_reverse_design"))) / manifest.FILE_NAME
    options = resolve_options(manifest.load(path).options_for("evaluate"), {})
    model = {"model", "weights", "constrained", "device", "precision", "bits"}
    ours = {"min-explained", "journal", "with-search"}
    assert set(options) == {"split", "limit", "commands", "workers", "effort", *model, *ours}
    assert evaluation._settings(options) == evaluation._settings({})


def test_predictions_get_their_options_the_seed_and_jpeg_tables(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    save_picture(Picture(np.zeros((9, 9, 3), np.uint8)), images / "a.png")
    options: dict[str, OptionValue] = {"images": str(images), "count": 1}
    make_imad(DataRequest(recipe="make-imad", out=tmp_path / "data", options=options), Job())
    seen = []

    def predict(request: PredictRequest, job: Job) -> EditPlan:
        seen.append(request)
        return EditPlan(abstained=True)

    request = EvaluateRequest(data=tmp_path / "data", seed=7)
    evaluate(request, Job(), predict, predict_options={"effort": "quick"})
    (found,) = seen
    assert (found.seed, found.options) == (7, {"effort": "quick"})
    assert found.edited is not None
    assert found.edited.origin is not None
    assert found.edited.origin.jpeg is not None


# --- failures ---------------------------------------------------------------------------------


def test_none_and_errors_count_as_abstained(data: Path) -> None:
    assert cells(run(data, not_mine).tables[0], "reverse_design")["abstained %"] == 100.0
    job = Job()
    report = run(data, fail, job)
    assert cells(report.tables[0], "reverse_design")["abstained %"] == 100.0
    assert report.details["samples"][0]["failure"] == "Nothing fits."
    (warning,) = job.warnings
    assert "30 of 30 predictions ended with an error" in warning


def test_faults_of_the_plugin_come_through(data: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        run(data, crash)
    with pytest.raises(ZeroDivisionError):
        run(data, crash, workers=2, limit=4)


def test_unreadable_pictures(data: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(data, tmp_path / "data")
    (tmp_path / "data" / "output_images" / "3.png").write_bytes(b"no picture")
    job = Job()
    report = run(tmp_path / "data", abstain, job)
    assert len(report.details["samples"]) == ROWS - 1
    assert "1 of 30 pairs cannot be opened" in job.warnings[0]
    for path in (tmp_path / "data" / "input_images").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match="30 of 30 pairs cannot be opened"):
        run(tmp_path / "data", abstain)


# --- processes --------------------------------------------------------------------------------


def test_processes_give_the_same_figures(data: Path) -> None:
    reported: list[Progress] = []
    one = run(data, guess)
    two = run(data, guess, Job(on_progress=reported.append), workers=2)
    timeless = [
        [{k: v for k, v in sample.items() if not k.endswith("seconds")} for sample in samples]
        for samples in (one.details["samples"], two.details["samples"])
    ]
    assert timeless[0] == timeless[1]
    told = [progress.done for progress in reported if progress.stage == "evaluating"]
    assert told == list(range(ROWS + 1))


@pytest.mark.parametrize("workers", [1, 2])
def test_processor_time_counts_all_threads_and_no_waiting(data: Path, workers: int) -> None:
    report = run(data, burn, workers=workers, limit=4)
    for sample in report.details["samples"]:
        assert 0.1 <= sample["cpu_seconds"] < 0.2
        assert sample["wall_seconds"] >= 0.15


@pytest.mark.parametrize("workers", [1, 2])
def test_cancelling_stops_predictions_that_run(data: Path, workers: int) -> None:
    job = Job()
    threading.Timer(1.0, job.cancel).start()
    begin = time.monotonic()
    with pytest.raises(JobCancelledError):
        run(data, wait_for_cancel, job, workers=workers)
    assert time.monotonic() - begin < 10


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL on this system")
def test_a_process_that_dies_is_told(data: Path) -> None:
    with pytest.raises(ImgeditError, match=r"died.*fewer workers"):
        run(data, die, workers=2, limit=4)
