"""The other end of the PNG transport: inverts PNG files that it is told of, until its input ends.

libvips at its lowest compression that still compresses, without filters: the fastest way that
keeps files smaller than the pixels.
"""

from __future__ import annotations

import sys

import pyvips


def main() -> None:
    """Read lines of two paths, and say `done` after each."""
    for line in sys.stdin:
        source, target = line.rstrip("\n").split("\t")
        picture = pyvips.Image.new_from_file(source)
        colours = picture.extract_band(0, n=3).invert()
        inverted = colours.bandjoin(picture.extract_band(3)) if picture.bands == 4 else colours
        inverted.cast("uchar").pngsave(target, compression=1, filter="none")
        print("done", flush=True)


if __name__ == "__main__":
    main()
