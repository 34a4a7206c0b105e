"""Tables of 8 bits: every code, every channel, every length."""

import numpy as np
import pytest
from made_operations import picture_of
from strip_sizes import cut

from imgedit_plugins.operations.byte_tables import ByteTable, WideTable
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan, step
from imgedit_plugins.render import render_plan

SAME, APART, TWO = "one table", "three tables", "green unchanged"
LENGTHS = [*range(1, 131), 4095, 4096, 4097]


def table(kind):
    made = np.random.default_rng(7).permuted(
        np.arange(256, dtype=np.uint8)[:, None].repeat(3, axis=1), axis=0
    )
    if kind == SAME:
        made[:] = made[:, :1]
    if kind == TWO:
        made[:, 1] = np.arange(256)
    return made


def looked_up(codes, made):
    return np.stack([made[codes[..., c], c] for c in range(3)], axis=-1)


@pytest.mark.parametrize("kind", [SAME, APART, TWO])
def test_every_code_in_every_channel_at_every_length(kind):
    made = table(kind)
    through = ByteTable(made)
    assert through.same == (kind == SAME)
    codes = np.random.default_rng(3).integers(0, 256, (1, max(LENGTHS), 3), np.uint8)
    codes[0, :256] = np.arange(256)[:, None]
    for length in LENGTHS:
        part = codes[:, :length]
        before, out = part.copy(), np.full((1, length, 3), 99, np.uint8)
        assert np.array_equal(through(part), looked_up(part, made))
        through(part, out)
        assert np.array_equal(out, looked_up(part, made))
        assert np.array_equal(part, before)


def test_codes_of_two_bytes():
    made = np.random.default_rng(1).integers(0, 1 << 16, 256).astype(np.uint16)
    through = WideTable(made)
    codes = np.random.default_rng(3).integers(0, 256, (1, max(LENGTHS), 3), np.uint8)
    codes[0, :256] = np.arange(256)[:, None]
    codes.flags.writeable = False
    for length in LENGTHS:
        part = np.ascontiguousarray(codes[:, :length])
        result = through(part)
        assert result.dtype == np.uint16
        assert np.array_equal(result, made[part])


@pytest.mark.parametrize("kind", [SAME, APART])
def test_read_only_and_scattered_pixels(kind):
    made = table(kind)
    codes = picture_of(31, 20).pixels
    codes.flags.writeable = False
    for part in (codes, codes[::2, 1::3], codes[:, :, ::-1]):
        assert np.array_equal(ByteTable(made)(part), looked_up(part, made))


@pytest.mark.parametrize("edit", [
    EditPlan(operations=(step("summer"),)),
    EditPlan(operations=(step("summer"), step("contrast", gain=1.2), step("winter"))),
    EditPlan(operations=(step("gamma", gamma=1.2), step("levels", in_black=8, in_white=240))),
    EditPlan(operations=(step("bright", offset=30), step("invert"))),
], ids=["channels", "channels joined", "one curve", "affine"])  # fmt: skip
@pytest.mark.parametrize("rounding", ["each-step", "end"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_rendered_in_strips_of_any_length(edit, rounding, mode):
    """Widths that fill no register, strips that begin anywhere."""
    codes = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    made = render_plan(Picture(codes), edit, rounding=rounding).pixels.reshape(256, 3)
    for width, height in ((1, 70), (7, 31), (63, 9), (65, 9), (129, 5), (1000, 3)):
        picture = picture_of(width, height, mode)
        colors = picture.color.repeat(3, axis=2) if mode == "L" else picture.color
        for pixels in (1, 200, 1 << 17):
            with cut(pixels):
                result = render_plan(picture, edit, rounding=rounding)
            shown = result.color
            shown = shown.repeat(3, axis=2) if shown.shape[2] == 1 else shown
            assert np.array_equal(shown, looked_up(colors, made))
