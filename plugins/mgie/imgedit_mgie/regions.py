"""What of the user's picture the models get, and how their result comes back into it.

The selection with some surroundings, or the whole picture, is scaled to the model's size, in sRGB.
The result is scaled back, put into the picture's own colour space and bit depth, and blended in by
the mask: where that is 0 the picture stays bit for bit, and its alpha channel stays everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.colour_profiles import conversion, convert, is_srgb, mismatch, of_type, to_srgb
from imgedit_plugins.errors import ImgeditError
from imgedit_plugins.jobs import Job
from imgedit_plugins.pictures import Picture, Pixels
from imgedit_plugins.render.blending import blend

Floats = NDArray[np.float32]
"""(height, width, 3) in 0..1, sRGB."""

SURROUNDINGS = 0.25
"""How much of a selection's longer side is seen around it."""

SMALLEST = 8
"""Latents along the shorter side, which a UNet of four levels needs."""


@dataclass(frozen=True)
class Region:
    """A part of a picture, at the size that a model works at.

    Attributes:
        picture: the whole.
        mask: of the whole, or None.
        box: (left, top, right, bottom) of the part in pixels.
        pixels: of the part, (height, width, 3) in 0..1, sRGB, at the model's size.
    """

    picture: Picture
    mask: NDArray[np.uint8] | None
    box: tuple[int, int, int, int]
    pixels: Floats

    def put_back(self, edited: Floats) -> Picture:
        """The whole picture with an edited version of the part in it.

        Args:
            edited: as `pixels`.
        """
        left, top, right, bottom = self.box
        whole = self.picture.color
        part = _scaled(edited, (right - left, bottom - top))
        color = np.array(whole)
        color[top:bottom, left:right] = _like(part, self.picture)
        mixed = blend(whole, color, self.mask)
        if self.picture.alpha is not None:
            mixed = np.concatenate([mixed, self.picture.alpha], axis=2)
        return self.picture.with_pixels(np.ascontiguousarray(mixed))


def region_of(
    picture: Picture,
    mask: NDArray[np.uint8] | None,
    resolution: int,
    factor: int,
    job: Job,
) -> Region:
    """The part of a picture that an edit concerns.

    Args:
        picture: of any size, depth and colour space.
        mask: (height, width), or None for the whole picture.
        resolution: longer side of the part inside the model, in pixels.
        factor: what its sides must be multiples of.
        job: warned where the colour profile is of no use.

    Raises:
        ImgeditError: nothing is selected.
    """
    box = (0, 0, picture.width, picture.height) if mask is None else _box(mask)
    left, top, right, bottom = box
    part = picture.with_pixels(np.ascontiguousarray(picture.color[top:bottom, left:right]))
    seen = to_srgb(part, on_warning=job.warn)
    floats = as_floats(seen.pixels)
    if floats.shape[2] == 1:
        floats = np.repeat(floats, 3, axis=2)
    scale = resolution / max(right - left, bottom - top)
    size = [_side(length * scale, factor, resolution) for length in (right - left, bottom - top)]
    return Region(picture, mask, box, _scaled(floats, (size[0], size[1])))


def _side(length: float, factor: int, resolution: int) -> int:
    smallest = min(SMALLEST * factor, -(-resolution // factor) * factor)
    return max(smallest, round(length / factor) * factor)


def _box(mask: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """Around all that is selected, with surroundings."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        raise ImgeditError("Nothing is selected.", hint="Select a part, or nothing at all.")
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    left, right = int(columns[0]), int(columns[-1]) + 1
    more = max(1, round(SURROUNDINGS * max(bottom - top, right - left)))
    height, width = mask.shape
    return (
        max(0, left - more),
        max(0, top - more),
        min(width, right + more),
        min(height, bottom + more),
    )


def _scaled(pixels: Floats, size: tuple[int, int]) -> Floats:
    """At another size, (width, height): by areas when smaller, by Lanczos when larger."""
    if (pixels.shape[1], pixels.shape[0]) == size:
        return pixels
    smaller = size[0] * size[1] < pixels.shape[0] * pixels.shape[1]
    how = cv2.INTER_AREA if smaller else cv2.INTER_LANCZOS4
    scaled = np.asarray(cv2.resize(pixels, size, interpolation=how), np.float32)
    return np.clip(scaled, 0.0, 1.0)


def as_floats(pixels: Pixels) -> Floats:
    """Pixels of any of the three types as numbers in 0..1; what is no number becomes 0."""
    if pixels.dtype == np.float32:
        return np.asarray(np.clip(np.nan_to_num(pixels), 0.0, 1.0), np.float32)
    return np.asarray(pixels / np.iinfo(pixels.dtype).max, np.float32)


def _like(part: Floats, picture: Picture) -> Pixels:
    """Pixels in a picture's colour space, with its channels and depth."""
    if picture.is_grey:
        weights = np.array([[0.2126, 0.7152, 0.0722]], np.float32)
        part = np.asarray(cv2.transform(part, weights), np.float32).reshape(*part.shape[:2], 1)
    dtype = picture.pixels.dtype
    if is_srgb(picture.icc_profile) or mismatch(picture):
        if dtype == np.float32:
            return part
        return np.rint(part * np.iinfo(dtype).max).astype(dtype)
    assert picture.icc_profile is not None
    return of_type(convert(part, conversion(picture.icc_profile), back=True), dtype)
