"""EXIF blocks and TIFF directories, as far as keeping metadata needs them.

An EXIF block is a small TIFF file, so both are read by the same few lines. Blocks are patched in
place where possible: camera makers' notes hold offsets that a rewritten block would break.
Layout: TIFF 6.0, section 2; BigTIFF; Exif 2.32 (CIPA DC-008), section 4.6.
"""

from __future__ import annotations

import contextlib
import io
import re
import struct
from dataclasses import dataclass
from typing import BinaryIO

PREFIX = b"Exif\0\0"

ORIENTATION = 0x0112
BITS_PER_SAMPLE = 0x0102
PHOTOMETRIC = 0x0106
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128
SAMPLE_FORMAT = 0x0153
DNG_VERSION = 0xC612
_EXIF_POINTER, _GPS_POINTER, _INTEROP_POINTER = 0x8769, 0x8825, 0xA005
_POINTERS = (_EXIF_POINTER, _GPS_POINTER, _INTEROP_POINTER)
_EXIF_WIDTH, _EXIF_HEIGHT = 0xA002, 0xA003
_THUMBNAIL_OFFSET, _THUMBNAIL_LENGTH = 0x0201, 0x0202

# Tags of the first directory that describe the picture and not how the file stores it.
DESCRIPTIVE = frozenset(
    {0x010D, 0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x013C, 0x4746, 0x4749, 0x8298}
    | set(range(0x9C9B, 0x9CA0))
    | {_EXIF_POINTER, _GPS_POINTER}
)  # fmt: skip

# By field type: size of one value, size of the pieces whose bytes are swapped together.
_SIZES = {1: (1, 1), 2: (1, 1), 3: (2, 2), 4: (4, 4), 5: (8, 4), 6: (1, 1), 7: (1, 1), 8: (2, 2),
          9: (4, 4), 10: (8, 4), 11: (4, 4), 12: (8, 8), 13: (4, 4), 16: (8, 8), 17: (8, 8),
          18: (8, 8)}  # fmt: skip
_SHORT, _LONG, _RATIONAL = 3, 4, 5

# A maker's note with a preview has a few megabytes; more is damage or malice.
_LONGEST_VALUE = 16 << 20
_MOST_ENTRIES = 4096


class DamagedDirectoryError(ValueError):
    """A directory points outside its file or is malformed."""


@dataclass(frozen=True)
class Entry:
    """One field: its type and its values as little-endian bytes, or the directory it points to."""

    type: int
    data: bytes = b""
    children: Directory | None = None

    @property
    def count(self) -> int:
        """How many values there are."""
        return 1 if self.children is not None else len(self.data) // _SIZES[self.type][0]

    def numbers(self) -> tuple[float, ...]:
        """The values of an entry of whole numbers or unsigned fractions; empty for others."""
        formats = {1: "B", 3: "H", 4: "I", 16: "Q"}
        if self.type in formats:
            return struct.unpack(f"<{self.count}{formats[self.type]}", self.data)
        if self.type == _RATIONAL:
            parts = struct.unpack(f"<{2 * self.count}I", self.data)
            return tuple(n / d if d else 0.0 for n, d in zip(parts[::2], parts[1::2], strict=True))
        return ()


Directory = dict[int, Entry]


class _Layout:
    """Byte order and field widths of a TIFF file, from its first bytes."""

    def __init__(self, head: bytes) -> None:
        if head[:2] not in (b"II", b"MM") or len(head) < 8:
            raise DamagedDirectoryError("not a TIFF header")
        self.order = "<" if head[:2] == b"II" else ">"
        (version,) = struct.unpack(self.order + "H", head[2:4])
        if version not in (42, 43):
            raise DamagedDirectoryError("not a TIFF version")
        self.big = version == 43
        self.word = "Q" if self.big else "I"
        self.word_size = 8 if self.big else 4
        self.entry = struct.Struct(f"{self.order}HH{self.word}{self.word_size}s")
        self.count = struct.Struct(self.order + ("Q" if self.big else "H"))
        self.first_at = 8 if self.big else 4

    def number(self, data: bytes) -> int:
        return int(struct.unpack(self.order + self.word, data)[0])


def _read(file: BinaryIO, offset: int, size: int) -> bytes:
    try:
        file.seek(offset)
        data = file.read(size)
    except (OSError, ValueError, OverflowError) as error:
        raise DamagedDirectoryError(f"no data at {offset}") from error
    if len(data) != size:
        raise DamagedDirectoryError(f"{size} bytes at {offset} are missing")
    return data


def _raw_entries(
    file: BinaryIO, layout: _Layout, offset: int
) -> tuple[list[tuple[int, int, int, int, bytes]], int]:
    """Fields at `offset` as (position, tag, type, count, value field), and where they end."""
    (count,) = layout.count.unpack(_read(file, offset, layout.count.size))
    if count > _MOST_ENTRIES:
        raise DamagedDirectoryError(f"{count} fields")
    start, size = offset + layout.count.size, layout.entry.size
    data = _read(file, start, count * size)
    fields = [(start + i * size, *layout.entry.unpack_from(data, i * size)) for i in range(count)]
    return fields, start + count * size


