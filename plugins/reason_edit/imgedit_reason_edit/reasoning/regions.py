"""Regions as masks: soft boxes and ellipses, or a picture beside the document."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.pictures import Picture, to_8_bits
from imgedit_reason_edit.reasoning.document import DocumentError, Region

_EDGE = 0.005
"""A side of a box that is so near to the picture's edge, as a share of it, lies on it."""

Mask = NDArray[np.uint8]
"""(height, width); 0 keeps the picture, 255 takes the edit."""


def mask_of(
    region: Region | None, size: tuple[int, int], folder: Path | None = None
) -> Mask | None:
    """The mask of a region.

    Args:
        region: where; None is everywhere.
        size: (height, width) of the picture.
        folder: where the document is, for masks that are pictures.

    Returns:
        None for everywhere.

    Raises:
        DocumentError: the region's picture is missing, cannot be read, or nothing is selected.
    """
    if region is None:
        return None
    share = _drawn(region, size) if region.mask is None else _read(region.mask, size, folder)
    if region.outside:
        share = 1.0 - share
    mask = np.rint(share * 255.0).astype(np.uint8)
    if not mask.any():
        what = f" ({region.what})" if region.what else ""
        raise DocumentError(
            f"The region{what} has no pixel in a picture of {size[1]} × {size[0]}.",
            hint="Make its box larger.",
        )
    return mask


def combined(mask: Mask | None, selection: Mask | None) -> Mask | None:
    """What both select."""
    if mask is None or selection is None:
        return selection if mask is None else mask
    product = mask.astype(np.uint16) * selection
    return ((product + 127) // 255).astype(np.uint8)


def _drawn(region: Region, size: tuple[int, int]) -> NDArray[np.float64]:
    """The share of the edit at each pixel's centre, 0..1; one half on the border."""
    assert region.box is not None, "a region has a box where it has no mask"
    height, width = size
    x = np.arange(width, dtype=np.float64) + 0.5
    y = (np.arange(height, dtype=np.float64) + 0.5)[:, None]
    left, top, right, bottom = region.box
    across = (left * width, right * width)
    down = (top * height, bottom * height)
    if region.shape == "box":
        # There is nothing to fade into beyond the picture's own edges.
        beside = _into_span(x, across, open_at=(left <= _EDGE, right >= 1.0 - _EDGE))
        between = _into_span(y, down, open_at=(top <= _EDGE, bottom >= 1.0 - _EDGE))
        inside = np.minimum(beside, between)
    else:
        inside = _into_ellipse(x, y, across, down)
    feather = max(region.feather * min(size), 0.5)  # half a pixel: an edge without steps
    ramp = np.clip(0.5 + inside / (2.0 * feather), 0.0, 1.0)
    return np.asarray(ramp * ramp * (3.0 - 2.0 * ramp))


def _into_span(
    places: NDArray[np.float64], span: tuple[float, float], *, open_at: tuple[bool, bool]
) -> NDArray[np.float64]:
    """How far from the nearer end of a span places are; negative outside, no end where open."""
    start = -np.inf if open_at[0] else span[0]
    end = np.inf if open_at[1] else span[1]
    return np.asarray(np.minimum(places - start, end - places))


def _into_ellipse(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    across: tuple[float, float],
    down: tuple[float, float],
) -> NDArray[np.float64]:
    """How far inside the ellipse in a box a pixel is, to first order; negative outside.

    With f = |((x - cx) / a, (y - cy) / b)| the distance from f = 1 is about (1 - f) / |grad f|.
    """
    (left, right), (top, bottom) = across, down
    a, b = max((right - left) / 2, 0.5), max((bottom - top) / 2, 0.5)
    u, v = (x - (left + right) / 2) / a, (y - (top + bottom) / 2) / b
    f = np.hypot(u, v)
    slope = np.hypot(u / a, v / b) / np.maximum(f, 1e-9)
    return np.asarray(np.where(f < 1e-9, min(a, b), (1.0 - f) / np.maximum(slope, 1e-9)))


def _read(name: str, size: tuple[int, int], folder: Path | None) -> NDArray[np.float64]:
    import cv2

    from imgedit_plugins.errors import PictureError
    from imgedit_plugins.picture_files import open_picture

    if folder is None:
        raise DocumentError(
            f"The region's mask {name!r} is beside a document, and this document has no file."
        )
    try:
        picture = open_picture(folder / name, on_warning=lambda _: None)
    except PictureError as error:
        raise DocumentError(f"The region's mask cannot be used: {error.message}") from error
    grey = _luma(picture)
    if grey.shape != size:  # painted over at another size
        shrinks = grey.shape[0] > size[0]
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        grey = np.asarray(cv2.resize(grey, size[::-1], interpolation=how), np.float64)
    return np.clip(grey, 0.0, 1.0)


def _luma(picture: Picture) -> NDArray[np.float64]:
    color = to_8_bits(picture.color).astype(np.float64) / 255.0
    return color[:, :, 0] if color.shape[2] == 1 else color @ np.array([0.299, 0.587, 0.114])
