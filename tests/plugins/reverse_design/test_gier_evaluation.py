"""Scores on GIER's published layout: names of operations, and which of them are local."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from made_pictures import picture

from imgedit_plugins.errors import DataError
from imgedit_plugins.jobs import Job
from imgedit_plugins.operations import default_vocabulary
from imgedit_plugins.picture_files import save_picture
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan, PlannedOperation, Residual, step
from imgedit_plugins.plugins import PluginManager
from imgedit_plugins.render import render_plan
from imgedit_plugins.requests import EvaluateReport, EvaluateRequest, PredictRequest, Table
from imgedit_reverse_design.data_sets import GIER_NAMES, read_data_set
from imgedit_reverse_design.evaluation import evaluate
from imgedit_reverse_design.moves import SEARCHED

BRIGHT, FLIP, GREY = step("bright", 0.9, offset=50), step("flip", 0.8), step("grayscale", 0.7)

Operators = dict[str, bool]
"""Name -> whether it is local, as GIER has it."""

PAIRS: list[tuple[str, Operators, tuple[PlannedOperation, ...]]] = [
    ("a", {"brightness": False}, (BRIGHT,)),
    ("a", {"brightness": False, "flip": False}, (BRIGHT, FLIP)),
    ("b", {"black&white": False, "inpaint_obj": True}, (GREY,)),
    ("c", {"brightness": True}, (BRIGHT,)),
]


def pair(number: int, name: str, operators: Operators) -> dict[str, object]:
    told = {n: {"local": local, "ids": [0] if local else []} for n, local in operators.items()}
    return {
        "input": f"{name}_{name}.png",
        "output": f"{name}_{number}.png",
        "operator": told,
        "expert_summary": [f"do number {number}"],
        "amateur_summary": [],
        "request": "please",
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four pairs of three pictures, and one that names no operation."""
    (tmp_path / "images").mkdir()
    entries = []
    for number, (name, operators, steps) in enumerate(PAIRS):
        source = Picture(picture(96, 120, seed=ord(name)))
        save_picture(source, tmp_path / "images" / f"{name}_{name}.png")
        edited = render_plan(source, EditPlan(operations=steps))
        save_picture(edited, tmp_path / "images" / f"{name}_{number}.png")
        entries.append(pair(number, name, operators))
    save_picture(Picture(picture(96, 120, seed=1)), tmp_path / "images" / "c_9.png")
    entries.append(pair(9, "c", {}))
    (tmp_path / "GIER.json").write_text(json.dumps(entries))
    return tmp_path


def run(folder: Path, answers: Mapping[str, EditPlan], job: Job | None = None, **options):
    """Score plans that are given by the name of the edited file."""

    def predict(request: PredictRequest, _: Job) -> EditPlan:
        assert request.edited is not None
        assert request.edited.origin is not None
        return answers[Path(request.edited.origin.path).name]

    baseline = options.pop("baseline", False)
    worst = options.pop("worst", 0)
    request = EvaluateRequest(
        data=folder, baseline=baseline, worst=worst, options={"workers": 1, **options}
    )
    return evaluate(request, job or Job(), predict)


def said(*steps: PlannedOperation, explained: float = 1.0) -> EditPlan:
    return EditPlan(operations=steps, residual=Residual(psnr_db=40.0, explained=explained))


ANSWERS = {
    "a_0.png": said(BRIGHT, GREY),
    "a_1.png": said(BRIGHT, FLIP),
    "b_2.png": EditPlan(abstained=True, explanation="no plan"),
    "c_3.png": said(BRIGHT, explained=0.5),
}


def cells(table: Table, row: str) -> dict[str, object]:
    found = next(r for r in table.rows if r[0] == row)
    return dict(zip(table.columns, found, strict=True))


def test_figures_by_hand(folder: Path) -> None:
    report: EvaluateReport = run(folder, ANSWERS)
    ours = cells(report.tables[0], "reverse_design")
    # True: brightness; brightness, flip; black&white, inpaint_obj; brightness.
    # Said: brightness, black&white; brightness, flip; -; brightness.
    assert ours["n"] == 4
    assert ours["precision %"] == 80.0  # 4 of 5
    assert ours["recall %"] == 66.67  # 4 of 6
    assert ours["F1 %"] == pytest.approx(100 * 8 / 11, abs=0.01)
    assert ours["accuracy %"] == 75.0  # (1 + 1 + 0 + 1) / 4
    assert ours["exact set %"] == 50.0
    assert ours["abstained %"] == 25.0
    assert "MSE" not in ours, "GIER publishes no values"
    assert "equivalent %" not in ours


def test_by_operation_micro_and_macro_by_hand(folder: Path) -> None:
    table = next(t for t in run(folder, ANSWERS).tables if t.title.endswith("by operation"))
    assert [row[0] for row in table.rows] == [
        "brightness", "black&white", "flip", "inpaint_obj", "all, micro", "all, macro",
    ]  # fmt: skip
    assert cells(table, "brightness") == {
        "operation": "brightness", "true": 3, "predicted": 3,
        "precision %": 100.0, "recall %": 100.0, "F1 %": 100.0,
    }  # fmt: skip
    assert cells(table, "black&white")["F1 %"] == 0.0
    assert cells(table, "inpaint_obj")["precision %"] is None, "it was never said"
    micro, macro = cells(table, "all, micro"), cells(table, "all, macro")
    assert (micro["true"], micro["predicted"]) == (6, 5)
    assert (micro["precision %"], micro["recall %"]) == (80.0, 66.67)
    assert micro["F1 %"] == pytest.approx(100 * 8 / 11, abs=0.01)
    assert macro["precision %"] == 66.67  # (1 + 0 + 1) / 3
    assert macro["recall %"] == 50.0  # (1 + 0 + 1 + 0) / 4
    assert macro["F1 %"] == 50.0


