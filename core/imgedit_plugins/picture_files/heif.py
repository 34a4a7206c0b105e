"""HEIC pictures, that is HEVC inside HEIF, through pillow-heif (the extra `heif`).

libvips's wheel holds the AV1 codec and no HEVC; pillow-heif's holds libde265, which decodes HEVC,
and x265, which encodes it. Headers and metadata are read by libvips also here.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from imgedit_plugins.errors import PictureReadError, PictureWriteError
from imgedit_plugins.picture_files import exif, extras, loading
from imgedit_plugins.pictures import Metadata, Pixels

BITS = 10
"""Of each channel of a deep picture, in the files written here."""

_QUALITY = 90
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def decode(file: BinaryIO, path: Path) -> Pixels:
    """The upright pixels of the main picture, (height, width, 1 to 4).

    More than 8 bits are in the upper bits of uint16, as in libheif.

    Raises:
        PictureReadError: damaged, or pillow-heif is not installed.
    """
    library = extras.load("pillow_heif", "heif", path, PictureReadError)
    file.seek(0)
    try:
        found = library.open_heif(file, convert_hdr_to_8bit=False)
        image = found[found.primary_index]
        pixels = np.asarray(image)
    except MemoryError:
        raise
    except Exception as error:  # it raises what its C code finds: ValueError, SyntaxError, ...
        raise loading.damaged(path, "HEIF", str(error)) from error
    if image.premultiplied_alpha:
        pixels = _divided(pixels)
    return np.ascontiguousarray(pixels if pixels.ndim == 3 else pixels[:, :, None])


def _divided(pixels: Pixels) -> Pixels:
    """Colours that are not multiplied by alpha."""
    most = np.iinfo(pixels.dtype).max
    alpha = pixels[:, :, -1:].astype(np.uint32)
    color = pixels[:, :, :-1].astype(np.uint32) * most // np.maximum(alpha, 1)
    divided = np.minimum(color, most).astype(pixels.dtype)
    return np.concatenate([divided, pixels[:, :, -1:]], axis=2)


def encode(
    pixels: Pixels, path: Path, quality: int | None, profile: bytes | None, metadata: Metadata
) -> bytes:
    """A HEIC file: 8 bits, or 10 for uint16; colours at half resolution, as cameras do.

    Args:
        pixels: (height, width, 1, 3 or 4), uint8 or uint16.
        path: for messages.
        quality: 1..100; 90 by default.
        profile: ICC profile.
        metadata: EXIF and XMP.

    Raises:
        PictureWriteError: it cannot be encoded, or pillow-heif is not installed.
    """
    library = extras.load("pillow_heif", "heif", path, PictureWriteError)
    height, width, channels = pixels.shape
    mode = _MODES[channels]
    if pixels.dtype == np.uint16:
        mode, pixels = f"{mode};16", loading.narrowed(pixels, BITS)
    # pillow-heif would turn the picture as the XMP says; the pixels are upright.
    xmp = metadata.xmp and exif.upright_xmp(metadata.xmp)
    blocks = {"icc_profile": profile, "exif": metadata.exif, "xmp": xmp}
    options: dict[str, Any] = {name: block for name, block in blocks.items() if block is not None}
    buffer = io.BytesIO()
    try:
        image = library.from_bytes(mode, (width, height), np.ascontiguousarray(pixels).tobytes())
        image.save(buffer, quality=_QUALITY if quality is None else quality, **options)
    except (ValueError, RuntimeError, OSError) as error:
        raise PictureWriteError(f"{str(path)!r} cannot be encoded as HEIC ({error}).", path=path) \
            from error  # fmt: skip
    return buffer.getvalue()
