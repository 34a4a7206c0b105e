"""Opening a picture file: what its header says, and a way to its pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from imgedit_plugins.errors import PictureReadError
from imgedit_plugins.picture_files import cmyk, formats
from imgedit_plugins.picture_files.vips import load_pyvips
from imgedit_plugins.pictures import Pixels

_LOADERS = {
    "JPEG": "jpegload_source",
    "PNG": "pngload_source",
    "TIFF": "tiffload_source",
    "WEBP": "webpload_source",
    "AVIF": "heifload_source",
    "HEIF": "heifload_source",
}
DTYPES = {"uchar": np.uint8, "ushort": np.uint16, "float": np.float32}
"""libvips's names of the number formats that pictures have here."""


@dataclass(frozen=True)
class Loaded:
    """A file whose header was read.

    Attributes:
        width: columns as decoded, which for AVIF, HEIF and JPEG XL is upright.
        height: rows as decoded.
        channels: colours and alpha.
        numbers: libvips's name of the number format; see DTYPES.
        colors: libvips's name of the colour space.
        pages: pictures in the file.
        profile: the ICC profile.
        exif: the EXIF block.
        xmp: the XMP packet.
        decode: gives the pixels, (height, width, channels); raises PictureReadError.
        changed: what had to be done to the colours, as a sentence; empty if nothing.
    """

    width: int
    height: int
    channels: int
    numbers: str
    colors: str
    pages: int
    profile: bytes | None
    exif: bytes | None
    xmp: bytes | None
    decode: Callable[[], Pixels]
    changed: str = ""


def load(file: BinaryIO, path: Path, name: str) -> Loaded:
    """The header of a file of a known format.

    Raises:
        PictureReadError: it is damaged, or its decoder is not installed.
    """
    if name == "JXL":
        from imgedit_plugins.picture_files import jxl

        return jxl.load(file, path)
    image = _open(file, path, name)
    profile, changed = _block(image, "icc-profile-data"), ""
    if image.interpretation == "cmyk":
        image = cmyk.to_srgb(image, profile, path)
        profile, changed = (
            None,
            f"{formats.quoted(path)} is CMYK and was converted to sRGB by its profile.",
        )
    needs_heif = name == "HEIF" and _field(image, "heif-compression") == "hevc"
    bits = _field(image, "bits-per-sample")

    def decode() -> Pixels:
        if needs_heif:
            from imgedit_plugins.picture_files import heif

            pixels = heif.decode(file, path)
        else:
            pixels = vips_pixels(image, path, name)
        deep = name in ("AVIF", "HEIF") and pixels.dtype == np.uint16
        return widened(pixels, int(bits or 16)) if deep else pixels

    return Loaded(
        image.width,
        image.height,
        image.bands,
        image.format,
        image.interpretation,
        _field(image, "n-pages") or 1,
        profile,
        _block(image, "exif-data"),
        _block(image, "xmp-data"),
        decode,
        changed,
    )


def _open(file: BinaryIO, path: Path, name: str) -> Any:
    """The file as a pyvips image that decodes when asked to.

    The loader is named, so that no other of libvips's many can be reached by a crafted file, and
    it reads from the open file, so that libvips cannot answer from its cache of file names.
    """
    pyvips = load_pyvips()

    source = pyvips.Source.new_from_descriptor(file.fileno())
    try:
        return getattr(pyvips.Image, _LOADERS[name])(source, access="sequential", fail_on="error")
    except pyvips.Error as error:
        raise damaged(path, name, error) from error


def vips_pixels(image: Any, path: Path, name: str) -> Pixels:
    """Decode a libvips image; raises PictureReadError."""
    pyvips = load_pyvips()

    try:
        data = image.write_to_memory()
    except pyvips.Error as error:
        raise damaged(path, name, error) from error
    except MemoryError as error:
        raise PictureReadError(
            f"{formats.quoted(path)} has {image.width} x {image.height} pixels, more than fit "
            "into this computer's memory.", path=path, hint="Scale it down or crop it first.",
        ) from error  # fmt: skip
    shape = (image.height, image.width, image.bands)
    return np.frombuffer(data, dtype=DTYPES[image.format]).reshape(shape)


def damaged(path: Path, name: str, error: Exception | str) -> PictureReadError:
    """The error for a file that its decoder cannot make sense of."""
    # libvips appends one line per layer; the first says most, the very first which call it was.
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not isinstance(error, str):
        lines = lines[1:]
    # Of libheif's reads behind the end of a file only the conclusion is worth telling.
    lines = [line for line in lines if "bad seek" not in line]
    detail = f" ({lines[0].rstrip('.')})" if lines else ""
    return PictureReadError(
        f"{formats.quoted(path)} is damaged or cut short and cannot be decoded as {name}{detail}.",
        path=path,
        hint="Get the file again from where it came.",
    )


def widened(pixels: Pixels, bits: int) -> Pixels:
    """Numbers of few bits in the upper bits of 16, as libheif gives them, as numbers to 65535.

    Shifted only, white of 10 bits would be 65472.
    """
    if bits >= 16:
        return pixels
    most = (1 << bits) - 1
    table = (np.arange(most + 1, dtype=np.uint32) * 65535 + most // 2) // most
    return np.asarray(table.astype(np.uint16)[pixels >> (16 - bits)])


def narrowed(pixels: Pixels, bits: int) -> Pixels:
    """The reverse of `widened`: numbers to 65535 rounded to few bits, in the upper bits of 16."""
    most = (1 << bits) - 1
    table = (np.arange(65536, dtype=np.uint32) * most + 32767) // 65535
    return np.asarray((table << (16 - bits)).astype(np.uint16)[pixels])


def _field(image: Any, name: str) -> Any:
    return image.get(name) if name in image.get_fields() else None


def _block(image: Any, name: str) -> bytes | None:
    value = _field(image, name)
    return bytes(value) if value else None
