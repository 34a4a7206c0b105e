"""Where a pair is compared: native-resolution crops, with the edited file's own losses modelled.

Thumbnails lose kernel sizes, so candidates are rendered on a few crops of the source at its own
resolution, with a margin for neighbourhoods, and compared with the edited picture there. If the
edited picture was scaled, the rendered crop is scaled as the whole picture was; if it was a JPEG
file, the rendered crop is compressed with that file's own quantisation tables.
"""

from __future__ import annotations

import dataclasses
import io
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.pictures import RGB8, JpegCompression
from imgedit_reverse_design.align import UPRIGHT, Turn
from imgedit_reverse_design.places import Place
from imgedit_reverse_design.resample import Filter, Span, Taps, scale, taps

if TYPE_CHECKING:
    from PIL.Image import Image

_BLOCK = 16
"""Pixels of the largest block that JPEG codes together."""


@dataclass(frozen=True)
class Pair:
    """What is compared.

    Attributes:
        source: (height, width, 3) codes.
        edited: (height, width, 3) codes.
        jpeg: how the edited file was compressed, if it was.
        opaque: (height, width) of the edited picture; where False, nothing is compared.
        filter: how the edited picture was scaled, if it was.
        halved: the edited picture was scaled by a whole number, its odd last row or column
            rounded, as OpenCV does when it is given a factor and no size.
    """

    source: RGB8
    edited: RGB8
    jpeg: JpegCompression | None = None
    opaque: NDArray[np.bool_] | None = None
    filter: Filter = "area"
    halved: bool = False

    @property
    def ratios(self) -> tuple[float, float]:
        """Source pixels for each edited pixel, of rows and of columns."""
        sizes = list(zip(self.source.shape[:2], self.edited.shape[:2], strict=True))
        own = [source / edited for source, edited in sizes]
        common = float(round(max(own)))
        rounded = all(abs(common * edited - source) <= common for source, edited in sizes)
        return (common, common) if self.halved and rounded else (own[0], own[1])


@dataclass(frozen=True)
class Crop:
    """One place of comparison.

    Attributes:
        source: native pixels of the turned source, margin included.
        inner: rows and columns, of what becomes of `source`, that are compared.
        target: the edited picture's pixels there.
        taps: how rows and columns are scaled to the edited picture's size; None if they are not.
        opaque: (rows, columns) of `target`; where False, nothing is compared. None is all True.
    """

    source: RGB8
    inner: tuple[slice, slice]
    target: RGB8
    taps: tuple[Taps, Taps] | None
    opaque: NDArray[np.bool_] | None = None

    def compared(self, pixels: RGB8) -> NDArray[np.uint8]:
        """The compared ones of `target`'s or other pixels of its place, (n, 3)."""
        return pixels.reshape(-1, 3) if self.opaque is None else pixels[self.opaque]


@dataclass
class Scene:
    """Crops of one aligned pair, packed side by side so that one call renders all.

    Attributes:
        crops: of equal height.
        jpeg: how the edited file was compressed, if it was.
        after: what turns rendered crops into the edited picture's orientation.
        pixels: the source crops, side by side.
        target: (n, 3) compared pixels of the edited picture.
    """

    crops: tuple[Crop, ...]
    jpeg: JpegCompression | None
    after: Turn = UPRIGHT
    pixels: RGB8 = field(init=False)
    target: NDArray[np.uint8] = field(init=False)

    def __post_init__(self) -> None:
        # Scaled crops may differ by a row in height; the surplus is margin that nobody looks at.
        height = max(c.source.shape[0] for c in self.crops)
        padded = [
            np.pad(c.source, ((0, height - c.source.shape[0]), (0, 0), (0, 0)), mode="edge")
            for c in self.crops
        ]
        self.pixels = np.ascontiguousarray(np.concatenate(padded, axis=1))
        self.target = np.concatenate([c.compared(c.target) for c in self.crops])

    def inner(self, rendered: RGB8, *, lossy: bool = False) -> NDArray[np.uint8]:
        """The rendered crops as the edited file would show them, (n, 3), in `target`'s order.

        Args:
            rendered: what became of `pixels`.
            lossy: also through the edited file's JPEG compression.
        """
        parts = []
        for crop, place in zip(self.crops, self._unpack(rendered), strict=True):
            shown = scale(place, *crop.taps) if crop.taps is not None else place
            if lossy and self.jpeg is not None:
                shown = compress(np.ascontiguousarray(shown), self.jpeg)
            parts.append(crop.compared(shown[crop.inner]))
        return np.concatenate(parts)

    def _unpack(self, rendered: RGB8) -> list[RGB8]:
        stops = itertools.accumulate(c.source.shape[1] for c in self.crops)
        starts = itertools.accumulate((c.source.shape[1] for c in self.crops), initial=0)
        places = [rendered[:, a:b] for a, b in zip(starts, stops, strict=False)]
        return places if self.after == UPRIGHT else [self.after.apply(p) for p in places]

    def first_place(self) -> Scene:
        """The first place alone."""
        return dataclasses.replace(self, crops=self.crops[:1])

    def turned_after(self, after: Turn) -> Scene:
        """The same places, but turned by `after` only when they have been rendered."""
        crops = tuple(dataclasses.replace(c, source=after.undo(c.source)) for c in self.crops)
        return dataclasses.replace(self, crops=crops, after=after)


