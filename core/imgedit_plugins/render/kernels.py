"""Kernels: what is done to one strip of a picture, and the tables that several of them become."""

from __future__ import annotations

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
from imgedit_plugins.pictures import RGB8, Pixels

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
    if table.dtype == np.uint8 and len(table) == 256:
        fast = _as_arithmetic(table)
        if fast is not None:
            return fast
    return _look_up(table)


def _look_up(table: Table) -> Kernel:
    import cv2

    same = bool((table == table[:, :1]).all())
    flat = np.ascontiguousarray(table[:, :1] if same else table)[None]

    def kernel(strip: Pixels, _: Region, buffer: Pixels | None) -> Pixels:
        return np.asarray(cv2.LUT(strip, flat, dst=buffer))

    return kernel


def _as_arithmetic(table: Table) -> Kernel | None:
    """A kernel of saturating 8-bit arithmetic that gives exactly this table, if there is one."""
    import cv2

    if not (table == table[:, :1]).all():
        return None
    codes = np.arange(256, dtype=np.uint8)[None, :, None]
    wanted = table[:, 0]

    def inverted(strip: Pixels, _: Region, buffer: Pixels | None) -> Pixels:
        return np.asarray(cv2.bitwise_not(strip, dst=buffer))

    candidates: list[Kernel] = [inverted]
    inside = np.flatnonzero((wanted > 0) & (wanted < 255)).astype(int)
    if len(inside):
        candidates.append(_shifted(int(wanted[inside[0]]) - int(inside[0])))
    if len(inside) > 1:
        gain, offset = np.polyfit(inside, wanted[inside], 1)
        # The fit is off by rounding; what people choose has few digits.
        candidates += [_scaled(round(gain, digits), offset) for digits in (2, 3, 4, 6)]
    nowhere = Region(0, 1, 1, 256)
    for kernel in candidates:
        tried = kernel(codes.repeat(3, axis=2), nowhere, None)
        if np.array_equal(tried[0, :, 0], wanted):
            return kernel
    return None


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
    """Curves evaluated at each value: for floating-point pictures, which no table can hold."""

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


def _matrix(form: Matrix) -> Kernel:
    import cv2

    weights = np.column_stack([np.array(form.weights), np.array(form.offset)]).astype(np.float32)

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


def recipe_kernel(recipe: Callable[[RGB8], RGB8]) -> Kernel:
    """An operation's own 8-bit mathematics."""
    return lambda strip, _, __: recipe(strip)


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