def test_local_operations_by_hand(folder: Path) -> None:
    report = run(folder, ANSWERS)
    table = next(t for t in report.tables if t.title.endswith("local operations"))
    assert table.rows == (
        ("brightness", 1, 2, 1, 2, 100.0, 100.0, 66.67),
        ("black&white", 0, 1, 0, 0, None, 0.0, None),
        ("flip", 0, 1, 0, 1, None, 100.0, 100.0),
        ("inpaint_obj", 1, 0, 0, 0, 0.0, None, None),
        ("all", 2, 4, 1, 3, 50.0, 75.0, 75.0),
    )
    assert report.details["figures"]["local"]["all"]["named_local"] == 1
    assert report.details["samples"][2]["local"] == ["inpaint_obj"]


def test_details_are_json_and_say_which_data(folder: Path) -> None:
    details = run(folder, ANSWERS).details
    assert json.loads(json.dumps(details, allow_nan=False)) == details
    assert details["data"] == "GIER"
    assert [s["squared_error"] for s in details["samples"]] == [None] * 4
    assert details["samples"][3]["explained"] == 0.5


def test_baselines_say_names_only(folder: Path) -> None:
    overall = run(folder, ANSWERS).tables[0]
    titles = [row[0] for row in overall.rows]
    assert titles[1:] == ["all 4 operations", "always brightness, black&white", "empty plan"]
    everything = cells(overall, "all 4 operations")
    assert (everything["recall %"], everything["precision %"]) == (100.0, 37.5)  # 6 of 16


def test_pairs_without_operations_are_told(folder: Path) -> None:
    job = Job()
    run(folder, ANSWERS, job)
    assert job.warnings == [f"1 of 5 pairs of {folder} name no operation; they are left out."]
    (folder / "GIER.json").write_text(json.dumps([pair(9, "c", {})]))
    with pytest.raises(DataError, match=r"1 of 1 pairs .* there is nothing to score"):
        run(folder, ANSWERS)


def test_commands_are_those_of_the_experts(folder: Path) -> None:
    rows = read_data_set(folder, Job()).rows
    assert [row.command for row in rows] == [f"do number {n}" for n in range(4)]
    overall = run(folder, ANSWERS, commands="both").tables[0]
    assert [row[1] for row in overall.rows[:3]] == [8, 4, 4]


def test_the_paper_has_nothing_to_print_beside(folder: Path) -> None:
    job = Job()
    report = run(folder, ANSWERS, job, baseline=True)
    assert not any(table.title == "As the paper reports it" for table in report.tables)
    assert "The paper has no figures for GIER" in job.warnings[-1]


def test_cases_name_the_local_operations(folder: Path) -> None:
    cases = run(folder, ANSWERS, worst=9).cases
    assert [case.title for case in cases] == [
        "reverse_design: row 0, a", "reverse_design: row 2, b",
    ]  # fmt: skip
    told = dict(cases[1].told)
    assert told["True edit"] == "black&white, inpaint_obj (local)"
    assert told["Found"] == "abstained. no plan"
    assert [title for title, _, _ in cases[1].pictures] == ["Source", "Edited"]
    assert [title for title, _, _ in cases[0].pictures] == [
        "Source", "Edited", "Rendered", "Residual",
    ]  # fmt: skip


def test_the_search_names_operations_of_gier(folder: Path, reverse_design: PluginManager) -> None:
    """Through the manager, as the command does it."""
    from imgedit_plugins.options import resolve_options

    info = reverse_design.get("reverse_design")
    options = resolve_options(reverse_design.options_for(info, "evaluate"), {"workers": "1"})
    request = EvaluateRequest(data=folder, options=options)
    report = reverse_design.call("evaluate", request, Job(), "reverse_design")
    ours = cells(report.tables[0], "reverse_design")
    assert (ours["precision %"], ours["recall %"]) == (100.0, 83.33), "all but inpaint_obj"
    assert ours["identical %"] == 100.0


def test_our_names_are_known_and_what_the_search_cannot_say_is_kept() -> None:
    vocabulary = {operation.name for operation in default_vocabulary()}
    assert set(GIER_NAMES) <= vocabulary
    unnamed = {*SEARCHED, "rotate", "flip"} - set(GIER_NAMES)
    assert unnamed == {"sepia", "summer", "winter", "hdr", "invert"}


def test_sizes_may_differ(folder: Path) -> None:
    """An answer in GIER may be cropped: there is no PSNR then, and no crash."""
    save_picture(Picture(np.zeros((40, 120, 3), np.uint8)), folder / "images" / "a_0.png")
    sample = run(folder, ANSWERS).details["samples"][0]
    assert sample["psnr_db"] == 0.0
