"""Strips: the same result however the picture is cut and on however many threads."""

import itertools
import platform
import subprocess
import sys
import threading

import cv2
import made_operations
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_operations import DTYPES, MODES, picture_of
from plan_strategies import OPERATIONS, example_of, plans
from strip_sizes import cut, in_one

from imgedit_plugins.authoring.samples import mask_for, photograph
from imgedit_plugins.errors import JobCancelledError
from imgedit_plugins.jobs import Job
from imgedit_plugins.operations import Operation, forms
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan, step
from imgedit_plugins.render import render_plan, rendering, strips

EVERY = (*OPERATIONS, *made_operations.NAMES)


@pytest.fixture(autouse=True, scope="module")
def known():
    with made_operations.registered():
        yield


def plan(*operations) -> EditPlan:
    return EditPlan(operations=operations)


# --- strips = whole ---------------------------------------------------------------------------


@given(
    plans(EVERY, 4),
    st.sampled_from(MODES),
    st.sampled_from(DTYPES),
    st.sampled_from([1, 40, 150]),
    st.sampled_from([0, 16]),
    st.sampled_from(["auto", "each-step", "end"]),
)
@settings(deadline=None, max_examples=150)
def test_strips_give_the_whole_picture_bit_for_bit(edit, mode, dtype, pixels, share, rounding):
    picture = picture_of(19, 23, mode, dtype)
    whole = in_one(picture, edit, rounding=rounding)
    with cut(pixels, share):
        result = render_plan(picture, edit, rounding=rounding)
    assert result.pixels.dtype == whole.pixels.dtype
    assert np.array_equal(result.pixels, whole.pixels)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_operation_in_strips_of_the_usual_size(name, dtype):
    """Wide enough for vector registers and several of the shipped strips."""
    picture = picture_of(613, 301, "RGB", dtype)
    edit = plan(_visible(name))
    whole = in_one(picture, edit)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strips.os, "cpu_count", lambda: 3)
        assert np.array_equal(render_plan(picture, edit).pixels, whole.pixels)
    assert np.array_equal(render_plan(picture, edit).pixels, whole.pixels)


def _visible(name):
    return example_of(OPERATIONS[name]) if name in OPERATIONS else step(name)


@given(st.sampled_from(MODES), st.sampled_from(DTYPES), st.sampled_from([0.0, 0.4, 1.0, 1.7]))
@settings(deadline=None, max_examples=40)
def test_blending_in_strips_is_blending_the_whole(mode, dtype, strength):
    picture = picture_of(40, 31, mode, dtype)
    edit = plan(step("sepia"), step("made-curves"))
    how = {"mask": mask_for(picture), "strength": strength}
    whole = in_one(picture, edit, **how)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rendering, "_BLEND_PIXELS", 1)
        assert np.array_equal(render_plan(picture, edit, **how).pixels, whole.pixels)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_may_be_longer_than_a_strip(dtype):
    """Also longer than 32767 pixels, where some of OpenCV's functions end."""
    picture = picture_of(70_001, 3, "RGB", dtype)
    edit = plan(step("made-curves"), step("saturate", factor=1.5), step("gaussian", kernel=5),
                step("made-place"), step("flip"), step("made-stretch"))  # fmt: skip
    result = render_plan(picture, edit)
    assert result.pixels.shape == picture.pixels.shape
    assert np.array_equal(result.pixels, in_one(picture, edit).pixels)


@pytest.mark.parametrize("name", EVERY)
def test_one_pixel(name):
    one = _visible(name)
    for mode, dtype in itertools.product(MODES, DTYPES):
        picture = picture_of(1, 1, mode, dtype)
        result = render_plan(picture, plan(one))
        assert result.pixels.dtype == picture.pixels.dtype
        assert result.has_alpha == picture.has_alpha
        if one.operation.kind != "geometric":
            assert (result.width, result.height) == (1, 1)


# --- threads ----------------------------------------------------------------------------------


@pytest.mark.parametrize("run", [1, 2, 7, 1000])
@pytest.mark.parametrize("cores", [1, 3])
@pytest.mark.parametrize("count", [1, 5, 40, 101])
def test_every_strip_is_done_once_however_many_a_thread_takes(run, cores, count, monkeypatch):
    monkeypatch.setattr(strips.os, "cpu_count", lambda: cores)
    seen, told = [], []

    def one(top):
        seen.append((top, threading.get_ident()))
        return 3

    tops = range(0, 3 * count, 3)
    runs = [tops[first : first + run] for first in range(0, count, run)]
    strips.in_runs(one, runs, told.append)
    assert sorted(top for top, _ in seen) == list(range(0, 3 * count, 3))
    assert sum(told) == 3 * count
    assert len({thread for _, thread in seen}) <= cores


