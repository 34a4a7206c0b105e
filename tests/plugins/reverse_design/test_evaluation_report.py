"""What `evaluate` tells beside its figures: the paper's table, abstaining, cases, the journal."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_pictures import picture

from imgedit_modelkit.readers.imad import ROWS_CSV, tables_of
from imgedit_plugins.errors import DataError
from imgedit_plugins.jobs import Job
from imgedit_plugins.picture_files import save_picture
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan, PlannedOperation, Residual, step
from imgedit_plugins.render import render_plan
from imgedit_plugins.requests import EvaluateReport, EvaluateRequest, PredictRequest, Table
from imgedit_reverse_design.evaluation import Setup, evaluate, evaluate_methods
from imgedit_reverse_design.evaluation_report import WITHHELD
from imgedit_reverse_design.paper_table import MARK, PUBLISHED

BRIGHT, FLIP, GREY, INVERT = (
    step("bright", 0.9, offset=50),
    step("flip", 0.8),
    step("grayscale", 0.7),
    step("invert", 0.6),
)
TRUE = [(BRIGHT,), (FLIP, INVERT), (GREY,), (BRIGHT, GREY)]
VALUES = {"bright": 0.556, "flip": 1.0, "grayscale": 1.0, "invert": 1.0}

Answer = Callable[[PredictRequest], EditPlan]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four pairs of four pictures in I-MAD's layout; the last has no command."""
    folder = tmp_path / "data"
    for name in ("input_images", "output_images"):
        (folder / name).mkdir(parents=True)
    lines, values = [["img_source", "action", "textv2"]], [["value_normalized"]]
    for row, steps in enumerate(TRUE):
        source = Picture(picture(72, 96, seed=row))
        save_picture(source, folder / "input_images" / f"{row}.png")
        edited = render_plan(source, EditPlan(operations=steps))
        save_picture(edited, folder / "output_images" / f"{row}.png")
        names = [s.name for s in steps]
        lines.append([f"{row}.jpg", repr(names), "" if row == 3 else f"command {row}"])
        values.append([repr([VALUES[name] for name in names])])
    for name, rows in zip(tables_of("dense"), (lines, values), strict=True):
        with (folder / name).open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    return folder


def said(*steps: PlannedOperation, explained: float) -> EditPlan:
    residual = Residual(psnr_db=30.0, explained=explained)
    return EditPlan(operations=steps, residual=residual, explanation="so it is")


ANSWERS = [
    said(BRIGHT, explained=1.0),
    said(FLIP, BRIGHT, explained=0.5),  # half right
    said(INVERT, explained=0.95),  # wrong, and sure of it
    EditPlan(abstained=True, explanation="no plan explains this edit"),
]


def number_of(request: PredictRequest) -> int:
    assert request.source.origin is not None
    return int(Path(request.source.origin.path).stem)


def answered(request: PredictRequest) -> EditPlan:
    return ANSWERS[number_of(request)]


def better_with_words(request: PredictRequest) -> EditPlan:
    number = number_of(request)
    return EditPlan(operations=TRUE[number]) if request.instruction else ANSWERS[number]


def run(
    data: Path,
    answer: Answer = answered,
    job: Job | None = None,
    *,
    baseline: bool = False,
    worst: int = 0,
    **options: str | int,
) -> EvaluateReport:
    request = EvaluateRequest(
        data=data, baseline=baseline, worst=worst, options={"workers": 1, **options}
    )
    return evaluate(request, job or Job(), lambda asked, _: answer(asked))


def table(report: EvaluateReport, title: str) -> Table:
    return next(found for found in report.tables if found.title.endswith(title))


def cells(found: Table, *row: str) -> dict[str, object]:
    cell = next(cells for cells in found.rows if cells[: len(row)] == row)
    return dict(zip(found.columns, cell, strict=True))


# --- the paper's table ------------------------------------------------------------------------


