"""`data reason_edit study`, the page that asks for the best, and table 4 of its answers."""

from __future__ import annotations

import http.client
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:__array__ impl")]

from tiny_reasoned_data import cells, evaluated, table  # noqa: E402

from imgedit_modelkit.human_evaluation import EvaluationServer, read_study  # noqa: E402
from imgedit_modelkit.human_evaluation.results import Results  # noqa: E402
from imgedit_plugins.cli import common  # noqa: E402
from imgedit_plugins.errors import DataError, OptionError  # noqa: E402
from imgedit_plugins.jobs import Job  # noqa: E402
from imgedit_plugins.options import resolve_options  # noqa: E402
from imgedit_plugins.picture_files import open_picture  # noqa: E402
from imgedit_plugins.requests import DataRequest  # noqa: E402
from imgedit_reason_edit.plugin import make_data  # noqa: E402

SYSTEMS = ("InstructPix2Pix", "MagicBrush", "InstructDiffusion", "Ours")

TURNED = """
import numpy as np
made = np.ascontiguousarray(np.rot90(request.picture.pixels, {}))
return EditResult(candidates=(Candidate(picture=request.picture.with_pixels(made)),))
"""


@pytest.fixture
def kept(site: Any, tmp_path: Path, benchmark: Path) -> Path:
    """Four systems on four pictures, with both instructions."""
    for number, name in enumerate(SYSTEMS):
        site.install(name.lower() + "-like", body=TURNED.format(number))
    models = ",".join(f"{name}={name.lower()}-like" for name in SYSTEMS)
    evaluated(benchmark, models=models, keep=tmp_path / "kept")
    return tmp_path / "kept"


def study(out: Path, results: Path, job: Job | None = None, **options: object) -> Path:
    manager = common.plugin_manager()
    specs = manager.options_for(manager.get("reason_edit"), "make_data", "study")
    given = {"results": str(results)} | {n: str(v) for n, v in options.items()}
    request = DataRequest(recipe="study", out=out, options=resolve_options(specs, given))
    assert make_data(request, job or Job()) is not None
    return out


def answer(folder: Path, person: str, rater: str, picks: dict[str, str]) -> Path:
    """A person's file of answers: the best system for each kind of instruction."""
    asked = read_study(folder / f"{person}.json")
    path = folder.parent / f"{rater}.json"
    results = Results(path, asked, rater)
    for item in asked.items:
        best = picks[item.id.rpartition("-")[2]]
        shown = [candidate.system for candidate in item.candidates]
        results.put(item.id, "best", [best], shown, 2.0)
    return path


def test_samples_are_shared_out_among_people(kept, tmp_path, benchmark):
    job = Job()
    folder = study(tmp_path / "study", kept, job, people=2)
    assert sorted(path.name for path in folder.glob("*.json")) == [
        "person-1.json", "person-2.json", "votes.json",
    ]  # fmt: skip
    assert any("Only 4 direct instructions" in warning for warning in job.warnings)
    parts = [read_study(folder / f"person-{number}.json") for number in (1, 2)]
    for part in parts:
        kinds = [item.id.rpartition("-")[2] for item in part.items]
        assert sorted(kinds) == ["direct"] * 2 + ["reasoning"] * 2
        assert part.asks == "best"
        for item in part.items:
            assert [c.system for c in item.candidates] == [*SYSTEMS]
            for candidate in item.candidates:
                assert candidate.picture is not None
                assert candidate.system not in candidate.picture.name
                made = open_picture(kept / candidate.system / f"{item.id}.png").pixels
                assert np.array_equal(open_picture(candidate.picture).pixels, made)
    everyone = [item.id for part in parts for item in part.items]
    assert len(set(everyone)) == 8
    drawn = read_study(study(tmp_path / "few", kept, items=2, people=1) / "person-1.json")
    assert len(drawn.items) == 4


