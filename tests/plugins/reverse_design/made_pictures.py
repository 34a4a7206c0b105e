"""Pictures that are made, not taken, and edits of them: nothing is downloaded."""

from __future__ import annotations

import cv2
import numpy as np

from imgedit_plugins.operations import default_vocabulary
from imgedit_plugins.pictures import RGB8, Picture
from imgedit_plugins.plan import EditPlan, PlannedOperation, step
from imgedit_plugins.render import render_plan
from imgedit_reverse_design.moves import Move

Value = int | float | None


def picture(height: int = 240, width: int = 320, seed: int = 0) -> RGB8:
    """Like a photograph: slow gradients, coloured areas with edges, texture, a little noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    down, across = rows / max(1, height - 1), columns / max(1, width - 1)
    canvas = np.stack([60 + 120 * across, 90 + 90 * down, 170 - 110 * down * across], axis=2)
    for _ in range(14):
        colour = tuple(float(c) for c in rng.integers(0, 256, 3))
        centre = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        axes = tuple(int(a) for a in rng.integers(1, max(3, min(height, width) // 4), 2))
        angle = float(rng.uniform(0, 180))
        if rng.random() < 0.5:
            cv2.ellipse(canvas, centre, axes, angle, 0, 360, colour, -1, cv2.LINE_AA)
        else:
            corners = cv2.boxPoints((centre, (2 * axes[0], axes[1]), angle)).astype(np.int32)
            cv2.fillConvexPoly(canvas, corners, colour, cv2.LINE_AA)
    canvas = np.asarray(cv2.GaussianBlur(canvas, (0, 0), 0.7))
    for size, strength in ((32, 18.0), (8, 12.0), (2, 9.0)):
        small = (max(1, height // size), max(1, width // size))
        coarse = rng.normal(0, strength, (*small, 1)).astype(np.float32)
        wide = np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))
        canvas = canvas + wide[..., None]
    canvas = canvas + rng.normal(0, 2.5, canvas.shape)
    return np.asarray(np.rint(np.clip(canvas, 0, 255)), np.uint8)


def plan_of(*moves: tuple[str, Value]) -> EditPlan:
    """A plan from names and values: ("bright", 50.0), ("invert", None), ("rotate", 90)."""
    return EditPlan(operations=tuple(_step(name, value) for name, value in moves))


def edit(pixels: RGB8, *moves: tuple[str, Value]) -> RGB8:
    """The pixels after a plan, by the core's renderer."""
    return render(pixels, plan_of(*moves))


def render(pixels: RGB8, plan: EditPlan) -> RGB8:
    return render_plan(Picture(pixels), plan).rgb8()


def values(plan: EditPlan) -> list[tuple[str, Value]]:
    """Names and values of a plan's steps."""
    return [(s.name, next(iter(s.parameters.values()), None)) for s in plan.operations]


def moves_of(*moves: tuple[str, Value]) -> tuple[Move, ...]:
    return tuple(Move(name, value) for name, value in moves)


def _step(name: str, value: Value) -> PlannedOperation:
    if value is None:
        return step(name)
    return step(name, **{default_vocabulary()[name].parameters[0].name: value})
