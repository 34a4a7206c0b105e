"""How far two pictures are apart, and which pairs are too alike (eq. 1)."""

from __future__ import annotations

import re
from collections.abc import Sequence

import cv2
import numpy as np

from imgedit_plugins.errors import OptionError
from imgedit_plugins.pictures import RGB8

SIDE = 256
"""Height and width at which pictures are compared, as they are trained on."""

_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*%")


def squared_distance(before: RGB8, after: RGB8) -> float:
    """The squared L2 distance of two pictures: the sum over pixels and colours, values in 0..1.

    Args:
        before: (height, width, 3), of any size; both are scaled to 256 x 256, so that a threshold
            means the same for all.
        after: another one.
    """
    a, b = (_scaled(picture) for picture in (before, after))
    return float(np.square(a - b, dtype=np.float64).sum())


def why_too_alike(distance: float, threshold: float) -> str:
    """Why a pair is left out: below the threshold, or not changed at all; '' where it is not."""
    if distance == 0.0:
        return "both pictures are the same"
    if distance < threshold:
        return f"the squared distance is {distance:.4g}, below {threshold:.4g}"
    return ""


def share_of(tau: str) -> float | None:
    """The share of a rank such as '10%', in 0..1; None where `tau` is a value.

    Raises:
        OptionError: it is neither a share from 0 % to below 100 % nor a number from 0 on.
    """
    if match := _SHARE.fullmatch(tau.strip()):
        share = float(match[1]) / 100
        if share < 1:
            return share
    else:
        try:
            if 0 <= float(tau) < float("inf"):
                return None
        except ValueError:
            pass
    raise OptionError(
        f"Option 'tau' must be a squared distance from 0 on, such as 250, or a share such as 10%, "
        f"not {tau!r}."
    )


def threshold_at(distances: Sequence[float], share: float) -> float:
    """The value below which that share of the distances lies, rounded down to whole pairs."""
    ordered = sorted(distances)
    count = int(share * len(ordered))
    return ordered[count] if count < len(ordered) else float("inf")


def _scaled(picture: RGB8) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    if picture.shape[:2] != (SIDE, SIDE):
        shrinks = min(picture.shape[:2]) > SIDE
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        picture = np.asarray(cv2.resize(picture, (SIDE, SIDE), interpolation=how), np.uint8)
    return np.asarray(picture, np.float32) / np.float32(255)
