"""The command line in processes of its own, killed and gone on; a study; the page in a browser."""

from __future__ import annotations

import http.client
import importlib.util
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

pytestmark = pytest.mark.torch

import forked_commands  # noqa: E402
import tiny_evaluation as tiny  # noqa: E402
from tiny_evaluation import environment, evaluated, forked, given, program  # noqa: E402

from imgedit_mgie.plugin import make_data  # noqa: E402
from imgedit_modelkit.human_evaluation import EvaluationServer, read_study  # noqa: E402
from imgedit_plugins.errors import DataError, OptionError  # noqa: E402
from imgedit_plugins.jobs import Job  # noqa: E402
from imgedit_plugins.picture_files import open_picture, save_picture  # noqa: E402
from imgedit_plugins.requests import DataRequest, OptionValue  # noqa: E402


def test_everything_from_the_command_line(ma5k, model_folder, pix2pix, clip, tmp_path, own_weights):
    """A table, its JSON, its page, a study of it, and the study's page."""
    rows = f"instructpix2pix,mgie:{model_folder},lgie:{model_folder},copy"
    done = forked(
        own_weights, "evaluate", "mgie", "--data", ma5k, "--baseline", "--seed", 2,
        *given(models=rows, clip=clip, table="zero-shot", split="test", keep=tmp_path / "keep",
               painter_weights=pix2pix),
        "-o", tmp_path / "out.json", "--report", tmp_path / "page.html", "--worst", 1,
    )  # fmt: skip
    shown = done.stdout
    assert "Zero-shot editing (table 1): ma5k" in shown
    assert shown.index("InsPix2Pix") < shown.index("MGIE") < shown.index("LGIE")
    assert "not reproduced" in shown
    assert "cannot be measured without -O dino" in done.stderr
    assert "Loading" not in done.stderr, "nobody looks at these bars"
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["details"]["options"]["seed"] == 2
    assert {s["item"] for s in found["details"]["samples"]} == {"1", "2", "3"}
    page = (tmp_path / "page.html").read_text()
    assert page.count("<figure>") == 3 * 2 * 3
    assert "<script" not in page
    told = forked(
        own_weights, "data", "mgie", "study", "--results", tmp_path / "keep", "--out",
        tmp_path / "study", "--items", 2,
    )  # fmt: skip
    assert "has 2 rows" in told.stdout
    assert len(read_study(tmp_path / "study/study.json").items) == 2


def test_faults_have_the_house_s_exit_codes(ma5k, tmp_path, own_weights):
    def run(*options: object, data: Path = ma5k, code: int) -> str:
        asked = ("evaluate", "mgie", "--data", data, *options)
        return forked(own_weights, *asked, code=code).stderr

    told = run(code=1)  # the default row is the model in its usual place
    assert "There is no MGIE model in" in told
    assert "weights import mgie" in told
    assert "Traceback" not in told
    assert "'mgei' is no row" in run(*given(models="mgei"), code=2)
    told = run(*given(models="copy", clip=tmp_path), data=tmp_path / "none", code=1)
    assert "Option 'clip'" in told


