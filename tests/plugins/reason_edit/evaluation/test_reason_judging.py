"""Edits that a vision-language model grades: RISEBench's and UniREditBench's tables."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:__array__ impl")]

import tiny_reasoned_data as tiny  # noqa: E402
from tiny_reasoned_data import cells, evaluated, table  # noqa: E402

from imgedit_modelkit.language.testing import Said, chat_server, text  # noqa: E402
from imgedit_plugins.errors import DataError, OptionError  # noqa: E402
from imgedit_plugins.jobs import Job  # noqa: E402
from imgedit_reason_edit.evaluation.judging import Case, put_together  # noqa: E402


def asked_for(body: dict[str, Any]) -> tuple[str, str, np.ndarray]:
    """Which grade, the question, and the one picture."""
    said, *pictures = body["messages"][0]["content"]
    assert len(pictures) == 1, "many models take one picture only"
    data = pictures[0]["image_url"]["url"].partition(",")[2]
    begins = {"whether the edited": "reasoning", "whether everything": "consistency",
              "how it is made": "plausibility"}  # fmt: skip
    (what,) = [name for words, name in begins.items() if f"Judge only {words}" in said["text"]]
    return what, said["text"], np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


class Judge:
    """Grades by what is asked for; 'odd' answers first, for some questions always."""

    def __init__(self, never: str = "") -> None:
        self.never, self.seen = never, list[tuple[str, str, np.ndarray]]()

    def __call__(self, body: dict[str, Any], _: object) -> Said:
        found = asked_for(body)
        again = len(body["messages"]) > 1
        if not again:
            self.seen.append(found)
        if self.never and self.never in found[1] and found[0] == "reasoning":
            return text('{"reason": "?", "score": 9}')
        if found[0] == "consistency" and not again:
            return text("It is quite nice.")
        grade = {"reasoning": 4, "consistency": 3, "plausibility": 5}[found[0]]
        return text(json.dumps({"reason": "so", "score": grade}))


@pytest.mark.parametrize(
    ("group", "grades", "score"),
    [
        ("temporal", (4, 3, 5), 0.5 * 4 + 0.3 * 3 + 0.2 * 5),
        ("temporal", (4, None, 5), 0.8 * 4 + 0.2 * 5),
        ("logical", (2, 5, None), 0.7 * 2 + 0.3 * 5),
        ("causal", (1, 5, 5), (0.5 + 1.5 + 1.0) / 2),
        ("spatial", (1, 1, 2), 1.0),
        ("maze", (1, 5, 5), 3.0),
        ("causal", (5, 5, 5), 5.0),
    ],
)
def test_scores_by_hand(group, grades, score):
    names = ("reasoning", "consistency", "plausibility")
    given = {name: float(g) for name, g in zip(names, grades, strict=True) if g is not None}
    found = put_together(given, Case(group, "", has_goal=False))
    assert found == pytest.approx({"score": score, "solved": float(score == 5)})


def test_risebench_is_judged_case_by_case(tmp_path):
    judge, job = Judge(), Job()
    with chat_server(judge) as (address, asked):
        options = {"table": "judged", "endpoint": address, "keep": tmp_path / "keep"}
        report = evaluated(tiny.risebench(tmp_path / "rise"), job, **options, worst=1)
        count = len(asked)
        again = evaluated(tmp_path / "rise", **options)
        assert len(asked) == count, "grades are kept"
    assert again.details["figures"] == report.details["figures"]
    assert report.tables[0].title == "Judged by a vision-language model: risebench"
    assert [row[:3] for row in report.tables[0].rows] == [
        ("input itself", "temporal", 1), ("input itself", "spatial", 1), ("input itself", "all", 2),
    ]  # fmt: skip
    row = cells(report.tables[0], "input itself", "all")
    assert (row["reasoning"], row["consistency"], row["plausibility"]) == (4, 3, 5)
    assert row["score"] == pytest.approx(0.5 * 4 + 0.3 * 3 + 0.2 * 5)
    assert row["solved %"] == 0
    assert count == 2 * 4, "three grades of two cases, one of them asked for twice"
    by_kind = {(what, "after a year" in said): (said, seen) for what, said, seen in judge.seen}
    told, seen = by_kind["reasoning", True]
    assert "an old cat" in told
    assert seen.shape[1] == 2 * 32 + 16, "before and after"
    told, seen = by_kind["reasoning", False]
    assert "a cat on a boat" in told
    assert seen.shape[1] == 3 * 32 + 2 * 16, "and how it should be"
    before, after = seen[:, :32].astype(int), seen[:, 48:80].astype(int)
    assert np.abs(before - after).mean() < 8, "the input itself was judged"
    assert any("1 of 3 cases" in warning for warning in job.warnings)
    assert report.details["judge"][0].startswith("tiny at http://127.0.0.1")
    assert any("judge-reasoning-1" in one for one in report.details["judge"])


def test_unireditbench_and_grades_that_cannot_be_used(tmp_path):
    judge, job = Judge(never="Walls are black."), Job()
    with chat_server(judge) as (address, _):
        report = evaluated(
            tiny.unireditbench(tmp_path), job, table="judged", endpoint=address, attempts=2
        )
    assert cells(report.tables[0], "input itself", "a")["score"] == pytest.approx(3.9)
    maze = cells(report.tables[0], "input itself", "maze")
    assert (maze["reasoning"], maze["score"], maze["plausibility"]) == (None, None, 5)
    assert cells(report.tables[0], "input itself", "all")["score"] == pytest.approx(3.9)
    assert any("was asked 2 times and gave no grade" in told for told in job.warnings)
    assert table(report, "95 % intervals").rows


def test_who_may_judge_and_what(tmp_path):
    data = tiny.risebench(tmp_path / "rise")
    with pytest.raises(OptionError, match="'endpoint' or the option 'model-folder'; none is"):
        evaluated(data, table="judged")
    with pytest.raises(OptionError, match="is not on this computer and would be sent the picture"):
        evaluated(data, table="judged", endpoint="https://api.example.org/v1")
    with chat_server(Judge()) as (address, _):
        other = tiny.magicbrush(tmp_path / "m")
        with pytest.raises(DataError, match=r"is of risebench and unireditbench, and .*magicbrush"):
            evaluated(other, table="judged", endpoint=address)
    gone = {"table": "judged", "endpoint": address, "endpoint-model": "tiny"}
    with pytest.raises(Exception, match=address.removeprefix("http://").partition("/")[0]):
        evaluated(data, **gone)
