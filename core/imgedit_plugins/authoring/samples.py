"""Small generated pictures and masks to try a plugin on; no files, the same on every machine."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.pictures import Picture


def photograph(
    width: int = 96,
    height: int = 64,
    *,
    mode: Literal["L", "RGB", "RGBA"] = "RGB",
    dtype: Literal["uint8", "uint16", "float32"] = "uint8",
    seed: int = 0,
) -> Picture:
    """A picture with what photographs have: a sky, a horizon, shapes, texture, noise.

    Args:
        width: in pixels.
        height: in pixels.
        mode: 'L', 'RGB' or 'RGBA' (alpha fades to the right, 0 at its end).
        dtype: of the pixels.
        seed: another one gives another picture.
    """
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    color = _sky(y, random) + _shapes(x, y, random)
    color += 0.04 * np.sin(40 * x + 25 * y)[:, :, None] + random.normal(0, 0.02, color.shape)
    parts = [color.mean(axis=2, keepdims=True) if mode == "L" else color]
    if mode == "RGBA":
        parts.append(np.broadcast_to(np.linspace(1, 0, width)[None, :, None], (height, width, 1)))
    values = np.clip(np.concatenate(parts, axis=2), 0.0, 1.0)
    if dtype == "float32":
        return Picture(values.astype(np.float32))
    return Picture(np.rint(values * np.iinfo(dtype).max).astype(dtype))


def with_profile(picture: Picture) -> Picture:
    """The picture with an sRGB profile embedded, to see whether it is kept."""
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return dataclasses.replace(picture, icc_profile=profile)


def mask_for(picture: Picture) -> NDArray[np.uint8]:
    """A mask that keeps the left third, takes the right third and fades between."""
    ramp = np.clip(np.linspace(-1.0, 2.0, picture.width), 0.0, 1.0)
    row = np.rint(ramp * 255).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(row, (picture.height, picture.width)))


def _sky(y: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    top, bottom = random.uniform(0.2, 0.8, (2, 3))
    return np.asarray(top + (bottom - top) * y[:, :, None])


def _shapes(
    x: NDArray[np.float64], y: NDArray[np.float64], random: np.random.Generator
) -> NDArray[np.float64]:
    shapes = np.zeros((*x.shape, 3))
    for _ in range(6):
        center_x, center_y, radius = random.uniform((0, 0, 0.05), (1, 1, 0.25))
        inside = (x - center_x) ** 2 + (y - center_y) ** 2 < radius**2
        shapes[inside] = random.uniform(-0.3, 0.3, 3)
    return shapes
