"""JPEG XL pictures through OpenImageIO (the extra `jxl`).

OpenImageIO's wheel holds libjxl and keeps 16 bits, floating point and colour profiles. EXIF and
XMP, which it rewrites, are kept byte for byte by reading and writing their boxes here.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from imgedit_plugins.errors import PictureReadError, PictureWriteError
from imgedit_plugins.picture_files import boxes, extras
from imgedit_plugins.picture_files.loading import Loaded, damaged
from imgedit_plugins.pictures import Metadata, Pixels

_NUMBERS = {"uint8": "uchar", "uint16": "ushort", "half": "float", "float": "float"}
_READ_AS = {"uchar": "uint8", "ushort": "uint16", "float": "float"}
_SPACES = {"uchar": ("b-w", "srgb"), "ushort": ("grey16", "rgb16"), "float": ("b-w", "scrgb")}

# Primaries and transfer function of sRGB (ITU-T H.273), as libjxl states them for its own sRGB;
# grey has no primaries.
_SRGB = ((1, 13), (0, 13))
# OpenImageIO reads this much to recognise a file, and refuses shorter ones.
_SMALLEST = 256
# From 1, fastest, to 10. On 6 megapixels: 3 takes 1 s, 7 takes 12 s and saves 7 %.
_EFFORT = 3


def _library(path: Path, error: type[PictureReadError] | type[PictureWriteError]) -> Any:
    library = extras.load("OpenImageIO", "jxl", path, error)
    # Other formats, which a crafted file may hold, stay out of reach.
    library.attribute("try_all_readers", 0)
    return library


def blocks(file: BinaryIO, path: Path) -> tuple[bytes | None, bytes | None]:
    """The EXIF block and the XMP packet of a JPEG XL file.

    Raises:
        PictureReadError: a compressed one is damaged, or brotli is not installed.
    """
    try:
        found = boxes.jxl_blocks(file)
    except boxes.DamagedBoxesError as error:
        raise damaged(path, "JPEG XL", str(error)) from error
    except ModuleNotFoundError as error:
        raise extras.not_installed("jxl", path, PictureReadError) from error
    block = found.get(b"Exif")
    return boxes.jxl_exif(block) if block else None, found.get(b"xml ") or None


def load(file: BinaryIO, path: Path) -> Loaded:
    """The header of a JPEG XL file.

    Raises:
        PictureReadError: damaged, or OpenImageIO is not installed.
    """
    library = _library(path, PictureReadError)
    block, xmp = blocks(file, path)
    with _named(file, path) as name:
        spec = _opened(library, name, path).spec()
    numbers = _NUMBERS.get(str(spec.format), str(spec.format))
    has_color = spec.nchannels > 2
    stated = spec.getattribute("CICP")
    profile = spec.getattribute("ICCProfile")
    if profile is None or (stated is not None and tuple(stated)[:2] in _SRGB):
        profile = None  # libjxl makes up a profile where there is none
    else:
        profile = bytes(profile)

    def decode() -> Pixels:
        with _named(file, path) as name:
            source = _opened(library, name, path)
            pixels = source.read_image(_READ_AS[numbers])
        if pixels is None:
            raise damaged(path, "JPEG XL", source.geterror())
        shape = (spec.height, spec.width, spec.nchannels)
        return np.ascontiguousarray(np.asarray(pixels).reshape(shape))

    return Loaded(
        spec.width,
        spec.height,
        spec.nchannels,
        numbers,
        _SPACES.get(numbers, ("multiband", "multiband"))[has_color],
        1,
        profile,
        block,
        xmp,
        decode,
    )


def _opened(library: Any, name: str, path: Path) -> Any:
    source = library.ImageInput.open(name)
    if source is None:
        raise damaged(path, "JPEG XL", library.geterror())
    return source


@contextlib.contextmanager
def _named(file: BinaryIO, path: Path) -> Iterator[str]:
    """The file under a name that ends in .jxl: OpenImageIO goes by the name."""
    small = file.seek(0, os.SEEK_END) < _SMALLEST
    if path.suffix.lower() == ".jxl" and not small and _is_unicode(path):
        yield str(path)
        return
    with tempfile.TemporaryDirectory(prefix="imgedit-") as folder:
        copy = Path(folder) / "picture.jxl"
        file.seek(0)
        with copy.open("wb") as target:
            if small:
                target.write(boxes.jxl_with(file.read(), None, None, pad=_SMALLEST))
            else:
                shutil.copyfileobj(file, target)
        yield str(copy)


def _is_unicode(path: Path) -> bool:
    """Names of files on Unix are bytes, and OpenImageIO takes text."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def encode(
    pixels: Pixels, path: Path, quality: int | None, profile: bytes | None, metadata: Metadata
) -> bytes:
    """A JPEG XL file, without loss unless `quality` is given.

    Args:
        pixels: (height, width, 1, 3 or 4), uint8, uint16 or float32.
        path: for messages.
        quality: 1..100, or None.
        profile: ICC profile; None for sRGB.
        metadata: EXIF and XMP.

    Raises:
        PictureWriteError: it cannot be encoded, or OpenImageIO is not installed.
        OSError: there is no room for a temporary file.
    """
    library = _library(path, PictureWriteError)
    height, width, channels = pixels.shape
    numbers = {"float32": "float"}.get(str(pixels.dtype), str(pixels.dtype))
    spec = library.ImageSpec(width, height, channels, numbers)
    if channels == 4:
        spec.alpha_channel = 3
        spec.attribute("oiio:UnassociatedAlpha", 1)
    if profile is None:
        if channels > 2:  # else floating point would be taken as linear
            spec.attribute("oiio:ColorSpace", "srgb_rec709_scene")
    else:
        data = np.frombuffer(profile, np.uint8)
        spec.attribute("ICCProfile", f"uint8[{len(profile)}]", data)
    if quality is None:
        spec.attribute("jpegxl:distance", 0.0)
    else:
        spec.attribute("compression", f"jpegxl:{quality}")
    spec.attribute("jpegxl:effort", _EFFORT)
    with tempfile.TemporaryDirectory(prefix="imgedit-") as folder:
        name = Path(folder) / "picture.jxl"
        target = library.ImageOutput.create(str(name))
        done = target.open(str(name), spec) and target.write_image(pixels) and target.close()
        if not done:
            reason = " ".join(target.geterror().split())
            raise PictureWriteError(
                f"{str(path)!r} cannot be encoded as JPEG XL ({reason}).", path=path
            )
        encoded = name.read_bytes()
    return boxes.jxl_with(encoded, metadata.exif, metadata.xmp)