def test_rows_with_text_without_and_on_average_by_hand(data: Path) -> None:
    job = Job()
    report = run(data, better_with_words, job, commands="both")
    overall = report.tables[0]
    assert [row[:2] for row in overall.rows[:3]] == [
        ("reverse_design", 7),
        ("reverse_design, with command", 3),
        ("reverse_design, without command", 4),
    ]
    assert job.warnings == ["1 of 4 rows have no command; they are not among those with."]
    paper = table(report, "As the paper reports it")
    assert paper.columns == ("given", "figure", "reverse_design")
    # without: (1 + 1/2 + 0 + 0) / 4; with: 3 right of 3
    assert {(row[0], row[1]): row[2] for row in paper.rows} == {
        ("average", "accuracy %"): 64.29,  # 4.5 / 7
        ("with text", "accuracy %"): 100.0,
        ("without text", "accuracy %"): 37.5,
        # without: 0, (0 + 1) / 2, 1, (0.556² + 1) / 2
        ("average", "MSE"): pytest.approx((0.5 + 1 + 0.65457) / 7, abs=1e-4),
        ("with text", "MSE"): 0.0,
        ("without text", "MSE"): pytest.approx((0.5 + 1 + 0.65457) / 4, abs=1e-4),
    }
    assert cells(overall, "empty plan")["n"] == 4, "baselines need each pair once"


def test_intervals_of_the_rows_enclose_them(data: Path) -> None:
    report = run(data, better_with_words, commands="both")
    overall = report.details["figures"]["overall"]
    for name in ("reverse_design", "reverse_design, with command", "empty plan"):
        accuracy = overall[name]["accuracy"]
        assert accuracy["low"] <= accuracy["value"] <= accuracy["high"]
    certain = overall["reverse_design, with command"]["accuracy"]
    assert (certain["low"], certain["high"]) == (1.0, 1.0)
    assert overall["reverse_design, without command"]["accuracy"]["low"] < 0.375


def test_the_papers_figures_stand_beside_marked_as_what_they_are(data: Path) -> None:
    paper = table(run(data, baseline=True), "As the paper reports it")
    assert MARK == "published, not reproduced here, other test set"
    published = [f"experiment {number} ({MARK})" for number in (1, 2, 3, 4)]
    assert list(paper.columns) == ["given", "figure", "reverse_design", *published]
    assert cells(paper, "average", "accuracy %")[published[1]] == 72.5
    assert cells(paper, "without text", "MSE")[published[3]] == 0.44
    ours = [row[2] for row in paper.rows]
    assert ours[2] == 37.5
    assert [ours[n] for n in (0, 1, 3, 4)] == [None] * 4, "nothing was asked with text"
    for rows in PUBLISHED.values():  # the paper's own averages, to its rounding
        for place, slack in ((0, 0.005), (1, 0.011)):
            mean = (rows["with text"][place] + rows["without text"][place]) / 2
            assert rows["average"][place] == pytest.approx(mean, abs=slack)


def test_without_commands_or_baseline_there_is_no_such_table(data: Path) -> None:
    assert not any("paper" in found.title for found in run(data).tables)


def test_commands_that_are_not_there_are_told(data: Path) -> None:
    lines = (data / ROWS_CSV).read_text()
    for number in range(3):
        lines = lines.replace(f"command {number}", "")
    (data / ROWS_CSV).write_text(lines)
    with pytest.raises(DataError, match=r"None of the 4 rows .* Use -O commands=none"):
        run(data, commands="both")


# --- abstaining -------------------------------------------------------------------------------


def test_the_abstention_table_by_hand(data: Path) -> None:
    found = table(run(data), "the surest answers first")
    # By explained share: right (1.0), wrong (0.95), half right (0.5); one of four abstained.
    ours = cells(found, "reverse_design", "by explained share")
    assert ours["answered %"] == 75.0
    assert ours["accuracy % of the answered"] == 50.0
    assert ours["area, accuracy %"] == pytest.approx(100 * (1 + 1 / 2 + 1.5 / 3) / 3, abs=0.01)
    assert ours["area, ranked ideally"] == pytest.approx(100 * (1 + 0.75 + 0.5) / 3, abs=0.01)
    # By the least sure step: right (0.9), half right (0.8), wrong (0.6).
    by_confidence = cells(found, "reverse_design", "by confidence")
    assert by_confidence["area, accuracy %"] == ours["area, ranked ideally"]


