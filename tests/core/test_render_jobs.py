"""Rendering as a job: progress in hundredths, cancellation between strips."""

import threading
import time

import made_operations
import numpy as np
import pytest
from made_operations import WHITE, picture_of
from strip_sizes import cut

from imgedit_plugins.authoring.samples import mask_for, photograph
from imgedit_plugins.errors import JobCancelledError
from imgedit_plugins.jobs import Job
from imgedit_plugins.operations import Operation
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan, step
from imgedit_plugins.render import render_plan

MEGAPIXELS_24 = (6000, 4000)


@pytest.fixture(autouse=True, scope="module")
def known():
    with made_operations.registered():
        yield


def plan(*operations) -> EditPlan:
    return EditPlan(operations=operations)


# --- progress ---------------------------------------------------------------------------------

STEPS = {
    "tables": [("bright", {"offset": 9}), ("made-curves", {})],
    "passes": [("saturate", {"factor": 2}), ("flip", {}), ("made-stretch", {}),
               ("blur", {"kernel": 3})],
    "grows": [("made-twice", {}), ("made-matrix", {}), ("made-twice", {})],
    "shrinks": [*[("made-trimmed", {})] * 40, ("invert", {})],
    "measured": [("made-stretch", {})] * 3,
    "whole": [("made-whole", {})] * 2,
    "moves": [("flip", {})],
    "nothing": [("bright", {"offset": 0})],
}  # fmt: skip


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("mode", ["L", "RGBA"])
@pytest.mark.parametrize("strength", [1.0, 0.5])
@pytest.mark.parametrize("masked", [False, True])
def test_progress_is_told_in_hundredths_and_never_goes_back(name, mode, strength, masked):
    picture, told = picture_of(50, 300, mode, "uint16"), []
    edit = plan(*[step(one, **values) for one, values in STEPS[name]])
    moves = any(s.operation.kind == "geometric" for s in edit.operations)
    mask = mask_for(picture) if masked and not moves else None
    with cut(50, cores=1 if name == "tables" else 2):
        job = Job(on_progress=told.append)
        render_plan(picture, edit, strength=strength, mask=mask, job=job)
    if name == "nothing":
        assert not told
        return
    assert {(p.stage, p.total) for p in told} == {("rendering", 100)}
    done = [p.done for p in told]
    assert done == sorted(set(done)), "told twice, or going back"
    assert (done[0], done[-1]) == (0, 100)
    if name == "tables":  # one thread alone does and tells every strip
        assert len(done) > 40, "strips tell how far they are"


# --- cancellation -----------------------------------------------------------------------------


@pytest.fixture
def counted():
    """An operation that counts its strips."""
    calls = []

    def render(rgb, parameters, constants):
        calls.append(rgb.shape)
        return rgb.copy()

    with made_operations.registered(
        Operation("counted", "Counted", "pointwise", render, "here", "S.")
    ):
        yield calls


@pytest.mark.parametrize("at", [0, 1, 37, 98])
def test_a_cancelled_job_stops_between_strips(counted, at):
    """A row is a strip and a hundredth here; the strip after the cancellation is the last."""
    picture = photograph(8, 100)
    before = picture.pixels.copy()
    job = Job(on_progress=lambda progress: job.cancel() if progress.done == at else None)
    with cut(1, cores=1), pytest.raises(JobCancelledError):
        render_plan(picture, plan(step("counted")), job=job)
    assert counted == [(1, 8, 3)] * (at + 1)
    assert np.array_equal(picture.pixels, before)


@pytest.mark.parametrize("cores", [2, 5])
def test_all_threads_stop_at_their_next_strip(cores):
    calls, job = [], Job()

    def slow(rgb, parameters, constants):
        calls.append(threading.get_ident())
        time.sleep(0.003)
        return rgb.copy()

    job = Job(on_progress=lambda progress: job.cancel() if progress.done >= 10 else None)
    known = made_operations.registered(Operation("slow", "Slow", "pointwise", slow, "here", "S."))
    with known, cut(1, cores=cores), pytest.raises(JobCancelledError):
        render_plan(photograph(8, 400), plan(step("slow")), job=job)
    assert len(set(calls)) == cores, "all cores had work"
    # Ten of a hundred, four strips each; threads may run ahead of the one that reports.
    assert 40 <= len(calls) <= 40 + 20 * cores
    finished = len(calls)
    time.sleep(0.02)
    assert len(calls) == finished, "a thread went on"


@pytest.mark.parametrize("cores", [1, 2])
def test_cancelled_in_the_last_report_is_still_cancelled(counted, cores):
    """Until the result is handed out, nothing came of a cancelled job."""
    job = Job(on_progress=lambda progress: progress.done == 100 and job.cancel())
    with cut(1, cores=cores), pytest.raises(JobCancelledError):
        render_plan(photograph(8, 100), plan(step("counted")), job=job)


def test_a_job_cancelled_before_it_began_does_nothing(counted):
    told = []
    job = Job(on_progress=told.append)
    job.cancel()
    for how in ({}, {"strength": 0.5}, {"rounding": "end"}):
        with pytest.raises(JobCancelledError):
            render_plan(photograph(8, 8), plan(step("counted")), job=job, **how)
    assert not counted
    assert not told


def test_whole_picture_functions_are_asked_too():
    """A `Whole` form hands its `check` on; a cancelled job stops inside of it."""
    job = Job(on_progress=lambda progress: job.cancel())
    with pytest.raises(JobCancelledError):
        render_plan(photograph(8, 8), plan(step("made-whole")), job=job)


def large(dtype="uint8", size=MEGAPIXELS_24):
    """Noise, repeated; made quickly and without a second copy."""
    tile = np.random.default_rng(0).integers(0, 256, (100, size[0], 3)).astype(np.float32) / 255
    tile = (tile * WHITE[dtype]).astype(dtype)
    pixels = np.empty((size[1], size[0], 3), dtype)
    for top in range(0, size[1], 100):
        pixels[top : top + 100] = tile[: size[1] - top]
    return Picture(pixels)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_24_megapixels_are_cancelled_within_50_milliseconds(dtype):
    picture = large(dtype)
    edit = plan(step("bright", offset=5), step("saturate", factor=1.4), step("sharp"),
                step("saturate", factor=1.2), step("sepia"))  # fmt: skip
    # Other work on the machine may delay a thread; a missing check would show every time.
    assert min(_cancelled_after(picture, edit) for _ in range(4)) < 0.05


def _cancelled_after(picture, edit) -> float:
    begun, stopped = threading.Event(), []
    job = Job(on_progress=lambda progress: progress.done >= 3 and begun.set())

    def work():
        with pytest.raises(JobCancelledError):
            render_plan(picture, edit, job=job)
        stopped.append(time.perf_counter())

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(30)
    time.sleep(0.01)
    asked = time.perf_counter()
    job.cancel()
    thread.join(60)
    return stopped[0] - asked
