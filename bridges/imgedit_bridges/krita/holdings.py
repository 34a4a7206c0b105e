"""How Krita holds each operation of a plan: as filter layers, as a curve, or as pixels.

The filters are in `forms`; a curve comes from the worker, which renders a ramp through the
operation; everything else is rendered whole. docs/krita.md has the errors, as measured in the real
Krita.
"""

from __future__ import annotations

import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imgedit_bridges.edits import DEFINITIONS, Plan, Step, describe
from imgedit_bridges.krita.forms import BLURS, LIVE, POINTS, Filter, curves

Declared = Mapping[str, Any]
"""An operation as `Client.operations` tells it."""


@dataclass(frozen=True)
class Place:
    """What an edit is put on.

    Attributes:
        exact: whether Krita's filters see sRGB-encoded values of 8 or 16 bits there.
        opaque: whether every pixel of the document is there and none is transparent.
    """

    exact: bool = True
    opaque: bool = True


@dataclass(frozen=True)
class Sampled:
    """A step that becomes a curve, once the worker has rendered the ramp through it."""

    step: Step


Held = tuple[Filter, ...] | Sampled


@dataclass(frozen=True)
class Layout:
    """How a plan is put into a document.

    Attributes:
        rendered: the first operations, up to the last one that Krita cannot hold live.
        live: what follows, the first one lowest.
    """

    rendered: tuple[Step, ...]
    live: tuple[Held, ...]

    @property
    def steps(self) -> list[Step]:
        """Those that need a ramp."""
        return [one.step for one in self.live if isinstance(one, Sampled)]

    def filters(self, sampled: Sequence[Filter]) -> list[Filter]:
        """All filter layers, the lowest first.

        Args:
            sampled: those of `steps`.
        """
        made = iter(sampled)
        found: list[Filter] = []
        for one in self.live:
            found.extend([next(made)] if isinstance(one, Sampled) else one)
        return found


def lay_out(
    plan: Plan, vocabulary: Sequence[Declared], place: Place, *, strength: float = 1.0
) -> Layout:
    """How Krita holds a plan.

    Args:
        plan: as decoded JSON, valid.
        vocabulary: all operations.
        place: what it is put on.
        strength: of the whole; above 1 everything is rendered, since no layer is more than opaque.
    """
    steps = tuple(plan.get("operations", ()))
    known = {str(one["name"]): one for one in vocabulary}
    usual = plan.get("definitions", DEFINITIONS) == DEFINITIONS
    held = [
        _held(step, known.get(step["name"], {}), place) if usual and strength <= 1 else None
        for step in steps
    ]
    first = max((number for number, one in enumerate(held, 1) if one is None), default=0)
    return Layout(steps[:first], tuple(one for one in held[first:] if one is not None))


def why(step: Step, vocabulary: Sequence[Declared], place: Place) -> str:
    """Why an operation is rendered, as the rest of a sentence; empty where it could be live."""
    known = {str(one["name"]): one for one in vocabulary}
    declared = known.get(step["name"], {})
    if not place.exact:
        return ", since the document has other values than sRGB's of 8 or 16 bits"
    if _held(step, declared, place) is not None:
        return ""
    if _held(step, declared, Place()) is not None:
        return ", since it would mix the colours of transparent pixels in"
    return f", since {reason(declared)}"


def is_geometric(step: Step, vocabulary: Sequence[Declared]) -> bool:
    """Whether an operation moves pixels, which cannot be limited to a selection."""
    return any(one["name"] == step["name"] and one["kind"] == "geometric" for one in vocabulary)


def _held(step: Step, declared: Declared, place: Place) -> Held | None:
    if not place.exact:
        return None
    if make := LIVE.get(step["name"]):
        made = make(step.get("parameters", {}))
        blurs = any(one.filter in BLURS for one in made or ())
        return None if blurs and not place.opaque else made
    return Sampled(step) if declared.get("per_channel") else None


# --- ramps ------------------------------------------------------------------------------------


def ramp(dtype: str) -> bytes:
    """A picture of `POINTS` x 1 RGB pixels that go from black to white.

    Args:
        dtype: 'uint8' or 'uint16'.
    """
    white = 255 if dtype == "uint8" else 65535
    codes = [round(x * white / (POINTS - 1)) for x in range(POINTS) for _ in range(3)]
    return array.array("B" if dtype == "uint8" else "H", codes).tobytes()


def sampled(step: Step, pixels: bytes, dtype: str) -> Filter:
    """The curves of an operation, from the ramp that was rendered through it."""
    codes = array.array("B" if dtype == "uint8" else "H", pixels)
    white = 255 if dtype == "uint8" else 65535
    red, green, blue = ([code / white for code in codes[channel::3]] for channel in range(3))
    return curves(_named(step), red, green, blue)


_NAMES = {
    "bright": ("Brightness {:+g}", "offset"),
    "contrast": ("Contrast ×{:.3g}", "gain"),
    "gamma": ("Gamma {:.3g}", "gamma"),
    "exposure": ("Exposure {:+.3g} EV", "stops"),
    "temperature": ("Temperature {:+.3g} mired", "shift"),
    "tint": ("Tint {:+.3g} CC", "shift"),
}


def _named(step: Step) -> str:
    words, name = _NAMES.get(step["name"], ("", ""))
    value = step.get("parameters", {}).get(name)
    told = words.format(value) if isinstance(value, int | float) else describe(step)
    return told[:1].upper() + told[1:]


# --- the table --------------------------------------------------------------------------------

HELD: Mapping[str, str] = {
    "invert": "Krita inverts the stored values",
    "grayscale": "desaturated by BT.601",
    "sepia": "slopes, desaturated, slopes: the rows of the matrix are nearly multiples of one",
    "saturate": "saturation of HSV: ×(1 + s), ×(1 + s + 2s²) above; rendered above ×4, where "
    "Krita's ends",
    "hue": "hue of HSV",
    "gaussian": "Gaussian blur of the same width",
    "blur": "a box by the blur filter at a strength of 1000",
}

CURVE = "one curve for each channel, sampled from the operation at every code"

_COLOURS = "no filter mixes the channels like this"
_AROUND = "no filter looks at the surroundings like this"
_RESAMPLED = "pixels are moved"

RENDERED: Mapping[str, str] = {
    "saturate": "Krita's saturation ends at ×4",
    "sharp": "Krita has no sharpening of that kernel, nor anything near it",
    "vignette": "no filter depends on the place in the picture",
    "grain": "Krita's noise is other noise",
}
"""Reasons of single operations; see `reason`."""

_KINDS = {"geometric": _RESAMPLED, "neighbourhood": _AROUND, "pointwise": _COLOURS}


def reason(declared: Declared) -> str:
    """Why an operation is rendered where it is, as the rest of a sentence."""
    told = RENDERED.get(str(declared.get("name"))) or _KINDS.get(str(declared.get("kind")))
    return told or "this plug-in does not know it"
