"""What the markers and chunks around the pixels say: JPEG segments and PNG chunks."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from imgedit_plugins.picture_files import exif
from imgedit_plugins.pictures import JpegCompression

Resolution = tuple[float, float]

# Position in the 8x8 block, row by row, of the i-th value of a stored quantisation table
# (ITU-T T.81, figure A.6).
_ZIGZAG = (
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
)  # fmt: skip

# Sampling factors (horizontal, vertical) of the three components, in Pillow's numbering.
_SUBSAMPLINGS = {(1, 1, 1, 1, 1, 1): 0, (2, 1, 1, 1, 1, 1): 1, (2, 2, 1, 1, 1, 1): 2}


def jpeg_header(file: BinaryIO) -> tuple[JpegCompression | None, Resolution | None]:
    """Compression, and the resolution of the JFIF marker if it has one.

    None where the header is malformed; the decoder says later whether the file is usable.
    """
    tables: dict[int, tuple[int, ...]] = {}
    sampling, density, grey = -1, None, False
    for marker, data in jpeg_segments(file):
        if marker == 0xDB:
            tables.update(_quantisation_tables(data))
        elif marker == 0xE0 and data.startswith(b"JFIF\0") and len(data) >= 12:
            density = _jfif_density(data)
        elif marker in (0xC0, 0xC1, 0xC2) and len(data) >= 6 + 3 * data[5]:
            factors = [f for i in range(data[5]) for f in divmod(data[7 + 3 * i], 16)]
            sampling = _SUBSAMPLINGS.get(tuple(factors), -1)  # type: ignore[arg-type]
            grey = data[5] == 1
    if not tables:
        return None, density
    by_number = tuple(tables[key] for key in sorted(tables))
    return JpegCompression(by_number, sampling, grey), density


def jpeg_segments(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Marker and payload of each segment before the first scan."""
    file.seek(2)
    while True:
        start = file.read(2)
        while len(start) == 2 and start[0] == 0xFF and start[1] == 0xFF:
            start = start[1:] + file.read(1)  # fill bytes
        if len(start) < 2 or start[0] != 0xFF or start[1] in (0xD9, 0xDA):
            return
        size = file.read(2)
        if len(size) < 2 or (length := int.from_bytes(size, "big")) < 2:
            return
        yield start[1], file.read(length - 2)


def _quantisation_tables(data: bytes) -> Iterator[tuple[int, tuple[int, ...]]]:
    at = 0
    while at < len(data):
        wide, key = divmod(data[at], 16)
        size = 128 if wide else 64
        stored = data[at + 1 : at + 1 + size]
        if len(stored) < size:
            return
        values = struct.unpack(">64H" if wide else ">64B", stored)
        table = [0] * 64
        for value, place in zip(values, _ZIGZAG, strict=True):
            table[place] = value
        yield key, tuple(table)
        at += 1 + size


def _jfif_density(data: bytes) -> Resolution | None:
    unit, x, y = struct.unpack(">BHH", data[7:12])
    scale = {1: 1.0, 2: 2.54}.get(unit)
    return None if scale is None else exif.dots_per_inch(x * scale, y * scale)


def png_header(file: BinaryIO) -> tuple[Resolution | None, bool]:
    """The resolution, if any, and whether the picture is animated."""
    density, animated = None, False
    file.seek(8)
    while len(head := file.read(8)) == 8:
        size, kind = struct.unpack(">I4s", head)
        if kind == b"IDAT":
            break
        if kind == b"acTL":
            animated = True
        if kind == b"pHYs" and size == 9:
            x, y, unit = struct.unpack(">IIB", file.read(9).ljust(9, b"\0"))
            density = exif.dots_per_inch(x * 0.0254, y * 0.0254) if unit == 1 else None
            file.seek(4, io.SEEK_CUR)
        else:
            file.seek(size + 4, io.SEEK_CUR)
    return density, animated


def png_with(data: bytes, block: bytes | None, density: Resolution | None) -> bytes:
    """A PNG file with this EXIF block and this resolution, or without, where they are None.

    libvips writes a resolution always and EXIF only in its own words.
    """
    extra = b""
    if density is not None:
        x, y = (round(value / 0.0254) for value in density)
        extra += _png_chunk(b"pHYs", struct.pack(">IIB", x, y, 1))
    if block is not None:
        extra += _png_chunk(b"eXIf", block.removeprefix(exif.PREFIX))
    after_header = 8 + 25  # signature and IHDR, which always comes first
    start = after_header
    while data[start + 4 : start + 8] not in (b"IDAT", b""):
        end = start + 12 + int.from_bytes(data[start : start + 4], "big")
        if data[start + 4 : start + 8] == b"pHYs":
            return data[:after_header] + extra + data[after_header:start] + data[end:]
        start = end
    return data[:after_header] + extra + data[after_header:]


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", len(data), kind) + data + struct.pack(">I", zlib.crc32(kind + data))
