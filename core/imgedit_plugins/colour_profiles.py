"""Colour profiles: pixels of any RGB or grey ICC profile as sRGB, and back.

Operations are defined on sRGB-encoded values. lcms (inside libvips) says what a profile's numbers
mean: relative colorimetric, 16 bits, no black-point compensation. Profiles of three curves and a
matrix, which is all that cameras and working spaces have, are computed by tables and a matrix of
our own instead, ten times faster, after a grid of colours has shown that lcms says the same.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins import icc
from imgedit_plugins.pictures import Picture, Pixels

Codes16 = NDArray[np.uint16]
"""(rows, columns, 3), or 1 channel of grey; 0..65535."""

Warn = Callable[[str], None]

_WHITE = 65535
_SAME = 257
"""One code of 8 bits: profiles this near to sRGB are sRGB (vendors round its numbers)."""

_AGREES = 0.002  # in light 0..1; lcms's own way through 16-bit Lab costs 0.0008 of it
_STEPS = (0, 0.03, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 1)
_STRIP_PIXELS = 1 << 16
_LCMS_PIXELS = 1 << 20  # setting lcms up costs milliseconds


@dataclass(frozen=True, eq=False)
class Conversion:
    """The way from a profile's codes to those of sRGB, and back.

    Attributes:
        to_srgb: codes of the profile -> codes of sRGB; colours outside its gamut are clipped.
        from_srgb: codes of sRGB -> codes of the profile.
        channels: 3, or 1 for a profile of grey pictures.
        pixels: how many to convert at once.
    """

    to_srgb: Callable[[Codes16], Codes16]
    from_srgb: Callable[[Codes16], Codes16]
    channels: int
    pixels: int = _STRIP_PIXELS


def is_srgb(icc_profile: bytes | None) -> bool:
    """Whether values under this profile are sRGB values, to one code of 8 bits.

    None is sRGB; so are the many profiles of that space that vendors ship, and grey profiles
    with its curve. A damaged profile is not. Decided once for each profile, on a grid of colours.
    """
    return not icc_profile or _examined(icc_profile)[1]


def fault(icc_profile: bytes | None) -> str:
    """Why values cannot be converted to sRGB and back, as half a sentence; empty where they can."""
    found = _examined(icc_profile)[0] if icc_profile else ""
    return found if isinstance(found, str) else ""


def conversion(icc_profile: bytes) -> Conversion:
    """The conversion of a profile that has no `fault`."""
    found = _examined(icc_profile)[0]
    assert isinstance(found, Conversion), found
    return found


def mismatch(picture: Picture) -> str:
    """Why a picture's values cannot be converted, as a sentence; empty where they can."""
    wrong = fault(picture.icc_profile)
    if not wrong and picture.icc_profile and not picture.is_grey:
        wrong = "is for grey pictures" if icc.space(picture.icc_profile) == "GRAY" else ""
    return f"The colour profile {wrong}; the values were taken as sRGB." if wrong else ""


def to_srgb(picture: Picture, *, on_warning: Warn | None = None) -> Picture:
    """The picture in sRGB, without a profile, with as many bits as it had.

    Colours outside sRGB's gamut are clipped to it. A grey picture stays grey.

    Args:
        picture: any; one that is in sRGB already comes back as it is.
        on_warning: told where the profile is damaged, or of a kind that has no way to sRGB and
            back (CMYK, named colours, device links); the values are then taken as sRGB.
    """
    if is_srgb(picture.icc_profile):
        return picture
    if wrong := mismatch(picture):
        if on_warning is not None:
            on_warning(wrong)
        return dataclasses.replace(picture, icc_profile=None)
    assert picture.icc_profile is not None
    codes = convert(picture.color, conversion(picture.icc_profile), back=False)
    return _replaced(picture, codes, None)


def from_srgb(picture: Picture, icc_profile: bytes) -> Picture:
    """A picture in sRGB as one with this profile; the other way of `to_srgb`.

    Args:
        picture: in sRGB, whatever profile it names; coloured pictures take RGB profiles only.
        icc_profile: one without `fault`.
    """
    return _replaced(
        picture, convert(picture.color, conversion(icc_profile), back=True), icc_profile
    )