def test_the_curve_is_in_the_details_and_in_a_chart(data: Path) -> None:
    report = run(data)
    points = report.details["abstention"]["explained"]["points"]
    assert [(p["threshold"], p["answered"], p["accuracy"]) for p in points] == [
        (1.0, 0.25, 1.0), (0.95, 0.5, 0.5), (0.5, 0.75, 0.5),
    ]  # fmt: skip
    accuracy, f1 = report.charts
    assert accuracy.lines["reverse_design, by explained share"] == (
        (25.0, 100.0), (50.0, 50.0), (75.0, 50.0),
    )  # fmt: skip
    assert f1.lines["reverse_design, by confidence"][0] == (25.0, 100.0)


def test_who_answers_always_is_scored_with_abstaining_too(data: Path) -> None:
    request = EvaluateRequest(data=data, options={"workers": 1, "min-explained": 0.9})
    setups = {"alone": Setup(withholds=True), "checked": Setup()}
    report = evaluate_methods(request, Job(), lambda asked, _: answered(asked), setups)
    overall = report.tables[0]
    assert [row[0] for row in overall.rows[:3]] == ["alone", "checked", f"alone{WITHHELD}"]
    alone, abstaining = cells(overall, "alone"), cells(overall, f"alone{WITHHELD}")
    assert (alone["abstained %"], abstaining["abstained %"]) == (25.0, 50.0)
    assert alone["accuracy %"] == 37.5
    assert abstaining["accuracy %"] == 25.0, "the half right one explains half"
    assert (alone["precision %"], abstaining["precision %"]) == (50.0, 50.0)  # 2 of 4, 1 of 2
    assert set(report.details) == {"alone", "checked"}
    assert {row[0] for row in table(report, "By operation").rows} >= {
        "bright, alone", "bright, checked",
    }  # fmt: skip


def test_methods_that_read_no_commands_predict_once(data: Path) -> None:
    request = EvaluateRequest(data=data, options={"workers": 1, "commands": "both"})
    setups = {"model": Setup(), "search": Setup(reads_commands=False)}
    report = evaluate_methods(request, Job(), lambda asked, _: better_with_words(asked), setups)
    assert [row[:2] for row in report.tables[0].rows[:2]] == [("model", 7), ("search", 4)]
    paper = table(report, "As the paper reports it")
    assert cells(paper, "with text", "accuracy %")["search"] is None
    assert cells(paper, "without text", "accuracy %")["search"] == 37.5


# --- cases ------------------------------------------------------------------------------------


def test_the_worst_cases_come_first_and_right_ones_never(data: Path) -> None:
    cases = run(data, worst=9).cases
    assert [case.title for case in cases] == [
        "reverse_design: row 2, 2.jpg",  # nothing right
        "reverse_design: row 1, 1.jpg",  # half right
        "reverse_design: row 3, 3.jpg",  # abstained
    ]
    assert len(run(data, worst=1).cases) == 1
    assert run(data).cases == ()


def test_a_case_has_both_plans_in_words_and_four_pictures(data: Path) -> None:
    case = run(data, worst=9, commands="all").cases[1]
    told = dict(case.told)
    assert told["True edit"] == "mirrored, then inverted"
    assert told["Found"] == "mirrored, then brightened by 50"
    assert told["Given in words"] == "command 1"
    assert told["Names"] == "right: flip; missing: invert; too many: bright"
    assert told["Figures"].startswith("accuracy 50 %, F1 50 %, explains 50 %, least sure step 80 %")
    pictures = {title: shown for title, _, shown in case.pictures}
    assert list(pictures) == ["Source", "Edited", "Rendered", "Residual"]
    source = Picture(picture(72, 96, seed=1))
    expected = render_plan(source, EditPlan(operations=(FLIP, BRIGHT)))
    assert np.array_equal(pictures["Rendered"].rgb8(), expected.rgb8())
    assert np.array_equal(pictures["Source"].rgb8(), source.rgb8())


