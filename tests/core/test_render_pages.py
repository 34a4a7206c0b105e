"""Fresh memory: which rows a thread takes, and how their pages are asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan, step
from imgedit_plugins.render import pages, render_plan

PAGE = 1 << 21


@given(st.integers(1, 2000), st.integers(1, 400), st.integers(1, 90_000))
def test_runs_have_every_row_once(height, size, width):
    memory = np.lib.stride_tricks.as_strided(  # of that shape, and no byte of it is touched
        np.empty(1, np.uint8), (height, width, 3), (3 * width, 3, 1)
    )
    rows = [row for run in pages.runs_of_rows(memory, size) for row in range(*run)]
    assert rows == list(range(height))


@pytest.mark.parametrize("width", [1000, 6001])
@pytest.mark.parametrize("offset", [0, 16, 123_456])
def test_runs_of_pages_begin_where_a_page_does(width, offset):
    target = np.empty(40 * PAGE, np.uint8)[offset:][: 30 * PAGE // (3 * width) * (3 * width)]
    target = target.reshape(-1, width, 3)
    runs = list(pages.runs_of_rows(target, 2 * PAGE // (3 * width)))
    assert len(runs) >= 14
    for first, _ in runs[1:]:
        before = target[first:].ctypes.data % PAGE
        assert before == 0 or before > PAGE - 3 * width  # the page begins within this row


@pytest.mark.parametrize("rows", [slice(0, 3000), slice(5, 2991), slice(7, 8)])
def test_pages_are_asked_for_by_their_last_byte_and_nothing_else_is_touched(rows):
    target = np.full((3000, 1000, 3), 7, np.uint8)
    pages.fetch_pages(target[rows])
    part = target[rows]
    start, end = part.ctypes.data, part.ctypes.data + part.nbytes
    wanted = {end - 1, *(page - 1 for page in range(-(-start // PAGE) * PAGE, end, PAGE))}
    wanted.discard(start - 1)
    touched = np.flatnonzero(target.ravel() != 7) + target.ctypes.data
    assert set(touched.tolist()) == wanted


def test_a_picture_of_many_pages_is_rendered_whole_into_memory_of_any_kind():
    picture = Picture(np.random.default_rng(3).integers(0, 256, (3001, 1999, 3), np.uint8))
    edit = EditPlan(operations=(step("invert"),))
    wanted = 255 - picture.pixels
    assert np.array_equal(render_plan(picture, edit).pixels, wanted)
    out = np.empty(picture.pixels.size + 5, np.uint8)[5:].reshape(picture.pixels.shape)
    assert np.array_equal(render_plan(picture, edit, out=out).pixels, wanted)
    render_plan(picture, edit, out=picture.pixels)
    assert np.array_equal(picture.pixels, wanted)
