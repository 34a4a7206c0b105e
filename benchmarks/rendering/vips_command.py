"""Open, 'bright 30, contrast 1.2, invert', save: as a program with libvips does it.

python -m benchmarks.rendering.vips_command INPUT OUTPUT
"""

from __future__ import annotations

import sys
from typing import Any

import pyvips


def edit_file(before: str, after: str) -> None:
    """JPEG of quality 95 with all colours, or TIFF with deflate, as our `save_picture` writes."""
    image: Any = pyvips.Image.new_from_file(before, access="sequential")
    image = _linear(_linear(image, 1.0, 30 / 255), 1.2, 0.0).invert()
    if after.endswith(".jpg"):
        image.jpegsave(after, Q=95, subsample_mode="off")
    else:
        image.tiffsave(after, compression="deflate", predictor="horizontal")


def _linear(image: Any, gain: float, offset: float) -> Any:
    # libvips drops the fraction where it casts to whole numbers.
    if image.format == "uchar":
        return image.linear(gain, offset * 255 + 0.5, uchar=True)
    return image.linear(gain, offset * 65535 + 0.5).cast("ushort")


if __name__ == "__main__":
    edit_file(*sys.argv[1:])
