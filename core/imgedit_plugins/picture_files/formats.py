"""Which format a file has, by its content, and what to do about the ones we do not read."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from imgedit_plugins.errors import PictureReadError
from imgedit_plugins.picture_files import boxes

NAMES = ("JPEG", "PNG", "TIFF", "WEBP", "AVIF", "HEIF", "JXL")
"""The formats that are read."""

_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_CONVERT = "Open it in GIMP or Krita and export it as PNG or TIFF."
_DEVELOP = "Develop it first, for example in darktable or RawTherapee, to a 16-bit TIFF."

# (offset, bytes, name, hint); only what people have on their disks.
_OTHERS: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"GIF8", "a GIF", _CONVERT),
    (0, b"BM", "a BMP", _CONVERT),
    (0, b"8BPS", "a Photoshop document", _CONVERT),
    (0, b"gimp xcf", "a GIMP document (XCF)", "Export it from GIMP as PNG or TIFF."),
    (0, b"%PDF", "a PDF", "Export the page as PNG."),
    (0, b"%!PS", "a PostScript file", "Export the page as PNG."),
    (0, b"\0\0\1\0", "an icon file (ICO)", _CONVERT),
    (0, b"\x76\x2f\x31\x01", "an OpenEXR picture", "Export it as floating-point TIFF."),
    (0, b"#?RADIANCE", "a Radiance HDR picture", "Export it as floating-point TIFF."),
    (0, b"\0\0\0\x0cjP  ", "a JPEG 2000 picture", _CONVERT),
    (0, b"FUJIFILM", "a camera's raw file", _DEVELOP),
    (0, b"IIRO", "a camera's raw file", _DEVELOP),
    (0, b"IIRS", "a camera's raw file", _DEVELOP),
    (0, b"IIU\0", "a camera's raw file", _DEVELOP),
    (0, b"MMOR", "a camera's raw file", _DEVELOP),
    (0, b"FOVb", "a camera's raw file", _DEVELOP),
    (8, b"CR\x02\0", "a camera's raw file", _DEVELOP),
    (4, b"ftypcrx", "a camera's raw file", _DEVELOP),
    (4, b"ftyp", "a video", "Export the frame as PNG."),
    (30, b"mimetypeapplication/x-krita", "a Krita document", "Export it from Krita as PNG."),
    (30, b"mimetypeimage/openraster", "an OpenRaster document", _CONVERT),
    (0, b"PK\3\4", "a ZIP archive", "Unpack it and give the picture inside."),
    (0, b"\x1f\x8b", "a gzip archive", "Unpack it and give the picture inside."),
)

# Brands of HEIF: pictures, bursts and the general ones.
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"mif2", b"msf1")
_AVIF = (b"avif", b"avis")
_HEAD = 256

# Raw files that are TIFF inside: libvips would show their thumbnail.
_RAW_EXTENSIONS = (
    ".3fr", ".arw", ".cr2", ".dcr", ".dng", ".erf", ".iiq", ".kdc", ".mef", ".nef", ".nrw", ".pef",
    ".sr2", ".srw",
)  # fmt: skip

_READ_REASONS = {
    errno.EACCES: "permission is denied",
    errno.EPERM: "permission is denied",
    errno.ENOTDIR: "a part of its path is a file, not a folder",
    errno.ELOOP: "its path is a circle of links",
    errno.ENAMETOOLONG: "its name is too long",
    errno.EIO: "the disk reports a read error",
}


def quoted(path: Path) -> str:
    """A path as it stands in messages."""
    return repr(str(path))


def open_file(path: Path) -> BinaryIO:
    """The file, open for reading; raises PictureReadError for folders, pipes, missing files."""
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise PictureReadError(
                f"{quoted(path)} is a folder, not a picture.", path=path,
                hint="Give a file inside it.",
            )  # fmt: skip
        if not stat.S_ISREG(found.st_mode):
            # Opening a pipe would wait for ever.
            raise PictureReadError(
                f"{quoted(path)} is a device or a pipe, not a file.", path=path,
                hint="Save the picture to a file first.",
            )  # fmt: skip
        return path.open("rb")
    except FileNotFoundError as error:
        raise PictureReadError(
            f"There is no file {quoted(path)}.", path=path, hint="Check the spelling of its path."
        ) from error
    except ValueError as error:
        raise PictureReadError(f"{quoted(path)} is not a possible path.", path=path) from error
    except OSError as error:
        raise read_failure(path, error) from error


def read_failure(path: Path, error: OSError) -> PictureReadError:
    """The error for a file that the system does not let us read."""
    known = _READ_REASONS.get(error.errno or 0)
    reason = known or (error.strerror or str(error)).rstrip(".").lower()
    return PictureReadError(f"{quoted(path)} cannot be read: {reason}.", path=path)


def sniff(file: BinaryIO, path: Path) -> str:
    """One of NAMES; raises PictureReadError, saying what the file is instead."""
    file.seek(0, os.SEEK_SET)
    head = file.read(_HEAD)
    file.seek(0, os.SEEK_SET)
    if not head:
        raise PictureReadError(
            f"{quoted(path)} is empty.", path=path, hint="Get the file again from where it came."
        )
    if name := _known(head):
        return name
    for offset, magic, name, hint in _OTHERS:
        if head.startswith(magic, offset):
            raise unreadable(path, name, hint)
    if head.startswith(_TIFF_STARTS):
        if path.suffix.lower() in _RAW_EXTENSIONS:
            raise raw_file(path)
        return "TIFF"
    raise _unknown(head, path)


def _known(head: bytes) -> str:
    """The format of a file that begins like this; '' if it is none that we read, or TIFF."""
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    if head.startswith((boxes.JXL_CODESTREAM, boxes.JXL_SIGNATURE)):
        return "JXL"
    brands = boxes.brands(head)
    # The major brand may be the general 'mif1'; raw files and videos may be compatible with it.
    if brands[:1] and brands[0] in _AVIF + _HEIF:
        return "AVIF" if any(brand in _AVIF for brand in brands) else "HEIF"
    return ""


def may_hold_xmp(path: Path) -> bool:
    """Whether a file begins like a picture, readable here or not, or like an XMP sidecar file.

    False if it cannot be opened.
    """
    try:
        with open_file(path) as file:
            if is_xmp(file):
                return True
            head = file.read(_HEAD)
    except (PictureReadError, OSError):
        return False
    others = any(head.startswith(magic, offset) for offset, magic, _, _ in _OTHERS)
    return bool(_known(head)) or others or head.startswith(_TIFF_STARTS)


def is_xmp(file: BinaryIO) -> bool:
    """Whether a file is an XMP packet, as sidecar files are."""
    file.seek(0, os.SEEK_SET)
    head = file.read(_HEAD).lstrip(b"\xef\xbb\xbf \t\r\n")
    file.seek(0, os.SEEK_SET)
    return head.startswith((b"<?xpacket", b"<x:xmpmeta", b"<rdf:RDF")) or (
        head.startswith(b"<?xml") and b"adobe:ns:meta/" in head
    )


def unreadable(path: Path, name: str, hint: str = _CONVERT) -> PictureReadError:
    """The error for a format, or a kind of a format, that we do not read."""
    return PictureReadError(f"{quoted(path)} is {name}, which is not read here.",
                            path=path, hint=hint)  # fmt: skip


def raw_file(path: Path) -> PictureReadError:
    """The error for raw files that are TIFF inside."""
    return unreadable(path, "a camera's raw file", _DEVELOP)


def _unknown(head: bytes, path: Path) -> PictureReadError:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<svg", b"<?xml")):
        return unreadable(path, "an SVG or another XML file", "Export it as PNG.")
    return PictureReadError(
        f"{quoted(path)} is not a picture: its content is neither JPEG, PNG, TIFF, WebP, "
        "AVIF, HEIF nor JPEG XL.",
        path=path,
        hint="Check that it is the right file, and that it was downloaded completely.",
    )
