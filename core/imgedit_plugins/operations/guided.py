"""The guided filter on a reduced picture: what looks at wide surroundings at little cost.

Sources: He, Sun and Tang, 'Guided Image Filtering', TPAMI 2013, equations 5 to 8; He and Sun,
'Fast Guided Filter', 2015 (the coefficients are found on a reduced picture and enlarged, so that
edges still come from the picture itself).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.operations.forms import Region, Values
from imgedit_plugins.operations.planes import Plane


def reduced(values: Values, longer_side: int) -> Values:
    """The picture averaged down to that many pixels along its longer side; never enlarged."""
    import cv2

    height, width = values.shape[:2]
    scale = longer_side / max(height, width)
    if scale >= 1.0:
        return values
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA))


@dataclass(frozen=True)
class GuidedFilter:
    """A filtered plane as a line of the guide at each place: slope * guide + offset.

    Attributes:
        slope, offset: (rows, columns) of the reduced picture.
    """

    slope: Plane
    offset: Plane

    @classmethod
    def fit(cls, guide: Plane, target: Plane, radius: int, epsilon: float) -> GuidedFilter:
        """Fit the target by the guide in squares, and average the fits.

        Args:
            guide: the plane whose edges are kept, of a reduced picture.
            target: the plane to smooth, of the same size.
            radius: the squares reach so many pixels to each side.
            epsilon: variance of the guide below which it counts as flat.
        """
        import cv2

        size = (2 * radius + 1, 2 * radius + 1)

        def mean(plane: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.asarray(cv2.blur(plane, size, borderType=cv2.BORDER_REFLECT))

        # Variances are small differences of large sums.
        x, y = guide.astype(np.float64), target.astype(np.float64)
        mean_x, mean_y = mean(x), mean(y)
        slope = (mean(x * y) - mean_x * mean_y) / (mean(x * x) - mean_x**2 + epsilon)
        offset = mean_y - slope * mean_x
        return cls(mean(slope).astype(np.float32), mean(offset).astype(np.float32))

    def on(self, guide: Plane, region: Region) -> Plane:
        """The filtered plane of a strip of the picture.

        Args:
            guide: (rows, columns) of the strip, at full size.
            region: where the strip lies.
        """
        filtered = _enlarged(self.slope, region)
        filtered *= guide
        filtered += _enlarged(self.offset, region)
        return filtered


def _enlarged(plane: Plane, region: Region) -> Plane:
    """The rows of a region, interpolated linearly; the same however the picture is cut."""
    import cv2

    rows = np.arange(region.top, region.top + region.rows)
    place = (rows + 0.5) * (len(plane) / region.height) - 0.5
    place = np.clip(place, 0.0, len(plane) - 1.0)
    above = place.astype(np.intp)
    share = (place - above).astype(np.float32)[:, None]
    below = np.minimum(above + 1, len(plane) - 1)
    narrow = plane[above] * (1 - share) + plane[below] * share
    size = (region.width, region.rows)
    return np.asarray(cv2.resize(narrow, size, interpolation=cv2.INTER_LINEAR))
