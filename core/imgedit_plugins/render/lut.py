"""Colour tables: a cube of colours, looked up in as other programs do, and written as files.

A cube is (size, size, size, 3) float32, indexed by red, green and blue, equally spaced in 0..1.
The `.cube` file is Adobe's Cube LUT Specification 1.0 (2013); the HaldCLUT picture is Eskil
Steenberg's layout, as ImageMagick, G'MIC, darktable and RawTherapee read it.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

Cube = NDArray[np.float32]
Curves1D = NDArray[np.float32]
"""(entries, 3), equally spaced in 0..1."""

Colors = NDArray[np.float32]
"""(colours, 3), 0..1."""

_DIGITS = 7


def identity(size: int) -> Cube:
    """The cube that leaves colours as they are."""
    steps = np.linspace(0.0, 1.0, size, dtype=np.float32)
    return np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1)


def trilinear(cube: Cube, colors: Colors) -> Colors:
    """Colours through a cube, weighed between the eight corners around each."""
    low, share = _cell(cube, colors)
    result = np.zeros(colors.shape, np.float32)
    for corner in itertools.product((0, 1), repeat=3):
        weights = np.where(np.array(corner, bool), share, 1 - share).prod(axis=1, keepdims=True)
        result += weights * _at(cube, low + corner)
    return result


def tetrahedral(cube: Cube, colors: Colors) -> Colors:
    """Colours through a cube, weighed between the four corners of a tetrahedron around each.

    From the dark corner to the bright one along the largest share first (Kasson et al. 1995).
    """
    low, share = _cell(cube, colors)
    order = np.argsort(-share, axis=1, kind="stable")
    sorted_share = np.take_along_axis(share, order, axis=1)
    place, value = low.copy(), _at(cube, low)
    result = value.copy()
    for number in range(3):
        place[np.arange(len(place)), order[:, number]] += 1
        following = _at(cube, place)
        result += sorted_share[:, number : number + 1] * (following - value)
        value = following
    return result


def linear(curves: Curves1D, colors: Colors) -> Colors:
    """Colours through one curve for each channel."""
    places = np.linspace(0.0, 1.0, len(curves))
    columns = [np.interp(colors[:, c], places, curves[:, c]) for c in range(3)]
    return np.stack(columns, axis=1).astype(np.float32)


def _cell(cube: Cube, colors: Colors) -> tuple[NDArray[np.intp], Colors]:
    """The darkest corner of the cell that a colour lies in, and the way to the next, 0..1."""
    steps = len(cube) - 1
    place = np.clip(colors, 0.0, 1.0) * np.float32(steps)
    low = np.minimum(place.astype(np.intp), steps - 1)
    return low, (place - low).astype(np.float32)


def _at(cube: Cube, corner: NDArray[np.intp]) -> Colors:
    return cube[corner[:, 0], corner[:, 1], corner[:, 2]]


def cube_text(table: Cube | Curves1D, *, title: str, comments: tuple[str, ...]) -> str:
    """A table as a `.cube` file: red changes fastest; the text is ASCII.

    Args:
        table: a cube, or curves for a one-dimensional file.
        title: for the program that shows it.
        comments: lines at the top.
    """
    kind = "LUT_3D_SIZE" if table.ndim == 4 else "LUT_1D_SIZE"
    colors = table.transpose(2, 1, 0, 3).reshape(-1, 3) if table.ndim == 4 else table
    head = [
        f'TITLE "{_plain(title).replace(chr(34), chr(39))}"',
        *(f"# {_plain(line)}" for line in comments),
        f"{kind} {len(table)}",
        "DOMAIN_MIN 0.0 0.0 0.0",
        "DOMAIN_MAX 1.0 1.0 1.0",
    ]
    line = " ".join([f"%.{_DIGITS}f"] * 3)
    return "\n".join([*head, *(line % tuple(color) for color in colors.tolist()), ""])


def _plain(text: str) -> str:
    """Text on one line, in ASCII."""
    for sign, plain in (("×", "x"), ("−", "-"), ("–", "-"), ("°", " degrees")):
        text = text.replace(sign, plain)
    return " ".join(text.encode("ascii", "replace").decode("ascii").split())


def hald(cube: Cube) -> NDArray[np.float32]:
    """A cube as a HaldCLUT picture, (side, side, 3): red changes fastest, blue slowest.

    Args:
        cube: its size is the square of the level; side is the cube of it.
    """
    size = len(cube)
    side = round(size**1.5)
    return np.ascontiguousarray(cube.transpose(2, 1, 0, 3).reshape(side, side, 3))