def test_help_and_descriptions_import_no_torch(tmp_path):
    for arguments in (["evaluate", "--help"], ["describe", "mgie"], ["data", "mgie", "study", "-h"],
                      ["data", "mgie", "study", "--help"]):  # fmt: skip
        code = (
            f"import sys; from imgedit_plugins.cli import main; sys.argv[1:] = {arguments!r}\n"
            "try: main()\nexcept SystemExit: pass\n"
            "assert not {'torch', 'cv2', 'imgedit_mgie', 'transformers'} & set(sys.modules)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment(tmp_path), capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert "image-guidances" in program(tmp_path, "describe", "mgie").stdout


def test_a_killed_evaluation_goes_on_to_the_same_figures(model_folder, clip, tmp_path, own_weights):
    data = tiny.ma5k(tmp_path / "data", rows=8)
    keep = tmp_path / "keep"
    asked = [
        "evaluate", "mgie", "--data", str(data), *given(
            models=f"mgie:{model_folder},copy", clip=clip, keep=keep, steps=12),
        "-o", str(tmp_path / "out.json"),
    ]  # fmt: skip
    child = forked_commands.begin(asked, environment(own_weights))
    until = time.monotonic() + 120
    while len(list((keep / "MGIE").glob("[0-9].png"))) < 3:
        assert child.exitcode is None, "it ended before it could be killed"
        assert time.monotonic() < until
        time.sleep(0.01)
    child.kill()
    child.join()
    assert not (tmp_path / "out.json").exists()
    journal = keep / "journal.jsonl"
    journal.write_text(journal.read_text() + '{"key": "half a li')  # as a kill may leave it
    before = {p.name: p.stat().st_mtime_ns for p in (keep / "MGIE").glob("[0-9].png")}
    finished = journal.read_text().count('"picture": "MGIE/')
    forked(own_weights, *asked)
    after = {p.name: p.stat().st_mtime_ns for p in (keep / "MGIE").glob("[0-9].png")}
    assert len(after) == 8
    same = [name for name in before if after[name] == before[name]]
    assert 2 <= finished == len(same) < 8
    gone_on = json.loads((tmp_path / "out.json").read_text())["details"]
    whole = evaluated(data, models=f"mgie:{model_folder},copy", clip=clip, steps=12).details
    assert gone_on["figures"] == whole["figures"]
    strip = ("seconds",)
    assert [{k: v for k, v in s.items() if k not in strip} for s in gone_on["samples"]] == [
        {k: v for k, v in s.items() if k not in strip} for s in whole["samples"]
    ]


# --- people as judges -------------------------------------------------------------------------


def study(out: Path, *keeps: Path, seed: int = 0, **options: OptionValue) -> Path:
    settings: dict[str, OptionValue] = {
        "results": ",".join(map(str, keeps)), "judge": "results", "rows": "", "items": 25,
        **options,
    }  # fmt: skip
    request = DataRequest(recipe="study", out=out, options=settings, seed=seed)
    report = make_data(request, Job())
    assert report is not None
    assert report.rows == len(read_study(out / "study.json").items)
    return out / "study.json"


def test_a_study_of_pictures(kept, tmp_path):
    folder, _ = kept
    found = read_study(study(tmp_path / "s", folder))
    assert [criterion.name for criterion in found.criteria] == [
        "instruction following", "ground-truth relevance", "overall quality",
    ]  # fmt: skip
    assert [item.id for item in found.items] == ["ma5k-0", "ma5k-1", "ma5k-2", "ma5k-3"]
    for number, item in enumerate(found.items):
        assert [c.system for c in item.candidates] == ["MGIE", "LGIE"], "not the input itself"
        assert item.instruction == f"make it {tiny.pair(number)[2]}"
        for candidate in item.candidates:
            assert candidate.picture is not None
            assert candidate.system not in candidate.picture.name
            expected = open_picture(folder / candidate.system / f"{number}.png").pixels
            assert np.array_equal(open_picture(candidate.picture).pixels, expected)
        assert item.source is not None
        assert item.reference is not None
    server = EvaluationServer(found, tmp_path / "ann.json", "ann")
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        connection = http.client.HTTPConnection(server.address.split("/")[2], timeout=30)
        connection.request("GET", "/study.json")
        shown = json.loads(connection.getresponse().read())
        assert len(shown["items"]) == 4
        assert "MGIE" not in json.dumps(shown)
        connection.request("GET", f"/picture/{shown['items'][0]['candidates'][0]['picture']}")
        assert connection.getresponse().read()[:4] == b"\x89PNG"
        connection.close()
    finally:
        server.close()
        thread.join()


def test_pictures_of_others_are_judged_beside(ma5k, model_folder, tmp_path):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for number in range(3):
        save_picture(tiny.pair(number, (72, 88))[1], theirs / f"{number}.png")
    before = {path: path.read_bytes() for path in theirs.iterdir()}
    keep = tmp_path / "keep"
    models = f"mgie:{model_folder},Theirs=results:{theirs}"
    report = evaluated(ma5k, models=models, keep=keep, worst=1)
    assert {path: path.read_bytes() for path in theirs.iterdir()} == before
    assert sorted(path.name for path in keep.iterdir() if path.name[0] != ".") == [
        "MGIE", "evaluation.json", "journal.jsonl",
    ]  # fmt: skip
    lines = (keep / "journal.jsonl").read_text().count("\n")
    again = evaluated(ma5k, models=models, keep=keep)
    assert again.details["figures"] == report.details["figures"]
    assert (keep / "journal.jsonl").read_text().count("\n") == lines
    save_picture(tiny.pair(1, (72, 88))[0], theirs / "1.png")
    changed = evaluated(ma5k, models=models, keep=keep)
    figures = [
        {s["item"]: s["figures"] for s in r.details["samples"] if s["row"] == "Theirs"}
        for r in (report, changed)
    ]
    assert [name for name in figures[0] if figures[0][name] != figures[1][name]] == ["1"]
    shown = next(case for case in report.cases if case.title.startswith("Theirs, worst"))
    assert shown.pictures[1][2].pixels.shape == (tiny.SIZE, tiny.SIZE, 3)
    found = read_study(study(tmp_path / "s", keep))
    assert [item.id for item in found.items] == ["ma5k-0", "ma5k-1", "ma5k-2"]
    for item in found.items:
        assert [c.system for c in item.candidates] == ["MGIE", "Theirs"]
        for candidate in item.candidates:
            assert candidate.picture is not None
            assert open_picture(candidate.picture).pixels.shape == (tiny.SIZE, tiny.SIZE, 3)


def test_a_study_of_instructions_of_several_data_sets(kept, model_folder, tmp_path):
    folder, report = kept
    other = tmp_path / "other"
    evaluated(tiny.gier(tmp_path / "gier"), models=f"mgie:{model_folder},lgie:{model_folder}",
              keep=other)  # fmt: skip
    found = read_study(study(tmp_path / "s", folder, other, judge="instructions", items=2))
    assert len(found.items) == 4
    assert [item.id.rpartition("-")[0] for item in found.items] == ["1-ma5k"] * 2 + ["2-gier"] * 2
    texts = {(s["row"], s["item"]): s["expressive"] for s in report.details["samples"]}
    for item in found.items[:2]:
        for candidate in item.candidates:
            name = item.id.rpartition("-")[2]
            assert candidate.text == texts[candidate.system, name]
            assert candidate.picture is None
        assert item.source is not None
        assert item.reference is None
    drawn = [
        [i.id for i in read_study(study(tmp_path / f"d{seed}", folder, items=2, seed=seed)).items]
        for seed in range(6)
    ]
    assert len(set(map(tuple, drawn))) > 1


def test_studies_that_cannot_be(kept, ma5k, clip, model_folder, tmp_path):
    folder, _ = kept
    with pytest.raises(OptionError, match="has no row 'XGIE'"):
        study(tmp_path / "s", folder, rows="MGIE,XGIE")
    with pytest.raises(OptionError, match=r"1 rows of .* can be ranked"):
        study(tmp_path / "s", folder, rows="MGIE")
    with pytest.raises(DataError, match="keeps no evaluation"):
        study(tmp_path / "s", ma5k)
    with pytest.raises(OptionError, match="names no folder"):
        study(tmp_path / "s")
    texts = tmp_path / "texts"
    evaluated(ma5k, models=f"instruction,mgie:{model_folder}", clip=clip, table="instructions",
              keep=texts)  # fmt: skip
    with pytest.raises(OptionError, match="keeps no pictures"):
        study(tmp_path / "s", texts)
    assert not (tmp_path / "s").exists()
    assert not list(tmp_path.glob(".s*"))
    assert len(read_study(study(tmp_path / "s", texts, judge="instructions")).items) == 4
    with pytest.raises(DataError, match="is there already"):
        study(tmp_path / "s", texts, judge="instructions")


# --- a real browser ---------------------------------------------------------------------------


def the_kit_s_chromium() -> ModuleType:
    """The model kit's tests drive one."""
    path = tiny.ROOT / "tests/modelkit/chromium.py"
    spec = importlib.util.spec_from_file_location("kit_chromium", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_in_a_browser(ma5k, model_folder, clip, tmp_path):
    """All pictures can be seen, the curve has its marks, links lead somewhere."""
    from imgedit_plugins.evaluation_page import write_evaluation

    chromium = the_kit_s_chromium()
    browser = chromium.find()
    if browser is None:
        pytest.skip("there is no Chromium here; IMGEDIT_BROWSER=PROGRAM names one")
    report = evaluated(
        ma5k, models=f"mgie:{model_folder},lgie:{model_folder}", clip=clip, table="trade-off",
        image_guidances="1,1.6,2.2", worst=1,
    )  # fmt: skip
    page = tmp_path / "page.html"
    write_evaluation(page, report, title="mgie on ma5k", made_by="evaluate mgie")
    with chromium.Chromium(browser, tmp_path / "profile") as tab:
        tab.open(page.as_uri())
        tab.wait_for("document.readyState === 'complete'")
        tab.wait_for("[...document.images].length === 24")
        tab.wait_for("[...document.images].every(i => i.complete && i.naturalWidth === 32)")
        marks = tab.value(
            "[...document.querySelectorAll('svg.chart text')].map(e => e.textContent)"
        )
        assert {"1", "1.6", "2.2"} <= set(marks)
        assert tab.value("document.documentElement.scrollWidth <= innerWidth")
        assert tab.value(
            "[...document.querySelectorAll('nav a')]"
            ".every(a => document.getElementById(a.hash.slice(1)))"
        )
        tab.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 10_000