def compress(pixels: RGB8, jpeg: JpegCompression) -> RGB8:
    """The pixels after a trip through JPEG with the given tables and subsampling.

    A grey file's compression changes all channels alike; colour that the pixels still have is
    kept, since losing it is an edit and no loss of the file.
    """
    from PIL import Image

    image = Image.fromarray(pixels)
    if not jpeg.grey:
        return np.asarray(_through_jpeg(image, jpeg).convert("RGB"))
    luma = image.convert("L")
    change = np.asarray(_through_jpeg(luma, jpeg), np.int16) - np.asarray(luma, np.int16)
    changed = np.clip(pixels.astype(np.int16) + change[:, :, None], 0, 255)
    return np.asarray(changed, np.uint8)


def _through_jpeg(image: Image, jpeg: JpegCompression) -> Image:
    from PIL import Image as Pillow

    stream = io.BytesIO()
    tables = [list(table) for table in jpeg.tables]
    subsampling = jpeg.subsampling if jpeg.subsampling >= 0 else 2
    image.save(stream, "JPEG", qtables=tables, subsampling=subsampling)
    return Pillow.open(stream)


def cut_scene(pair: Pair, places: tuple[Place, ...], margin: int) -> Scene:
    """The scene of some places.

    Args:
        pair: the source turned to the edited picture's orientation.
        places: in the edited picture, of one size.
        margin: source pixels around each place, so that neighbourhoods are complete; less at
            the picture's border.
    """
    return Scene(tuple(_cut(pair, place, margin) for place in places), pair.jpeg)


def _cut(pair: Pair, place: Place, margin: int) -> Crop:
    (top, bottom), (left, right) = place.rows, place.columns
    target = np.ascontiguousarray(pair.edited[top:bottom, left:right])
    height, width = pair.edited.shape[:2]
    scaled = pair.source.shape != pair.edited.shape
    # The margin is in source pixels; scaled pictures need their own only for JPEG's neighbours.
    around = (_BLOCK if pair.jpeg is not None else 0) if scaled else margin
    outer = (_widen(top, bottom, around, height), _widen(left, right, around, width))
    if not scaled:
        source, scaling = pair.source[outer[0].slice, outer[1].slice], None
    else:
        scaling = (
            taps(pair.source.shape[0], pair.ratios[0], outer[0], margin, pair.filter),
            taps(pair.source.shape[1], pair.ratios[1], outer[1], margin, pair.filter),
        )
        source = pair.source[scaling[0].first : scaling[0].last, scaling[1].first : scaling[1].last]
    inner = (
        slice(top - outer[0].start, bottom - outer[0].start),
        slice(left - outer[1].start, right - outer[1].start),
    )
    opaque = None if pair.opaque is None else pair.opaque[top:bottom, left:right]
    return Crop(source, inner, target, scaling, opaque)


def _widen(start: int, stop: int, margin: int, length: int) -> Span:
    return Span(max(0, start - margin), min(length, stop + margin))
