"""Operations of every form, so that rendering is tried with what no shipped operation may use.

`registered` adds them to the process's vocabulary for a while.
"""

import contextlib

import numpy as np
import pytest

from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.operations import Operation, default_vocabulary
from imgedit_plugins.operations.forms import (
    Colour,
    Curves,
    Geometry,
    Matrix,
    Measured,
    Neighbourhood,
    Positioned,
    Whole,
)
from imgedit_plugins.pictures import Picture

MODES = ("L", "LA", "RGB", "RGBA")
DTYPES = ("uint8", "uint16", "float32")
WHITE = {"uint8": 255, "uint16": 65535, "float32": 1.0}


def _swap(values):
    return np.ascontiguousarray(values[:, :, ::-1])


def _shade(values, region):
    """Darker from the top left to the bottom right."""
    y = (region.top + np.arange(region.rows, dtype=np.float32)) / np.float32(region.height)
    x = np.arange(region.width, dtype=np.float32) / np.float32(region.width)
    return values * (1 - (y[:, None] + x[None, :]) / 4)[:, :, None]


def _mean_of_rows(values):
    padded = np.pad(values, ((2, 2), (0, 0), (0, 0)), mode="reflect" if len(values) > 2 else "edge")
    return sum(padded[k : k + len(values)] for k in range(5)) / np.float32(5)


def _stretch(values):
    low, high = float(values.min()), float(values.max())
    span = max(high - low, 1e-3)
    return Curves.same(lambda v: (v - v.dtype.type(low)) / v.dtype.type(span))


def _against_mean(values, check):
    check()
    mean = values.mean(axis=(0, 1), dtype=np.float64).astype(np.float32)
    return values + (values - mean) * np.float32(0.5)


def _twice(pixels):
    return np.ascontiguousarray(pixels.repeat(2, axis=0).repeat(2, axis=1))


def _trimmed(pixels):
    return np.ascontiguousarray(pixels[: max(1, len(pixels) - 1)])


FORMS = {
    "made-curves": (Curves(lambda v: v * v, np.positive, lambda v: 1 - v), "pointwise"),
    "made-matrix": (
        Matrix(((0.2, 0.5, 0.3), (0.1, 0.8, 0.0), (0.9, -0.2, 0.1)), (0.05, 0.0, -0.02)),
        "pointwise",
    ),
    "made-colour": (Colour(_swap), "pointwise"),
    "made-place": (Positioned(_shade), "pointwise"),
    "made-rows": (Neighbourhood(_mean_of_rows, reach=2), "neighbourhood"),
    "made-stretch": (Measured(_stretch), "neighbourhood"),
    "made-whole": (Whole(_against_mean), "neighbourhood"),
    "made-twice": (Geometry(_twice), "geometric"),
    "made-trimmed": (Geometry(_trimmed), "geometric"),
}


def _invert_recipe(rgb, parameters, constants):
    return 255 - rgb


def _roll_recipe(rgb, parameters, constants):
    return np.roll(rgb, 1, axis=1)


def _form_of(form):
    return lambda parameters, constants: form


OPERATIONS = (
    *(
        Operation(name, name, kind, None, "here", "S.", reach=lambda _: 2, form=_form_of(form))
        for name, (form, kind) in FORMS.items()
    ),
    Operation("made-recipe", "Recipe", "pointwise", _invert_recipe, "here", "S."),
    Operation("made-surroundings", "Recipe", "neighbourhood", _roll_recipe, "here", "S."),
    Operation("made-move", "Recipe", "geometric", _roll_recipe, "here", "S."),
)
NAMES = tuple(operation.name for operation in OPERATIONS)


@contextlib.contextmanager
def registered(*operations):
    """These operations, or all of this module, known for a while."""
    with pytest.MonkeyPatch.context() as patch:
        for operation in operations or OPERATIONS:
            patch.setitem(default_vocabulary()._operations, operation.name, operation)
        yield


def picture_of(width, height, mode="RGB", dtype="uint8", seed=0):
    """`photograph`, also grey with alpha; alpha fades to the right and downwards."""
    if mode in ("L", "RGB"):
        return photograph(width, height, mode=mode, dtype=dtype, seed=seed)
    plain = photograph(width, height, mode="L" if mode == "LA" else "RGB", dtype=dtype, seed=seed)
    fade = np.linspace(1, 0, width) * np.linspace(1, 0.3, height)[:, None]
    alpha = (fade[:, :, None] * WHITE[dtype]).astype(dtype)
    return Picture(np.ascontiguousarray(np.concatenate([plain.pixels, alpha], axis=2)))
