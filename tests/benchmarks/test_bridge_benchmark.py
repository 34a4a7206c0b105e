"""What `benchmarks.bridge` makes of the times that the editors tell."""

from __future__ import annotations

import json

import pytest

from benchmarks.bridging import figures
from benchmarks.bridging.rounds import BANDS, BRIDGE, PNG, WHOLE, run
from benchmarks.bridging.sources import sources_sha256


def mark(contender, number, total, right=True, **parts):
    return {"event": "time", "contender": contender, "round": number, "right": right,
            "seconds": {"total": total, **parts}}  # fmt: skip


def marks(**changed):
    told = [
        {"event": "started", "editor": "gimp", "version": "3.0.4"},
        {"event": "picture", "width": 6, "height": 4, "format": "u8"},
    ]
    for number in (-1, 0, 1, 2):
        slow = 10 if number < 0 else 1 + number  # the machine gets slower and slower
        told += [
            mark(WHOLE, number, 0.30 * slow, read=0.2 * slow),
            mark(BANDS, number, 0.20 * slow, read=0.1 * slow),
            mark(BRIDGE, number, 0.22 * slow, read=0.1 * slow, job=0.05 * slow),
        ]
        if number < 1:
            told.append(mark(PNG, number, 5.0 * slow, right=changed.get("png", True)))
    return told


def test_ratios_are_those_within_a_round_and_the_first_round_is_left_out():
    editor = figures.read("gimp", marks())
    assert editor.version == "3.0.4"
    assert editor.contenders[BRIDGE].median() == pytest.approx(0.44)
    assert editor.ratio(BRIDGE, BANDS) == pytest.approx(1.1)
    assert editor.ratio(BRIDGE, BANDS, without="job") == pytest.approx(0.85)
    assert editor.ratio(BRIDGE, PNG) == pytest.approx(0.22 / 5)
    goal = editor.as_json()["goal"]
    assert (goal["value"], goal["limit"]) == (pytest.approx(0.22 / 0.3), 1.2)
    assert goal["of_bands"] == pytest.approx(1.1)
    assert json.dumps(editor.as_json())


def test_wrong_pixels_are_told_even_of_the_first_round():
    editor = figures.read("gimp", marks(png=False))
    assert not editor.contenders[PNG].right
    assert "WRONG PIXELS" in figures.table(editor)
    assert "WRONG" not in figures.table(figures.read("gimp", marks()))


def test_everybody_takes_part_in_each_round_in_changing_order():
    seen, looked = [], []

    def contender(name):
        def work(times):
            with times.of("read"):
                seen.append(name)
            return name

        return work

    def after(name, made):
        looked.append((name, made))
        return name != "b"

    told = []
    run({n: contender(n) for n in "abc"}, after, {"a": 9, "b": 9, "c": 2},
        lambda event, **values: told.append(values))  # fmt: skip
    assert [seen.count(name) for name in "abc"] == [10, 10, 3]
    orders = {tuple(seen[i : i + 2]) for i in range(9, len(seen), 2)}
    assert len(orders) == 2
    assert all(name == made for name, made in looked)
    assert {(one["contender"], one["right"]) for one in told} == {
        ("a", True), ("b", False), ("c", True)
    }  # fmt: skip
    for one in told:
        assert 0 <= one["seconds"]["read"] <= one["seconds"]["total"]


def test_the_sources_are_those_that_move_pixels():
    assert len(sources_sha256()) == 64
