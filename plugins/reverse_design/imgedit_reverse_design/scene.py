"""Where a pair is compared: native-resolution crops, with the edited file's own losses modelled.

Thumbnails lose kernel sizes, so candidates are rendered on a few crops of the source at its own
resolution, with a margin for neighbourhoods, and compared with the edited picture there. If the
edited picture is smaller, the rendered crop is scaled; if it was a JPEG file, the rendered crop
can be compressed with that file's own quantisation tables.
"""

from __future__ import annotations

import dataclasses
import io
import itertools
import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.pictures import RGB8, JpegCompression
from imgedit_reverse_design.align import UPRIGHT, Turn

CROPS = 3
INNER = 80
MARGIN = 16
DEEP_MARGIN = 48
"""What the detail enhancement of 'hdr' needs around a place to be exact inside."""

_MCU = 16
"""Crops start on the grid of JPEG's coding units, so that compressing a crop is exact inside."""

_SAMPLE_STEP = 4
_COLOUR_LEVELS = 6
_GRID = 12


INTER_AREA = 3
"""OpenCV's number for averaging, the usual way to make pictures smaller."""


@dataclass(frozen=True)
class Pair:
    """What is compared.

    Attributes:
        source, edited: (height, width, 3) codes.
        jpeg: how the edited file was compressed, if it was.
        opaque: (height, width) of the edited picture; where False, nothing is compared.
        interpolation: OpenCV's number for how the edited picture was scaled, if it was.
    """

    source: RGB8
    edited: RGB8
    jpeg: JpegCompression | None = None
    opaque: NDArray[np.bool_] | None = None
    interpolation: int = INTER_AREA


@dataclass(frozen=True)
class Span:
    """A range of the edited picture on one axis, with and without margin, and of the source."""

    start: int
    stop: int
    inner_start: int
    inner_stop: int
    source_start: int
    source_length: int


@dataclass
class Crop:
    """One place of comparison.

    Attributes:
        source: native pixels of the turned source, margin included.
        size: (height, width) of the same place in the edited picture.
        inner: rows and columns of that place without the margin.
        target: the edited picture's pixels there, margin cut off.
    """

    source: RGB8
    size: tuple[int, int]
    inner: tuple[slice, slice]
    target: RGB8


@dataclass
class Scene:
    """Crops of one aligned pair, packed side by side so that one call renders all.

    Attributes:
        pixels: the source crops, side by side.
        target: (n, 3) inner pixels of the edited picture.
        scaled: whether the edited picture has another size than the source.
        jpeg: how the edited file was compressed, if it was.
        after: what turns rendered crops into the edited picture's orientation.
    """

    crops: list[Crop]
    scaled: bool
    jpeg: JpegCompression | None
    interpolation: int
    after: Turn = UPRIGHT
    pixels: RGB8 = field(init=False)
    target: NDArray[np.uint8] = field(init=False)

    def __post_init__(self) -> None:
        self.pixels = np.ascontiguousarray(np.concatenate([c.source for c in self.crops], axis=1))
        self.target = np.concatenate([c.target.reshape(-1, 3) for c in self.crops])

    def inner(self, rendered: RGB8, *, compress: bool = False) -> NDArray[np.uint8]:
        """The rendered crops as the edited file would show them, (n, 3), in `target`'s order.

        Args:
            rendered: what became of `pixels`.
            compress: also through the edited file's JPEG compression.
        """
        places = self._to_edited_size(rendered)
        if compress and self.jpeg is not None:
            places = self._through_jpeg(places)
        parts = [p[c.inner].reshape(-1, 3) for p, c in zip(places, self.crops, strict=True)]
        return np.concatenate(parts)

    def first_place(self) -> Scene:
        """The first place alone."""
        return dataclasses.replace(self, crops=self.crops[:1])

    def turned_after(self, after: Turn) -> Scene:
        """The same places, but turned by `after` only when they have been rendered."""
        crops = [dataclasses.replace(c, source=after.undo(c.source)) for c in self.crops]
        return dataclasses.replace(self, crops=crops, after=after)

    def _to_edited_size(self, rendered: RGB8) -> list[RGB8]:
        stops = list(itertools.accumulate(c.source.shape[1] for c in self.crops))
        places = [rendered[:, a:b] for a, b in zip([0, *stops], stops, strict=False)]
        if self.after != UPRIGHT:
            places = [self.after.apply(place) for place in places]
        if not self.scaled:
            return places
        return [
            resize(np.ascontiguousarray(p), c.size, self.interpolation)
            for p, c in zip(places, self.crops, strict=True)
        ]

    def _through_jpeg(self, places: list[RGB8]) -> list[RGB8]:
        assert self.jpeg is not None
        if len({c.size[0] for c in self.crops}) == 1 and all(
            c.size[1] % _MCU == 0 for c in self.crops[:-1]
        ):
            both = compress(np.concatenate(places, axis=1), self.jpeg)
            stops = list(itertools.accumulate(c.size[1] for c in self.crops))
            return [both[:, a:b] for a, b in zip([0, *stops], stops, strict=False)]
        return [compress(place, self.jpeg) for place in places]


def resize(pixels: RGB8, size: tuple[int, int], interpolation: int) -> RGB8:
    """Pixels at (height, width) `size`; the same array if it has that size already."""
    import cv2

    if pixels.shape[:2] == size:
        return pixels
    return np.asarray(cv2.resize(pixels, (size[1], size[0]), interpolation=interpolation))


