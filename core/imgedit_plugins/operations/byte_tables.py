"""Tables of 256 codes for 8-bit pixels, a register of bytes at a time.

A compiled kernel does it where the processor has AVX-512's byte permutations. Elsewhere StringZilla
replaces bytes about as fast as they can be copied, several times as fast as `cv2.LUT`, and lets no
other thread of Python run meanwhile. It knows one table for all bytes, so channels with tables of
their own are taken apart and put together again, which pays where the pixels stay in a core's cache
(some 100,000 of them).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins import compiled
from imgedit_plugins.pictures import RGB8

_UNCHANGED = bytes(range(256))


class ByteTable:
    """New codes for the codes of three channels.

    Args:
        table: (256, 3), the new code for each code and channel.
    """

    def __init__(self, table: NDArray[np.uint8]) -> None:
        self._channels = [table[:, channel].tobytes() for channel in range(3)]
        self.same = len(set(self._channels)) == 1
        self._rows = np.ascontiguousarray(table.T[: 1 if self.same else 3])

    def __call__(self, rgb: RGB8, out: RGB8 | None = None) -> RGB8:
        """The pixels through the table, in a new array or in `out` (same shape, contiguous)."""
        import cv2

        done = compiled.through_byte_tables(rgb, self._rows, out)
        if done is not None:
            return done
        if self.same:
            made = np.empty(rgb.shape, np.uint8) if out is None else out
            np.copyto(made, rgb)  # so that memory is touched while other threads may run
            _replace(made, self._channels[0], made)
            return made
        planes = [np.asarray(plane, np.uint8) for plane in cv2.split(rgb)]
        for plane, codes in zip(planes, self._channels, strict=True):
            if codes != _UNCHANGED:
                _replace(plane, codes, plane)
        return np.asarray(cv2.merge(planes, dst=out))


class WideTable:
    """New codes of 16 bits for codes of 8, one table for all channels.

    The upper and the lower byte each have a table; twice as fast as `cv2.LUT` and more.

    Args:
        table: (256,), uint16.
    """

    def __init__(self, table: NDArray[np.uint16]) -> None:
        self._halves = np.ascontiguousarray(table[:, None].view(np.uint8).T)  # lower, upper
        self._bytes = [half.tobytes() for half in self._halves]

    def __call__(self, rgb: RGB8) -> NDArray[np.uint16]:
        """The codes of contiguous pixels, in a new array."""
        import cv2

        done = compiled.through_wide_table(rgb, self._halves)
        if done is not None:
            return done
        planes = [np.empty((1, rgb.size), np.uint8) for _ in self._bytes]
        for plane, codes in zip(planes, self._bytes, strict=True):
            _replace(rgb, codes, plane)
        return np.asarray(cv2.merge(planes)).view(np.uint16).reshape(rgb.shape)


def _replace(codes: NDArray[np.uint8], table: bytes, target: NDArray[np.uint8]) -> None:
    import stringzilla

    stringzilla.translate(codes.data.cast("B"), table, out=target.data.cast("B"))
