"""ICC profiles to test with: libvips's own, lcms's by way of Pillow, and some put together here."""

import struct

import numpy as np
import pyvips
from PIL import ImageCms

from imgedit_plugins import icc

LCMS_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
SRGB, P3, CMYK = (
    bytes(pyvips.Operation.call("profile_load", name)) for name in ("srgb", "p3", "cmyk")
)

# XYZ of the primaries, one row each, relative to D50; from the profiles' published tables.
_ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
_PROPHOTO = ((0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.0), (0.03134, 0.00009, 0.82521))
_SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.7141))


def gamma(exponent):
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(exponent * 256))


def sampled(values):
    return b"curv\0\0\0\0" + struct.pack(f">I{len(values)}H", len(values), *values)


def parametric(kind, *numbers):
    fixed = [round(number * 65536) for number in numbers]
    return b"para\0\0\0\0" + struct.pack(f">HH{len(fixed)}i", kind, 0, *fixed)


SRGB_CURVE = parametric(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def assembled(tags, *, space=b"RGB ", pcs=b"XYZ ", kind=b"mntr"):
    """A profile of these tags, with P3's header otherwise."""
    header = bytearray(P3[:128])
    header[12:24] = kind + space + pcs
    header[84:100] = bytes(16)  # no checksum
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        place = 132 + 12 * len(tags) + len(body)
        table += name.encode() + struct.pack(">II", place, len(data))
        body += data + b"\0" * (-len(data) % 4)
    whole = bytes(header) + table + body
    return struct.pack(">I", len(whole)) + whole[4:]


def _common():
    return {name: data for name, data in icc.tags(P3).items() if name in ("desc", "cprt", "wtpt")}


def matrix_profile(primaries, curve):
    tags = _common()
    for channel, xyz in zip("rgb", primaries, strict=True):
        fixed = struct.pack(">3i", *(round(number * 65536) for number in xyz))
        tags |= {f"{channel}XYZ": b"XYZ \0\0\0\0" + fixed, f"{channel}TRC": curve}
    return assembled(tags)


def grey_profile(curve):
    return assembled(_common() | {"kTRC": curve}, space=b"GRAY")


ADOBE_RGB = matrix_profile(_ADOBE_RGB, gamma(563 / 256))
PROPHOTO = matrix_profile(_PROPHOTO, gamma(461 / 256))
LINEAR = matrix_profile(_SRGB, gamma(1))
GREY_22, GREY_SRGB = grey_profile(gamma(2.2)), grey_profile(SRGB_CURVE)
WIDE = {"p3": P3, "adobe": ADOBE_RGB, "prophoto": PROPHOTO}


def table_profile(*, both=True, steps=21):
    """P3 by tables from and to Lab instead of curves and a matrix; `both` directions."""
    p3 = icc.matrix_profile(P3)
    axes = np.linspace(0, 1, steps)
    grid = np.stack(np.meshgrid(axes, axes, axes, indexing="ij"), axis=-1).reshape(-1, 3)
    light = np.stack([np.interp(grid[:, c], np.arange(65536) / 65535, p3.curves[:, c])
                      for c in range(3)], axis=1)  # fmt: skip
    tags = _common() | {"A2B0": _lut16(_lab_codes(_lab(light @ p3.matrix.T)), steps)}
    if both:
        lab = grid * (100 * 65535 / 65280, 65535 / 256, 65535 / 256) - (0, 128, 128)
        back = np.clip(_xyz(lab) @ np.linalg.inv(p3.matrix).T, 0, 1)
        codes = [np.interp(back[:, c], p3.curves[:, c], np.arange(65536)) for c in range(3)]
        tags |= {"B2A0": _lut16(np.stack(codes, axis=1), steps)}
    return assembled(tags, pcs=b"Lab ", kind=b"prtr")


_WHITE = np.array([0.9642, 1.0, 0.8249])


def _lab(xyz):
    ratio = np.maximum(xyz / _WHITE, 0)
    f = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)


def _xyz(lab):
    fy = (lab[:, 0] + 16) / 116
    f = np.stack([fy + lab[:, 1] / 500, fy, fy - lab[:, 2] / 200], axis=1)
    return np.where(f > 6 / 29, f**3, (116 * f - 16) * 27 / 24389) * _WHITE


def _lab_codes(lab):
    """As tables of 16 bits have Lab: 100 is 0xFF00, a and b are 256 steps to a unit."""
    return np.stack([lab[:, 0] * 652.8, (lab[:, 1] + 128) * 256, (lab[:, 2] + 128) * 256], axis=1)


def _lut16(codes, steps):
    straight = struct.pack(">6H", *[0, 65535] * 3)
    unit = struct.pack(">9i", *(65536 if i % 4 == 0 else 0 for i in range(9)))
    head = b"mft2\0\0\0\0" + bytes([3, 3, steps, 0]) + unit + struct.pack(">HH", 2, 2)
    table = np.clip(np.rint(codes), 0, 65535).astype(">u2").tobytes()
    return head + straight + table + straight
