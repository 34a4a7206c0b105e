"""A plan at another strength than 100 %: by opacity where that is the same, else rendered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from imgedit_bridges.gimp.forms import Filter
from imgedit_bridges.gimp.holdings import Layout, is_geometric


@dataclass(frozen=True)
class Form:
    """How a plan of some strength is held.

    Attributes:
        layout: its steps; their filters have their opacity already.
        rendered: strength with which the worker renders `layout.rendered`.
        opacity: below 1 asks for a layer of its own of that opacity, which mixes encoded values,
            right above the picture before the edit.
    """

    layout: Layout
    rendered: float = 1.0
    opacity: float = 1.0


def form_of(plan: Mapping[str, Any], layout: Layout, strength: float, *, opaque: bool) -> Form:
    """How a plan is held at this strength (0..2).

    Args:
        plan: as decoded JSON, valid.
        layout: at 100 %.
        strength: as `imgedit-plugins apply --strength` understands it.
        opaque: whether no pixel is transparent. A layer above transparent ones would add to them.
    """
    if strength == 1.0:
        return Form(layout)
    if strength < 1.0 and opaque:
        one = _single(layout)
        if one is not None:
            mode = "NORMAL_LEGACY" if one.mode == "REPLACE" else one.mode
            weak = replace(one, mode=mode, opacity=one.opacity * strength)
            return Form(replace(layout, filters=(weak,)))
        if not any(is_geometric(step) for step in plan["operations"]):
            return Form(layout, opacity=strength)
    return Form(Layout(tuple(plan["operations"]), (), (), surroundings=False), rendered=strength)


def _single(layout: Layout) -> Filter | None:
    """The only filter, if its opacity is the same as the plan's strength.

    Not one on light, which a second one clips: what is mixed in must be clipped before.
    """
    if layout.rendered or layout.turns or len(layout.filters) != 1:
        return None
    return layout.filters[0]
