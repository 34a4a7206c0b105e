"""The boxes of AVIF, HEIF and JPEG XL files, as far as metadata need them.

Layout: ISO/IEC 14496-12 (ISO base media file format), 4.2 (boxes), 8.11.3 (iloc), 8.11.6 (iinf),
8.11.12 (iref); ISO/IEC 23008-12 (HEIF), annex A (EXIF and XMP items); ISO/IEC 18181-2 (JPEG XL
file format), 9.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from imgedit_plugins.picture_files import exif

JXL_CODESTREAM = b"\xff\x0a"
JXL_SIGNATURE = b"\0\0\0\x0cJXL \r\n\x87\n"

# A file has about ten; more is damage or malice.
_MOST_BOXES = 100_000
_LONGEST_BLOCK = 64 << 20
_MDAT_HEAD = 8


class DamagedBoxesError(ValueError):
    """Boxes reach beyond the file or do not say what they should."""


@dataclass(frozen=True)
class Box:
    """One box: its type, where its content starts, and where it ends."""

    kind: bytes
    start: int
    content: int
    end: int


def top_boxes(file: BinaryIO) -> Iterator[Box]:
    """The boxes of a file, without those inside others; ends at the first that is damaged."""
    size = file.seek(0, os.SEEK_END)
    yield from _boxes(file, 0, size)


def _boxes(file: BinaryIO, at: int, end: int) -> Iterator[Box]:
    for _ in range(_MOST_BOXES):
        file.seek(at)
        head = file.read(16)
        if at + 8 > end or len(head) < 8:
            return
        length, kind = struct.unpack(">I4s", head[:8])
        content = at + 8
        if length == 1 and len(head) == 16:
            length, content = int.from_bytes(head[8:], "big"), at + 16
        elif length == 0:  # to the end
            length = end - at
        if at + length > end or content > at + length:
            return
        yield Box(kind, at, content, at + length)
        at += length


def content_of(file: BinaryIO, box: Box, most: int = _LONGEST_BLOCK) -> bytes:
    """What is in a box, at most `most` bytes of it."""
    file.seek(box.content)
    return file.read(min(box.end - box.content, most))


def brands(head: bytes) -> tuple[bytes, ...]:
    """Major and compatible brands, from a file's first bytes; empty without a file type box."""
    if head[4:8] != b"ftyp":
        return ()
    data = head[8 : int.from_bytes(head[:4], "big")]
    return (data[:4], *(data[i : i + 4] for i in range(8, len(data) - 3, 4)))


def has_film(file: BinaryIO) -> bool:
    """Whether an AVIF or HEIF file holds a sequence of pictures beside the one that is shown."""
    return any(box.kind == b"moov" for box in top_boxes(file))


def coded_colors(file: BinaryIO) -> tuple[int, int] | None:
    """Colour primaries and transfer function (ITU-T H.273) that an AVIF or HEIF file states.

    None if it states none, or has an ICC profile, which says more.
    """
    found = None
    for properties in _inside(file, b"meta", b"iprp", b"ipco"):
        for box in _boxes(file, properties.content, properties.end):
            data = content_of(file, box, 8) if box.kind == b"colr" else b""
            if data[:4] in (b"prof", b"rICC"):
                return None
            if data[:4] == b"nclx" and len(data) == 8 and found is None:
                primaries, transfer = struct.unpack(">HH", data[4:])
                found = primaries, transfer
    return found


def _inside(file: BinaryIO, *path: bytes) -> Iterator[Box]:
    """The boxes at a path of types from the top of the file."""
    found = list(top_boxes(file))
    for number, kind in enumerate(path):
        found = [box for box in found if box.kind == kind]
        if number < len(path) - 1:
            # 'meta' begins with version and flags.
            skip = 4 if kind == b"meta" else 0
            found = [inner for box in found for inner in _boxes(file, box.content + skip, box.end)]
    yield from found


def _box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(data), kind) + data


# --- JPEG XL ----------------------------------------------------------------------------------


def jxl_blocks(file: BinaryIO) -> dict[bytes, bytes]:
    """The metadata boxes of a JPEG XL file, 'Exif' and 'xml ', the first of each.

    Compressed ones ('brob') are unpacked.

    Raises:
        DamagedBoxesError: a box cannot be unpacked.
        ModuleNotFoundError: brotli, which unpacks, is not installed.
    """
    found: dict[bytes, bytes] = {}
    for box in top_boxes(file):
        if box.kind in (b"Exif", b"xml "):
            found.setdefault(box.kind, content_of(file, box))
        elif box.kind == b"brob":
            data = content_of(file, box)
            if data[:4] in (b"Exif", b"xml "):
                found.setdefault(data[:4], _unpacked(data[4:]))
    return found


def _unpacked(data: bytes) -> bytes:
    import brotli

    try:
        unpacker = brotli.Decompressor()
        text: bytes = unpacker.process(data, output_buffer_limit=_LONGEST_BLOCK)
    except brotli.error as error:
        raise DamagedBoxesError(f"a compressed box: {error}") from error
    if not unpacker.is_finished():
        raise DamagedBoxesError("a compressed box is cut short or too long")
    return text


def jxl_exif(data: bytes) -> bytes:
    """The EXIF block in the content of an 'Exif' box, which begins with an offset."""
    return exif.PREFIX + data[4 + int.from_bytes(data[:4], "big") :]


