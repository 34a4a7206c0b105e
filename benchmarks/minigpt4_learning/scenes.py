"""Generated pictures, like small photographs, in varied looks.

A scene has its sky above and its light from the left, in every exposure and palette; so turned,
mirrored and negative pictures can be told by eye. Looks are drawn here with formulas of their own
in floating point, at any strength; the operations of the project are not used.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import numpy.typing as npt

from imgedit_plugins.pictures import RGB8

Canvas = npt.NDArray[np.float32]
Generator = np.random.Generator

SIDE = 64
MOST_LOOKS = 5

LOOKS = (
    "grayscale", "sepia", "summer", "winter", "hdr", "blur", "bright",
    "sharp", "contrast", "saturate", "gaussian", "invert", "rotate", "flip",
)  # fmt: skip
"""Words for how a picture looks; English shares them with the operations."""

MEASURES = ("light", "range", "colour", "warmth", "sharpness")
"""What is measured of a picture, each about 0..1."""


def scene(rng: Generator, side: int = SIDE) -> RGB8:
    """A picture as it is, without a look: gradients, coloured things, texture, a little noise."""
    down, across = np.mgrid[0:side, 0:side].astype(np.float32) / (side - 1)
    horizon = rng.uniform(0.35, 0.65)
    sky = np.array([150, 180, 215]) + rng.normal(0, 25, 3)
    ground = np.array([105, 95, 65]) + rng.normal(0, 28, 3)
    share = 1 / (1 + np.exp((down - horizon) * rng.uniform(12, 40)))
    canvas: Canvas = (share[..., None] * sky + (1 - share[..., None]) * ground).astype(np.float32)
    for _ in range(rng.integers(4, 10)):
        _add_thing(canvas, rng)
    canvas = np.asarray(cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.4, 0.6)), np.float32)
    for size, strength in ((16, 10.0), (4, 8.0), (2, 7.0)):
        coarse = rng.normal(0, strength, (side // size, side // size)).astype(np.float32)
        canvas += cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)[..., None]
    lit = 1 + rng.uniform(0.2, 0.45) * (0.5 - across)
    canvas = canvas * lit[..., None] * rng.uniform(0.65, 1.1) + rng.normal(0, 2, canvas.shape)
    return _codes(canvas)


def _add_thing(canvas: Canvas, rng: Generator) -> None:
    """An ellipse or a box, mostly below, in any colour."""
    side = len(canvas)
    colour = tuple(map(float, rng.uniform(20, 235, 3)))
    centre = (float(rng.uniform(0, side)), float(rng.uniform(0.3, 1) * side))
    axes = rng.uniform(side / 20, side / 5, 2)
    angle = float(rng.uniform(0, 180))
    if rng.random() < 0.5:
        whole, sizes = (int(centre[0]), int(centre[1])), (int(axes[0]) + 1, int(axes[1]) + 1)
        cv2.ellipse(canvas, whole, sizes, angle, 0, 360, colour, -1, cv2.LINE_AA)
    else:
        corners = cv2.boxPoints((centre, (2 * axes[0], 2 * axes[1]), angle)).astype(np.int32)
        cv2.fillConvexPoly(canvas, corners, colour, cv2.LINE_AA)


# --- looks ------------------------------------------------------------------------------------


def draw_looks(rng: Generator) -> dict[str, float]:
    """Up to `MOST_LOOKS` looks with a strength each, in any order."""
    names = rng.permutation(LOOKS)[: rng.integers(0, MOST_LOOKS + 1)]
    return {
        str(name): rng.integers(1, 4) / 3 if name == "rotate" else float(rng.uniform(0.1, 1))
        for name in names
    }


def with_looks(picture: RGB8, looks: Mapping[str, float]) -> RGB8:
    """The picture in these looks, in their order."""
    canvas = picture.astype(np.float32)
    for name, strength in looks.items():
        canvas = np.clip(_looking(canvas, name, strength), 0, 255)
    return _codes(canvas)


def _looking(canvas: Canvas, name: str, strength: float) -> Canvas:
    if name in ("rotate", "flip"):
        turned = np.rot90(canvas, -round(3 * strength)) if name == "rotate" else canvas[:, ::-1]
        return np.ascontiguousarray(turned)
    if name in ("blur", "gaussian", "sharp", "hdr"):
        return _in_focus(canvas, name, strength)
    gray = canvas.mean(2, keepdims=True)
    tones = {
        "saturate": gray + (0.4 + 2.2 * strength) * (canvas - gray),
        "contrast": (0.35 + strength) * canvas,
        "bright": canvas + 100 * strength,
        "invert": 255 - canvas,
        "grayscale": np.repeat(gray, 3, axis=2),
    }
    if name in tones:
        return np.asarray(tones[name], np.float32)
    tints = {"sepia": (1.3, 1.1, 0.85), "summer": (1.25, 1.0, 0.75), "winter": (0.75, 1.0, 1.25)}
    toned = (gray if name == "sepia" else canvas) * np.array(tints[name], np.float32)
    full = 1.0 if name == "sepia" else 0.6 + 0.4 * strength
    return canvas + full * (toned - canvas)


def _in_focus(canvas: Canvas, name: str, strength: float) -> Canvas:
    """Defocus (a disc), soft focus (a Gaussian), or more of what a blur takes away."""
    if name == "blur":
        radius = 0.6 + 3.4 * strength
        reach = int(np.ceil(radius))
        y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        disc = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
        return np.asarray(cv2.filter2D(canvas, -1, disc / disc.sum()), np.float32)
    sigma = {"gaussian": 0.9 + 2.6 * strength, "sharp": 0.8, "hdr": 5.0}[name]
    soft = np.asarray(cv2.GaussianBlur(canvas, (0, 0), sigma), np.float32)
    if name == "gaussian":
        return soft
    gain = 2.0 + 4.0 * strength if name == "sharp" else 0.5 + strength
    return canvas + gain * (canvas - soft)


# --- measures ---------------------------------------------------------------------------------


def measures(picture: RGB8) -> dict[str, float]:
    """Mean luminance, its deviation, colourfulness, red over blue, and fine detail; each 0..1."""
    canvas = picture.astype(np.float32) / 255
    gray = canvas.mean(2)
    fine = float(np.abs(cv2.Laplacian(gray, cv2.CV_32F)).mean())
    found = {
        "light": float(gray.mean()),
        "range": 2.5 * float(gray.std()),
        "colour": 2 * float(np.ptp(canvas, axis=2).mean()),
        "warmth": 0.5 + float((canvas[..., 0] - canvas[..., 2]).mean()),
        "sharpness": 0.25 * float(np.log1p(40 * fine)),
    }
    return {name: min(1.0, max(0.0, value)) for name, value in found.items()}


def local_measures(picture: RGB8, patch: int) -> Canvas:
    """The same of each patch, row by row: (patches, 7).

    Mean red, green and blue, colourfulness, and the logarithms of the differences that remain to
    three rising degrees of blur.
    """
    canvas = picture.astype(np.float32) / 255
    gray = canvas.mean(2)
    maps = [canvas[..., 0], canvas[..., 1], canvas[..., 2], 2 * np.ptp(canvas, axis=2)]
    before = gray
    energies = []
    for sigma in (0.7, 1.4, 3.0):
        soft = np.asarray(cv2.GaussianBlur(gray, (0, 0), sigma), np.float32)
        energies.append(np.abs(before - soft))
        before = soft
    side = len(gray) // patch
    stacked = np.dstack([*maps, *energies])
    cells = stacked.reshape(side, patch, side, patch, -1).mean((1, 3)).reshape(side * side, -1)
    cells[:, 4:] = 0.2 * np.log1p(200 * cells[:, 4:])
    return np.asarray(cells, np.float32)


def _codes(canvas: npt.NDArray[np.floating]) -> RGB8:
    return np.asarray(np.rint(np.clip(canvas, 0, 255)), np.uint8)
