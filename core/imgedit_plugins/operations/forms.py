"""Forms: how the mathematics of an operation is shaped.

An operation says its mathematics once, on values from 0 to 1, as one of these forms. Rendering
joins them, runs them strip by strip on all cores, and turns them into tables where it can; the
same form serves 8-bit, 16-bit and floating-point pictures.

Values are sRGB-encoded, float32, (rows, columns, 3). Results are clipped to 0..1 by rendering;
a function need not do so, but must give finite numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.pictures import Pixels

Values = NDArray[np.float32]
"""(rows, columns, 3), float32, sRGB-encoded, 0..1, C-contiguous."""

Curve = Callable[[NDArray[Any]], NDArray[Any]]
"""Channel values in 0..1 (any shape, float32 or float64) -> new values of the same shape."""


@dataclass(frozen=True)
class Region:
    """Where a strip lies in its picture.

    Attributes:
        top: first row of the strip.
        rows: how many rows the strip has; it is always as wide as the picture.
        height, width: of the whole picture, in pixels.
    """

    top: int
    rows: int
    height: int
    width: int


@dataclass(frozen=True)
class Curves:
    """Each channel through a function of its own; becomes a table.

    Attributes:
        red, green, blue: the functions. The same object in all three places lets a grey
            picture be computed once.
    """

    red: Curve
    green: Curve
    blue: Curve

    @classmethod
    def same(cls, curve: Curve) -> Curves:
        """One function for all channels."""
        return cls(curve, curve, curve)


@dataclass(frozen=True)
class Matrix:
    """R', G', B' as weighted sums of R, G, B, and an offset.

    Attributes:
        weights: three rows of three weights, for R', G', B'.
        offset: added to R', G', B'.
    """

    weights: tuple[tuple[float, float, float], ...]
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Colour:
    """Any function of a pixel's colour alone.

    Attributes:
        function: values -> new values; may overwrite its argument.
    """

    function: Callable[[Values], Values]


@dataclass(frozen=True)
class Positioned:
    """A function of a pixel's colour and of its place in the picture.

    Attributes:
        function: (values, region) -> new values; may overwrite its argument. A pixel's result
            must not depend on how the picture is cut into strips.
    """

    function: Callable[[Values, Region], Values]


@dataclass(frozen=True)
class Neighbourhood:
    """A function of a pixel's surroundings.

    Attributes:
        function: values -> new values of the same shape, the borders of the array taken as the
            picture's; must leave its argument alone.
        reach: how many pixels up and down a result depends on. Rendering hands over strips with
            that many rows more on each inner side and drops them afterwards.
        codes: the same on uint8 or uint16, rounding its result and nothing else; for where there
            is no other step to compute.
        rows: (strip, first, out) -> `out` with what `codes`, and the operation's 8-bit recipe,
            give for the strip's rows from `first` on, as many as `out` has; None where that
            cannot be done.
    """

    function: Callable[[Values], Values]
    reach: int
    codes: Callable[[Pixels], Pixels] | None = None
    rows: Callable[[Pixels, int, Pixels], Pixels | None] | None = None


@dataclass(frozen=True)
class Measured:
    """A form that is only known after a look at the whole picture (haze, levels by percentile).

    Attributes:
        measure: the picture's values -> the form; must leave its argument alone.
        longer_side: how many pixels along its longer side are enough to look at; a larger picture
            is averaged down, to between so many and twice as many. None: all of it.
    """

    measure: Callable[[Values], Form]
    longer_side: int | None = None


@dataclass(frozen=True)
class Whole:
    """A function that needs the whole picture at once. Its memory is the operation's to state.

    Attributes:
        function: (values, check) -> new values of the same shape; must leave its argument alone,
            and call `check` now and then, which raises once the user has cancelled.
    """

    function: Callable[[Values, Callable[[], None]], Values]


@dataclass(frozen=True)
class Geometry:
    """A function that moves pixels.

    Attributes:
        function: (height, width, 1 to 4 channels) of uint8, uint16 or float32 -> the moved
            pixels, of the same type and number of channels, perhaps of another size. With 2 or
            4 channels the last one is alpha; a function that mixes pixels must weigh colours by
            it, so that invisible colours do not bleed. Leaves its argument alone.
        exact: whether every result pixel is one of the argument's, unchanged.
    """

    function: Callable[[Pixels], Pixels]
    exact: bool = False


Form = Curves | Matrix | Colour | Positioned | Neighbourhood | Measured | Whole | Geometry


def evaluate(form: Form, values: Values) -> Values:
    """A form on a whole picture in one go: the plain meaning that fast rendering must keep.

    Args:
        form: what to compute.
        values: the picture; left alone.

    Returns:
        New values, clipped to 0..1.
    """
    height, width = values.shape[:2]
    return _clipped(_applied(form, values.copy(), Region(0, height, height, width)))


def _applied(form: Form, values: Values, region: Region) -> Values:
    match form:
        case Curves():
            for channel, curve in enumerate((form.red, form.green, form.blue)):
                values[:, :, channel] = curve(values[:, :, channel])
            return values
        case Matrix():
            weights = np.array(form.weights, np.float32)
            return np.asarray(values @ weights.T + np.array(form.offset, np.float32), np.float32)
        case Positioned():
            return form.function(values, region)
        case Measured():
            return _applied(form.measure(overview(values, form.longer_side)), values, region)
        case Whole():
            return form.function(values, lambda: None)
        case _:
            return np.asarray(form.function(values), np.float32)


def _clipped(values: Values) -> Values:
    return np.clip(values, 0.0, 1.0, out=np.ascontiguousarray(values, np.float32))


_BAND_PIXELS = 1 << 18  # of the picture, turned into values at once


def overview(pixels: Pixels, longer_side: int | None) -> Values:
    """A picture's colours as values, averaged down for measuring.

    Args:
        pixels: (height, width, 3) of uint8, uint16 or float32; left alone.
        longer_side: see `Measured`; None keeps the size.

    Returns:
        Values, clipped to 0..1, in a new array.
    """
    import cv2

    height, width = pixels.shape[:2]
    times = max(1, max(height, width) // longer_side) if longer_side else 1
    rows = max(1, _BAND_PIXELS // width // times) * times
    small = np.empty((-(-height // times), -(-width // times), 3), np.float32)
    for top in range(0, height, rows):
        band = _as_values(pixels[top : top + rows])
        place = small[top // times : -(-(top + len(band)) // times)]
        cv2.resize(band, place.shape[1::-1], dst=place, interpolation=cv2.INTER_AREA)
    return small


def _as_values(pixels: Pixels) -> Values:
    if pixels.dtype == np.float32:
        return np.clip(pixels, 0.0, 1.0)
    white = np.iinfo(pixels.dtype).max
    return np.multiply(pixels, np.float32(1.0 / white), dtype=np.float32)
