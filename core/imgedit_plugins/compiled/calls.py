"""Kernels on arrays of numpy; see the package for what all of them share."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.compiled import library
from imgedit_plugins.pictures import RGB8, Pixels

_BITS = {np.dtype(np.uint8): 8, np.dtype(np.uint16): 16}
_SIDES = (3, 5, 7, 9)
_MOST_WEIGHT = 8.0  # of a row, so that sums fit
_EXACT = 1 << 24  # whole numbers up to here are single precision's
_STEPS = 1 << 4  # of a weight
_HALF_RANGE = 32768.0


def summed(
    codes: Pixels, weights: NDArray[np.float32], target: np.dtype[Any], out: Pixels | None = None
) -> Pixels | None:
    """Weighted sums of the channels, rounded and limited to 16 bits.

    Args:
        codes: (height, width, 3), uint8 or uint16.
        weights: (3, 4); of R, G, B and an offset for each result, in steps of 16 bits for a code.
        target: uint16, or uint8 for the upper bytes of the sums.
        out: see above.
    """
    kernel = library.kernel(f"sums_{_BITS[codes.dtype]}_to_{_BITS[target]}")
    if kernel is None or _is_diagonal(weights):
        return None
    codes = np.ascontiguousarray(codes)
    made = np.empty(codes.shape, target) if out is None else out
    signed = np.ascontiguousarray(weights - np.array([0, 0, 0, _HALF_RANGE], np.float32))
    kernel(codes.ctypes.data, made.ctypes.data, codes.size // 3, signed.ctypes.data)
    return made


def _is_diagonal(weights: NDArray[np.float32]) -> bool:
    """Whether each result has one channel; these OpenCV sums without its detour."""
    beside = weights[:, :3][~np.eye(3, dtype=np.bool_)]
    return bool((np.abs(beside) <= np.finfo(np.float32).eps).all())


def toned(
    rgb: RGB8, matrix: NDArray[np.float64], *, truncate: bool, out: RGB8 | None = None
) -> RGB8 | None:
    """Colours through a matrix in double precision, cut off or rounded to codes.

    Args:
        rgb: (height, width, 3).
        matrix: (3, 3).
        truncate: whether to cut off.
        out: see above.
    """
    kernel = library.kernel("toned_8")
    if kernel is None or np.abs(matrix).sum(axis=1).max() > _MOST_WEIGHT:
        return None
    rgb = np.ascontiguousarray(rgb)
    made = np.empty(rgb.shape, np.uint8) if out is None else out
    matrix = np.ascontiguousarray(matrix)
    kernel(rgb.ctypes.data, made.ctypes.data, rgb.size // 3, matrix.ctypes.data, int(truncate))
    return made


def grey(rgb: RGB8, of: Literal["codes", "values"], out: RGB8 | None = None) -> RGB8 | None:
    """The luma of ITU-R BT.601 in all channels, with OpenCV's weights for codes or for values."""
    kernel = library.kernel(f"grey_of_{of}")
    if kernel is None:
        return None
    rgb = np.ascontiguousarray(rgb)
    made = np.empty(rgb.shape, np.uint8) if out is None else out
    kernel(rgb.ctypes.data, made.ctypes.data, rgb.size // 3)
    return made


def through_byte_tables(
    rgb: RGB8, tables: NDArray[np.uint8], out: RGB8 | None = None
) -> RGB8 | None:
    """8-bit codes through tables.

    Args:
        rgb: (height, width, 3).
        tables: (1 or 3, 256): one for all channels, or one for each.
        out: see above; may be the codes themselves.
    """
    same = len(tables) == 1
    kernel = library.kernel("table_8" if same else "tables_8")
    if kernel is None:
        return None
    rgb = np.ascontiguousarray(rgb)
    made = np.empty(rgb.shape, np.uint8) if out is None else out
    count = rgb.size if same else rgb.size // 3
    kernel(rgb.ctypes.data, made.ctypes.data, count, tables.ctypes.data)
    return made


def through_wide_table(rgb: RGB8, halves: NDArray[np.uint8]) -> NDArray[np.uint16] | None:
    """8-bit codes to 16 bits through one table.

    Args:
        rgb: any shape.
        halves: (2, 256): the lower and the upper bytes of the new codes.
    """
    kernel = library.kernel("table_8_to_16")
    if kernel is None:
        return None
    rgb = np.ascontiguousarray(rgb)
    made = np.empty(rgb.shape, np.uint16)
    kernel(rgb.ctypes.data, made.ctypes.data, rgb.size, halves.ctypes.data)
    return made


def through_word_tables(
    codes: Pixels, tables: tuple[NDArray[Any] | None, ...], out: Pixels | None = None
) -> Pixels | None:
    """16-bit codes through tables of 65,536 codes.

    Args:
        codes: (height, width, 3) uint16.
        tables: for R, G and B, of one type, uint8 or uint16; None for a channel that keeps its
            codes, where they are of 16 bits.
        out: see above.
    """
    dtype = next((table.dtype for table in tables if table is not None), np.dtype(np.uint16))
    kernel = library.kernel("tables_16_to_8" if dtype == np.uint8 else "tables_16")
    if kernel is None:
        return None
    codes = np.ascontiguousarray(codes)
    made = np.empty(codes.shape, dtype) if out is None else out
    places = [None if table is None else table.ctypes.data for table in tables]
    kernel(codes.ctypes.data, made.ctypes.data, codes.size // 3, *places)
    return made


def line_16(
    codes: Pixels,
    line: tuple[float, float],
    limits: tuple[float, float],
    target: np.dtype[Any],
    out: Pixels | None = None,
) -> Pixels | None:
    """16-bit codes scaled and shifted in single precision, limited and rounded to even.

    Args:
        codes: any shape.
        line: gain and offset, in steps of the result.
        limits: lowest and highest result, whole numbers.
        target: uint8 or uint16.
        out: see above; may be the codes themselves.
    """
    kernel = library.kernel("line_16" if target == np.uint16 else "line_16_to_8")
    if kernel is None:
        return None
    codes = np.ascontiguousarray(codes)
    made = np.empty(codes.shape, target) if out is None else out
    kernel(codes.ctypes.data, made.ctypes.data, codes.size, *line, *limits)
    return made


# --- filters: of a strip's rows from `first` on, as many as `out` has --------------------------


def sharpened(
    strip: Pixels, first: int, out: Pixels, *, centre: float, around: float
) -> Pixels | None:
    """3x3: the centre times one weight, what is around it times another.

    Args:
        strip: (height, width, 3) uint8 or uint16; mirrored at its edges.
        first: row of the strip that becomes the first one of `out`.
        out: apart from the strip.
        centre: the weight of a pixel itself.
        around: the weight of each of the eight beside it.
    """
    kernel = library.kernel(f"sharp_{_BITS.get(strip.dtype)}")
    if kernel is None or not _exact(strip.dtype, centre, around) or min(strip.shape[:2]) <= 1:
        return None
    strip = np.ascontiguousarray(strip)
    height, width = strip.shape[:2]
    sums = _sums(strip, 1)
    kernel(strip.ctypes.data, out.ctypes.data, width, height, first, len(out), centre, around,
           sums.ctypes.data)  # fmt: skip
    return out


def _exact(dtype: np.dtype[Any], centre: float, around: float) -> bool:
    """Whether no sum is rounded, so that the order of the summands does not matter."""
    steps = (centre * _STEPS, around * _STEPS)
    largest = float(np.iinfo(dtype).max) * (abs(steps[0]) + 8 * abs(steps[1]))
    return all(step == round(step) for step in steps) and largest < _EXACT * _lowest_bit(steps)


def _lowest_bit(steps: tuple[float, float]) -> int:
    """The largest power of two that divides both, up to `_STEPS`."""
    both = int(steps[0]) | int(steps[1]) | _STEPS
    return both & -both


def blurred(strip: Pixels, first: int, out: Pixels, *, side: int) -> Pixels | None:
    """The mean of a square of `side` pixels.

    Args:
        strip: as for `sharpened`.
        first: as for `sharpened`.
        out: as for `sharpened`.
        side: odd.
    """
    kernel = library.kernel(f"blur_{_BITS.get(strip.dtype)}")
    if kernel is None or side not in _SIDES or min(strip.shape[:2]) <= side // 2:
        return None
    strip = np.ascontiguousarray(strip)
    height, width = strip.shape[:2]
    sums = _sums(strip, side // 2)
    kernel(strip.ctypes.data, out.ctypes.data, width, height, first, len(out), side,
           sums.ctypes.data)  # fmt: skip
    return out


def _sums(strip: Pixels, reach: int) -> NDArray[Any]:
    kind = np.uint16 if strip.dtype == np.uint8 else np.uint32
    return np.empty(3 * (strip.shape[1] + 2 * reach), kind)
