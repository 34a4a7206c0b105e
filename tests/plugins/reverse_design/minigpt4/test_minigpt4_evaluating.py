"""`evaluate` with `model=minigpt4`, as it is called: a real tiny model, tables, page, journal."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

pytestmark = pytest.mark.torch

from imgedit_plugins.cli import cli  # noqa: E402
from imgedit_plugins.jobs import Job  # noqa: E402
from imgedit_plugins.plugins import PluginManager  # noqa: E402
from imgedit_reverse_design.minigpt4 import predicting  # noqa: E402
from imgedit_reverse_design.minigpt4.evaluating import _told_apart  # noqa: E402
from imgedit_reverse_design.paper_table import MARK  # noqa: E402

ALONE, ABSTAINING, VERIFIED, SEARCH = (
    "model alone", "model alone, may abstain", "model + verification", "search"
)  # fmt: skip
PAIRS = 3


@pytest.fixture
def evaluated(data: Path, model_folder: Path, tmp_path: Path, reverse_design: PluginManager):
    """The command on a few pairs, with the journal, the page and the JSON in `tmp_path`."""
    assert reverse_design.get("reverse_design").status == "available"

    def run(*arguments: str) -> Result:
        given = [
            "evaluate", "reverse_design", "--data", str(data), "-O", "model=minigpt4",
            "-O", f"weights={model_folder}", "-O", "device=cpu", "-O", "constrained=yes",
            "-O", f"limit={PAIRS}", "-O", "effort=quick", "-O", "commands=both",
            "-O", "with-search=yes", "-O", f"journal={tmp_path / 'journal.jsonl'}",
            "--baseline", "-o", str(tmp_path / "figures.json"),
            "--report", str(tmp_path / "report.html"), "--worst", "1", *arguments,
        ]  # fmt: skip
        result = CliRunner().invoke(cli, given, env={"IMGEDIT_PLUGINS": "reverse_design"})
        assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
        return result

    return run


def test_every_row_is_there_and_a_second_run_asks_nothing(evaluated, tmp_path, monkeypatch) -> None:
    told = evaluated().stdout
    report = json.loads((tmp_path / "figures.json").read_text())
    tables = {table["title"]: table for table in report["tables"]}
    overall = {row[0]: dict(zip(tables["Overall"]["columns"], row, strict=True))
               for row in tables["Overall"]["rows"]}  # fmt: skip
    assert list(overall)[:3] == [ALONE, VERIFIED, SEARCH]
    for name in (ALONE, ABSTAINING, VERIFIED):
        parts = [overall[f"{name}, {words}"]["n"] for words in ("with command", "without command")]
        assert overall[name]["n"] == sum(parts)
        assert parts[1] == PAIRS
    assert overall[SEARCH]["n"] == PAIRS
    assert overall[VERIFIED]["exact set %"] == overall[SEARCH]["exact set %"] == 100.0
    assert overall[ABSTAINING]["abstained %"] == 100.0, "an untrained model explains nothing"
    assert overall[ALONE]["abstained %"] < 100.0
    paper = tables["As the paper reports it"]
    assert paper["columns"][2:6] == [ALONE, ABSTAINING, VERIFIED, SEARCH]
    assert [MARK in column for column in paper["columns"][6:]] == [True] * 4
    curves = report["details"][VERIFIED]["abstention"]
    assert curves["explained"]["points"][-1]["answered"] == 1.0
    assert {row[0] for row in tables["Abstention: the surest answers first"]["rows"]} == {
        ALONE, VERIFIED, SEARCH,
    }  # fmt: skip
    assert "experiment 2 (published," in told, "the long heading is folded"
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 2
    assert page.count('src="data:image/') == 4, "the model alone is wrong; the others are never"
    assert f"{ALONE}: row" in page

    monkeypatch.setattr(predicting, "_load", None)  # the model cannot be asked any more
    again = json.loads(evaluated("--json").stdout)
    assert again["tables"] == report["tables"]


def test_a_journal_of_a_model_is_not_for_what_it_learns_later(model_folder, tmp_path) -> None:
    name = "projection.safetensors"
    shutil.copy2(model_folder / name, tmp_path / name)
    before = _told_apart(tmp_path / name)
    assert before == _told_apart(tmp_path / name)
    os.utime(tmp_path / name, ns=(1, 1))
    assert _told_apart(tmp_path / name) != before


def test_missing_weights_are_told_before_the_data_is_read(
    tmp_path, monkeypatch, reverse_design
) -> None:
    from imgedit_plugins.errors import WeightsError
    from imgedit_plugins.requests import EvaluateRequest

    monkeypatch.setenv("IMGEDIT_WEIGHTS", str(tmp_path))
    request = EvaluateRequest(data=tmp_path / "nothing", options={"model": "minigpt4"})
    with pytest.raises(WeightsError, match="weights import reverse_design/minigpt4"):
        reverse_design.call("evaluate", request, Job(), "reverse_design")
