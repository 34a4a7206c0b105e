"""Whether a picture file carries content credentials (C2PA).

They are signed over the bytes of the file, so no edit can keep them; what can be done is to say so.
Places: C2PA Technical Specification 2.3, appendix A (embedding manifests into various formats).
"""

from __future__ import annotations

import io
import os
from typing import BinaryIO

from imgedit_plugins.picture_files import boxes, containers, exif

# Of the box that holds them in ISO base media files, and of the TIFF field.
_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_TIFF_TAG = 0xCD41
_LABEL = b"c2pa"
# A JUMBF box begins with a description box, which holds type and label.
_DESCRIPTION = 128


def has_credentials(file: BinaryIO, name: str, xmp: bytes | None) -> bool:
    """Whether a file of this format holds a C2PA manifest, or its XMP points to one elsewhere."""
    if xmp is not None and b"dcterms:provenance" in xmp:
        return True
    try:
        return _HAVE[name](file)
    except (OSError, exif.DamagedDirectoryError):
        return False


def _jpeg(file: BinaryIO) -> bool:
    return any(
        marker == 0xEB and data[:2] == b"JP" and data[12:16] == b"jumb" and _is_manifest(data)
        for marker, data in containers.jpeg_segments(file)
    )


def _is_manifest(data: bytes) -> bool:
    return _LABEL in data[:_DESCRIPTION]


def _png(file: BinaryIO) -> bool:
    file.seek(8)
    while len(head := file.read(8)) == 8:
        if head[4:] == b"caBX":
            return True
        file.seek(int.from_bytes(head[:4], "big") + 4, io.SEEK_CUR)
    return False


def _webp(file: BinaryIO) -> bool:
    end = file.seek(0, os.SEEK_END)
    at = 12
    while at + 8 <= end:
        file.seek(at)
        head = file.read(8)
        if head[:4] == b"C2PA":
            return True
        size = int.from_bytes(head[4:], "little")
        at += 8 + size + size % 2
    return False


def _tiff(file: BinaryIO) -> bool:
    return _TIFF_TAG in exif.tags(file)


def _iso(file: BinaryIO) -> bool:
    return any(
        box.kind == b"uuid" and boxes.content_of(file, box, 16) == _UUID
        for box in boxes.top_boxes(file)
    )


def _jxl(file: BinaryIO) -> bool:
    return any(
        box.kind == b"jumb" and _is_manifest(boxes.content_of(file, box, _DESCRIPTION))
        for box in boxes.top_boxes(file)
    )


_HAVE = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WEBP": _webp,
    "TIFF": _tiff,
    "AVIF": _iso,
    "HEIF": _iso,
    "JXL": _jxl,
}
