"""Kernels for weighted sums of the channels, on each type of strip."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from imgedit_plugins import compiled
from imgedit_plugins.operations import weighted_sums
from imgedit_plugins.operations.forms import Matrix, Region
from imgedit_plugins.pictures import Pixels

_Kernel = Callable[[Pixels, Region, Pixels | None], Pixels]

_BT601 = (0.299, 0.587, 0.114)  # the weights of OpenCV's grey
_BYTES = np.dtype(np.uint8)


def on_codes(form: Matrix, source: np.dtype[Any], target: np.dtype[Any]) -> _Kernel:
    """From 8 or 16 bits to 8 or 16 bits, rounded once."""
    if source == target == _BYTES and form == Matrix((_BT601,) * 3):
        return _grey
    # The upper byte of a sum of 16 bits is the code of 8 bits, rounded by what is added below it.
    white = 255.0 * 256.0 if target == _BYTES else 65535.0
    weights = np.column_stack([np.array(form.weights), np.array(form.offset)]) * white
    weights[:, :3] /= np.iinfo(source).max
    weights[:, 3] += 127.5 if target == _BYTES else 0.0

    if target == _BYTES:
        return lambda strip, _, buffer: weighted_sums.upper_bytes(strip, weights, buffer)
    return lambda strip, _, buffer: weighted_sums.in_16_bits(strip, weights, buffer)


def _grey(strip: Pixels, _: Region, buffer: Pixels | None) -> Pixels:
    import cv2

    done = compiled.grey(strip, "values", buffer)
    if done is not None:
        return done
    codes = np.asarray(cv2.convertScaleAbs(weighted_sums.grey_of(strip)))
    return np.asarray(cv2.cvtColor(codes.reshape(strip.shape[:2]), cv2.COLOR_GRAY2RGB, dst=buffer))


def on_values(form: Matrix) -> _Kernel:
    """On float32, clipped."""
    import cv2

    weights = np.column_stack([np.array(form.weights), np.array(form.offset)]).astype(np.float32)

    def kernel(strip: Pixels, _: Region, __: Pixels | None) -> Pixels:
        # Rows that do not follow each other are computed one by one; otherwise the last pixels
        # of a strip, which fill no vector register, would be rounded in another way.
        rows, columns, channels = strip.shape
        apart = np.empty((rows, columns + 1, channels), np.float32)[:, :columns]
        return np.clip(cv2.transform(strip, weights, dst=apart), 0.0, 1.0, out=strip)

    return kernel
