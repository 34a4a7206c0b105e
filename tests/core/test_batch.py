"""Many pictures: which files, the journal, several at a time, and which of them stand out."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from cli_plugin import write_picture
from hypothesis import given, settings
from hypothesis import strategies as st

from imgedit_plugins.batch import (
    JOURNAL,
    Figures,
    Journal,
    Source,
    Task,
    find_outliers,
    find_pictures,
    fingerprint,
    measure,
    plan_tasks,
    run_batch,
    running,
    to_do,
)
from imgedit_plugins.batch.contact_sheet import SheetEntry, write_contact_sheet
from imgedit_plugins.batch.journal import stamp_of
from imgedit_plugins.errors import ImgeditError, JobCancelledError, OptionError, PictureError
from imgedit_plugins.jobs import Job
from imgedit_plugins.pictures import Picture

# --- which files ------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "in"
    (root / "sub" / ".thumbs").mkdir(parents=True)
    for name in ("b.png", "a.png", "sub/a.png", "sub/.thumbs/a.png", ".hidden.png"):
        write_picture(root / name)
    (root / "picture.dat").write_bytes((root / "a.png").read_bytes())
    (root / "wrong.jpg").write_bytes(b"no picture")
    (root / "raw.cr2").write_bytes(b"II*\0\x10\0\0\0CR\2\0" + bytes(60))
    return root


def test_pictures_are_found_by_content_or_extension(folder):
    sources, skipped = find_pictures([folder])
    names = ["a.png", "b.png", "wrong.jpg"]
    assert sources == [Source(folder / name, Path(name)) for name in names]
    assert [entry.path.name for entry in skipped] == ["picture.dat", "raw.cr2"]
    assert "nothing is saved as '.dat'" in skipped[0].reason
    assert "raw file" in skipped[1].reason


def test_pictures_of_any_extension_where_results_are_renamed(folder):
    sources, skipped = find_pictures([folder], renamed=True)
    assert "picture.dat" in [source.path.name for source in sources]
    assert [entry.path.name for entry in skipped] == ["raw.cr2"]


def test_subfolders_count_when_told_but_not_the_results(folder):
    names = [str(source.name) for source in find_pictures([folder], recursive=True)[0]]
    assert names == ["a.png", "b.png", "wrong.jpg", "sub/a.png"]
    inside = folder / "sub"
    sources, _ = find_pictures([folder], recursive=True, leave_out=inside)
    assert "sub/a.png" not in [str(source.name) for source in sources]
    assert find_pictures([inside], leave_out=inside)[0], "a folder that is given counts"


def test_several_folders_keep_their_names(folder, monkeypatch):
    monkeypatch.chdir(folder)
    sources, _ = find_pictures([Path("sub"), Path(), Path("b.png")])
    names = ["sub/a.png", "in/a.png", "in/b.png", "in/wrong.jpg", "b.png"]
    assert [str(source.name) for source in sources] == names


def test_files_that_are_given_are_taken_as_they_are(folder):
    gone = folder / "gone.txt"
    assert find_pictures([gone]) == ([Source(gone, Path("gone.txt"))], [])


def test_results_of_one_name_are_refused():
    one, other = (Source(Path(folder, "x.png"), Path("x.png")) for folder in "ab")
    with pytest.raises(OptionError, match=r"a/x.png and b/x.png would both become out/x.png"):
        plan_tasks([one, other], Path("out"))
    with pytest.raises(OptionError, match=r"would both become out/x.jpg"):
        plan_tasks(
            [Source(Path("x.png"), Path("x.png")), Source(Path("x.tif"), Path("x.tif"))],
            Path("out"),
            "jpeg",
        )


# --- journal ----------------------------------------------------------------------------------


@pytest.fixture
def done(tmp_path):
    """A result that a journal knows of."""
    out = tmp_path / "out"
    out.mkdir()
    task = Task(write_picture(tmp_path / "a.png"), write_picture(out / "a.png"), Path("a.png"))
    _record(Journal(out, "edit"), task)
    return task


def _record(journal, task, figures=None):
    journal.add(task.source, stamp_of(task.source), task.target, figures)


def _verdict(task, edit="edit"):
    return Journal(task.target.parent, edit).verdict(task.source, task.target)


def test_journal_keeps_what_this_edit_made_from_this_source(done):
    assert _verdict(done) == "kept"
    assert _verdict(done, "another") == "stale"
    write_picture(done.source, width=30)
    assert _verdict(done) == "stale"


def test_journal_leaves_alone_what_others_changed(done):
    write_picture(done.target, width=30)
    assert _verdict(done) == "kept", "somebody went on from it"
    assert _verdict(done, "another") == "refused"


def test_journal_tells_sources_of_one_name_apart(done, tmp_path):
    (tmp_path / "other").mkdir()
    other = Task(write_picture(tmp_path / "other" / "a.png", width=30), done.target, done.name)
    assert _verdict(other) == "refused"


def test_journal_knows_nothing_of_other_files(done, tmp_path):
    stranger = write_picture(tmp_path / "out" / "b.png")
    assert Journal(tmp_path / "out", "edit").verdict(done.source, stranger) == "refused"


@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize("replaced", [False, True])
def test_journal_after_death_between_writing_and_noting(tmp_path, written, replaced):
    source, target = write_picture(tmp_path / "a.png"), tmp_path / "out.png"
    if replaced:
        target.write_bytes(b"earlier")
    Journal(tmp_path, "edit").begin(source, stamp_of(source), target, None)
    if written:
        write_picture(target, width=30)
    if target.exists():
        expected = "kept" if written else "stale"
        assert Journal(tmp_path, "edit").verdict(source, target) == expected


@pytest.mark.parametrize("torn", [b'{"out": "b.p', b'{"out": "b.png"}\n', b"\xff\xfe\n", b"[]\n"])
def test_journal_passes_over_lines_that_are_none(done, torn):
    path = done.target.parent / JOURNAL
    with path.open("ab") as file:
        file.write(torn)
    assert _verdict(done) == "kept"
    journal = Journal(done.target.parent, "edit")
    _record(journal, done, Figures(0.25, 3.0))
    assert Journal(done.target.parent, "edit").figures(done.target) == Figures(0.25, 3.0)


def test_journal_does_not_grow_for_ever(done):
    for _ in range(20):
        _record(Journal(done.target.parent, "edit"), done)
    lines = (done.target.parent / JOURNAL).read_text().splitlines()
    assert len(lines) <= 4
    assert json.loads(lines[-1])["out"] == "a.png"


def test_resume_without_a_journal_refuses_what_exists(done):
    with pytest.raises(PictureError, match="exists already"):
        to_do([done], None, overwrite=False, resume=False)
    assert to_do([done], None, overwrite=True, resume=False)[0][0].replace


def test_fingerprints_are_of_values():
    assert fingerprint({"a": 1, "b": [2.5]}) == fingerprint({"b": [2.5], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})


# --- several at a time ------------------------------------------------------------------------


def _tasks(count):
    return [Task(Path(f"{n}.png"), Path(f"out/{n}.png"), Path(f"{n}.png")) for n in range(count)]


def test_outcomes_are_in_order_and_failures_stay_with_their_picture():
    def work(task, turn):
        number = int(task.name.stem)
        time.sleep(0.01 * (4 - number))
        turn.job.warn(f"number {number}")
        if number == 2:
            raise PictureError("It is bad.")
        return Figures(number / 10, 0.0)

    outcomes = run_batch(_tasks(4), work, jobs=4)
    assert [outcome.task for outcome in outcomes] == _tasks(4)
    assert [outcome.warnings for outcome in outcomes] == [(f"number {n}",) for n in range(4)]
    assert [outcome.error and outcome.error.message for outcome in outcomes] == [
        None, None, "It is bad.", None,
    ]  # fmt: skip
    assert outcomes[3].figures == Figures(0.3, 0.0)


def test_pictures_are_worked_on_side_by_side():
    together = threading.Barrier(3, timeout=10)
    run_batch(_tasks(3), lambda *_: together.wait() and None, jobs=3)  # or the barrier breaks


def test_alone_is_in_the_callers_thread_one_at_a_time():
    threads, busy = set(), []

    def hook():
        threads.add(threading.get_ident())
        busy.append(1)
        time.sleep(0.005)
        assert len(busy) == 1
        busy.pop()
        return 7

    def work(task, turn):
        assert turn.alone(hook) == 7

    outcomes = run_batch(_tasks(8), work, jobs=4)
    assert not any(outcome.error for outcome in outcomes)
    assert threads == {threading.get_ident()}


def test_what_fails_alone_fails_in_its_picture():
    def fail():
        raise TimeoutError("the plugin's own")

    outcomes = run_batch(
        _tasks(2),
        lambda _, turn: turn.alone(fail),
        unexpected=lambda error: ImgeditError(f"told: {error}"),
    )
    assert {str(outcome.error) for outcome in outcomes} == {"told: the plugin's own"}


def test_large_pictures_wait_for_room(monkeypatch):
    monkeypatch.setattr(running, "_MOST_PIXELS", 100)
    inside, most, lock = [0], [0], threading.Lock()

    def work(task, turn):
        pixels = 300 if task.name.stem == "3" else 50
        with turn.room(pixels):
            with lock:
                inside[0] += pixels
                most[0] = max(most[0], inside[0])
            time.sleep(0.01)
            with lock:
                inside[0] -= pixels

    run_batch(_tasks(8), work, jobs=8)
    assert most[0] == 300, "one that is too large for any room is worked on alone"


def test_what_nobody_foresaw_stops_the_run_without_a_handler():
    def work(task, turn):
        if task.name.stem == "1":
            raise ZeroDivisionError
        for _ in range(500):
            turn.job.report("working")
            time.sleep(0.01)

    started = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        run_batch(_tasks(6), work, jobs=3)
    assert time.monotonic() - started < 3


def test_interruption_stops_workers_at_their_next_report():
    stopped, seen = [], []

    def work(task, turn):
        try:
            for _ in range(500):
                turn.job.check()
                time.sleep(0.01)
        except JobCancelledError:
            stopped.append(task)
            raise

    def interrupt():
        raise KeyboardInterrupt

    def first_interrupts(task, turn):
        return turn.alone(interrupt) if task.name.stem == "0" else work(task, turn)

    with pytest.raises(KeyboardInterrupt):
        run_batch(_tasks(9), first_interrupts, jobs=3, on_stop=seen.append)
    assert seen == [3]
    assert len(stopped) == 2, "those that had not begun never do"


def test_progress_tells_of_pictures(tmp_path):
    told = []
    run_batch(
        _tasks(2), lambda _, turn: turn.job.report("opening", 1, 4), jobs=1, on_progress=told.append
    )
    assert [(p.stage, p.done, p.total) for p in told] == [
        ("0.png: opening 25%", 0, 2),
        ("0.png", 1, 2),
        ("1.png: opening 25%", 1, 2),
        ("1.png", 2, 2),
    ]


# --- outliers ---------------------------------------------------------------------------------


def _picture(values, dtype=np.uint8):
    return Picture(np.asarray(values, dtype).reshape(2, 2, -1))


def test_measures_by_hand():
    before = _picture([[10, 20, 30], [255, 20, 30], [0, 0, 0], [90, 90, 90]])
    after = _picture([[20, 30, 40], [255, 30, 40], [0, 0, 10], [255, 90, 90]])
    figures = measure(before, after)
    assert figures.clipped == 0.25, "was white or black before: not the edit's doing"
    assert figures.change == pytest.approx((30 + 20 + 10 + 165) / 12)


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
def test_measures_are_the_same_at_every_depth(dtype, white):
    before, after = (
        _picture([white * v for v in values], dtype)
        for values in ([0.2, 0.4, 0.6, 0.8], [0.4, 0.6, 0.8, 1.0])
    )
    figures = measure(before, after)
    assert figures.clipped == 0.25
    assert figures.change == pytest.approx(51.0, abs=0.01)


def test_measures_leave_out_what_is_transparent():
    before = _picture([[10, 255], [10, 0], [10, 0], [10, 0]])
    after = _picture([[14, 255], [255, 0], [255, 0], [255, 0]])
    assert measure(before, after) == Figures(0.0, 4.0)
    assert measure(_picture([[10, 0]] * 4), _picture([[255, 0]] * 4)) == Figures(0.0, 0.0)
    assert measure(before, Picture(np.zeros((3, 2, 2), np.uint8))) is None


def test_measures_of_a_large_picture_are_near_those_of_all_its_pixels():
    rng = np.random.default_rng(0)
    before = rng.integers(1, 200, (1500, 2000, 3), dtype=np.uint8)
    after = np.where(rng.random((1500, 2000, 1)) < 0.07, 255, before + 9).astype(np.uint8)
    figures = measure(Picture(before), Picture(after))
    assert figures.clipped == pytest.approx((after == 255).all(axis=2).mean(), abs=0.003)
    assert figures.change == pytest.approx(np.abs(after - before.astype(int)).mean(), rel=0.02)


def _indices(figures):
    return [outlier.index for outlier in find_outliers(figures)]


def test_outliers_are_far_above_the_rest_and_visible():
    rest = [Figures(0.001 * n, 20.0 + n) for n in range(9)]
    assert _indices(rest) == []
    assert _indices([*rest, Figures(0.4, 24.0), Figures(0.0, 90.0), Figures(0.8, 99.0)]) == [
        11,
        9,
        10,
    ]
    assert find_outliers([*rest, Figures(0.8, 99.0)])[0].reasons == ("clipped", "change")


def test_outliers_where_all_the_rest_is_alike():
    alike = [Figures(0.0, 10.0)] * 9
    assert _indices([*alike, Figures(0.009, 14.9)]) == [], "too little to be seen"
    assert _indices([*alike, Figures(0.011, 10.0)]) == [9]
    assert _indices([*alike, Figures(0.0, 1.0)]) == [], "less than the rest is no harm"


def test_outliers_need_a_rest_that_is_not_like_them():
    assert _indices([Figures(0.5, 50.0)] * 8) == []
    wide = [Figures(n / 10, 0.0) for n in range(10)]
    assert _indices(wide) == []


def test_few_pictures_stand_out_by_themselves():
    assert _indices([Figures(0.04, 90.0)]) == []
    assert _indices([Figures(0.02, 9.0), Figures(0.06, 9.0), None]) == [1]
    assert find_outliers([]) == find_outliers([None, None]) == []


@given(
    st.lists(st.builds(Figures, st.floats(0, 1), st.floats(0, 255)), min_size=5, max_size=40),
    st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None)
def test_outliers_do_not_depend_on_the_order_and_are_fewer_than_half(figures, shuffle):
    found = find_outliers(figures)
    assert all(outlier.distance >= 1.0 for outlier in found)
    shuffled = figures[:]
    shuffle.shuffle(shuffled)
    named = sorted((figures[o.index].clipped, figures[o.index].change) for o in found)
    again = find_outliers(shuffled)
    assert sorted((shuffled[o.index].clipped, shuffled[o.index].change) for o in again) == named
    for reason in ("clipped", "change"):
        assert sum(reason in o.reasons for o in found) * 2 <= len(figures), "the rest is the rest"


# --- contact sheet ----------------------------------------------------------------------------


def test_contact_sheet_shows_the_worst_and_lists_all(tmp_path, monkeypatch):
    monkeypatch.setattr("imgedit_plugins.batch.contact_sheet._MOST", 2)
    picture = write_picture(tmp_path / "a.png")
    figures = [Figures(0.0, 10.0)] * 9 + [Figures(n / 10, 10.0) for n in (3, 5, 9)]
    entries = [
        SheetEntry(f"<{number}>.png", picture, picture, f) for number, f in enumerate(figures)
    ]
    page = tmp_path / "sheet.html"
    write_contact_sheet(page, entries, find_outliers(figures), Job())
    text = page.read_text()
    assert "3 of 12 pictures stand out" in text
    assert text.index("#picture-1") < text.index("#picture-2")
    assert "#picture-3" not in text
    assert "&lt;9&gt;.png" in text, "listed, and escaped"
    assert text.count("data:image/jpeg") == 6
    assert "prefers-color-scheme: dark" in text


def test_contact_sheet_without_outliers(tmp_path):
    picture = write_picture(tmp_path / "a.png")
    page = tmp_path / "sheet.html"
    write_contact_sheet(page, [SheetEntry("a", picture, picture, Figures(0, 0))], [], Job())
    assert "None of 1 picture stands out" in page.read_text()
    with pytest.raises(ImgeditError, match="its folder does not exist"):
        write_contact_sheet(tmp_path / "no" / "a.html", [], [], Job())
