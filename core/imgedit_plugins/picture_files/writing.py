"""Picture files out: whole, or not at all."""

from __future__ import annotations

import errno
import io
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from imgedit_plugins.atomic import atomic_write, write_failure
from imgedit_plugins.errors import OptionError, PictureWriteError
from imgedit_plugins.picture_files import containers, exif
from imgedit_plugins.picture_files.vips import load_pyvips
from imgedit_plugins.pictures import Metadata, Picture, Pixels, to_8_bits

Warn = Callable[[str], None]

EXTENSIONS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
"""Formats by extension, in lower case."""

_JPEG_QUALITY = 95
# Below this a camera or editor would halve the colours' resolution as well.
_FULL_COLOR_QUALITY = 90
_LARGEST_SIDE = {"JPEG": 65500, "WEBP": 16383}
# What one JPEG marker holds; XMP shares it with the name of its namespace.
_LARGEST_JPEG_EXIF, _LARGEST_JPEG_XMP = 65533, 65504
# Classic TIFF has 32-bit offsets; some room for metadata and incompressible strips.
_LARGEST_CLASSIC_TIFF = 3_900_000_000


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

    Args:
        picture: what to save.
        path: .jpg, .jpeg, .png, .tif, .tiff or .webp, in either case.
        quality: 1..100; JPEG's default is 95, WebP's is lossless. The others do without.
        overwrite: whether an existing file may be replaced.
        flatten: '#rrggbb' to put behind transparent pixels in a JPEG, blended on encoded values.
        on_warning: called with a sentence for each thing the format cannot hold.

    Raises:
        PictureWriteError: unknown extension; transparent pixels into JPEG without `flatten`; too
            large for the format; NaN; missing or unwritable folder, full disk, and so on. What
            was at the path is untouched.
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
    except ValueError as error:
        raise PictureWriteError(f"{str(path)!r} is not a possible path.", path=path) from error
    except OSError as error:
        raise _unwritable(path, error) from error


def _silent(_: str) -> None:
    return None


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
    if name in ("JPEG", "WEBP"):
        return _with_pillow(pixels, name, quality, profile, metadata, path, warn)
    return _with_vips(pixels, name, profile, metadata, path)


def _for_format(pixels: Pixels, name: str) -> Pixels:
    if name == "WEBP":
        pixels = to_8_bits(pixels)
        if pixels.shape[2] <= 2:  # WebP has no grey
            pixels = np.concatenate([pixels[:, :, :1]] * 3 + [pixels[:, :, 1:]], axis=2)
    elif name == "PNG" and pixels.dtype == np.float32:
        pixels = np.rint(np.clip(pixels, 0.0, 1.0) * np.float32(65535)).astype(np.uint16)
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


def _with_pillow(
    pixels: Pixels, name: str, quality: int | None, profile: bytes | None, metadata: Metadata,
    path: Path, warn: Warn,
) -> bytes:  # fmt: skip
    from PIL import Image

    options: dict[str, Any] = {"icc_profile": profile}
    options["exif"], options["xmp"] = metadata.exif, metadata.xmp
    if name == "JPEG":
        options["quality"] = _JPEG_QUALITY if quality is None else quality
        options["subsampling"] = 0 if options["quality"] >= _FULL_COLOR_QUALITY else 2
        if metadata.resolution:
            options["dpi"] = tuple(min(round(v), 65535) for v in metadata.resolution)
        _drop_too_long(options, path, warn)
    elif quality is None:
        # exact: colours under alpha 0 stay. Lossless quality is effort: on a photograph the
        # default, 80, takes 4 times as long and gains nothing.
        options |= {"lossless": True, "exact": True, "method": 2, "quality": 20}
    else:
        options["quality"] = quality
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    buffer = io.BytesIO()
    image.save(buffer, name, **{key: value for key, value in options.items() if value is not None})
    return buffer.getvalue()


def _drop_too_long(options: dict[str, Any], path: Path, warn: Warn) -> None:
    for key, most in (("exif", _LARGEST_JPEG_EXIF), ("xmp", _LARGEST_JPEG_XMP)):
        if options[key] is not None and len(options[key]) > most:
            warn(f"The {key.upper()} data are too long for a JPEG and were left out of {path}.")
            options[key] = None


def _with_vips(
    pixels: Pixels, name: str, profile: bytes | None, metadata: Metadata, path: Path
) -> bytes:
    pyvips = load_pyvips()

    height, width, channels = pixels.shape
    kind = {np.dtype(np.uint8): "uchar", np.dtype(np.uint16): "ushort"}.get(pixels.dtype, "float")
    image = pyvips.Image.new_from_memory(pixels, width, height, channels, kind)
    image = image.copy(interpretation=_INTERPRETATIONS[kind][channels > 2])
    for field, value in (("icc-profile-data", profile), ("xmp-data", metadata.xmp)):
        if value is not None:
            image.set_type(pyvips.GValue.blob_type, field, value)
    try:
        if name == "PNG":
            # libvips's default is no filter, which suits drawings, not photographs.
            data = image.pngsave_buffer(compression=6, filter="all", keep="icc|xmp")
            return containers.png_with(data, metadata.exif, metadata.resolution)
        data = image.tiffsave_buffer(
            compression="deflate",
            predictor="float" if kind == "float" else "horizontal",
            bigtiff=pixels.nbytes > _LARGEST_CLASSIC_TIFF,
            keep="icc|xmp",
        )
    except pyvips.Error as error:
        raise PictureWriteError(
            f"{str(path)!r} cannot be encoded as {name} ({' '.join(str(error).split())}).",
            path=path,
        ) from error
    return exif.add_to_tiff(data, _tiff_fields(metadata))


_INTERPRETATIONS = {
    "uchar": ("b-w", "srgb"),
    "ushort": ("grey16", "rgb16"),
    "float": ("b-w", "scrgb"),
}


def _tiff_fields(metadata: Metadata) -> exif.Directory:
    fields = exif.resolution_entries(metadata.resolution)
    if metadata.exif is not None:
        found = exif.parse_block(metadata.exif)
        fields |= {tag: entry for tag, entry in found.items() if tag in exif.DESCRIPTIVE}
    return fields