def _first_offset(file: BinaryIO, layout: _Layout) -> int:
    return layout.number(_read(file, layout.first_at, layout.word_size))


def read_directory(file: BinaryIO) -> Directory:
    """The first directory of a TIFF file or of an EXIF block without prefix.

    Fields that are malformed are left out.

    Raises:
        DamagedDirectoryError: the file is cut short, or is no TIFF.
    """
    layout = _Layout(_read(file, 0, 8))
    return _directory(file, layout, _first_offset(file, layout), depth=0)


def tags(file: BinaryIO) -> set[int]:
    """The fields of the first directory of a TIFF file, also those too long to be read here.

    Raises:
        DamagedDirectoryError: the file is cut short, or is no TIFF.
    """
    layout = _Layout(_read(file, 0, 8))
    fields, _ = _raw_entries(file, layout, _first_offset(file, layout))
    return {tag for _, tag, _, _, _ in fields}


def _directory(file: BinaryIO, layout: _Layout, offset: int, depth: int) -> Directory:
    found: Directory = {}
    fields, _ = _raw_entries(file, layout, offset)
    for _, tag, kind, count, value in fields:
        if kind not in _SIZES or count * _SIZES[kind][0] > _LONGEST_VALUE:
            continue
        try:
            if tag in _POINTERS:
                # Directories that point at each other end here.
                if depth < 2:
                    target = _swapped(value, kind, layout)[: _SIZES[kind][0]]
                    children = _directory(file, layout, int.from_bytes(target, "little"), depth + 1)
                    found[tag] = Entry(_LONG, children=children)
                continue
            size = count * _SIZES[kind][0]
            if size > layout.word_size:
                value = _read(file, layout.number(value), size)  # noqa: PLW2901
            found[tag] = Entry(kind, _swapped(value[:size], kind, layout))
        except DamagedDirectoryError:
            continue
    return found


def _swapped(data: bytes, kind: int, layout: _Layout) -> bytes:
    """Values in little-endian order."""
    piece = _SIZES[kind][1]
    if layout.order == "<" or piece == 1:
        return data
    return b"".join(data[i : i + piece][::-1] for i in range(0, len(data), piece))


def serialise(directory: Directory, offset: int, *, big: bool = False) -> bytes:
    """A directory as little-endian bytes, to stand at `offset` (even) of its file."""
    word = "Q" if big else "I"
    return _assemble(
        [(tag, entry.type, entry.count, entry) for tag, entry in directory.items()],
        offset, "Q" if big else "H", word,
    )  # fmt: skip


def _assemble(
    fields: list[tuple[int, int, int, Entry | bytes]], offset: int, count_format: str, word: str
) -> bytes:
    """Fields, whose values are an Entry or the ready value field, as bytes for `offset`."""
    word_size = struct.calcsize("<" + word)
    entry = struct.Struct(f"<HH{word}{word_size}s")
    head = struct.pack("<" + count_format, len(fields))
    body, after = b"", b""
    after_at = offset + len(head) + len(fields) * entry.size + word_size
    for tag, kind, count, value in sorted(fields, key=lambda field: field[0]):
        place = after_at + len(after)
        if isinstance(value, bytes):
            data = value
        elif value.children is not None:
            data = struct.pack("<" + word, place)
            after += serialise(value.children, place, big=word == "Q")
        elif len(value.data) > word_size:
            data = struct.pack("<" + word, place)
            after += value.data
        else:
            data = value.data
        after += b"\0" * (len(after) % 2)
        kind_here = (16 if word == "Q" else _LONG) if _points(value) else kind
        body += entry.pack(tag, kind_here, count, data)
    return head + body + b"\0" * word_size + after


def _points(value: Entry | bytes) -> bool:
    return not isinstance(value, bytes) and value.children is not None


# --- EXIF blocks ------------------------------------------------------------------------------


def parse_block(block: bytes) -> Directory:
    """The directory of an EXIF block, with or without prefix; raises DamagedDirectoryError."""
    return read_directory(io.BytesIO(block.removeprefix(PREFIX)))


def to_block(directory: Directory) -> bytes | None:
    """The descriptive fields of a TIFF directory as an EXIF block; None if there are none."""
    kept = {
        tag: entry for tag, entry in directory.items()
        if tag in DESCRIPTIVE and (entry.children is None or entry.children)
    }  # fmt: skip
    if not kept:
        return None
    return PREFIX + b"II*\0\x08\0\0\0" + serialise(kept, 8)


