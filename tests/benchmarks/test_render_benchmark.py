"""The rendering benchmark: everyone does the same, and is timed and judged rightly."""

from __future__ import annotations

import contextlib
import itertools
import json

import cv2
import numpy as np
import pytest

from benchmarks import render, render_memory
from benchmarks.rendering import commands, goals, measuring, sample, tables
from benchmarks.rendering.contenders import (
    Attempt,
    NotExpressedError,
    PeerFailedError,
    Source,
    in_process,
    ours,
    ours_in_place,
)
from benchmarks.rendering.imagemagick import ImageMagick
from benchmarks.rendering.measuring import (
    FRESH_COPY,
    IN_PLACE,
    INTO,
    OURS,
    WARM_COPY,
    Cell,
    Effort,
    Measured,
    measured,
    visit_again,
)
from benchmarks.rendering.opencv import OpenCV
from benchmarks.rendering.rows import MARGIN, Row, Step, Tolerance, rows

INSTALLED = [peer for peer in render.all_peers() if peer.version()]
BRIGHT = Row("affine", (Step("bright", {"offset": 30.0}),))


def photograph(height, width):
    generator = np.random.default_rng(5)
    small = generator.integers(0, 256, (6, 8, 3)).astype(np.float32)
    large = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    noisy = (large + generator.standard_normal(large.shape) * 2) * 257
    return np.clip(np.rint(noisy), 0, 65535).astype(np.uint16)


@pytest.fixture
def sources(tmp_path):
    deep = photograph(60, 80)
    return {8: Source(sample.in_8_bits(deep), tmp_path), 16: Source(deep, tmp_path)}


class Wrong:
    """A peer whose result is a few codes off at one pixel."""

    name = "wrong"
    how = "in process"

    def __init__(self, error):
        self.error = error
        self.timed = 0

    def version(self):
        return "1"

    def attempt(self, steps, source):
        right = ours(steps, source, "auto").result()
        right[MARGIN, MARGIN, 0] ^= self.error

        def seconds():
            self.timed += 1
            return 0.001

        return Attempt(seconds, lambda: right)


# --- the peers --------------------------------------------------------------------------------


