"""Picture files out: whole, or not at all."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from imgedit_plugins.atomic import atomic_write, write_failure
from imgedit_plugins.errors import OptionError, PictureWriteError
from imgedit_plugins.picture_files import encoding, exif
from imgedit_plugins.pictures import Metadata, Picture, Pixels, to_8_bits

Warn = Callable[[str], None]

EXTENSIONS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
    ".avif": "AVIF",
    ".heic": "HEIF",
    ".heif": "HEIF",
    ".jxl": "JXL",
}
"""Formats by extension, in lower case."""

_LARGEST_SIDE = {"JPEG": 65500, "WEBP": 16383, "AVIF": 16384, "HEIF": 16384}


def save_picture(
    picture: Picture,
    path: str | os.PathLike[str],
    *,
    quality: int | None = None,
    overwrite: bool = True,
    flatten: str | None = None,
    on_warning: Warn | None = None,
) -> None:
    """Save a picture in the format of the path's extension.

    The file appears by rename: whole, or not at all. Profile, EXIF, XMP and resolution go along;
    EXIF says orientation 1 and the new size. What each format holds:

    - TIFF: all of it, without loss (deflate).
    - PNG: 8 and 16 bits without loss; float is clipped to 0..1 and rounded to 16 bits.
    - WebP: rounded to 8 bits, then lossless, or lossy when `quality` is given; grey becomes RGB;
      resolution only within EXIF.
    - JPEG: rounded to 8 bits, no alpha. Colours at full resolution (4:4:4) from quality 90 on.
    - AVIF: 8 bits, or rounded to 12; then lossless, or lossy when `quality` is given; grey becomes
      RGB; resolution only within EXIF.
    - HEIC (extra `heif`): 8 bits, or rounded to 10; lossy, colours at half resolution; grey with
      alpha becomes RGB; resolution only within EXIF.
    - JPEG XL (extra `jxl`): 8 and 16 bits and float, lossless, or lossy when `quality` is given;
      grey with alpha becomes RGB; resolution only within EXIF.

    Content credentials (C2PA) of the file that the picture came from are lost, with a warning.

    Args:
        picture: what to save.
        path: its extension, one of EXTENSIONS in either case, says the format.
        quality: 1..100; JPEG's default is 95, HEIC's is 90, and that of WebP, AVIF and JPEG XL is
            lossless. The others do without.
        overwrite: whether an existing file may be replaced.
        flatten: '#rrggbb' to put behind transparent pixels in a JPEG, blended on encoded values.
        on_warning: called with a sentence for each thing the format cannot hold.

    Raises:
        PictureWriteError: unknown extension, or its library is not installed; transparent pixels
            into JPEG without `flatten`; too large for the format; NaN; missing or unwritable
            folder, full disk, and so on. What was at the path is untouched.
        OptionError: `quality` or `flatten` is malformed.
    """
    path = Path(path)
    warn = on_warning or _silent
    name = _format(path)
    _check_options(quality, flatten)
    _check_side(picture, path, name)
    try:
        with atomic_write(path, overwrite=overwrite) as temporary:
            temporary.write_bytes(_encode(picture, path, name, quality, flatten, warn))
        _tell_of_credentials(picture, path, warn)
    except ValueError as error:
        raise PictureWriteError(f"{str(path)!r} is not a possible path.", path=path) from error
    except OSError as error:
        raise _unwritable(path, error) from error


def _silent(_: str) -> None:
    return None


def _tell_of_credentials(picture: Picture, path: Path, warn: Warn) -> None:
    if picture.origin is not None and picture.origin.credentials:
        warn(
            f"The content credentials (C2PA) of {str(picture.origin.path)!r} are signed over its "
            f"unedited pixels; {str(path)!r} is without them."
        )


def _format(path: Path) -> str:
    try:
        return EXTENSIONS[path.suffix.lower()]
    except KeyError:
        known = ", ".join(EXTENSIONS)
        what = f"the extension {path.suffix!r}" if path.suffix else "no extension"
        raise PictureWriteError(
            f"{str(path)!r} has {what}, so its format is unknown.",
            path=path,
            hint=f"Use one of {known}.",
        ) from None


def _check_options(quality: int | None, flatten: str | None) -> None:
    if quality is not None and not 1 <= quality <= 100:
        raise OptionError(f"The quality is {quality}; it goes from 1 to 100.")
    if flatten is not None and not re.fullmatch("#[0-9a-fA-F]{6}", flatten):
        raise OptionError(
            f"The colour {flatten!r} is not written as #rrggbb.", hint="White is #ffffff."
        )


def _check_side(picture: Picture, path: Path, name: str) -> None:
    side = max(picture.width, picture.height)
    largest = _LARGEST_SIDE.get(name, side)
    if side > largest:
        raise PictureWriteError(
            f"{str(path)!r} cannot hold {picture.width} x {picture.height} pixels: {name} goes "
            f"to {largest} a side.",
            path=path,
            hint="Save it as PNG or TIFF.",
        )


def _unwritable(path: Path, error: OSError) -> PictureWriteError:
    hints = {
        errno.ENOENT: "Create the folder first.",
        errno.EISDIR: "Give the name of a file inside it.",
        errno.EEXIST: "Choose another name, or allow overwriting.",
        errno.EACCES: "Choose another folder.",
        errno.EPERM: "Choose another folder.",
        errno.EROFS: "Choose another folder.",
        errno.ENOSPC: "Make room or choose another disk.",
        errno.EDQUOT: "Make room or choose another disk.",
        errno.ENAMETOOLONG: "Choose a shorter name.",
    }
    return PictureWriteError(
        f"{str(path)!r} cannot be written: {write_failure(error)}.",
        path=path,
        hint=hints.get(error.errno or 0, ""),
    )


# --- encoding ---------------------------------------------------------------------------------


def _encode(
    picture: Picture, path: Path, name: str, quality: int | None, flatten: str | None, warn: Warn
) -> bytes:
    """The file's bytes.

    In memory, so that the disk's errors come from our own write with their reason.
    """
    if picture.pixels.dtype == np.float32 and not np.isfinite(picture.pixels).all():
        raise PictureWriteError(
            f"{str(path)!r} cannot be written: the picture has pixels that are not numbers.",
            path=path,
        )
    if name == "JPEG":
        pixels = _opaque(picture, path, flatten)
    else:
        pixels = _for_format(picture.pixels, name)
    metadata = _current(picture, pixels, path, warn)
    profile = _matching_profile(picture.icc_profile, pixels, path, warn)
    return encoding.encode(pixels, path, name, quality, profile, metadata, warn)


# Formats without grey, and those without grey that has alpha.
_NO_GREY = {"WEBP": (1, 2), "AVIF": (1, 2), "HEIF": (2,), "JXL": (2,)}


def _for_format(pixels: Pixels, name: str) -> Pixels:
    if name == "WEBP":
        pixels = to_8_bits(pixels)
    elif name in ("PNG", "AVIF", "HEIF") and pixels.dtype == np.float32:
        pixels = np.rint(np.clip(pixels, 0.0, 1.0) * np.float32(65535)).astype(np.uint16)
    # JPEG XL takes grey floating point as linear light unless a profile says otherwise.
    linear = name == "JXL" and pixels.dtype == np.float32
    if pixels.shape[2] in ((1, 2) if linear else _NO_GREY.get(name, ())):
        pixels = np.concatenate([pixels[:, :, :1]] * 3 + [pixels[:, :, 1:]], axis=2)
    return np.ascontiguousarray(pixels)


def _opaque(picture: Picture, path: Path, flatten: str | None) -> Pixels:
    """8-bit colours without alpha, (height, width, 1 or 3)."""
    color = to_8_bits(picture.color)
    if picture.alpha is None or _is_opaque(picture.alpha):
        return np.ascontiguousarray(color)
    if flatten is None:
        raise PictureWriteError(
            f"{str(path)!r} cannot be written: the picture has transparent pixels and JPEG has "
            "none.",
            path=path,
            hint="Save it as PNG, TIFF or WebP, or give a background colour to flatten onto.",
        )
    behind = np.array(list(bytes.fromhex(flatten[1:])), dtype=np.uint32)
    alpha = to_8_bits(picture.alpha).astype(np.uint32)
    # Broadcasting makes grey RGB, since the background may have a colour.
    return ((color * alpha + behind * (255 - alpha) + 127) // 255).astype(np.uint8)


def _is_opaque(alpha: Pixels) -> bool:
    full = 1.0 if alpha.dtype == np.float32 else np.iinfo(alpha.dtype).max
    return bool((alpha >= full).all())


def _current(picture: Picture, pixels: Pixels, path: Path, warn: Warn) -> Metadata:
    """Metadata whose EXIF says orientation 1 and this size."""
    block = picture.metadata.exif
    if block is not None:
        try:
            block = exif.upright_block(block, pixels.shape[1], pixels.shape[0])
        except exif.DamagedDirectoryError:
            warn(f"The picture's EXIF data are malformed and were left out of {str(path)!r}.")
            block = None
    return Metadata(exif=block, xmp=picture.metadata.xmp, resolution=picture.metadata.resolution)


def _matching_profile(
    profile: bytes | None, pixels: Pixels, path: Path, warn: Warn
) -> bytes | None:
    """The profile, if it is for as many colours as the file has (ICC.1:2022, 7.2.8)."""
    if profile is None:
        return None
    wanted = b"GRAY" if pixels.shape[2] <= 2 else b"RGB "
    if profile[16:20] == wanted:
        return profile
    has = profile[16:20].decode("ascii", "replace").strip()
    warn(
        f"The colour profile is for {has or 'unknown'} pictures and was left out of {str(path)!r}."
    )
    return None
