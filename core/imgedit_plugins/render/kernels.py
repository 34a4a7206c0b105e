"""Kernels: what is done to one strip of a picture, and the tables that several of them become."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins import compiled
from imgedit_plugins.operations import weighted_sums
from imgedit_plugins.operations.byte_tables import ByteTable, WideTable
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
from imgedit_plugins.render import matrices

Kernel = Callable[[Pixels, Region, Pixels | None], Pixels]
"""(strip, where it lies, buffer or None) -> new strip.

The buffer, where one is offered, has the result's shape and type, and a kernel may write there.
The result is a new array or the buffer. A strip of whole numbers is left alone, since it may be a
part of the picture; one of float32 belongs to the kernel and may be overwritten.
"""

_BYTES = 256
_CODES16 = np.dtype(np.uint16)
_NEARLY = 0.02  # of a code of 16 bits, as for weighted sums

Table = NDArray[Any]
"""(256 or 65536, 3): new value for each code and channel; uint8, uint16 or float32."""


def maximum_of(dtype: np.dtype[Any]) -> int:
    """White in whole numbers of that type: 255 or 65535."""
    return int(np.iinfo(dtype).max)


# --- curves -----------------------------------------------------------------------------------


def curve_values(curves: Sequence[Curves], source: np.dtype[Any]) -> NDArray[np.float64]:
    """Several curves after another, clipped between them, for each code of a type.

    Returns:
        (256 or 65536, 3), 0..1; (…, 1) where it is one function for all channels.
    """
    size = maximum_of(source) + 1
    same = all(c.red is c.green is c.blue for c in curves)
    columns = []
    for channel in ("red",) if same else ("red", "green", "blue"):
        values = np.arange(size, dtype=np.float64) / (size - 1)
        for curve in curves:
            values = np.clip(getattr(curve, channel)(values), 0.0, 1.0)
        columns.append(values)
    return np.stack(columns, axis=1)


def curve_table(curves: Sequence[Curves], source: np.dtype[Any], target: np.dtype[Any]) -> Table:
    """One table for several curves after another, clipped between them and rounded once."""
    return _rounded(curve_values(curves, source), target)


def _rounded(values: NDArray[np.float64], target: np.dtype[Any]) -> Table:
    values = np.broadcast_to(values, (len(values), 3))
    if target == np.float32:
        return values.astype(np.float32)
    return np.asarray(np.rint(values * maximum_of(target)), target)


def through_curves(
    curves: Sequence[Curves], source: np.dtype[Any], target: np.dtype[Any]
) -> Kernel:
    """Each code becomes what the curves say; by arithmetic where that is faster."""
    values = curve_values(curves, source)
    if source == target == np.uint16 and values.shape[1] == 1:
        straight = _as_straight_line(values[:, 0] * maximum_of(target))
        if straight is not None:
            return straight
    table = _rounded(values, target)
    if source == np.uint16 and target == np.uint8 and values.shape[1] == 1:
        exact = _as_line_of_bytes(values[:, 0] * maximum_of(target), table[:, 0])
        if exact is not None:
            return exact
    return through_table(table)


def through_table(table: Table) -> Kernel:
    """Each code becomes what the table says; by arithmetic where that is the same and faster."""
    from_bytes = len(table) == _BYTES
    same = bool((table == table[:, :1]).all())
    replaced = from_bytes and table.dtype == np.uint8
    if same and replaced and compiled.there("table_8"):
        return ReplacedBytes(ByteTable(table))
    if same and from_bytes == (table.dtype == np.uint8) and table.dtype != np.float32:
        fast = _as_arithmetic(table[:, 0])
        if fast:
            return fast
    if replaced:
        return ReplacedBytes(ByteTable(table))
    if from_bytes and same and table.dtype == np.uint16:
        widened = WideTable(np.ascontiguousarray(table[:, 0]))
        return lambda strip, _, __: widened(strip)
    return _look_up(table if not same else table[:, :1])


@dataclass(frozen=True)
class ReplacedBytes:
    """Kernel: 8-bit codes through a table.

    Without a compiled kernel these are several steps, for which a strip should stay cached.

    Attributes:
        table: the new codes.
    """

    table: ByteTable

    def __call__(self, strip: Pixels, _: Region, buffer: Pixels | None) -> Pixels:
        """The strip through the table."""
        return self.table(strip, buffer)


def _look_up(table: Table) -> Kernel:
    import cv2

    flat = np.ascontiguousarray(table)[None]
    words = _word_tables(table) if len(table) > _BYTES and table.dtype != np.float32 else None

    def kernel(strip: Pixels, _: Region, buffer: Pixels | None) -> Pixels:
        done = compiled.through_word_tables(strip, words, buffer) if words else None
        return np.asarray(cv2.LUT(strip, flat, dst=buffer)) if done is None else done

    return kernel


def _word_tables(table: Table) -> tuple[Table | None, ...]:
    """A column for each channel, the same one where there is one; None where it changes nothing."""
    columns = [np.ascontiguousarray(column) for column in table.T]
    if table.dtype == np.uint16:
        unchanged = np.arange(len(table), dtype=np.uint16)
        return tuple(
            None if np.array_equal(c, unchanged) else c for c in columns * (3 // len(columns))
        )
    return tuple(columns * (3 // len(columns)))


def _as_arithmetic(wanted: NDArray[Any]) -> Kernel | None:
    """A kernel of saturating arithmetic that gives exactly this table, if there is one.

    Unlike replaced bytes it is one step from memory to memory, and lets other threads run.

    Args:
        wanted: new code for each code, of the same type.
    """
    import cv2

    def inverted(strip: Pixels, _: Region, buffer: Pixels | None) -> Pixels:
        return np.asarray(cv2.bitwise_not(strip, dst=buffer))

    candidates: list[Kernel] = [inverted]
    inside = np.flatnonzero((wanted > 0) & (wanted < maximum_of(wanted.dtype))).astype(int)
    if len(inside):
        candidates.append(_shifted(int(wanted[inside[0]]) - int(inside[0])))
    return next((kernel for kernel in candidates if _gives(kernel, wanted)), None)


def _gives(kernel: Kernel, wanted: NDArray[Any]) -> bool:
    """Whether a kernel turns each code into the wanted one."""
    return np.array_equal(_made_of_codes(kernel, wanted.dtype), wanted)


def _made_of_codes(kernel: Kernel, dtype: np.dtype[Any]) -> NDArray[Any]:
    """What a kernel makes of each code of a type."""
    codes = np.arange(maximum_of(dtype) + 1, dtype=dtype)[None, :, None].repeat(3, axis=2)
    return kernel(codes, Region(0, 1, 1, codes.shape[1]), None)[0, :, 0]


@dataclass(frozen=True)
class StraightLine:
    """Kernel: codes of 16 bits times a gain plus an offset, limited.

    Attributes:
        gain, offset: in steps of a code.
        limits: lowest and highest code; None where the type's own are met already.
    """

    gain: float
    offset: float
    limits: tuple[int, int] | None

    def __call__(self, strip: Pixels, _: Region, buffer: Pixels | None) -> Pixels:
        """The strip, scaled."""
        return weighted_sums.scaled_in_16_bits(strip, self.gain, self.offset, buffer, self.limits)


def _as_straight_line(wanted: NDArray[np.float64]) -> StraightLine | None:
    """The kernel that scales, shifts and limits, if that is what codes of 16 bits go through.

    Single precision rounds to the other side some codes that lie within `_NEARLY` of the middle
    between two; a table of 65,536 codes takes several times as long.

    Args:
        wanted: new code for each code, not rounded.
    """
    fitted = _through_the_inside(wanted)
    if fitted is None:
        return None
    gain, offset = fitted
    low, high = wanted.min(), wanted.max()
    ends = offset, offset + gain * maximum_of(_CODES16)
    needed = max(0.0, min(ends)) < low - 0.5 or min(65535.0, max(ends)) > high + 0.5
    limits = (round(low), round(high)) if needed else None
    line = StraightLine(gain, offset, limits)
    apart = np.abs(_made_of_codes(line, _CODES16) - wanted).max()
    return line if apart <= 0.5 + _NEARLY else None


def _through_the_inside(wanted: NDArray[np.float64]) -> tuple[float, float] | None:
    """Gain and offset of the line between the first and the last code that is not at a limit."""
    inside = np.flatnonzero((wanted > wanted.min()) & (wanted < wanted.max()))
    if len(inside) < 2:
        return None
    first, last = inside[0], inside[-1]
    gain = float(wanted[last] - wanted[first]) / float(last - first)
    return gain, float(wanted[first] - gain * first)


def _as_line_of_bytes(wanted: NDArray[np.float64], table: Table) -> Kernel | None:
    """The compiled kernel from 16 to 8 bits that gives exactly this table, if it is a line.

    Args:
        wanted: new code for each code, not rounded.
        table: rounded.
    """
    line = _through_the_inside(wanted)
    if line is None:
        return None
    limits = (float(table.min()), float(table.max()))

    def kernel(strip: Pixels, _: Region, buffer: Pixels | None) -> Pixels:
        made = compiled.line_16(strip, line, limits, table.dtype, buffer)
        return table[strip] if made is None else made

    made = compiled.line_16(np.arange(len(table), dtype=np.uint16), line, limits, table.dtype)
    return kernel if made is not None and np.array_equal(made, table) else None


def goes_several_times(kernel: Kernel) -> bool:
    """Whether a kernel goes more than once over its strip, which then should stay cached."""
    if isinstance(kernel, ReplacedBytes):
        return not compiled.there("table_8")
    limited = isinstance(kernel, StraightLine) and kernel.limits is not None
    return limited and not compiled.there("line_16")


def works_in_place(kernel: Kernel) -> bool:
    """Whether a kernel may write over its strip as it goes."""
    return isinstance(kernel, ReplacedBytes | StraightLine)


def _shifted(offset: int) -> Kernel:
    import cv2

    arithmetic: Any = cv2.add if offset >= 0 else cv2.subtract  # its stub knows no scalars
    amount = (float(abs(offset)),) * 4

    def kernel(strip: Pixels, _: Region, buffer: Pixels | None) -> Pixels:
        return np.asarray(arithmetic(strip, amount, dst=buffer))

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
        return matrices.on_values(form)
    if isinstance(form, Positioned):
        place = form.function
        return lambda strip, region, _: clipped(place(strip, region))
    function = form.function
    return lambda strip, _, __: clipped(function(strip))


def codes_kernel(form: Neighbourhood) -> Kernel:
    """A form from whole numbers to whole numbers, rounded once."""
    on_codes = form.codes
    assert on_codes is not None, "only asked for where a form has it"
    return lambda strip, _, __: on_codes(strip)


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