def test_an_error_is_a_case_with_its_sentence(data: Path) -> None:
    def fails(request: PredictRequest) -> EditPlan:
        raise DataError("Nothing fits.")

    told = dict(run(data, fails, worst=1).cases[0].told)
    assert told["Found"] == "an error: Nothing fits."


# --- I-MAD-Pro --------------------------------------------------------------------------------


def test_i_mad_pro_is_scored_alike(data: Path) -> None:
    dense = run(data)
    for old, new in zip(tables_of("dense"), tables_of("pro"), strict=True):
        (data / old).rename(data / new)
    pro = run(data)
    assert (dense.details["data"], pro.details["data"]) == ("I-MAD-Dense", "I-MAD-Pro")
    timeless = [
        [[cell for name, cell in zip(t.columns, row, strict=True) if "CPU" not in name]
         for t in report.tables for row in t.rows if "CPU" not in str(row[0])]
        for report in (dense, pro)
    ]  # fmt: skip
    assert timeless[0] == timeless[1]


# --- the journal ------------------------------------------------------------------------------


def test_a_stopped_evaluation_goes_on(data: Path, tmp_path: Path) -> None:
    asked: list[int] = []

    def stops(request: PredictRequest) -> EditPlan:
        asked.append(number_of(request))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return answered(request)

    journal = tmp_path / "journal.jsonl"
    with pytest.raises(KeyboardInterrupt):
        run(data, stops, journal=str(journal))
    with journal.open("a") as file:
        file.write('{"key": "half a li')  # killed in the middle of a line
    again = run(data, stops, journal=str(journal))
    assert asked == [0, 1, 2, 2, 3], "what was finished is not asked again"
    whole = run(data)
    for report in (again, whole):
        for sample in report.details["samples"]:
            del sample["cpu_seconds"], sample["wall_seconds"]
    assert again.details["samples"] == whole.details["samples"]
    run(data, stops, journal=str(journal))
    assert len(asked) == 5, "now nothing is"


@pytest.mark.parametrize("changed", ["seed", "options", "picture", "command", "model"])
def test_another_prediction_is_made_anew(data: Path, tmp_path: Path, changed: str) -> None:
    asked: list[int] = []
    journal = {"journal": str(tmp_path / "journal.jsonl"), "workers": 1}

    def once(request: PredictRequest, _: Job) -> EditPlan:
        asked.append(number_of(request))
        return answered(request)

    def score(seed: int = 0, model: str = "", commands: str = "none", **options: int) -> None:
        request = EvaluateRequest(data=data, seed=seed, options={**journal, "commands": commands})
        evaluate_methods(request, Job(), once, {"m": Setup(options=dict(options), model=model)})

    score()
    if changed == "picture":
        save_picture(Picture(picture(72, 96, seed=7)), data / "input_images" / "2.png")
    given = {"seed": {"seed": 1}, "options": {"effort": 2}, "command": {"commands": "all"},
             "model": {"model": "trained on"}}  # fmt: skip
    score(**given.get(changed, {}))  # type: ignore[arg-type]
    new = {"picture": [2], "command": [0, 1, 2]}.get(changed, [0, 1, 2, 3])
    assert asked == [0, 1, 2, 3, *new]


def test_a_file_that_is_no_journal_is_left_alone(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "thesis.tex"
    path.write_text("Important.\n")
    with pytest.raises(DataError, match=r"is no journal of `evaluate`.*not there yet"):
        run(data, journal=str(path))
    assert path.read_text() == "Important.\n"
    with pytest.raises(DataError, match="cannot be used: its folder does not exist"):
        run(data, journal=str(tmp_path / "no" / "journal.jsonl"))


def test_a_damaged_line_is_predicted_again(data: Path, tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    run(data, journal=str(journal))
    lines = journal.read_text().splitlines()
    broken = json.loads(lines[1])
    broken["plan"] = {"schema": "other"}
    journal.write_text("\n".join([lines[0], json.dumps(broken), *lines[2:]]) + "\n")
    asked: list[int] = []

    def counted(request: PredictRequest) -> EditPlan:
        asked.append(number_of(request))
        return answered(request)

    run(data, counted, journal=str(journal))
    assert asked == [0]
