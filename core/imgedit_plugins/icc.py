"""What an ICC profile says of itself: kind, colour space, and its curves and matrix if it has any.

Numbers and layouts are those of ICC.1:2022 (profile version 4.4), sections 7.2 (header), 7.3 (tag
table), 9.2 (tags) and 10.6, 10.18, 10.31 (the types 'curv', 'para' and 'XYZ ').
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CODES = 65536
"""Entries of a curve: one for each 16-bit code."""

_HEADER = 128
_MOST_TAGS = 200
_CONVERTING = (b"mntr", b"scnr", b"prtr", b"spac")  # classes of profiles that describe a device
_CLASSES = {b"link": "a device link", b"abst": "an abstract", b"nmcl": "a named-colour"}


@dataclass(frozen=True, eq=False)
class MatrixProfile:
    """A profile of three curves and a matrix, as those of displays and working spaces are.

    Attributes:
        curves: (65536, 3) float64, light 0..1 for each 16-bit code of red, green and blue.
        matrix: (3, 3) float64, light of red, green and blue -> CIE XYZ relative to D50.
    """

    curves: NDArray[np.float64]
    matrix: NDArray[np.float64]


def space(profile: bytes) -> str:
    """The colour space of the pixels that a profile describes: 'RGB', 'GRAY', 'CMYK' and so on."""
    return profile[16:20].decode("latin-1").strip()


def fault(profile: bytes) -> str:
    """Why pixels cannot be converted by a profile's own word, as half a sentence; empty if not."""
    if len(profile) < _HEADER or profile[36:40] != b"acsp":
        return "is damaged"
    if profile[12:16] not in _CONVERTING:
        kind = _CLASSES.get(profile[12:16], "an unknown kind of")
        return f"is {kind} profile"
    if space(profile) not in ("RGB", "GRAY"):
        return f"is for {space(profile)} pictures"
    return ""


def matrix_profile(profile: bytes) -> MatrixProfile | None:
    """The curves and the matrix of an RGB profile; None where it has tables, or is damaged."""
    found = tags(profile)
    if "A2B0" in found or "A2B1" in found:
        return None  # colour management prefers the tables
    try:
        curves = [_curve(found[f"{channel}TRC"]) for channel in "rgb"]
        columns = [_xyz(found[f"{channel}XYZ"]) for channel in "rgb"]
    except (KeyError, ValueError, struct.error):
        return None
    matrix = np.array(columns).T
    if abs(np.linalg.det(matrix)) < 1e-6:
        return None
    return MatrixProfile(np.stack(curves, axis=1), matrix)


def grey_curve(profile: bytes) -> NDArray[np.float64] | None:
    """Light 0..1 for each 16-bit code of a grey profile, (65536,); None where it has no curve."""
    try:
        return _curve(tags(profile)["kTRC"])
    except (KeyError, ValueError, struct.error):
        return None


def tags(profile: bytes) -> dict[str, bytes]:
    """The tags of a profile by name; those that lie outside of it are left out."""
    found: dict[str, bytes] = {}
    (count,) = struct.unpack_from(">I", profile.ljust(_HEADER + 4, b"\0"), _HEADER)
    for number in range(min(count, _MOST_TAGS)):
        entry = profile[_HEADER + 4 + 12 * number :][:12]
        if len(entry) < 12:
            break
        name, start, size = struct.unpack(">4sII", entry)
        data = profile[start : start + size]
        if len(data) == size:
            found[name.decode("latin-1")] = data
    return found


def _xyz(data: bytes) -> tuple[float, ...]:
    if data[:4] != b"XYZ ":
        raise ValueError
    return tuple(number / 65536 for number in struct.unpack_from(">3i", data, 8))


def _curve(data: bytes) -> NDArray[np.float64]:
    codes = np.arange(CODES) / (CODES - 1)
    kinds: dict[bytes, Callable[[bytes, NDArray[Any]], NDArray[Any]]] = {
        b"curv": _sampled,
        b"para": _parametric,
    }
    if data[:4] not in kinds:
        raise ValueError
    light = kinds[data[:4]](data, codes)
    # Colour management needs a curve that rises, and can be gone back along.
    if not np.isfinite(light).all() or (np.diff(light) < 0).any() or light[-1] <= light[0]:
        raise ValueError
    return np.asarray(np.clip(light, 0.0, 1.0), np.float64)


def _sampled(data: bytes, codes: NDArray[np.float64]) -> NDArray[np.float64]:
    (count,) = struct.unpack_from(">I", data, 8)
    if count == 0:
        return codes
    if count == 1:
        return np.asarray(codes ** (struct.unpack_from(">H", data, 12)[0] / 256))
    values = np.frombuffer(data, ">u2", count, 12) / 65535.0
    return np.interp(codes, np.linspace(0.0, 1.0, count), values)


def _parametric(data: bytes, codes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The five functions of table 68: a power above a bound, a straight line below it."""
    (kind,) = struct.unpack_from(">H", data, 8)
    count = (1, 3, 4, 5, 7)[kind] if kind <= 4 else 0
    if not count:
        raise ValueError
    numbers = [n / 65536 for n in struct.unpack_from(f">{count}i", data, 12)]
    g, a, b, c, d, e, f = 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0
    match numbers:
        case [g]:
            pass
        case [g, a, b]:
            d = -b / a if a else 0.0
        case [g, a, b, e]:
            d, f = (-b / a if a else 0.0), e
        case [g, a, b, c, d]:
            pass
        case [g, a, b, c, d, e, f]:
            pass
    power = np.maximum(a * codes + b, 0.0) ** g + e
    return np.where(codes >= d, power, c * codes + f)
