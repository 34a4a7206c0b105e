"""How GIMP holds each operation of a plan: as live filters, as a turn of the layer, or as pixels.

The live forms are in `forms`; everything else is rendered by the worker. docs/gimp.md has the
errors, as measured in the real GIMP.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from imgedit_bridges.edits import DEFINITIONS, Step
from imgedit_bridges.gimp.forms import AROUND, INSTEAD, LIVE, Filter, Turn


@dataclass(frozen=True)
class Layout:
    """How a plan is put into an image.

    Attributes:
        rendered: the first operations, up to the last one that GIMP cannot hold live; a layer of
            pixels made by the worker.
        turns: of that layer, or of the user's own where nothing is rendered.
        filters: on top of it, the first one lowest.
        surroundings: whether a filter's result depends on neighbouring pixels.
    """

    rendered: tuple[Step, ...]
    turns: tuple[Turn, ...]
    filters: tuple[Filter, ...]
    surroundings: bool


def lay_out(
    plan: Mapping[str, Any],
    *,
    opaque: bool = True,
    grey: bool = False,
    hidden: Collection[str] = (),
) -> Layout:
    """How GIMP holds a plan.

    Operations keep their order. Only turns come before the filters that follow the rendered
    part, which changes nothing: all live filters do the same to a turned picture.

    Args:
        plan: as decoded JSON, valid.
        opaque: whether no pixel of the layer is transparent. Legacy modes change transparent
            pixels less, and blurs mix what is hidden into what is seen: neither is live then.
        grey: whether the layer has no colours; filters that would make some are not live then.
        hidden: operations of GEGL that this GIMP lets no plug-in use.
    """
    steps = plan.get("operations", [])
    known = plan.get("definitions", DEFINITIONS) == DEFINITIONS
    held = [_held(step, hidden) if known else None for step in steps]
    if not opaque:
        held = [None if _needs_opaque(one) else one for one in held]
    if grey:
        held = [
            () if one["name"] in NOTHING_ON_GREY else how if one["name"] in GREY else None
            for how, one in zip(held, steps)  # noqa: B905
        ]
    first = max((i + 1 for i, one in enumerate(held) if one is None), default=0)
    turns: list[Turn] = []
    filters: list[Filter] = []
    for one in held[first:]:
        if isinstance(one, Turn):
            turns.append(one)
        else:
            filters.extend(one or ())
    surroundings = any(f.operation in AROUND for f in filters)
    return Layout(tuple(steps[:first]), tuple(turns), tuple(filters), surroundings)


def is_geometric(step: Step) -> bool:
    """Whether an operation moves pixels, which cannot be limited to a selection."""
    return step.get("name") in GEOMETRIC


def why(step: Step, hidden: Collection[str] = ()) -> str:
    """Why an operation is rendered, as the rest of a sentence; empty where it could be live."""
    if _held(step, hidden) is not None:
        return ""
    if _held(step) is not None:
        return ", since this GIMP hides the filter that it needs from plug-ins"
    told = RENDERED.get(str(step.get("name")), "this plug-in does not know it")
    return f", since {told}"


def _held(step: Step, hidden: Collection[str] = ()) -> tuple[Filter, ...] | Turn | None:
    """The live form of one operation; None where there is none for these parameters."""
    name, parameters = step.get("name", ""), step.get("parameters", {})
    for forms in (LIVE, INSTEAD):
        try:
            held = forms[name](parameters) if name in forms else None
        except (ArithmeticError, LookupError, TypeError, ValueError):
            return None  # parameters of another version, or damaged: the worker knows, or says so
        if held is not None and not _uses(held, hidden):
            return held
    return None


def _uses(held: tuple[Filter, ...] | Turn | None, operations: Collection[str]) -> bool:
    return isinstance(held, tuple) and any(one.operation in operations for one in held)


def _needs_opaque(held: tuple[Filter, ...] | Turn | None) -> bool:
    return isinstance(held, tuple) and any(
        one.mode != "REPLACE" or one.operation in AROUND for one in held
    )


# --- the table --------------------------------------------------------------------------------

GREY = frozenset(
    {"bright", "contrast", "levels", "invert", "gaussian", "exposure", "rotate", "flip"}
)
"""Live operations that leave grey grey."""

NOTHING_ON_GREY = frozenset({"grayscale", "saturate"})
"""Operations that leave grey as it is."""

GEOMETRIC = frozenset({"rotate", "flip", "crop", "straighten", "resize", "perspective"})

HELD: Mapping[str, str] = {
    "bright": "a grey added or subtracted by a legacy mode, which mixes encoded values",
    "contrast": "a grey that divides or multiplies by a legacy mode",
    "levels": "as brightness and contrast; rendered where its gamma is not 1",
    "invert": "GEGL inverts encoded values",
    "grayscale": "luma is a component of encoded values (BT.601)",
    "sepia": "GEGL has the same matrix on encoded values",
    "saturate": "mixed with the largest channel, or four filters up to ×1.5; fully saturated "
    "colours differ; above ×1.5 rendered",
    "gaussian": "wavelet blurs of whole radii on encoded values; above 31 px two smoothing filters "
    "told to keep no edges",
    "exposure": "a gain of light, which is what GEGL works in",
    "temperature": "gains of light by the channel mixer; rendered where one is above 2",
    "tint": "gains of light by the channel mixer; rendered where one is above 2",
    "rotate": "the layer is turned",
    "flip": "the layer is mirrored",
}

_CURVE = "GIMP has no live curve that a plug-in may make (its own crashes GIMP 3.0)"
_COLOURS = "no live filter mixes the channels of encoded values like this"
_AROUND = "no live filter works on encoded surroundings like this"

RENDERED: Mapping[str, str] = {
    "summer": _CURVE,
    "winter": _CURVE,
    "gamma": _CURVE,
    "lightness": _CURVE,
    "whites": _CURVE,
    "blacks": _CURVE,
    "curves": _CURVE,
    "levels": "its gamma is a curve, and GIMP has no live one that a plug-in may make",
    "hue": _COLOURS,
    "vibrance": _COLOURS,
    "highlights": _COLOURS,
    "shadows": _COLOURS,
    "split-tone": _COLOURS,
    "hsl": _COLOURS,
    "saturate": "above ×1.5 many colours are fully saturated, where the live form differs",
    "temperature": "GEGL's channel mixer ends at a gain of 2",
    "tint": "GEGL's channel mixer ends at a gain of 2",
    "blur": "no live filter takes the mean of a square of encoded values",
    "sharp": "GEGL's convolution works in linear light",
    "hdr": _AROUND,
    "clarity": _AROUND,
    "texture": _AROUND,
    "denoise": _AROUND,
    "dehaze": _AROUND,
    "vignette": "GEGL's vignette has another shape and works in linear light",
    "grain": "GEGL's noise is other noise",
    "crop": "the layer's size changes",
    "straighten": "the layer is resampled as everywhere else",
    "resize": "the layer is resampled as everywhere else",
    "perspective": "the layer is resampled as everywhere else",
}