def test_the_page_asks_for_the_best_alone(kept, tmp_path):
    folder = study(tmp_path / "study", kept, people=4)
    path = tmp_path / "ann.json"
    server = EvaluationServer(read_study(folder / "person-1.json"), path, "ann")
    thread = threading.Thread(target=server.serve)
    thread.start()

    def send(ranking: list[int]) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(server.address.split("/")[2], timeout=30)
        body = json.dumps({"item": 0, "criterion": 0, "ranking": ranking, "seconds": 1.5})
        connection.request("POST", "/answer", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        found = response.status, json.loads(response.read())
        connection.close()
        return found

    try:
        state = server.state()
        assert state["asks"] == "best"
        assert not [name for name in SYSTEMS if name in json.dumps(state)]
        status, told = send([2, 0, 1, 3])
        assert (status, "is not one of" in told["error"]) == (400, True)
        assert send([2]) == (200, {"saved": True})
        assert server.state()["items"][0]["rankings"] == [[2]]
    finally:
        server.close()
        thread.join()
    (found,) = json.loads(path.read_text())["answers"]
    assert len(found["ranking"]) == 1
    assert sorted(found["shown"]) == sorted(SYSTEMS)


def test_table_4_of_the_votes(kept, tmp_path):
    folder = study(tmp_path / "study", kept, people=2)
    ann = answer(folder, "person-1", "ann", {"direct": "Ours", "reasoning": "Ours"})
    bob = answer(folder, "person-2", "bob", {"direct": "MagicBrush", "reasoning": "Ours"})
    report = evaluated(folder, table="study", votes=f"{ann}, {bob}", baseline=True)
    first = report.tables[0]
    assert first.columns == ("instructions", "answers", *SYSTEMS)
    assert first.rows == (("direct", 4, 0, 2, 0, 2), ("reasoning", 4, 0, 0, 0, 4))
    figures = {(f["row"], f["instructions"]): f["figures"]["chosen as the best"]
               for f in report.details["figures"]}  # fmt: skip
    assert figures["Ours", "direct"]["value"] == 0.5
    assert figures["Ours", "direct"]["low"] < 0.5 < figures["Ours", "direct"]["high"]
    assert figures["Ours", "reasoning"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    paper = table(report, "As the paper reports it")
    mark = "(published, not reproduced here, other test set)"
    row = cells(paper, "reasoning chosen as the best %")
    assert row[f"ReasonPix2Pix {mark}"] == 54
    assert row["Ours"] == 100.0
    assert "figures" not in {one.title for one in report.tables}
    job = Job()
    half = evaluated(folder, job, table="study", votes=ann)
    assert half.tables[0].rows[0][:2] == ("direct", 2)
    assert job.warnings == ["4 of 8 samples have no answer yet."]


def test_votes_that_do_not_count(kept, tmp_path):
    folder = study(tmp_path / "study", kept, people=2)
    picks = {"direct": "Ours", "reasoning": "Ours"}
    ann = answer(folder, "person-1", "ann", picks)
    again = tmp_path / "again.json"
    again.write_bytes(ann.read_bytes())
    with pytest.raises(DataError, match=r"hold answers of one person \('ann'\)"):
        evaluated(folder, table="study", votes=f"{ann},{again}")
    other = study(tmp_path / "other", kept, people=1)
    with pytest.raises(DataError, match="answers to another study"):
        evaluated(other, table="study", votes=ann)
    with pytest.raises(OptionError, match="needs the files of answers"):
        evaluated(folder, table="study")
    with pytest.raises(DataError, match=r"holds no study: it has no votes\.json"):
        evaluated(tmp_path, table="study", votes=ann)
    with pytest.raises(DataError, match="holds no answers"):
        evaluated(folder, table="study", votes=folder / "votes.json")


def test_studies_that_cannot_be(kept, tmp_path, benchmark, site):
    with pytest.raises(OptionError, match="has no row 'Nobody'"):
        study(tmp_path / "s", kept, rows="Ours,Nobody")
    with pytest.raises(OptionError, match=r"1 rows of .* can be ranked"):
        study(tmp_path / "s", kept, rows="Ours")
    with pytest.raises(OptionError, match="fewer samples than the 5 people"):
        study(tmp_path / "s", kept)
    with pytest.raises(DataError, match="keeps no evaluation"):
        study(tmp_path / "s", benchmark)
    site.install("plain")
    said = {"table": "sentence", "sentence": "old", "models": "plain,B=plain"}
    evaluated(benchmark, **said, keep=tmp_path / "one")
    with pytest.raises(OptionError, match="keeps no edits by direct and reasoning"):
        study(tmp_path / "s", tmp_path / "one")
    assert not (tmp_path / "s").exists()
    study(tmp_path / "s", kept, people=2)
    with pytest.raises(DataError, match="is there already"):
        study(tmp_path / "s", kept, people=2)
