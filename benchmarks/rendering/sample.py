"""The picture that is edited: a photograph at a camera's size and with a camera's noise."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import photographs

PHOTOGRAPH = "picos_de_europa"  # landscape with sky, forest and rock; the list says whose it is
_NOISE = 1.5  # standard deviation of a grain, 8-bit codes
_SEED = 24

Pixels = NDArray[Any]


def photograph(folder: Path) -> Path:
    """The file of the photograph, fetched into `folder` unless it is there.

    Raises:
        PhotographError: it cannot be had on this machine.
    """
    entries = photographs.load_list(photographs.LISTS / "tuning.json")
    chosen = [entry for entry in entries if entry.name == PHOTOGRAPH]
    fetched = photographs.fetch_entries(chosen, folder)
    if not fetched.paths or fetched.skipped:
        raise photographs.PhotographError(
            f"The photograph {PHOTOGRAPH} cannot be had here; name another: --photograph FILE."
        )
    return fetched.paths[0]


def enlarged(path: Path, width: int, height: int) -> NDArray[np.uint16]:
    """The photograph as 16-bit RGB, cropped to the aspect ratio and brought to that size.

    Enlarging alone would leave pixels smoother than any camera gives them, so a grain as of a
    low sensitivity is added at the new size.
    """
    rgb = photographs.read_photograph(path, long_side=None)[:, :, ::-1]
    scale = max(width / rgb.shape[1], height / rgb.shape[0])
    rows, columns = round(height / scale), round(width / scale)
    top, left = (rgb.shape[0] - rows) // 2, (rgb.shape[1] - columns) // 2
    part = rgb[top : top + rows, left : left + columns].astype(np.float32)
    large = cv2.resize(part, (width, height), interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(_SEED).standard_normal(large.shape, np.float32)
    codes = (np.asarray(large, np.float32) + _NOISE * grain) * np.float32(257)
    return np.asarray(np.rint(np.clip(codes, 0, 65535)), np.uint16)


def in_8_bits(pixels: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """The same picture rounded to 8 bits."""
    return np.asarray((pixels.astype(np.uint32) + 128) // 257, np.uint8)


def at_depth(pixels: Pixels, bits: int) -> Pixels:
    """Whole numbers of 8 or 16 bits as those of the other depth; rounded."""
    if bits == 16:
        return pixels if pixels.dtype == np.uint16 else np.asarray(pixels.astype(np.uint16) * 257)
    return pixels if pixels.dtype == np.uint8 else in_8_bits(pixels)


def middle(pixels: Pixels, width: int, height: int) -> Pixels:
    """The middle of a picture, at most that large; a new array."""
    top = max(0, (pixels.shape[0] - height) // 2)
    left = max(0, (pixels.shape[1] - width) // 2)
    return np.ascontiguousarray(pixels[top : top + height, left : left + width])


# --- files that every tool can read without decoding ------------------------------------------


def write_ppm(path: Path, pixels: Pixels) -> None:
    """Binary PPM of 8 or 16 bits."""
    height, width = pixels.shape[:2]
    white = np.iinfo(pixels.dtype).max
    with path.open("wb") as file:
        file.write(f"P6\n{width} {height}\n{white}\n".encode())
        file.write(np.ascontiguousarray(pixels, pixels.dtype.newbyteorder(">")).tobytes())


def read_ppm(path: Path) -> Pixels:
    """RGB pixels of a binary PPM, 8 or 16 bits.

    Raises:
        struct.error: the file is no such PPM, or is cut short.
    """
    data = path.read_bytes()
    words: list[bytes] = []
    at = 0
    while len(words) < 4:
        end = at
        while not data[end : end + 1].isspace():
            if end >= len(data):
                raise struct.error(f"{path} is no PPM")
            end = data.index(b"\n", end) if data[end : end + 1] == b"#" else end + 1
        if end > at and data[at : at + 1] != b"#":
            words.append(data[at:end])
        at = end + 1
    width, height, white = (int(word) for word in words[1:])
    kind = np.dtype(np.uint8 if white < 256 else ">u2")
    values = np.frombuffer(data, kind, width * height * 3, at)
    return values.astype(kind.newbyteorder("=")).reshape(height, width, 3)