def convert(color: Pixels, way: Conversion, *, back: bool) -> Codes16:
    """Colours of any type to 16-bit codes of sRGB, or of the profile; grey stays grey."""
    from imgedit_plugins.render.strips import in_parallel

    result = np.empty(color.shape, np.uint16)
    height, width = color.shape[:2]
    rows = max(1, way.pixels // width)

    def one(top: int) -> int:
        strip = to_16_bits(color[top : top + rows])
        result[top : top + rows] = convert_strip(strip, way, back=back)
        return len(strip)

    in_parallel(one, range(0, height, rows), lambda _: None)
    return result


def convert_strip(codes: Codes16, way: Conversion, *, back: bool) -> Codes16:
    """`convert` in one go, on 16-bit codes."""
    from imgedit_plugins.render.strips import three_channels

    function = way.from_srgb if back else way.to_srgb
    if way.channels == codes.shape[2]:
        return function(codes)
    # An RGB profile on a grey picture: equal parts of red, green and blue are grey.
    return function(np.asarray(three_channels(codes), np.uint16))[:, :, 1:2]


def to_16_bits(pixels: Pixels) -> Codes16:
    """Pixels of any of the three types as 16-bit codes, clipped; what is no number becomes 0."""
    if pixels.dtype == np.uint16:
        return np.ascontiguousarray(pixels)
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint16) * np.uint16(257)
    values = np.nan_to_num(pixels, nan=0.0, posinf=1.0, neginf=0.0)
    return np.asarray(np.rint(np.clip(values, 0.0, 1.0) * np.float32(_WHITE)), np.uint16)


def of_type(codes: Codes16, dtype: np.dtype[Any]) -> Pixels:
    """16-bit codes as pixels of one of the three types."""
    if dtype == np.uint8:
        import cv2

        # 65535 = 257 * 255; `to_8_bits` says the same three times slower.
        return np.asarray(cv2.convertScaleAbs(codes, alpha=1.0 / 257.0)).reshape(codes.shape)
    if dtype == np.uint16:
        return codes
    return np.multiply(codes, np.float32(1.0 / _WHITE), dtype=np.float32)


def _replaced(picture: Picture, codes: Codes16, profile: bytes | None) -> Picture:
    pixels = of_type(codes, picture.pixels.dtype)
    if picture.alpha is not None:
        pixels = np.concatenate([pixels, picture.alpha], axis=2)
    return dataclasses.replace(picture, pixels=pixels, icc_profile=profile)


# --- what a profile is ------------------------------------------------------------------------


@functools.lru_cache(maxsize=8)  # tables of 2 MB each
def _examined(profile: bytes) -> tuple[Conversion | str, bool]:
    """The conversion or what is in its way, and whether the profile is sRGB."""
    way = icc.fault(profile) or _made(profile)
    if isinstance(way, str):
        return way, False
    grid = _grid(way.channels)
    distance = np.abs(way.to_srgb(grid).astype(np.int32) - grid)
    return way, bool(distance.max() <= _SAME)


def _made(profile: bytes) -> Conversion | str:
    if icc.space(profile) == "GRAY":
        curve = icc.grey_curve(profile)
        return "has no curve for grey" if curve is None else _grey(curve)
    slow = _by_lcms(profile)
    # Colours that both spaces hold: how lcms clips others on its way says nothing of a profile.
    grid = _grid(3)
    try:
        back = slow.from_srgb(grid)
        there = slow.to_srgb(back)
    except _LcmsError:
        return "cannot be used in both directions"
    shape, srgb = icc.matrix_profile(profile), _srgb()
    if shape is None:
        return slow
    fast = _by_tables(shape, srgb)
    apart = max(
        _apart(fast.from_srgb(grid), back, shape.curves),
        _apart(fast.to_srgb(back), there, srgb.curves),
    )
    return fast if apart <= _AGREES else slow


def _grid(channels: int) -> Codes16:
    steps = np.rint(np.array(_STEPS) * _WHITE).astype(np.uint16)
    colors = np.stack(np.meshgrid(*[steps] * channels, indexing="ij"), axis=-1)
    return np.ascontiguousarray(colors.reshape(1, -1, channels))