def test_an_error_stops_a_run_of_strips(monkeypatch):
    monkeypatch.setattr(strips.os, "cpu_count", lambda: 2)
    seen = []

    def one(top):
        seen.append(top)
        if top == 10:
            raise BoomError
        return 1

    with pytest.raises(BoomError):
        strips.in_runs(one, [range(at, at + 100) for at in range(0, 1000, 100)], lambda _: None)
    assert len(seen) < 1000


FAULTS = """
import resource
import numpy as np
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan, step
from imgedit_plugins.render import render_plan

picture = Picture(np.random.default_rng(0).integers(0, 256, (1000, 4000, 3), np.uint8))
out = picture.pixels.copy()
edit = EditPlan(operations=(step("sepia"), step("saturate", factor=1.2), step("sepia")))
render_plan(picture, edit, rounding="end", out=out)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
render_plan(picture, edit, rounding="end", out=out)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="what glibc does with free memory")
def test_memory_of_strips_is_used_again():
    """Else each array of each strip would be fetched page by page, about 10,000 of them here."""
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 2500


def test_two_renderings_at_once_give_what_each_gives_alone():
    edits = [plan(step("made-curves"), step("saturate", factor=1.6), step("gaussian", kernel=7)),
             plan(step("sepia"), step("made-place"), step("made-stretch"))]  # fmt: skip
    pictures = [photograph(150, 110, dtype=dtype, seed=k) for k, dtype in enumerate(DTYPES)]
    tasks = [(p, e) for p in pictures for e in edits]
    alone = [render_plan(*task).pixels for task in tasks]
    outcome = {}

    def work(number):
        for _ in range(3):
            outcome.setdefault(number, []).append(render_plan(*tasks[number]).pixels)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(tasks))]
    with cut(1500):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    for number, expected in enumerate(alone):
        assert len(outcome[number]) == 3
        assert all(np.array_equal(pixels, expected) for pixels in outcome[number])


@pytest.fixture(params=[1, 2, 3])
def opencv_threads(request):
    before = cv2.getNumThreads()
    cv2.setNumThreads(request.param)
    yield request.param
    cv2.setNumThreads(before)


def test_opencvs_thread_setting_is_restored(opencv_threads):
    seen = []

    def look(rgb, parameters, constants):
        seen.append(cv2.getNumThreads())
        if rgb[0, 0, 0] == 77:
            raise BoomError
        return rgb.copy()

    good, bad = photograph(20, 40), Picture(np.full((40, 20, 3), 77, np.uint8))
    known = made_operations.registered(Operation("look", "Look", "pointwise", look, "here", "S."))
    with known, cut(20, cores=3):
        render_plan(good, plan(step("look")))
        assert cv2.getNumThreads() == opencv_threads
        with pytest.raises(BoomError):
            render_plan(bad, plan(step("look")))
        assert cv2.getNumThreads() == opencv_threads
        job = Job(on_progress=lambda progress: progress.done > 5 and job.cancel())
        with pytest.raises(JobCancelledError):
            render_plan(good, plan(step("look")), job=job)
    assert cv2.getNumThreads() == opencv_threads
    assert set(seen) == {1}, "OpenCV's own threads would get in the way of the strips"


class BoomError(Exception):
    pass


@pytest.mark.parametrize("name", ["curves", "colour", "surroundings", "measure", "whole", "move",
                                  "recipe"])  # fmt: skip
@pytest.mark.parametrize("pixels", [1, 1 << 40])
def test_errors_of_an_operation_surface_as_they_are(name, pixels):
    error = BoomError("as it was")

    def fail(*_):
        raise error

    form = {
        "curves": forms.Curves.same(fail),
        "colour": forms.Colour(fail),
        "surroundings": forms.Neighbourhood(fail, 1),
        "measure": forms.Measured(fail),
        "whole": forms.Whole(fail),
        "move": forms.Geometry(fail),
    }.get(name)
    kind = "geometric" if name == "move" else "pointwise"
    operation = (
        Operation("bad", "Bad", kind, fail, "here", "S.")
        if form is None
        else Operation("bad", "Bad", kind, None, "here", "S.", form=lambda p, c: form)
    )
    picture, running = photograph(9, 30), threading.active_count()
    before = picture.pixels.copy()
    with made_operations.registered(operation), cut(pixels), pytest.raises(BoomError) as caught:
        render_plan(picture, plan(step("made-matrix"), step("bad"), step("made-matrix")))
    assert caught.value is error
    assert np.array_equal(picture.pixels, before)
    assert threading.active_count() == running
