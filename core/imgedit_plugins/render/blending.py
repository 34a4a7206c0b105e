"""An edit in part: limited to a selection, weaker or stronger."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.pictures import Pixels


def blend(
    before: Pixels, after: Pixels, mask: NDArray[np.uint8] | None, strength: float = 1.0
) -> Pixels:
    """`after` where the mask is 255, `before` where it is 0, mixtures between.

    Args:
        before: (height, width, channels), of any of the three pixel types.
        after: the same shape and type.
        mask: (height, width); None selects everything.
        strength: 0 gives `before`, 1 gives `after`, 2 goes twice as far, up to black and white.

    Returns:
        The mixture in the type of `before`; whole numbers are rounded. It is `before` bit for
        bit where the mask is 0, and `after` where the mask is 255 at strength 1.
    """
    if mask is None and strength == 1.0:
        return after
    if before.dtype != np.float32 and mask is not None and strength == 1.0:
        weight = mask[:, :, None].astype(np.int32)
        mixed = before.astype(np.int32) * (255 - weight) + after.astype(np.int32) * weight
        return np.asarray(((mixed + 127) // 255).astype(before.dtype))
    return _mixed_as_floats(before, after, mask, strength)


def _mixed_as_floats(
    before: Pixels, after: Pixels, mask: NDArray[np.uint8] | None, strength: float
) -> Pixels:
    # 16-bit codes times a share need more than single precision holds.
    kind = np.dtype(np.float64 if before.dtype == np.uint16 else np.float32)
    start = before.astype(kind)
    change = after.astype(kind) - start
    if mask is not None:
        change *= (mask[:, :, None] / 255.0).astype(kind)
    mixed = start + change * kind.type(strength)
    if before.dtype == np.float32:
        result = np.clip(mixed, 0.0, 1.0)
    else:
        white = np.iinfo(before.dtype).max
        result = np.rint(np.clip(mixed, 0.0, white)).astype(before.dtype)
    if mask is not None:
        result[mask == 0] = before[mask == 0]
        if strength == 1.0:
            result[mask == 255] = after[mask == 255]
    return before.copy() if strength == 0.0 else result
