"""Colours that AVIF and HEIF files state by numbers in place of a profile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from imgedit_plugins.picture_files import boxes, formats
from imgedit_plugins.picture_files.loading import Loaded
from imgedit_plugins.picture_files.vips import load_pyvips

Warn = Callable[[str], None]

# Of ITU-T H.273: primaries and transfer functions that come to sRGB, and what the others are.
_SRGB_PRIMARIES, _P3_PRIMARIES = (1, 2), 12
_SRGB_TRANSFERS = (1, 2, 6, 13, 14)
_BRIGHT_TRANSFERS = {16: "PQ", 18: "HLG"}


def profile(file: BinaryIO, path: Path, name: str, image: Loaded, warn: Warn) -> bytes | None:
    """The colour profile; AVIF and HEIF files may state their colours by numbers instead."""
    stated = boxes.coded_colors(file) if name in ("AVIF", "HEIF") else None
    if image.profile is not None or stated is None:
        return image.profile
    primaries, transfer = stated
    if transfer in _SRGB_TRANSFERS and primaries == _P3_PRIMARIES:
        return bytes(load_pyvips().Operation.call("profile_load", "p3"))
    if transfer not in _SRGB_TRANSFERS or primaries not in _SRGB_PRIMARIES:
        kind = _BRIGHT_TRANSFERS.get(transfer)
        what = f"high dynamic range ({kind})" if kind else f"primaries {primaries}"
        warn(
            f"{formats.quoted(path)} states colours of another kind ({what}) without a profile; "
            "they are taken as sRGB and will look different."
        )
    return None