def _apart(a: Codes16, b: Codes16, curves: NDArray[np.float64]) -> float:
    """The largest difference of two pictures' light."""
    light = [np.take_along_axis(curves, codes[0], axis=0) for codes in (a, b)]
    return float(np.abs(light[0] - light[1]).max())


# --- by tables and a matrix -------------------------------------------------------------------


def _by_tables(shape: icc.MatrixProfile, srgb: icc.MatrixProfile) -> Conversion:
    into: NDArray[np.float64] = np.linalg.inv(srgb.matrix) @ shape.matrix
    return Conversion(
        _shaper(shape.curves, into, srgb.curves),
        _shaper(srgb.curves, np.asarray(np.linalg.inv(into), np.float64), shape.curves),
        channels=3,
    )


def _shaper(
    curves: NDArray[np.float64], matrix: NDArray[np.float64], goal: NDArray[np.float64]
) -> Callable[[Codes16], Codes16]:
    """Codes to light, light of other primaries, and that to codes of other curves."""
    import cv2

    to_light = curves.astype(np.float32)[None]
    weights = matrix.astype(np.float32)
    # By the root of light, whose 65536 steps are fine enough for dark colours too.
    roots = np.square(np.arange(icc.CODES) / _WHITE)
    to_codes = np.stack([_gone_back(goal[:, c], roots) for c in range(3)], axis=1)[None]

    def shaped(codes: Codes16) -> Codes16:
        light = np.asarray(cv2.transform(cv2.LUT(codes, to_light), weights))
        np.clip(light, 0.0, 1.0, out=light)
        np.sqrt(light, out=light)
        np.multiply(light, np.float32(_WHITE), out=light)
        np.rint(light, out=light)
        return np.asarray(cv2.LUT(light.astype(np.uint16), to_codes))

    return shaped


def _grey(curve: NDArray[np.float64]) -> Conversion:
    srgb = _srgb().curves[:, 1]
    there, back = _gone_back(srgb, curve), _gone_back(curve, srgb)
    return Conversion(there.__getitem__, back.__getitem__, channels=1)


def _gone_back(curve: NDArray[np.float64], light: NDArray[np.float64]) -> Codes16:
    """The codes that a rising curve turns into this light, to the nearest."""
    codes = np.interp(light, curve, np.arange(icc.CODES))
    return np.asarray(np.rint(codes), np.uint16)


# --- by lcms ----------------------------------------------------------------------------------


class _LcmsError(Exception):
    """lcms cannot use a profile."""


def _by_lcms(profile: bytes) -> Conversion:
    srgb = _srgb_profile()
    return Conversion(
        lambda codes: _through_lcms(codes, profile, srgb),
        lambda codes: _through_lcms(codes, srgb, profile),
        channels=3,
        pixels=_LCMS_PIXELS,
    )


@functools.cache
def _srgb_profile() -> bytes:
    from imgedit_plugins.picture_files.vips import load_pyvips

    return bytes(load_pyvips().Operation.call("profile_load", "srgb"))


def _srgb() -> icc.MatrixProfile:
    found = icc.matrix_profile(_srgb_profile())
    assert found is not None, "libvips's own sRGB has curves and a matrix"
    return found


def _through_lcms(codes: Codes16, source: bytes, target: bytes) -> Codes16:
    """Codes under one RGB profile as codes under another.

    Raises:
        _LcmsError: lcms refuses one of the profiles.
    """
    from imgedit_plugins.picture_files.vips import load_pyvips

    pyvips = load_pyvips()
    height, width = codes.shape[:2]
    image = pyvips.Image.new_from_memory(codes.data, width, height, 3, "ushort")
    image = image.copy(interpretation="rgb16")
    try:
        for profile, call in ((source, "icc_import"), (target, "icc_export")):
            image = image.copy()
            image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
            extra = {"embedded": True} if call == "icc_import" else {"depth": 16}
            image = getattr(image, call)(intent="relative", pcs="lab", **extra)
        data = image.write_to_memory()
    except pyvips.Error as error:
        raise _LcmsError from error
    if image.bands != 3 or image.format != "ushort":
        raise _LcmsError
    return np.frombuffer(data, np.uint16).reshape(codes.shape)