def compress(pixels: RGB8, jpeg: JpegCompression) -> RGB8:
    """The pixels after a trip through JPEG with the given tables and subsampling."""
    from PIL import Image

    stream = io.BytesIO()
    tables = [list(table) for table in jpeg.tables]
    subsampling = jpeg.subsampling if jpeg.subsampling >= 0 else 2
    Image.fromarray(pixels).save(stream, "JPEG", qtables=tables, subsampling=subsampling)
    return np.asarray(Image.open(stream).convert("RGB"))


def build_scene(pair: Pair, *, margin: int, count: int) -> Scene:
    """The places on which a pair is compared.

    Args:
        pair: the source turned to the edited picture's orientation.
        margin: pixels around each place, in the source, so that neighbourhoods are complete.
        count: places.
    """
    source, edited = pair.source, pair.edited
    columns = _spans(edited.shape[1], source.shape[1], INNER, margin)
    # Crops that take the whole width cannot lie side by side, so there is one longer crop.
    count, inner = (1, INNER * count) if len(columns) == 1 else (count, INNER)
    rows = _spans(edited.shape[0], source.shape[0], inner, margin)
    places = list(itertools.product(rows, columns))
    chosen = _choose(source, edited, places, pair.opaque, count)
    crops = [_cut(source, edited, row, column) for row, column in chosen]
    return Scene(crops, source.shape != edited.shape, pair.jpeg, pair.interpolation)


def _spans(edited: int, source: int, inner: int, native_margin: int) -> list[Span]:
    """Candidate ranges on one axis, all of one length; the whole axis if it is short."""
    scale = edited / source
    margin = _MCU * math.ceil(scale * native_margin / _MCU)
    size = inner + 2 * margin
    if edited <= size + 2 * _MCU:
        return [Span(0, edited, 0, edited, 0, source)]
    starts = range(0, edited - size + 1, _MCU)
    # Starts that fall on whole pixels of the source too, as nearly as the scale allows.
    error = {s: abs(s / scale - round(s / scale)) for s in starts}
    good = [s for s in starts if error[s] <= min(error.values()) + 0.02]
    length = round(size / scale)
    return [
        Span(s, s + size, s + margin, s + size - margin, round(s / scale), length)
        for s in good[:: max(1, len(good) // _GRID)]
        if round(s / scale) + length <= source
    ]


def _cut(source: RGB8, edited: RGB8, row: Span, column: Span) -> Crop:
    inner = (
        slice(row.inner_start - row.start, row.inner_stop - row.start),
        slice(column.inner_start - column.start, column.inner_stop - column.start),
    )
    target = edited[row.inner_start : row.inner_stop, column.inner_start : column.inner_stop]
    size = (row.stop - row.start, column.stop - column.start)
    return Crop(_source_pixels(source, row, column), size, inner, np.ascontiguousarray(target))


def _source_pixels(source: RGB8, row: Span, column: Span) -> RGB8:
    rows = slice(row.source_start, row.source_start + row.source_length)
    return source[rows, column.source_start : column.source_start + column.source_length]


def _choose(
    source: RGB8,
    edited: RGB8,
    places: list[tuple[Span, Span]],
    opaque: NDArray[np.bool_] | None,
    count: int,
) -> list[tuple[Span, Span]]:
    """A few places that do not overlap and together show much texture and many colours."""
    if len(places) <= 1:
        return places
    features = [_features(source, edited, row, column, opaque) for row, column in places]
    worth, texture, colours = (np.array(part) for part in zip(*features, strict=True))
    texture = np.sqrt(texture / max(float(texture.max()), 1e-6))
    chosen: list[int] = []
    seen = np.zeros(colours.shape[1])
    free = np.ones(len(places), bool)
    while len(chosen) < count and free.any():
        gain = np.maximum(seen, colours).sum(axis=1) - seen.sum()
        value = worth * (0.4 * gain / max(float(gain.max()), 1e-6) + 0.6 * texture)
        best = int(np.where(free, value, -1.0).argmax())
        chosen.append(best)
        seen = np.maximum(seen, colours[best])
        free &= ~np.array([_overlap(place, places[best]) for place in places])
    return [places[i] for i in chosen]


def _features(
    source: RGB8, edited: RGB8, row: Span, column: Span, opaque: NDArray[np.bool_] | None
) -> tuple[float, float, NDArray[np.float64]]:
    """(share of usable pixels, texture, log count of each coarse colour) of one place."""
    pixels = _source_pixels(source, row, column)[::_SAMPLE_STEP, ::_SAMPLE_STEP]
    rows = slice(row.inner_start, row.inner_stop, _SAMPLE_STEP)
    columns = slice(column.inner_start, column.inner_stop, _SAMPLE_STEP)
    after = edited[rows, columns]
    usable = float(((after > 2) & (after < 253)).mean())
    if opaque is not None:
        usable *= float(opaque[rows, columns].mean()) ** 4
    luma = pixels.astype(np.float32).mean(axis=2)
    texture = float(np.abs(np.diff(luma, axis=1)).mean() + np.abs(np.diff(luma, axis=0)).mean())
    coarse = (pixels.astype(np.int32) * _COLOUR_LEVELS) >> 8
    codes = coarse @ np.array([_COLOUR_LEVELS**2, _COLOUR_LEVELS, 1])
    counts = np.bincount(codes.ravel(), minlength=_COLOUR_LEVELS**3)
    return 0.05 + usable, texture, np.log1p(counts)


def _overlap(a: tuple[Span, Span], b: tuple[Span, Span]) -> bool:
    return all(
        s.inner_start < t.inner_stop and t.inner_start < s.inner_stop
        for s, t in zip(a, b, strict=True)
    )
