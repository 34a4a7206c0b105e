"""Kernels: what is done to one strip of a picture, and the tables that several of them become."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.operations.forms import (
    Colour,
    Curves,
    Matrix,
    Neighbourhood,
    Positioned,
    Region,
    Values,
)
from imgedit_plugins.operations.vocabulary import Constants, Operation, Parameters
from imgedit_plugins.pictures import Pixels

Kernel = Callable[[Pixels, Region, Pixels | None], Pixels]
"""(strip, where it lies, buffer or None) -> new strip.

The buffer, where one is offered, has the result's shape and type, and a kernel may write there.
The result is a new array or the buffer. A strip of whole numbers is left alone, since it may be a
part of the picture; one of float32 belongs to the kernel and may be overwritten.
"""

Table = NDArray[Any]
"""(256 or 65536, 3): new value for each code and channel; uint8, uint16 or float32."""


def maximum_of(dtype: np.dtype[Any]) -> int:
    """White in whole numbers of that type: 255 or 65535."""
    return int(np.iinfo(dtype).max)


# --- curves -----------------------------------------------------------------------------------


def curve_table(curves: Sequence[Curves], source: np.dtype[Any], target: np.dtype[Any]) -> Table:
    """One table for several curves after another, clipped between them and rounded once."""
    size = maximum_of(source) + 1
    same = all(c.red is c.green is c.blue for c in curves)
    columns = []
    for channel in ("red",) if same else ("red", "green", "blue"):
        values = np.arange(size, dtype=np.float64) / (size - 1)
        for curve in curves:
            values = np.clip(getattr(curve, channel)(values), 0.0, 1.0)
        columns.append(values)
    table = np.stack(columns * (3 if same else 1), axis=1)
    if target == np.float32:
        return table.astype(np.float32)
    return np.asarray(np.rint(table * maximum_of(target)), target)


def through_table(table: Table) -> Kernel:
    """Each code becomes what the table says; by arithmetic where that is the same and faster."""
    from_whole = table.dtype != np.float32 and len(table) == maximum_of(table.dtype) + 1
    fast = _as_arithmetic(table) if from_whole else None
    return fast or _look_up(table)


def _look_up(table: Table) -> Kernel:
    import cv2

    same = bool((table == table[:, :1]).all())
    flat = np.ascontiguousarray(table[:, :1] if same else table)[None]

    def kernel(strip: Pixels, _: Region, buffer: Pixels | None) -> Pixels:
        return np.asarray(cv2.LUT(strip, flat, dst=buffer))

    return kernel


def _as_arithmetic(table: Table) -> Kernel | None:
    """A kernel of saturating arithmetic that gives exactly this table, if there is one.

    Args:
        table: from codes to codes of the same type.
    """
    import cv2

    if not (table == table[:, :1]).all():
        return None
    wanted = table[:, 0]
    white = maximum_of(table.dtype)

    def inverted(strip: Pixels, _: Region, buffer: Pixels | None) -> Pixels:
        return np.asarray(cv2.bitwise_not(strip, dst=buffer))

    candidates: list[Kernel] = [inverted]
    inside = np.flatnonzero((wanted > 0) & (wanted < white)).astype(int)
    if len(inside):
        candidates.append(_shifted(int(wanted[inside[0]]) - int(inside[0])))
    if len(inside) > 1 and table.dtype == np.uint8:
        gain, offset = np.polyfit(inside, wanted[inside], 1)
        # The fit is off by rounding; what people choose has few digits.
        candidates += [_scaled(round(gain, digits), offset) for digits in (2, 3, 4, 6)]
    return next((kernel for kernel in candidates if _gives(kernel, wanted)), None)


def _gives(kernel: Kernel, wanted: NDArray[Any]) -> bool:
    """Whether a kernel turns each code into the wanted one, wherever in a strip it stands."""
    size = len(wanted)
    codes = np.arange(size, dtype=wanted.dtype)[None, :, None].repeat(3, axis=2)
    nowhere = Region(0, 1, 1, size)
    if not np.array_equal(kernel(codes, nowhere, None)[0, :, 0], wanted):
        return False
    # The last few values of an array may be computed in another way than the others.
    last = range(0, size, size // 256)
    return all(kernel(codes[:, c : c + 1], nowhere, None)[0, 0, 0] == wanted[c] for c in last)


def _shifted(offset: int) -> Kernel:
    import cv2

    arithmetic: Any = cv2.add if offset >= 0 else cv2.subtract  # its stub knows no scalars
    amount = (float(abs(offset)),) * 4

    def kernel(strip: Pixels, _: Region, buffer: Pixels | None) -> Pixels:
        return np.asarray(arithmetic(strip, amount, dst=buffer))

    return kernel


def _scaled(gain: float, offset: float) -> Kernel:
    """A gain, and an offset where it is more than the error of having fitted it."""
    import cv2

    # Below black OpenCV would take the absolute value; such tables are not matched.
    shift = float(offset) if abs(offset) > 1.0 else 0.0

    def kernel(strip: Pixels, _: Region, buffer: Pixels | None) -> Pixels:
        return np.asarray(cv2.convertScaleAbs(strip, dst=buffer, alpha=float(gain), beta=shift))

    return kernel


def through_functions(curves: Sequence[Curves]) -> Kernel:
    """Curves evaluated at each value, where 65,536 steps between are too few or there are none."""

    def kernel(strip: Pixels, _: Region, __: Pixels | None) -> Pixels:
        for curve in curves:
            functions = (curve.red, curve.green, curve.blue)
            if curve.red is curve.green is curve.blue:
                strip = np.asarray(curve.red(strip), np.float32)
            else:
                for channel, function in enumerate(functions):
                    strip[:, :, channel] = function(strip[:, :, channel])
            np.clip(strip, 0.0, 1.0, out=strip)
        return strip

    return kernel


# --- other forms ------------------------------------------------------------------------------


def form_kernel(form: Matrix | Colour | Positioned | Neighbourhood) -> Kernel:
    """A form on float32 strips, clipped."""
    if isinstance(form, Matrix):
        return _matrix(form)
    if isinstance(form, Positioned):
        place = form.function
        return lambda strip, region, _: clipped(place(strip, region))
    function = form.function
    return lambda strip, _, __: clipped(function(strip))


def codes_kernel(form: Matrix | Neighbourhood, dtype: np.dtype[Any]) -> Kernel:
    """A form from whole numbers to whole numbers, rounded once."""
    if isinstance(form, Matrix):
        return _matrix_on_codes(form, dtype)
    on_codes = form.codes
    assert on_codes is not None, "only asked for where a form has it"
    return lambda strip, _, __: on_codes(strip)


def _matrix_on_codes(form: Matrix, dtype: np.dtype[Any]) -> Kernel:
    import cv2

    weights = _weights(form, maximum_of(dtype))
    below = bool((weights < 0).any())

    def kernel(strip: Pixels, _: Region, __: Pixels | None) -> Pixels:
        if dtype == np.uint16:
            codes = np.asarray(cv2.transform(_in_a_row(strip, dtype), weights))
        else:  # OpenCV's own sums of 8-bit codes are off by up to 0.2
            sums = np.asarray(cv2.transform(_in_a_row(strip, np.dtype(np.float32)), weights))
            if below:
                np.maximum(sums, 0, out=sums)
            codes = np.asarray(cv2.convertScaleAbs(sums))
        return _as_strip(codes, strip)

    return kernel


_ROW_MULTIPLE = 64


def _in_a_row(strip: Pixels, dtype: np.dtype[Any]) -> Pixels:
    """The pixels in one row, filled up to a multiple of what processors take at once.

    OpenCV sums the last few pixels of an array in another order than the others; where these
    were would depend on how the picture is cut.
    """
    count = strip.shape[0] * strip.shape[1]
    row = np.empty((1, -(-count // _ROW_MULTIPLE) * _ROW_MULTIPLE, 3), dtype)
    row[0, :count].reshape(strip.shape)[...] = strip
    row[0, count:] = 0
    return row


def _as_strip(row: Pixels, strip: Pixels) -> Pixels:
    return row[0, : strip.shape[0] * strip.shape[1]].reshape(strip.shape)


def _weights(form: Matrix, white: float) -> NDArray[np.float32]:
    offset = np.array(form.offset) * white
    return np.column_stack([np.array(form.weights), offset]).astype(np.float32)


def _matrix(form: Matrix) -> Kernel:
    import cv2

    weights = _weights(form, 1.0)

    def kernel(strip: Pixels, _: Region, __: Pixels | None) -> Pixels:
        # Rows that do not follow each other are computed one by one; otherwise the last pixels
        # of a strip, which fill no vector register, would be rounded in another way.
        rows, columns, channels = strip.shape
        apart = np.empty((rows, columns + 1, channels), np.float32)[:, :columns]
        return np.clip(cv2.transform(strip, weights, dst=apart), 0.0, 1.0, out=strip)

    return kernel


def clipped(values: NDArray[Any]) -> Values:
    """Values limited to 0..1, as contiguous float32; in place where they are that already."""
    values = np.ascontiguousarray(values, np.float32)
    return np.clip(values, 0.0, 1.0, out=values)


def recipe_kernel(operation: Operation, parameters: Parameters, constants: Constants) -> Kernel:
    """An operation's own 8-bit mathematics."""
    recipe = operation.render
    assert recipe is not None, "only asked for where an operation has one"
    if "out" in inspect.signature(recipe).parameters:
        return lambda strip, _, buffer: recipe(strip, parameters, constants, out=buffer)
    return lambda strip, _, __: recipe(strip, parameters, constants)


# --- from one type to another -----------------------------------------------------------------


def to_values(strip: Pixels, _: Region, __: Pixels | None) -> Pixels:
    """Kernel: whole numbers to float32 0..1."""
    return np.multiply(strip, np.float32(1.0 / maximum_of(strip.dtype)), dtype=np.float32)


def to_codes(dtype: np.dtype[Any]) -> Kernel:
    """A kernel that rounds float32 0..1 to whole numbers of a type."""
    import cv2

    white = np.float32(maximum_of(dtype))

    def to_8_bits(strip: Pixels, _: Region, buffer: Pixels | None) -> Pixels:
        return np.asarray(cv2.convertScaleAbs(strip, dst=buffer, alpha=255.0))

    if dtype == np.uint8:
        return to_8_bits

    def kernel(strip: Pixels, _: Region, buffer: Pixels | None) -> Pixels:
        np.multiply(strip, white, out=strip)
        np.rint(strip, out=strip)
        codes = np.empty(strip.shape, dtype) if buffer is None else buffer
        np.copyto(codes, strip, casting="unsafe")
        return codes

    return kernel
