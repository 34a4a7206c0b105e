"""Picture files in: header, pixels, metadata."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from imgedit_plugins.errors import PictureReadError
from imgedit_plugins.picture_files import (
    boxes,
    coded_colors,
    containers,
    credentials,
    exif,
    formats,
    jxl,
    loading,
)
from imgedit_plugins.picture_files.loading import Loaded
from imgedit_plugins.pictures import JpegCompression, Metadata, Origin, Picture, Pixels

Warn = Callable[[str], None]

DEFAULT_MAX_PIXELS = 500_000_000
"""More than the largest cameras and most panoramas; 8-bit RGB of this size takes 1.5 GB."""

MAX_PIXELS_VARIABLE = "IMGEDIT_MAX_PIXELS"
"""Environment variable that replaces DEFAULT_MAX_PIXELS."""

_COLOR_SPACES = ("b-w", "grey16", "srgb", "rgb16", "rgb", "scrgb", "multiband")

_TO_RGB = "Convert it to RGB first, for example in GIMP or Krita, with its colour profile."
_TO_16_BITS = "Save it with 8 or 16 bits a channel, or as 32-bit floating point."
# By PhotometricInterpretation; the others are grey, palette, RGB, CMYK and JPEG's YCbCr.
_FOREIGN_COLORS = {8: "Lab", 9: "Lab", 10: "Lab", 32844: "LogL", 32845: "LogLuv"}
_RAW_COLORS = (32803, 34892)
_READABLE_BITS = {(b, 1) for b in (1, 2, 4, 8, 16)} | {(32, 3)}


_TURNED = ("AVIF", "HEIF", "JXL")


@dataclass(frozen=True)
class Header:
    """What a file says before its pixels are decoded.

    Attributes:
        format: 'JPEG', 'PNG', 'TIFF', 'WEBP', 'AVIF', 'HEIF' or 'JXL', by content.
        width: columns of the upright picture.
        height: rows of the upright picture.
        jpeg: set for JPEG files.
    """

    format: str
    width: int
    height: int
    jpeg: JpegCompression | None = None


@dataclass(frozen=True)
class _Facts:
    """What we read ourselves, beside libvips."""

    orientation: int
    resolution: tuple[float, float] | None
    exif: bytes | None
    jpeg: JpegCompression | None
    animated: bool
    credentials: bool


def read_header(path: str | os.PathLike[str]) -> Header:
    """Format and size of a picture file; cheap, decodes no pixels.

    Raises:
        PictureReadError: as `open_picture`, except for damage behind the header and for size.
    """
    path = Path(path)
    with formats.open_file(path) as file:
        name = _sniff(file, path)
        image = _load(file, path, name)
        facts = _facts(file, path, name, image, _silent)
    width, height = image.width, image.height
    if facts.orientation > 4:
        width, height = height, width
    return Header(name, width, height, facts.jpeg)


def open_picture(
    path: str | os.PathLike[str],
    *,
    max_pixels: int | None = None,
    on_warning: Warn | None = None,
) -> Picture:
    """Open a JPEG, PNG, TIFF, WebP, AVIF, HEIF or JPEG XL file; its content decides which.

    Pixels are turned upright; the kept EXIF and XMP then say so, and the EXIF thumbnail, which
    would be stale, is gone. Palettes and 1-, 2- and 4-bit pictures become 8 bits; 16 bits stay.
    10 and 12 bits become 16. Floating-point files keep their values as stored; those outside 0..1
    are warned of. The colours are not converted, the profile comes along; only CMYK becomes sRGB,
    by its profile and with a warning.

    Args:
        path: the file.
        max_pixels: refuse larger pictures before decoding; None for the environment variable
            IMGEDIT_MAX_PIXELS, or else 500 million.
        on_warning: called with a sentence for each thing left out or changed: further pages,
            animation, damaged EXIF, CMYK, colours that only numbers state.

    Returns:
        The picture, (height, width, 1 to 4), uint8, uint16 or float32, alpha not premultiplied.

    Raises:
        PictureReadError: no such file, a folder, no permission, another format, damaged or cut
            short, too large, CMYK without a profile or other colours that have no RGB, or a
            format whose library is not installed.
    """
    path = Path(path)
    warn = on_warning or _silent
    limit = _default_limit(path) if max_pixels is None else max_pixels
    with formats.open_file(path) as file:
        name = _sniff(file, path)
        image = _load(file, path, name)
        _check_size(image, path, limit)
        facts = _facts(file, path, name, image, warn)
        _check_colors(image, path)
        _warn_of_pages(image, path, facts, warn)
        profile = coded_colors.profile(file, path, name, image, warn)
        pixels = _upright(image.decode(), facts.orientation)
    if image.changed:
        warn(image.changed)
    if pixels.dtype == np.float32:
        _check_values(pixels, path, warn)
    return Picture(
        pixels,
        icc_profile=profile,
        metadata=_metadata(image, path, facts, pixels, name, warn),
        origin=Origin(path, name, facts.jpeg, credentials=facts.credentials),
    )


def read_xmp(path: str | os.PathLike[str]) -> bytes | None:
    """The XMP packet of a picture file, or of an XMP sidecar file; decodes no pixels.

    Raises:
        PictureReadError: as `read_header`.
    """
    path = Path(path)
    with formats.open_file(path) as file:
        try:
            if formats.is_xmp(file):
                return file.read()
        except OSError as error:
            raise formats.read_failure(path, error) from error
        name = _sniff(file, path)
        if name == "JXL":  # its boxes are readable without its decoder
            return jxl.blocks(file, path)[1]
        return _load(file, path, name).xmp


def _silent(_: str) -> None:
    return None


def _default_limit(path: Path) -> int:
    text = os.environ.get(MAX_PIXELS_VARIABLE, "")
    if not text:
        return DEFAULT_MAX_PIXELS
    try:
        return int(float(text))
    except (ValueError, OverflowError) as error:
        raise PictureReadError(
            f"The environment variable {MAX_PIXELS_VARIABLE} is {text!r}, not a number of pixels.",
            path=path,
            hint="Unset it, or set it to a number such as 1000000000.",
        ) from error


def _sniff(file: BinaryIO, path: Path) -> str:
    try:
        return formats.sniff(file, path)
    except OSError as error:
        raise formats.read_failure(path, error) from error


def _load(file: BinaryIO, path: Path, name: str) -> Loaded:
    if name == "TIFF":
        _check_tiff(_tiff_directory(file, path), path)
    return loading.load(file, path, name)


def _tiff_directory(file: BinaryIO, path: Path) -> exif.Directory:
    try:
        return exif.read_directory(file)
    except exif.DamagedDirectoryError as error:
        raise PictureReadError(
            f"{formats.quoted(path)} is damaged or cut short: {error}.",
            path=path,
            hint="Get the file again from where it came.",
        ) from error


def _check_tiff(directory: exif.Directory, path: Path) -> None:
    """Refuse kinds of TIFF that libvips would call damaged, or decode to a thumbnail."""

    def numbers(tag: int, default: int) -> set[int]:
        entry = directory.get(tag)
        # One value a channel; a damaged count may say thousands.
        values = entry.numbers()[:8] if entry else ()
        return {int(value) for value in values} or {default}

    colors = numbers(exif.PHOTOMETRIC, 2).pop()
    if exif.DNG_VERSION in directory or colors in _RAW_COLORS:
        raise formats.raw_file(path)
    if colors in _FOREIGN_COLORS:
        raise formats.unreadable(path, f"a {_FOREIGN_COLORS[colors]} picture", _TO_RGB)
    bits, kinds = numbers(exif.BITS_PER_SAMPLE, 1), numbers(exif.SAMPLE_FORMAT, 1)
    kinds = {1 if kind == 4 else kind for kind in kinds}  # 4: untyped
    if len(bits) > 1 or len(kinds) > 1 or (min(bits), min(kinds)) not in _READABLE_BITS:
        word = {2: "signed", 3: "floating-point"}.get(max(kinds), "unsigned")
        depth = "/".join(str(b) for b in sorted(bits))
        raise formats.unreadable(path, f"a TIFF of {depth}-bit {word} numbers", _TO_16_BITS)


def _check_size(image: Loaded, path: Path, limit: int) -> None:
    pixels = image.width * image.height
    if pixels > limit:
        raise PictureReadError(
            f"{formats.quoted(path)} says that it has {image.width} x {image.height} pixels "
            f"({pixels / 1e6:,.0f} megapixels), more than the limit of {limit / 1e6:,.6g}.",
            path=path,
            hint=f"If you trust it, set the environment variable {MAX_PIXELS_VARIABLE}={pixels}.",
        )


def _check_colors(image: Loaded, path: Path) -> None:
    if image.colors not in _COLOR_SPACES:
        raise formats.unreadable(path, f"a {image.colors} picture", _TO_RGB)
    if image.numbers not in loading.DTYPES:
        raise formats.unreadable(path, f"a picture of {image.numbers} numbers", _TO_16_BITS)
    if image.channels > 4:
        raise formats.unreadable(
            path, f"a picture of {image.channels} channels",
            "Save it with its colours and at most one alpha channel.",
        )  # fmt: skip


def _warn_of_pages(image: Loaded, path: Path, facts: _Facts, warn: Warn) -> None:
    if image.pages > 1:
        warn(f"{formats.quoted(path)} holds {image.pages} pictures; only the first is used.")
    elif facts.animated:
        warn(f"{formats.quoted(path)} is animated; only its first picture is used.")


def _check_values(pixels: Pixels, path: Path, warn: Warn) -> None:
    low, high = float(pixels.min()), float(pixels.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise PictureReadError(
            f"{formats.quoted(path)} has pixels that are not numbers (NaN or infinite).",
            path=path,
            hint="Export it again with values from 0 to 1.",
        )
    if low < 0 or high > 1:
        warn(
            f"{formats.quoted(path)} has values from {low:g} to {high:g}; what is outside 0 to 1 "
            "is cut off wherever a picture is shown or saved with whole numbers."
        )


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undo an EXIF orientation: 2, 4 mirrored; 3 upside down; 5 to 8 on a side."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


# --- metadata ---------------------------------------------------------------------------------


def _facts(file: BinaryIO, path: Path, name: str, image: Loaded, warn: Warn) -> _Facts:
    jpeg, density, animated = None, None, False
    try:
        if name == "JPEG":
            jpeg, density = containers.jpeg_header(file)
        elif name == "PNG":
            density, animated = containers.png_header(file)
        elif name in ("AVIF", "HEIF"):
            animated = boxes.has_film(file)
        if name == "TIFF":
            directory = exif.read_directory(file)
            block = exif.to_block(directory)
        else:
            block = image.exif
            directory = exif.parse_block(block) if block else {}
    except exif.DamagedDirectoryError:
        warn(f"The EXIF data of {formats.quoted(path)} are damaged and were left out.")
        block, directory = None, {}
    except OSError as error:
        raise formats.read_failure(path, error) from error
    # AVIF, HEIF and JPEG XL say it elsewhere, and their decoders have turned the picture already.
    turned = 1 if name in _TURNED else exif.orientation(directory)
    return _Facts(
        turned,
        density or exif.resolution(directory),
        block,
        jpeg,
        animated,
        credentials.has_credentials(file, name, image.xmp),
    )


def _metadata(
    image: Loaded, path: Path, facts: _Facts, pixels: Pixels, name: str, warn: Warn
) -> Metadata:
    block, xmp = facts.exif, image.xmp
    if block is not None:
        try:
            block = exif.upright_block(block, pixels.shape[1], pixels.shape[0])
        except exif.DamagedDirectoryError:
            warn(f"The EXIF data of {formats.quoted(path)} are damaged and were left out.")
            block = None
    # Without an EXIF orientation nothing was turned, and XMP's stays whatever it says.
    if xmp is not None and (facts.orientation != 1 or name in _TURNED):
        xmp = exif.upright_xmp(xmp)
    return Metadata(exif=block, xmp=xmp, resolution=facts.resolution)
