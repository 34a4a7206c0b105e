"""Pixels and what belongs to them as the bytes of a file, in each format."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from imgedit_plugins.errors import PictureWriteError
from imgedit_plugins.picture_files import boxes, containers, exif, loading, plan_in_xmp
from imgedit_plugins.picture_files.vips import load_pyvips
from imgedit_plugins.pictures import Metadata, Pixels

Warn = Callable[[str], None]

_JPEG_QUALITY = 95
# Below this a camera or editor would halve the colours' resolution as well.
_FULL_COLOR_QUALITY = 90
# Their encoders look into a profile and refuse damaged ones.
_PARTICULAR = ("PNG", "JXL")
_AVIF_BITS = 12
# Of 0 to 9. On 6 megapixels: 1 takes 1 s, 4 takes 50 s and saves 5 % at quality 90.
_AVIF_EFFORT = 1
# What one JPEG marker holds; XMP shares it with the name of its namespace.
_LARGEST_JPEG_EXIF, _LARGEST_JPEG_XMP = 65533, 65504
# Classic TIFF has 32-bit offsets; some room for metadata and incompressible strips.
_LARGEST_CLASSIC_TIFF = 3_900_000_000


def encode(
    pixels: Pixels,
    path: Path,
    name: str,
    quality: int | None,
    profile: bytes | None,
    metadata: Metadata,
    warn: Warn,
) -> bytes:
    """The bytes of a file.

    Args:
        pixels: (height, width, channels), of a kind that the format has.
        path: for messages.
        name: the format.
        quality: 1..100, or None for the format's default.
        profile: ICC profile for as many colours.
        metadata: EXIF of an upright picture, XMP, resolution.
        warn: called with a sentence for each thing the format cannot hold.

    Raises:
        PictureWriteError: it cannot be encoded, or the format's library is not installed.
    """
    if name in ("JPEG", "WEBP"):
        return _with_pillow(pixels, name, quality, profile, metadata, path, warn)
    try:
        return _with_others(pixels, path, name, quality, profile, metadata)
    except PictureWriteError:
        if profile is None or name not in _PARTICULAR:
            raise
        data = _with_others(pixels, path, name, quality, None, metadata)
        warn(f"The colour profile is damaged and was left out of {str(path)!r}.")
        return data


def _with_others(
    pixels: Pixels, path: Path, name: str, quality: int | None, profile: bytes | None,
    metadata: Metadata,
) -> bytes:  # fmt: skip
    if name == "HEIF":
        from imgedit_plugins.picture_files import heif

        return heif.encode(pixels, path, quality, profile, metadata)
    if name == "JXL":
        from imgedit_plugins.picture_files import jxl

        return jxl.encode(pixels, path, quality, profile, metadata)
    return _with_vips(pixels, name, quality, profile, metadata, path)


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
    xmp = options["xmp"]
    if xmp is not None and len(xmp) > _LARGEST_JPEG_XMP:
        with contextlib.suppress(plan_in_xmp.MalformedXmpError):
            options["xmp"] = plan_in_xmp.without_plan(xmp)
        if options["xmp"] != xmp:
            warn(f"The edit plan is too long for a JPEG's XMP and was left out of {str(path)!r}.")
    for key, most in (("exif", _LARGEST_JPEG_EXIF), ("xmp", _LARGEST_JPEG_XMP)):
        if options[key] is not None and len(options[key]) > most:
            warn(f"The {key.upper()} data are too long for a JPEG and were left out of {path}.")
            options[key] = None


def _with_vips(
    pixels: Pixels, name: str, quality: int | None, profile: bytes | None, metadata: Metadata,
    path: Path,
) -> bytes:  # fmt: skip
    pyvips = load_pyvips()

    height, width, channels = pixels.shape
    deep = pixels.dtype == np.uint16
    if name == "AVIF" and deep:
        pixels = loading.narrowed(pixels, _AVIF_BITS)
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
        if name == "AVIF":
            full = quality is None or quality >= _FULL_COLOR_QUALITY
            data = image.heifsave_buffer(
                compression="av1",
                bitdepth=_AVIF_BITS if deep else 8,
                effort=_AVIF_EFFORT,
                subsample_mode="off" if full else "on",
                keep="icc|xmp",
                **({"lossless": True} if quality is None else {"Q": quality}),
            )
            return boxes.heif_with_exif(data, metadata.exif) if metadata.exif else data
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