def upright_block(block: bytes, width: int, height: int) -> bytes:
    """An EXIF block that says orientation 1 and this size, without its thumbnail.

    The thumbnail shows the picture before it was turned or edited. Everything else stays byte
    for byte in place. The prefix is added where it is missing.

    Raises:
        DamagedDirectoryError: the block is malformed.
    """
    body = bytearray(block.removeprefix(PREFIX))
    file = io.BytesIO(bytes(body))
    layout = _Layout(_read(file, 0, 8))
    if layout.big:
        raise DamagedDirectoryError("EXIF is never BigTIFF")
    fields, end = _raw_entries(file, layout, _first_offset(file, layout))
    _patch(body, layout, fields, {ORIENTATION: 1})
    for _, tag, _, _, value in fields:
        if tag == _EXIF_POINTER:
            with contextlib.suppress(DamagedDirectoryError):
                inner, _ = _raw_entries(file, layout, layout.number(value))
                _patch(body, layout, inner, {_EXIF_WIDTH: width, _EXIF_HEIGHT: height})
    _drop_thumbnail(body, layout, end)
    return PREFIX + bytes(body)


def _patch(
    body: bytearray,
    layout: _Layout,
    fields: list[tuple[int, int, int, int, bytes]],
    values: dict[int, int],
) -> None:
    """Set whole numbers that are there already; a field too narrow for its number stays."""
    for position, tag, kind, count, _ in fields:
        if tag not in values or count != 1:
            continue
        if kind == _SHORT and values[tag] < 1 << 16:
            struct.pack_into(layout.order + "H", body, position + 8, values[tag])
        elif kind == _LONG:
            struct.pack_into(layout.order + "I", body, position + 8, values[tag])


def _drop_thumbnail(body: bytearray, layout: _Layout, link_at: int) -> None:
    """Unlink the second directory and wipe the JPEG it points to."""
    file = io.BytesIO(bytes(body))
    try:
        second = layout.number(_read(file, link_at, 4))
    except DamagedDirectoryError:
        return  # some writers leave the link out
    body[link_at : link_at + 4] = b"\0\0\0\0"
    if not second:
        return
    try:
        fields, _ = _raw_entries(file, layout, second)
    except DamagedDirectoryError:
        return
    values = {tag: layout.number(value) for _, tag, _, _, value in fields}
    start, size = values.get(_THUMBNAIL_OFFSET, 0), values.get(_THUMBNAIL_LENGTH, 0)
    if start < 8 or start + size > len(body):
        return
    if start + size == len(body):
        del body[start:]
    else:
        body[start : start + size] = bytes(size)


def orientation(directory: Directory) -> int:
    """The EXIF orientation, 1 to 8; 1 where it is missing or nonsense."""
    entry = directory.get(ORIENTATION)
    values = entry.numbers() if entry else ()
    return int(values[0]) if values and 1 <= values[0] <= 8 else 1


def resolution(directory: Directory) -> tuple[float, float] | None:
    """Dots per inch, if the directory says so in inches or centimetres."""
    found = [directory.get(tag) for tag in (X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT)]
    x, y, unit = (entry.numbers() if entry else () for entry in found)
    scale = {2: 1.0, 3: 2.54}.get(int(unit[0]) if unit else 2)
    if not x or not y or scale is None:
        return None
    return dots_per_inch(x[0] * scale, y[0] * scale)


def dots_per_inch(x: float, y: float) -> tuple[float, float] | None:
    """Rounded to 1/100, since PNG counts per metre; None if it is no resolution at all."""
    return (round(x, 2), round(y, 2)) if 0 < x < 1e6 and 0 < y < 1e6 else None


def upright_xmp(xmp: bytes) -> bytes:
    """An XMP packet that says tiff:Orientation 1 where it says anything about it."""
    return re.sub(rb"(tiff:Orientation(?:\s*=\s*[\"']|\s*>)\s*)[1-8]", rb"\g<1>1", xmp)


# --- TIFF files -------------------------------------------------------------------------------


def resolution_entries(resolution: tuple[float, float] | None) -> Directory:
    """The fields for a resolution; 'no unit' for None."""
    x, y = resolution or (1.0, 1.0)
    pack = [struct.pack("<II", round(value * 100), 100) for value in (x, y)]
    unit = struct.pack("<H", 2 if resolution else 1)
    return {
        X_RESOLUTION: Entry(_RATIONAL, pack[0]),
        Y_RESOLUTION: Entry(_RATIONAL, pack[1]),
        RESOLUTION_UNIT: Entry(_SHORT, unit),
    }


def add_to_tiff(data: bytes, entries: Directory) -> bytes:
    """A TIFF file with fields set in its only directory, which moves to the end of the file.

    Raises:
        DamagedDirectoryError: the file is not a little-endian TIFF.
    """
    file = io.BytesIO(data)
    layout = _Layout(_read(file, 0, 8))
    if layout.order != "<":
        raise DamagedDirectoryError("big-endian")
    old, _ = _raw_entries(file, layout, _first_offset(file, layout))
    fields: list[tuple[int, int, int, Entry | bytes]] = [
        (tag, kind, count, value) for _, tag, kind, count, value in old if tag not in entries
    ]
    fields += [(tag, entry.type, entry.count, entry) for tag, entry in entries.items()]
    result = bytearray(data)
    result += b"\0" * (len(result) % 2)  # directories stand at even places
    struct.pack_into("<" + layout.word, result, layout.first_at, len(result))
    result += _assemble(fields, len(result), "Q" if layout.big else "H", layout.word)
    return bytes(result)
