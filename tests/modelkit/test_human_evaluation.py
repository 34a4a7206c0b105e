"""Human evaluation: through HTTP, and with keys and mouse in a real browser where there is one."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import chromium
import pytest
from PIL import Image, ImageDraw

from imgedit_modelkit.human_evaluation import (
    Candidate,
    Criterion,
    EvaluationServer,
    Item,
    Study,
    read_results,
    read_study,
    summarise,
)
from imgedit_modelkit.human_evaluation.study import INSTRUCTION_CRITERIA, RESULT_CRITERIA
from imgedit_plugins.errors import DataError

SYSTEMS = ("InsPix2Pix", "LGIE", "MGIE")


def draw(path: Path, number: int, shade: int) -> Path:
    image = Image.new("RGB", (320, 240), (shade, 110, 200 - shade // 2))
    ImageDraw.Draw(image).ellipse((40 + 20 * number, 50, 200, 210), (240, 200, shade))
    image.save(path)
    return path


@pytest.fixture
def results_study(tmp_path: Path) -> Study:
    """Three items with pictures."""
    items = tuple(
        Item(
            id=f"item{n}",
            instruction=f"make it <b>warmer</b> {n}",
            candidates=tuple(
                Candidate(system, picture=draw(tmp_path / f"{system}{n}.png", n, 40 * i + 50))
                for i, system in enumerate(SYSTEMS)
            ),
            source=draw(tmp_path / f"source{n}.png", n, 0),
            reference=draw(tmp_path / f"reference{n}.png", n, 200),
        )
        for n in range(3)
    )
    return Study("Edited pictures", items, RESULT_CRITERIA)


@pytest.fixture
def texts_study(tmp_path: Path) -> Study:
    """Two items with texts, one criterion."""
    items = tuple(
        Item(
            f"item{n}", "make it healthy",
            tuple(Candidate(s, f"The pizza of {i} has vegetables.") for i, s in enumerate("ab")),
            source=draw(tmp_path / "text.jpg", n, 0),
        )
        for n in range(2)
    )  # fmt: skip
    return Study("Instructions", items, INSTRUCTION_CRITERIA[:1], seed=3)


@contextmanager
def served(study: Study, results: Path, rater: str = "ann") -> Iterator[EvaluationServer]:
    server = EvaluationServer(study, results, rater)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join()


def ask(server: EvaluationServer, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(server.address.split("/")[2], timeout=30)
    try:
        if body is None:
            connection.request("GET", path, headers=headers)
        else:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            given = {"Content-Type": "application/json", **headers}
            connection.request("POST", path, data, given)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def state(server: EvaluationServer) -> Any:
    status, body = ask(server, "/study.json")
    assert status == 200
    return json.loads(body)


# --- order ------------------------------------------------------------------------------------


def test_everyone_sees_another_order(results_study: Study) -> None:
    first, again, other = (results_study.shuffled(name) for name in ("ann", "ann", "bob"))
    assert first == again != other
    assert {item.id for item in first} == {item.id for item in results_study.items}
    places: Counter[tuple[str, int]] = Counter()
    for rater in range(300):
        for item in results_study.shuffled(str(rater)):
            for place, candidate in enumerate(item.candidates):
                places[candidate.system, place] += 1
    assert all(abs(places[s, p] - 300) < 75 for s in SYSTEMS for p in range(3))
    assert Study("x", results_study.items, RESULT_CRITERIA, seed=9).shuffled("ann") != first


# --- HTTP -------------------------------------------------------------------------------------


def test_answers_are_saved_by_the_names_that_nobody_saw(
    results_study: Study, tmp_path: Path
) -> None:
    results = tmp_path / "ann.json"
    with served(results_study, results) as server:
        page = ask(server, "/")[1].decode()
        shown = json.dumps(state(server))
        assert not [s for s in (*SYSTEMS, ".png", str(tmp_path)) if s in page + shown]
        body = {"item": 1, "criterion": 2, "ranking": [2, 0, 1], "seconds": 4.26}
        assert ask(server, "/answer", body)[0] == 200
        assert state(server)["items"][1]["rankings"] == [[], [], [2, 0, 1]]
    order = results_study.shuffled("ann")[1]
    systems = [candidate.system for candidate in order.candidates]
    (answer,) = read_results(results)["answers"]
    assert answer == {
        "item": order.id, "criterion": "overall quality", "seconds": 4.3, "shown": systems,
        "ranking": [systems[2], systems[0], systems[1]],
    }  # fmt: skip
    with served(results_study, results) as server:  # goes on, and a second answer replaces it
        assert state(server)["items"][1]["rankings"] == [[], [], [2, 0, 1]]
        ask(server, "/answer", {**body, "ranking": [0, 1, 2]})
    assert [a["ranking"] for a in read_results(results)["answers"]] == [systems]


def test_pictures(results_study: Study, tmp_path: Path) -> None:
    with served(results_study, tmp_path / "r.json") as server:
        item = results_study.shuffled("ann")[0]
        shown = state(server)["items"][0]
        for number, path in (
            (shown["source"], item.source),
            (shown["reference"], item.reference),
            (shown["candidates"][1]["picture"], item.candidates[1].picture),
        ):
            assert path is not None
            assert ask(server, f"/picture/{number}") == (200, path.read_bytes())
        for path in ("/picture/999", "/picture/-1", "/picture/x", "/picture/", "/../r.json", "/x"):
            assert ask(server, path)[0] == 404


@pytest.mark.parametrize(
    "body",
    [
        {"item": 0, "criterion": 0, "ranking": [0, 1], "seconds": 1},
        {"item": 0, "criterion": 0, "ranking": [0, 1, 1], "seconds": 1},
        {"item": 0, "criterion": 0, "ranking": [0, 1, -1], "seconds": 1},
        {"item": 0, "criterion": 0, "ranking": [0, 1, 3], "seconds": 1},
        {"item": 9, "criterion": 0, "ranking": [0, 1, 2], "seconds": 1},
        {"item": 0, "criterion": True, "ranking": [0, 1, 2], "seconds": 1},
        {"item": 0, "criterion": 0, "ranking": [0, 1, 2]},
        [1],
        b"{",
        b"\xff",
        b"9" * 20_000,
    ],
)
def test_what_is_no_answer_is_refused(body: Any, results_study: Study, tmp_path: Path) -> None:
    with served(results_study, tmp_path / "r.json") as server:
        status, told = ask(server, "/answer", body)
        assert status == 400
        assert json.loads(told)["error"]
    assert not (tmp_path / "r.json").exists()


def test_other_sites_cannot_answer(results_study: Study, tmp_path: Path) -> None:
    body = {"item": 0, "criterion": 0, "ranking": [0, 1, 2], "seconds": 1}
    with served(results_study, tmp_path / "r.json") as server:
        assert ask(server, "/study.json", Host="evil.example")[0] == 403
        assert ask(server, "/answer", body, Host="evil.example:80")[0] == 403
        # A form of another page cannot send this type without asking first.
        assert ask(server, "/answer", body, **{"Content-Type": "text/plain"})[0] == 404
    assert not (tmp_path / "r.json").exists()


def test_what_cannot_be_saved_is_told(results_study: Study, tmp_path: Path) -> None:
    body = {"item": 0, "criterion": 0, "ranking": [0, 1, 2], "seconds": 1}
    with served(results_study, tmp_path / "missing" / "r.json") as server:
        status, told = ask(server, "/answer", body)
    assert status == 500
    assert "could not be saved" in json.loads(told)["error"]


# --- studies and results ----------------------------------------------------------------------


def test_foreign_results_are_refused(
    results_study: Study, texts_study: Study, tmp_path: Path
) -> None:
    results = tmp_path / "r.json"
    with served(results_study, results) as server:
        ask(server, "/answer", {"item": 0, "criterion": 0, "ranking": [0, 1, 2], "seconds": 1})
    before = results.read_bytes()
    with pytest.raises(DataError, match="another study"):
        EvaluationServer(texts_study, results, "ann")
    with pytest.raises(DataError, match="another person"):
        EvaluationServer(results_study, results, "bob")
    assert results.read_bytes() == before
    results.write_text("[]")
    with pytest.raises(DataError, match="holds no answers"):
        EvaluationServer(results_study, results, "ann")


def test_studies_are_checked(tmp_path: Path) -> None:
    two = (Candidate("a", "x"), Candidate("b", "y"))
    criteria = (Criterion("c", "Which?"),)
    for items, told in (
        ((), "needs an item"),
        ((Item("1", "x", two[:1]),), "has 1 candidates"),
        ((Item("1", "x", two), Item("1", "y", two)), "item '1' occurs twice"),
        ((Item("1", "x", (two[0], two[0])),), "'a' occurs twice"),
    ):
        with pytest.raises(DataError, match=told):
            Study("t", items, criteria)
    with pytest.raises(DataError, match="There is no picture"):
        EvaluationServer(
            Study("t", (Item("1", "x", two, source=tmp_path / "no.png"),), criteria),
            tmp_path / "r.json",
        )


def test_figures_by_hand() -> None:
    def person(*rankings: str) -> dict[str, Any]:
        answers = [
            {"item": str(n), "criterion": "c", "ranking": list(ranking)}
            for n, ranking in enumerate(rankings)
        ]
        return {"study": "s", "answers": answers}

    best, middle, worst = summarise([person("abc", "acb"), person("bac", "abc")])
    assert (best.system, middle.system, worst.system) == ("a", "b", "c")
    assert (best.score, best.first, best.answers) == (2.75, 0.75, 4)
    assert middle.score == pytest.approx((2 + 1 + 3 + 2) / 4)
    assert worst.first == 0
    assert best.interval == pytest.approx(1.96 * 0.5 / 2)
    with pytest.raises(DataError, match="different studies"):
        summarise([person("ab"), {**person("ab"), "study": "other"}])
    with pytest.raises(DataError, match="or there are none"):
        summarise([])


def test_command(texts_study: Study, tmp_path: Path) -> None:
    document = {
        "schema": "imgedit-study/1", "title": "Instructions",
        "criteria": [{"name": "practical", "question": "Which?"}],
        "items": [{"id": "1", "instruction": "make it healthy", "source": "text.jpg",
                   "candidates": [{"system": "a", "text": "x"}, {"system": "b", "text": "y"}]}],
    }  # fmt: skip
    (tmp_path / "study.json").write_text(json.dumps(document))
    assert read_study(tmp_path / "study.json").items[0].source == tmp_path / "text.jpg"
    command = [sys.executable, "-m", "imgedit_modelkit.human_evaluation"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [*command, "show", "study.json", "--results", "r.json", "--no-browser"],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        address = child.stdout.readline().split()[0]
        connection = http.client.HTTPConnection(address.split("/")[2], timeout=30)
        body = json.dumps({"item": 0, "criterion": 0, "ranking": [1, 0], "seconds": 1})
        connection.request("POST", "/answer", body, {"Content-Type": "application/json"})
        assert connection.getresponse().status == 200
        connection.close()
        child.kill()
    done = subprocess.run([*command, "figures", "r.json"], cwd=tmp_path, env=environment,
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert [line.split()[1] for line in done.stdout.splitlines()[1:]] in (["a", "b"], ["b", "a"])
    assert "100.0%" in done.stdout
    for name, content in (("study.json", "{}"), ("study.json", '{"schema": 2}'), ("none", "")):
        if content:
            (tmp_path / name).write_text(content)
        done = subprocess.run([*command, "show", name, "--results", "r.json"], cwd=tmp_path,
                              env=environment, capture_output=True, text=True,
                              check=False)  # fmt: skip
        assert done.returncode == 1
        assert "is no study" in done.stderr


# --- a real browser ---------------------------------------------------------------------------


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[chromium.Chromium]:
    program = chromium.find()
    if program is None:
        pytest.skip("there is no Chromium here; IMGEDIT_BROWSER=PROGRAM names one")
    with chromium.Chromium(program, tmp_path / "profile") as page:
        yield page


def places(page: chromium.Chromium) -> list[str]:
    found: list[str] = page.value(
        "[...document.querySelectorAll('.candidate .where')].map(e => e.textContent)"
    )
    return found


def test_ranking_by_keyboard(
    browser: chromium.Chromium, results_study: Study, tmp_path: Path
) -> None:
    results = tmp_path / "ann.json"
    with served(results_study, results) as server:
        browser.open(server.address)
        browser.wait_for("document.querySelectorAll('.candidate').length === 3")
        browser.wait_for("[...document.images].every(i => i.complete && i.naturalWidth === 320)")
        first = results_study.shuffled("ann")[0]
        assert browser.value("document.querySelector('.instruction').innerText") == (
            f"“{first.instruction}”"  # what looks like HTML is shown as it is
        )
        browser.press("Enter")  # nothing is ranked yet
        assert not results.exists()
        browser.press("3")
        browser.press("3")
        assert places(browser) == ["", "", "1st"]
        browser.press("Backspace")
        assert places(browser) == ["", "", ""]
        browser.press("2")
        browser.press("1")  # the last place is the one that is left
        assert places(browser) == ["2nd", "1st", "3rd"]
        browser.screenshot(tmp_path / "ranked.png")
        own = "document.querySelector('.candidate img').src"
        before = browser.value(own)
        browser.press(" ", hold=True)
        assert browser.value(own) != before
        browser.press(" ")
        assert browser.value(own) == before
        browser.press("Enter")
        browser.wait_for("document.querySelector('#count').textContent === '1 of 9'")
        (answer,) = read_results(results)["answers"]
        shown = [candidate.system for candidate in first.candidates]
        assert answer["ranking"] == [shown[1], shown[0], shown[2]]
        assert places(browser) == ["", "", ""]
        browser.press("ArrowLeft")
        assert places(browser) == ["2nd", "1st", "3rd"]
        browser.press("Backspace")
        browser.press("3")
        browser.press("Enter")
        browser.wait_for("document.querySelector('.question').textContent.includes('reference')")
        assert read_results(results)["answers"][0]["ranking"] == [shown[1], shown[2], shown[0]]
        for number in range(2, 10):
            browser.press("1")
            browser.press("2")
            browser.press("Enter")
            browser.wait_for(f"document.querySelector('#count').textContent === '{number} of 9'")
        browser.wait_for("document.querySelector('.done') !== null")
    assert len(read_results(results)["answers"]) == 9


def test_ranking_by_mouse_and_a_server_that_ends(
    browser: chromium.Chromium, texts_study: Study, tmp_path: Path
) -> None:
    results = tmp_path / "ann.json"
    with served(texts_study, results) as server:
        browser.open(server.address)
        browser.wait_for("document.querySelectorAll('.candidate').length === 2")
        browser.click(".candidate:nth-child(2)")
        assert places(browser) == ["2nd", "1st"]
        browser.screenshot(tmp_path / "texts.png")
        browser.click(".next")
        browser.wait_for("document.querySelector('#count').textContent === '1 of 2'")
    browser.press("1")
    browser.press("Enter")
    browser.wait_for("document.querySelector('#trouble').textContent.includes('not saved')")
    assert places(browser) == ["1st", "2nd"]
    assert len(read_results(results)["answers"]) == 1


def test_choosing_the_best_alone(
    browser: chromium.Chromium, results_study: Study, tmp_path: Path
) -> None:
    study = replace(results_study, criteria=RESULT_CRITERIA[:1], asks="best")
    results = tmp_path / "ann.json"
    with served(study, results) as server:
        browser.open(server.address)
        browser.wait_for("document.querySelectorAll('.candidate').length === 3")
        hint = "document.querySelector('.hint').textContent"
        assert browser.value(hint).startswith("Press the number of the best.")
        browser.press("3")
        assert places(browser) == ["", "", "best"]
        browser.press("2")  # another choice takes its place
        assert places(browser) == ["", "best", ""]
        assert browser.value(hint) == "Chosen. Enter keeps it and goes on."
        browser.screenshot(tmp_path / "chosen.png")
        browser.press("Backspace")
        assert places(browser) == ["", "", ""]
        browser.press("Enter")  # nothing is chosen
        assert not results.exists()
        for number in range(1, 4):
            browser.press("1")
            browser.press("Enter")
            browser.wait_for(f"document.querySelector('#count').textContent === '{number} of 3'")
        browser.wait_for("document.querySelector('.done') !== null")
    answers = read_results(results)["answers"]
    assert [len(answer["ranking"]) for answer in answers] == [1, 1, 1]
    assert [answer["ranking"][0] for answer in answers] == [
        item.candidates[0].system for item in study.shuffled("ann")
    ]
    chosen = Counter(answer["ranking"][0] for answer in answers)
    for row in summarise([read_results(results)]):
        assert (row.answers, row.score, row.first) == (
            3, pytest.approx(chosen[row.system] / 3), pytest.approx(chosen[row.system] / 3),
        )  # fmt: skip


def test_what_a_study_asks_for(results_study: Study, tmp_path: Path) -> None:
    """Studies of before, which say nothing, stay what they were, so that answers to them count."""
    told = asdict(results_study)
    del told["asks"]
    expected = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()
    assert results_study.sha256 == expected
    assert replace(results_study, asks="best").sha256 != expected
    with pytest.raises(DataError, match="asks for 'ranking' or 'best', not 'worst'"):
        replace(results_study, asks="worst")
