"""CMYK pictures as sRGB, through the profile that they bring along."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from imgedit_plugins.picture_files import formats

_ASSIGN = (
    "Convert it to RGB first, for example in Krita or GIMP, where the profile of the press that it "
    "is for can be chosen."
)


def to_srgb(image: Any, profile: bytes | None, path: Path) -> Any:
    """A CMYK image of libvips as one of sRGB, with as many bits; decodes nothing yet.

    Relative colorimetric with black-point compensation, as image editors convert by default.

    Raises:
        PictureReadError: it has no CMYK profile, or one that lcms cannot use.
    """
    # libvips would take a profile of its own then, and so colours of its own.
    if profile is None or profile[16:20] != b"CMYK":
        raise formats.unreadable(path, "a CMYK picture without the profile of its inks", _ASSIGN)
    if not _usable(profile):
        raise formats.unreadable(path, "a CMYK picture with a damaged colour profile", _ASSIGN)
    # libvips takes 255 for opaque in all CMYK, also of 16 bits.
    alpha = image[4:] if image.bands > 4 else None
    inks = image[:4] if image.bands > 4 else image
    color = inks.icc_transform(
        "srgb",
        embedded=True,
        intent="relative",
        black_point_compensation=True,
        depth=16 if image.format == "ushort" else 8,
    )
    return color if alpha is None else color.bandjoin(alpha)


def _usable(profile: bytes) -> bool:
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), "CMYK", "RGB")
    except (OSError, ImageCms.PyCMSError):
        return False
    return True