def jxl_with(data: bytes, block: bytes | None, xmp: bytes | None, *, pad: int = 0) -> bytes:
    """A JPEG XL file with this EXIF block and XMP packet in place of what it had.

    `pad` is the size of a box that says nothing, at the end.

    Raises:
        DamagedBoxesError: it is no JPEG XL file.
    """
    file = io.BytesIO(data)
    if data.startswith(JXL_CODESTREAM):
        picture = _box(b"jxlc", data)
    elif data.startswith(JXL_SIGNATURE):
        kinds = (b"jxll", b"jxlc", b"jxlp")
        picture = b"".join(data[b.start : b.end] for b in top_boxes(file) if b.kind in kinds)
    else:
        raise DamagedBoxesError("no JPEG XL signature")
    start = JXL_SIGNATURE + _box(b"ftyp", b"jxl \0\0\0\0jxl ")
    if block is not None:
        start += _box(b"Exif", bytes(4) + block.removeprefix(exif.PREFIX))
    if xmp is not None:
        start += _box(b"xml ", xmp)
    return start + picture + (_box(b"free", bytes(pad)) if pad else b"")


# --- AVIF -------------------------------------------------------------------------------------


def heif_with_exif(data: bytes, block: bytes) -> bytes:
    """An AVIF or HEIF file, which has no EXIF yet, with this EXIF block as an item.

    libvips writes EXIF in its own words; this keeps it byte for byte.

    Raises:
        DamagedBoxesError: the file has another shape than libheif gives it.
    """
    file = io.BytesIO(data)
    meta = next((box for box in top_boxes(file) if box.kind == b"meta"), None)
    if meta is None:
        raise DamagedBoxesError("no meta box")
    parts = {
        box.kind: data[box.content : box.end] for box in _boxes(file, meta.content + 4, meta.end)
    }
    if not {b"iinf", b"iloc", b"pitm"} <= set(parts):
        raise DamagedBoxesError("no items")
    ids = _item_ids(parts[b"iinf"])
    primary = int.from_bytes(parts[b"pitm"][4:], "big")
    number = max(ids) + 1
    payload = struct.pack(">I", len(exif.PREFIX)) + exif.PREFIX + block.removeprefix(exif.PREFIX)
    parts[b"iinf"] = _with_item(parts[b"iinf"], number)
    parts.setdefault(b"iref", bytes(4))
    width = "I" if parts[b"iref"][0] else "H"
    parts[b"iref"] += _box(b"cdsc", struct.pack(f">{width}H{width}", number, 1, primary))

    def assembled(shift: int, at: int) -> bytes:
        moved = parts | {b"iloc": _moved(parts[b"iloc"], shift, number, at, len(payload))}
        head = data[meta.content : meta.content + 4]
        return _box(b"meta", head + b"".join(_box(kind, part) for kind, part in moved.items()))

    # Whatever stands behind the items' list moves by as much as the list grows.
    shift = len(assembled(0, 0)) - (meta.end - meta.start)
    at = len(data) + shift + _MDAT_HEAD
    return (
        data[: meta.start] + assembled(shift, at) + data[meta.end :] + _box(b"mdat", payload)
    )  # fmt: skip


def _item_ids(iinf: bytes) -> list[int]:
    file, at = io.BytesIO(iinf), 8 if iinf[0] else 6
    ids = []
    for box in _boxes(file, at, len(iinf)):
        data = iinf[box.content : box.end]
        ids.append(int.from_bytes(data[4:8] if data[0] == 3 else data[4:6], "big"))
    if not ids:
        raise DamagedBoxesError("no items")
    return ids


def _with_item(iinf: bytes, number: int) -> bytes:
    """The list of items with one more: a hidden one of type 'Exif'."""
    entry = _box(b"infe", struct.pack(">BxxBHH4sx", 2, 1, number, 0, b"Exif"))
    width = "I" if iinf[0] else "H"
    (count,) = struct.unpack_from(">" + width, iinf, 4)
    rest = iinf[4 + struct.calcsize(width) :]
    return iinf[:4] + struct.pack(">" + width, count + 1) + rest + entry


def _moved(iloc: bytes, shift: int, number: int, at: int, length: int) -> bytes:
    """Where the items are, all `shift` bytes further, and one more item at `at`."""
    version, sizes, index_size = iloc[0], iloc[4], iloc[5] & 15
    offset_size, length_size, base_size = sizes >> 4, sizes & 15, iloc[5] >> 4
    if version > 1 or offset_size != 4 or length_size != 4 or index_size:
        raise DamagedBoxesError("an unusual list of places")
    (count,) = struct.unpack_from(">H", iloc, 6)
    result, place = bytearray(iloc), 8
    for _ in range(count):
        method = iloc[place + 3] & 15 if version else 0
        place += (4 if version else 2) + 2
        base_at, place = place, place + base_size
        (extents,) = struct.unpack_from(">H", iloc, place)
        place += 2
        for _ in range(extents):
            if method == 0 and not base_size:
                (offset,) = struct.unpack_from(">I", iloc, place)
                struct.pack_into(">I", result, place, offset + shift)
            place += 8
        if method == 0 and base_size:
            base = int.from_bytes(iloc[base_at : base_at + base_size], "big") + shift
            result[base_at : base_at + base_size] = base.to_bytes(base_size, "big")
    struct.pack_into(">H", result, 6, count + 1)
    entry = struct.pack(">HH" if version else ">H", *([number, 0] if version else [number]))
    entry += struct.pack(">H", 0) + bytes(base_size) + struct.pack(">HII", 1, at, length)
    return bytes(result[:place]) + entry
