"""Which kernels give other bytes than the OpenCV at hand, and are better left alone.

OpenCV's sums depend on how it was built and on the processor: where it fuses multiplications and
additions, and in which order it adds. The kernels do what its wheels do on processors with AVX2.
Tables need no comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Kernel = Callable[..., None]

_PIXELS = 4096  # a multiple of what fills registers
_SHAPE = (48, 64)
_SIDES = (3, 5, 7, 9)
_WEIGHTS = ((0.5, 0.8, -0.3), (0.4, 0.6, 0.2), (-0.1, 0.7, 0.9))  # many sums are whole numbers
_UNEVEN = 1.0137  # times these, they are at any distance from one
_LARGE = 2.613  # times these, kernels of 8 bits cannot sum by products of bytes
_OFFSETS = (0.0, 40.0, -12.5)


def differing(kernels: Mapping[str, Kernel]) -> tuple[str, ...]:
    """Names of kernels that do not agree, in order."""
    return tuple(name for name, check in _CHECKS.items()
                 if name in kernels and not check(kernels[name]))  # fmt: skip


def _noise(dtype: str, shape: tuple[int, int] = (1, _PIXELS)) -> NDArray[Any]:
    codes = np.random.default_rng(5).integers(0, 1 << 16, (*shape, 3), np.uint16)
    return codes if dtype == "uint16" else (codes >> 8).astype(np.uint8)


def _sums(source: str, target: str) -> Callable[[Kernel], bool]:
    def check(kernel: Kernel) -> bool:
        import cv2

        codes, step = _noise(source), 256 if source == "uint8" else 1
        for scale in (_UNEVEN, _LARGE):
            weights = (np.column_stack([_WEIGHTS, _OFFSETS]) * step * scale).astype(np.float32)
            wanted = np.asarray(cv2.transform(codes.astype(np.uint16), weights), np.uint16)
            if target == "uint8":
                wanted = (wanted >> 8).astype(np.uint8)
            made = np.empty_like(wanted)
            weights[:, 3] -= 32768
            kernel(codes.ctypes.data, made.ctypes.data, _PIXELS, weights.ctypes.data)
            if not np.array_equal(made, wanted):
                return False
        return True

    return check


def _toned(kernel: Kernel) -> bool:
    import cv2

    codes, matrix = _noise("uint8"), np.array(_WEIGHTS)
    backwards = np.ascontiguousarray(codes[..., ::-1], np.float64)
    sums = np.clip(np.asarray(cv2.transform(backwards, matrix[::-1, ::-1])), 0, 255)[..., ::-1]
    for truncate, wanted in ((1, sums), (0, np.rint(sums))):
        made = np.empty_like(codes)
        kernel(codes.ctypes.data, made.ctypes.data, _PIXELS, matrix.ctypes.data, truncate)
        if not np.array_equal(made, wanted.astype(np.uint8)):
            return False
    return True


def _grey_of(dtype: str) -> Callable[[Kernel], bool]:
    def check(kernel: Kernel) -> bool:
        import cv2

        codes = _noise("uint8")
        luma = np.asarray(cv2.cvtColor(codes.astype(dtype), cv2.COLOR_RGB2GRAY))
        wanted = np.rint(luma).astype(np.uint8)[..., None].repeat(3, axis=2)
        made = np.empty_like(codes)
        kernel(codes.ctypes.data, made.ctypes.data, _PIXELS)
        return np.array_equal(made, wanted)

    return check


def _line(kernel: Kernel) -> bool:
    import cv2

    codes = _noise("uint16")
    row = codes.reshape(1, -1)
    for gain, offset in ((1.2, -500.25), (-0.9, 60000.5)):
        made = np.empty_like(row)
        kernel(row.ctypes.data, made.ctypes.data, row.size, gain, offset, 0.0, 65535.0)
        if not np.array_equal(made, cv2.transform(row, np.array([[gain, offset]]))):
            return False
    return True


def _filter(name: str, dtype: str) -> Callable[[Kernel], bool]:
    def check(kernel: Kernel) -> bool:
        import cv2

        height, width = _SHAPE
        codes = _noise(dtype, _SHAPE)
        made = np.empty_like(codes)
        sums = np.empty(3 * (width + 8), np.uint16 if dtype == "uint8" else np.uint32)
        fixed = (codes.ctypes.data, made.ctypes.data, width, height, 0, height)
        if name == "sharp":
            weights = np.full((3, 3), -1.0, np.float32)
            weights[1, 1] = 9.5
            kernel(*fixed, 9.5, -1.0, sums.ctypes.data)
            return np.array_equal(made, cv2.filter2D(codes, -1, weights))
        for side in _SIDES:
            kernel(*fixed, side, sums.ctypes.data)
            if not np.array_equal(made, cv2.blur(codes, (side, side))):
                return False
        return True

    return check


_CHECKS: Mapping[str, Callable[[Kernel], bool]] = {
    "sums_8_to_8": _sums("uint8", "uint8"),
    "sums_8_to_16": _sums("uint8", "uint16"),
    "sums_16_to_8": _sums("uint16", "uint8"),
    "toned_8": _toned,
    "grey_of_codes": _grey_of("uint8"),
    "grey_of_values": _grey_of("float32"),
    "line_16": _line,
    "sharp_8": _filter("sharp", "uint8"),
    "sharp_16": _filter("sharp", "uint16"),
    "blur_8": _filter("blur", "uint8"),
    "blur_16": _filter("blur", "uint16"),
}
