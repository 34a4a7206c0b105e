"""The picture's own colours, those that a model sees, and the way between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgedit_modelkit.regions.boxes import Box
from imgedit_modelkit.regions.resampling import Map
from imgedit_plugins.colour_profiles import (
    Conversion,
    conversion,
    convert_strip,
    is_srgb,
    mismatch,
    of_type,
    to_16_bits,
)
from imgedit_plugins.jobs import Job
from imgedit_plugins.operations.resampling import resized as picture_resized
from imgedit_plugins.pictures import Picture

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_COLOURED = 0.03
"""Mean distance of an edit's channels that is worth a warning on a grey picture."""


@dataclass(frozen=True, eq=False)
class Colors:
    """A picture's colours.

    Attributes:
        picture: any.
        way: to sRGB and back; None where its values are sRGB, or are taken as such.
    """

    picture: Picture
    way: Conversion | None

    @classmethod
    def of(cls, picture: Picture, job: Job) -> Colors:
        """Those of a picture; the job is warned where its profile is of no use."""
        if is_srgb(picture.icc_profile):
            return cls(picture, None)
        if wrong := mismatch(picture):
            job.warn(wrong)
            return cls(picture, None)
        assert picture.icc_profile is not None
        return cls(picture, conversion(picture.icc_profile))

    @property
    def white(self) -> float:
        """The largest value of its pixels."""
        dtype = self.picture.pixels.dtype
        return 1.0 if dtype == np.float32 else float(np.iinfo(dtype).max)

    def pixels(self, box: Box) -> NDArray[Any]:
        """The colours of a box, (height, width, 1 or 3), as they are."""
        return self.picture.color[box.rows, box.columns]

    def seen(self, box: Box, size: tuple[int, int]) -> Map:
        """A box at another size in the picture's own values: (height, width, 3) in 0..1.

        What is transparent is filled with the mean of what is not: its colours are nobody's.
        """
        part = np.ascontiguousarray(self.picture.pixels[box.rows, box.columns])
        small = _values(picture_resized(_clean(part), size), self.white)
        if self.picture.has_alpha:
            color, alpha = small[:, :, :-1], small[:, :, -1:]
            mean = (color * alpha).sum((0, 1)) / max(float(alpha.sum()), 1e-6)
            small = color * alpha + mean.astype(np.float32) * (1 - alpha)
        return np.ascontiguousarray(np.broadcast_to(small, (*size, 3)), np.float32)

    def to_srgb(self, own: Map) -> Map:
        """The picture's own values as the model wants them; both (height, width, 3) in 0..1."""
        return self._converted(own, back=False)

    def from_srgb(self, shown: Map) -> Map:
        """The other way."""
        return self._converted(shown, back=True)

    def add(self, pixels: NDArray[Any], change: Map, job: Job) -> None:
        """Add a change to pixels where they are not fully transparent; alpha stays.

        Grey stays grey: the change's luma counts, and the job is warned if it has colour.

        Args:
            pixels: (height, width, channels) of the picture's type; written to.
            change: (height, width, 3), in 0..1.
            job: for warnings.
        """
        color = pixels[:, :, : 1 if self.picture.is_grey else 3]
        if self.picture.is_grey:
            if float(np.ptp(change, axis=2).mean()) > _COLOURED:
                job.warn("The picture is grey, so the colours of the edit are left out.")
            change = (change @ _LUMA)[:, :, None]
        if self.picture.has_alpha:
            change = change * (pixels[:, :, -1:] > 0)
        rows = max(1, (1 << 20) // pixels.shape[1])
        for top in range(0, len(pixels), rows):
            part = slice(top, top + rows)
            color[part] = _added(color[part], change[part], self.white)

    def _converted(self, values: Map, *, back: bool) -> Map:
        if self.way is None:
            return values
        codes = to_16_bits(values)
        if self.way.channels == 1:  # a curve of grey, for each channel
            function = self.way.from_srgb if back else self.way.to_srgb
            parts = [function(np.ascontiguousarray(codes[:, :, n : n + 1])) for n in range(3)]
            codes = np.concatenate(parts, axis=2)
        else:
            codes = convert_strip(codes, self.way, back=back)
        return np.asarray(of_type(codes, np.dtype(np.float32)), np.float32)


def _added(color: NDArray[Any], change: Map, white: float) -> NDArray[Any]:
    if color.dtype == np.float32:
        # Values beyond black and white may stay so; nothing new gets there.
        lowest, highest = np.minimum(color, 0.0), np.maximum(color, 1.0)
        return np.asarray(np.where(change == 0, color, np.clip(color + change, lowest, highest)))
    values = color + change * np.float32(white)
    return np.asarray(np.rint(np.clip(values, 0, white)), color.dtype)


def _clean(pixels: NDArray[Any]) -> NDArray[Any]:
    if pixels.dtype != np.float32:
        return pixels
    numbers = np.nan_to_num(pixels, nan=0.0, posinf=1.0, neginf=0.0)
    return np.asarray(np.clip(numbers, 0.0, 1.0))


def _values(pixels: NDArray[Any], white: float) -> Map:
    return np.asarray(np.multiply(pixels, np.float32(1.0 / white), dtype=np.float32))