def apart(peer, steps, source):
    """The largest difference from either of our results, in 8-bit codes."""
    made = peer.attempt(steps, source).result()
    inner = (slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
    found = [ours(steps, source, rounding).result() for rounding in ("auto", "end")]
    codes = min(np.abs(made[inner].astype(int) - own[inner].astype(int)).max() for own in found)
    return codes * 255 / source.white


SINGLE = [row for row in rows() if row.single]
LIBRARIES = [peer for peer in INSTALLED if peer.name in ("OpenCV", "Pillow", "libvips")]
COMMANDS = [peer for peer in INSTALLED if peer not in LIBRARIES]
LINES = ("bright", "contrast", "invert", "gamma", "levels", "sepia")


@pytest.mark.parametrize("peer", LIBRARIES, ids=lambda peer: peer.name)
@pytest.mark.parametrize("bits", [8, 16])
def test_what_a_library_expresses_is_what_we_render(peer, bits, sources):
    expressed = []
    for row in SINGLE:
        with contextlib.suppress(NotExpressedError):
            assert apart(peer, row.steps, sources[bits]) <= row.tolerance(bits).largest, row.name
            expressed.append(row.name)
    missing = {row.name for row in SINGLE} - set(expressed)
    all_of_them = {row.name for row in SINGLE}
    known = {("Pillow", 16): all_of_them, ("libvips", 16): {"saturate"}}
    assert missing == known.get((peer.name, bits), set())


@pytest.mark.parametrize("peer", COMMANDS, ids=lambda peer: peer.name)
@pytest.mark.parametrize(
    ("names", "bits"), [(LINES, 8), (LINES, 16), (("gaussian", "blur", "sharp"), 16)]
)
def test_what_a_command_expresses_is_what_we_render(peer, names, bits, sources):
    steps = [row.steps[0] for name in names for row in SINGLE if row.name == name]
    assert len(steps) == len(names)
    assert apart(peer, steps, sources[bits]) <= Row("", tuple(steps)).tolerance(bits).largest


def test_a_peer_that_differs_is_marked_and_not_timed(sources):
    peer = Wrong(error=64)
    found = measured(BRIGHT, sources[8], sources[8], [peer], Effort(2))
    cell = found.cells["wrong"]
    assert (cell.equal, cell.seconds, peer.timed) == (False, None, 0)
    assert cell.difference[0] == 64
    assert found.fastest() is None
    assert next(tables.notes([found])).startswith("wrong differs: bright (8) by 64")


def test_a_peer_within_the_tolerance_is_timed(sources):
    peer = Wrong(error=1)
    found = measured(BRIGHT, sources[8], sources[8], [peer], Effort(3))
    assert found.fastest() == "wrong"
    assert found.cells["wrong"].cold == 0.001
    own = {OURS, "ours (end)", "ours, out=", "ours (end), out="}
    assert set(found.cells) == {WARM_COPY, FRESH_COPY, *own, "wrong"}


def test_a_slow_command_is_timed_on_a_part_and_scaled(sources, tmp_path):
    part = Source(sample.middle(sources[8].pixels, 40, 60), tmp_path)

    class Slow(Wrong):
        def attempt(self, steps, source):
            attempt = super().attempt(steps, source)
            size = source.pixels.size
            return Attempt(lambda: 1e-2 * size, attempt.result, own_process=True)

    slow = Slow(error=0)
    cell = measured(BRIGHT, sources[8], part, [slow], Effort(1)).cells["wrong"]
    assert cell.scaled
    assert cell.seconds == pytest.approx(1e-2 * sources[8].pixels.size)
    cell = measured(BRIGHT, sources[8], part, [slow], Effort(1, full=True)).cells["wrong"]
    assert not cell.scaled


def test_a_peer_that_fails_does_not_stop_the_others(sources):
    class Failing(Wrong):
        def attempt(self, steps, source):
            def result():
                raise PeerFailedError("tool: no such luck")

            return Attempt(lambda: 0.1, result)

    found = measured(BRIGHT, sources[8], sources[8], [Failing(0), OpenCV()], Effort(1))
    assert found.cells["wrong"].note == "failed: tool: no such luck"
    assert found.fastest() == "OpenCV"


def test_missing_programs_are_no_peers(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    assert commands.found("gegl", "gmic") is None
    with pytest.raises(PeerFailedError, match="nothing-here"):
        commands.run(["nothing-here"])


def test_a_program_that_fails_says_why():
    with pytest.raises(PeerFailedError, match="sh: not today"):
        commands.run(["sh", "-c", "echo not today >&2; exit 3"])


@pytest.mark.skipif(not ImageMagick().version(), reason="ImageMagick is not installed")
def test_reading_is_taken_off_the_time_of_a_command(sources):
    attempt = ImageMagick().attempt((), sources[8])
    whole = commands.run([commands.found("convert-im6.q16", "magick", "convert"), "-version"])[1]
    assert attempt.seconds() < max(0.05, whole)


# --- times, ratios, goals ---------------------------------------------------------------------


def filled(row, bits=8, **milliseconds):
    names = {"ours": OURS, "end": "ours (end)", "warm": WARM_COPY, "fresh": FRESH_COPY,
             "into": INTO[OURS]}  # fmt: skip
    cells = {
        names.get(name, name): Cell(cold=1.0, times={i: t / 1000 for i, t in enumerate(times)})
        for name, times in milliseconds.items()
    }
    return Measured(row, bits, Tolerance(1, 1), cells)


def test_ratios_are_medians_of_the_ratios_within_a_round():
    found = filled(BRIGHT, ours=[10, 20, 40], cv=[20, 40, 40], slow=[90, 90, 90])
    assert found.fastest() == "cv"
    assert found.ratio("cv", OURS) == 2.0
    assert found.ratio(OURS, "cv") == 0.5
    assert found.ratio("nobody", OURS) is None


class Unsteady(Wrong):
    """A peer whose times are what a list says."""

    def __init__(self, *times):
        super().__init__(error=0)
        self.times = times

    def attempt(self, steps, source):
        attempt = super().attempt(steps, source)
        turns = itertools.cycle(self.times)
        return Attempt(lambda: next(turns), attempt.result)


@pytest.mark.parametrize(
    ("times", "asked", "rounds"),
    [((1e-3,) * 4, 4, 4), ((1e-3, 3e-3), 4, 15), ((0.5, 1.5), 3, 5), ((1e-3, 3e-3), 2, 2)],
    ids=["steady", "unsteady", "unsteady and slow", "a quick look"],
)
def test_rows_whose_times_are_spread_get_more_rounds(times, asked, rounds, sources, monkeypatch):
    monkeypatch.setattr(measuring, "copies", lambda source: {})
    monkeypatch.setattr(measuring, "ours", steady)
    peer = Unsteady(*times)
    found = measured(BRIGHT, sources[8], sources[8], [peer], Effort(asked))
    assert len(found.cells["wrong"].times) == rounds
    assert len(found.cells[OURS].times) == rounds, "everyone takes part in each round"


def steady(steps, source, rounding, *, into_place=False):
    return Attempt(lambda: 1e-3, ours(steps, source, rounding).result)


def test_who_is_far_behind_gets_no_more_rounds(sources, monkeypatch):
    monkeypatch.setattr(measuring, "copies", lambda source: {})
    monkeypatch.setattr(measuring, "ours", steady)
    far, near = Unsteady(0.1, 0.3), Unsteady(1e-3, 3e-3)
    far.name = "far"
    found = measured(BRIGHT, sources[8], sources[8], [far, near], Effort(4))
    assert len(found.cells["far"].times) == 1
    assert len(found.cells["wrong"].times) == 15


def test_a_bad_visit_of_three_is_outweighed(sources, monkeypatch):
    monkeypatch.setattr(measuring, "copies", lambda source: {})
    monkeypatch.setattr(measuring, "ours", steady)
    far, near = Unsteady(0.1), Unsteady(*(9e-3,) * 4, *(2e-3,) * 50)
    far.name = "far"
    found = measured(BRIGHT, sources[8], sources[8], [far, near], Effort(3))
    assert found.ratio("wrong", OURS) == pytest.approx(9)
    rounds = len(found.cells["wrong"].times)
    for _ in range(2):
        visit_again(found)
    assert len(found.cells["wrong"].times) == len(found.cells[OURS].times) == 3 * rounds
    assert len(found.cells["far"].times) == 1
    assert found.ratio("wrong", OURS) == pytest.approx(2)


def test_visits_over_the_picture_itself(sources):
    found = measured(BRIGHT, sources[8], sources[8], [InPlace(0), OpenCV()], Effort(3))
    rounds = len(found.cells["ours, in place"].times)
    visit_again(found)
    assert len(found.cells["ours, in place"].times) == 2 * rounds
    assert np.array_equal(sources[8].place, ours(BRIGHT.steps, sources[8], "auto").result())


def test_into_memory_in_use(sources):
    source = sources[8]
    attempt = ours(BRIGHT.steps, source, "auto", into_place=True)
    assert attempt.result() is source.place
    assert np.array_equal(source.place, ours(BRIGHT.steps, source, "auto").result())


def test_the_clock_covers_the_work_alone():
    made = in_process(lambda: np.ones(3), lambda array: array)
    assert 0 < made.seconds() < 0.1
    assert made.result().tolist() == [1, 1, 1]


FIVE = Row("affine", BRIGHT.steps * 5)
FIVE_HSV = Row("HSV", BRIGHT.steps * 5)


@pytest.mark.parametrize(
    ("row", "times", "expected"),
    [
        (FIVE, {"ours": [10], "cv": [21]}, {"the fastest peer": "PASS"}),
        (FIVE, {"ours": [10], "cv": [19]}, {"the fastest peer": "FAIL"}),
        (FIVE_HSV, {"ours": [10], "cv": [16]}, {"the fastest peer": "PASS"}),
        (FIVE_HSV, {"ours": [10], "cv": [14]}, {"the fastest peer": "FAIL"}),
        (BRIGHT, {"ours": [10], "cv": [9.6]}, {"the fastest peer": "PASS"}),
        (BRIGHT, {"ours": [10], "cv": [9.4]}, {"the fastest peer": "FAIL"}),
        (BRIGHT, {"ours": [10]}, {"the fastest peer": "NOT RUN", WARM_COPY: "NOT RUN"}),
        (
            BRIGHT,
            {"ours": [14], "into": [14], "warm": [9], "fresh": [10]},
            {WARM_COPY: "FAIL", FRESH_COPY: "PASS"},
        ),
        (
            BRIGHT,
            {"ours": [16], "into": [13], "warm": [9], "fresh": [10]},
            {WARM_COPY: "PASS", FRESH_COPY: "FAIL"},
        ),
    ],
)
def test_goals(row, times, expected):
    verdicts = {v.against: v.verdict for v in goals.judged([filled(row, **times)])}
    assert expected.items() <= verdicts.items()


def test_both_ways_of_rounding_are_judged():
    verdicts = goals.judged([filled(FIVE, ours=[10], end=[30], cv=[21])])
    told = {(v.variant, v.verdict) for v in verdicts if v.against == goals.PEER}
    assert told == {(OURS, "PASS"), ("ours (end)", "FAIL")}
    assert tables.goal_table(verdicts)[1][-1] == "FAIL"


def test_who_overwrites_the_picture_is_set_beside_the_same_of_ours():
    found = filled(BRIGHT, ours=[16], cv=[19], magick=[11], slow=[90])
    for name in ("magick", "slow"):
        found.cells[name].in_place = True
    assert found.hardest(OURS) == ("magick", pytest.approx(11 / 16))  # until ours is known
    found.cells[IN_PLACE[OURS]] = Cell(cold=1.0, times={0: 0.008}, in_place=True)
    assert found.hardest(OURS) == ("cv", pytest.approx(19 / 16))
    found.cells[IN_PLACE[OURS]].times[0] = 0.010
    assert found.hardest(OURS) == ("magick", pytest.approx(1.1))
    assert IN_PLACE[OURS] not in found.peers()
    (verdict,) = [v for v in goals.judged([found]) if v.against == goals.PEER]
    assert (verdict.verdict, verdict.peer, verdict.value) == ("PASS", "magick", pytest.approx(1.1))
    assert tables.table([found], ["magick"])[1][-1] == "1.10 (magick)"
    assert filled(BRIGHT, ours=[10]).hardest(OURS) is None


def test_ours_in_place_begins_with_the_picture_each_time(sources):
    invert = Row("affine", (Step("invert", {}),))
    for source in sources.values():
        attempt = ours_in_place(invert.steps, source, "auto")
        before = source.pixels.copy()
        for _ in range(2):
            assert attempt.seconds() > 0
            assert np.array_equal(source.place, ~before)
        assert np.array_equal(attempt.result(), ~before)
        assert np.array_equal(source.pixels, before)


class InPlace(Wrong):
    def attempt(self, steps, source):
        right = ours(steps, source, "auto").result()
        return Attempt(lambda: 1e-9, lambda: right, own_process=True, in_place=True)


def test_ours_in_place_is_timed_where_such_a_peer_is_near(sources):
    found = measured(BRIGHT, sources[8], sources[8], [InPlace(0), OpenCV()], Effort(2))
    assert len(found.cells[IN_PLACE[OURS]].times) == 2
    assert "ours (end), in place" in found.cells
    assert found.hardest(OURS)[0] == "wrong"
    names = tables.columns([found], ["OpenCV", "wrong"])
    assert names[-4:] == ["ours, in place", "ours (end), in place", "OpenCV", "wrong"]
    found = measured(BRIGHT, sources[8], sources[8], [OpenCV()], Effort(2))
    assert IN_PLACE[OURS] not in found.cells
    assert tables.table([found], names)[1][-5:-3] == ["", ""]


def test_every_goal_of_the_issue_has_rows():
    for goal in goals.GOALS:
        assert any(goal.applies(row) for row in rows()), goal.title
    five = [row for row in rows() if goals.GOALS[0].applies(row)]
    assert all(len(row.steps) == 5 and row.pointwise for row in five)


# --- pictures, tables, the command ------------------------------------------------------------


@pytest.mark.parametrize("bits", [8, 16])
def test_ppm_files_come_back(bits, tmp_path):
    pixels = sample.at_depth(photograph(5, 7), bits)
    sample.write_ppm(tmp_path / "a.ppm", pixels)
    back = sample.read_ppm(tmp_path / "a.ppm")
    assert back.dtype == pixels.dtype
    assert np.array_equal(back, pixels)
    assert np.array_equal(sample.at_depth(sample.at_depth(pixels, 16), bits), pixels)


def test_the_photograph_is_cropped_enlarged_and_grainy(tmp_path):
    path = tmp_path / "grey.png"
    cv2.imwrite(str(path), np.full((40, 40, 3), 128, np.uint8))
    made = sample.enlarged(path, 300, 200)
    assert (made.shape, made.dtype) == ((200, 300, 3), np.uint16)
    assert abs(made.mean() / 257 - 128) < 0.1
    assert 1.2 < made.std() / 257 < 1.8


def test_the_page_keeps_what_is_around_the_tables(tmp_path):
    page = tmp_path / "page.md"
    results = {
        "machine": {"processor": "P", "cores": 2, "system": "S", "python": "3", "numpy": "2"},
        "kernels": "AVX2",
        "versions": {"OpenCV": "5"},
        "command": "python -m benchmarks.render",
        "date": "2026-01-01",
    }
    page.write_text(f"before\n{tables.BEGIN}\nold\n{tables.END}\nafter\n")
    for text in ("first", "second"):
        tables.written(page, results, text)
    told = page.read_text()
    assert told.startswith("before\n")
    assert told.endswith("after\n")
    assert "second" in told
    assert "old" not in told
    assert "first" not in told
    assert "P, 2 cores" in told
    assert "compiled kernels: AVX2" in told
    page.write_text("no markers")
    with pytest.raises(ValueError, match="needs one line"):
        tables.written(page, results, "text")


def test_the_docs_have_a_place_for_the_tables():
    page = render.DOCS.read_text("utf-8")
    assert (page.count(tables.BEGIN), page.count(tables.END)) == (1, 1)


def test_memory_of_a_small_picture():
    memory = render_memory.measured(8, "auto", 1)
    assert memory.passed
    assert memory.picture == pytest.approx(memory.result)
    assert memory.peak > memory.extra + memory.picture + memory.result


def test_the_command_measures_and_writes(tmp_path, capsys):
    path = tmp_path / "photograph.png"
    cv2.imwrite(str(path), sample.in_8_bits(photograph(300, 400)))
    out = tmp_path / "figures.json"
    arguments = ["--quick", "--only", "affine 5", "--photograph", str(path), "--json", str(out)]
    assert render.main(arguments) == 0
    results = json.loads(out.read_text())
    assert [(row["row"], row["bits"]) for row in results["rows"]] == [
        ("affine 5", 8),
        ("affine 5", 16),
    ]
    cells = results["rows"][0]["contenders"]
    for name in (OURS, "ours (end)", "OpenCV", "Pillow", "libvips"):
        assert cells[name]["equal"]
        assert cells[name]["warm_ms"] > 0
        assert cells[name]["cold_ms"] > 0
    assert results["machine"]["cores"] >= 1
    assert results["goals"] == []
    assert "affine 5" in capsys.readouterr().out
