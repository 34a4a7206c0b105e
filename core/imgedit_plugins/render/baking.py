"""Plans as colour tables, for programs that know LUTs but no plans.

A colour table holds what is a function of a pixel's colour alone. The other steps of a plan are
left out and named. How far the table is from the plan itself is measured, since programs
interpolate between a table's colours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from imgedit_plugins.colour_profiles import to_16_bits
from imgedit_plugins.errors import PlanError
from imgedit_plugins.jobs import Job
from imgedit_plugins.operations import Profile, load_profile
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan
from imgedit_plugins.render import lut
from imgedit_plugins.render.lut import Colors, Cube, Curves1D
from imgedit_plugins.render.pointwise import beyond_colour, per_channel
from imgedit_plugins.render.rendering import render_plan

CURVE_ENTRIES = 4096
"""Entries of a one-dimensional table: sixteen for each code of 8 bits."""

_SPREAD, _LATTICE = 1 << 16, 31
"""Colours on which a table is measured: so many everywhere, and so many along each side."""

_PLASTIC = 1.2207440846057596  # solves x^4 = x + 1


@dataclass(frozen=True)
class Deviation:
    """How far a table is from its plan, in 8-bit codes of a channel."""

    mean: float
    maximum: float

    def __str__(self) -> str:
        return f"mean {self.mean:.3f}, maximum {self.maximum:.2f}"


@dataclass(frozen=True, eq=False)
class Baked:
    """A plan as a colour table.

    Attributes:
        table: (size, size, size, 3), or (entries, 3) curves.
        plan: the steps that the table holds.
        left_out: (operation, why) of those that no table holds.
        deviations: by the way in which programs interpolate ('trilinear', 'tetrahedral'; 'linear'
            for curves).
        per_channel: whether curves would hold these steps too.
    """

    table: Cube | Curves1D
    plan: EditPlan
    left_out: tuple[tuple[str, str], ...]
    deviations: dict[str, Deviation]
    per_channel: bool

    @property
    def size_in_words(self) -> str:
        """Such as '33 x 33 x 33 colours'."""
        size = len(self.table)
        if self.table.ndim == 2:
            return f"3 curves of {size} values"
        return f"{size} x {size} x {size} colours"

    def cube_text(self) -> str:
        """The table as a `.cube` file, with what it holds and how exactly as comments."""
        steps = [step.operation.describe(step.parameters) for step in self.plan.operations]
        comments = (
            "For sRGB-encoded values, 0..1.",
            f"Holds: {'; '.join(steps)}",
            *(f"Left out: {name} ({why})" for name, why in self.left_out),
            *(
                f"Difference from the plan, {way} interpolation, 8-bit codes: {apart}"
                for way, apart in self.deviations.items()
            ),
        )
        title = self.plan.explanation or ", ".join(step.name for step in self.plan.operations)
        return lut.cube_text(self.table, title=title, comments=comments)

    def hald(self) -> Picture:
        """The table as a HaldCLUT, 16 bits; its size must be a square number (64, 144, 256)."""
        return Picture(to_16_bits(lut.hald(self.table)))


def bake(
    plan: EditPlan,
    size: int | None = 33,
    *,
    strength: float = 1.0,
    profile: Profile | None = None,
    job: Job | None = None,
) -> Baked:
    """A plan as a colour table.

    Args:
        plan: the edit. Its values are sRGB-encoded, and so are the table's.
        size: colours along each side of the cube; None for one curve for each channel.
        strength: 0..2, as in `render_plan`.
        profile: constants to use instead of those of `plan.definitions`.
        job: progress, warnings, cancellation.

    Raises:
        PlanError: no step of the plan is a function of the colour alone, or one mixes channels
            and there are to be curves.
        OptionError: a strength outside 0..2.
        ProfileError: the plan's definitions are not known here.
    """
    constants = profile or load_profile(plan.definitions)
    reasons = [(step, beyond_colour(step, constants)) for step in plan.operations]
    left_out = tuple((step.name, why) for step, why in reasons if why)
    held = plan.model_copy(update={"operations": tuple(s for s, why in reasons if not why)})
    _refuse(held, left_out)

    def rendered(colors: Colors) -> Colors:
        picture = Picture(np.ascontiguousarray(colors.reshape(1, -1, 3), np.float32))
        done = render_plan(
            picture, held, strength=strength, rounding="end", profile=constants, job=job
        )
        return done.pixels.reshape(-1, 3)

    mixing = [step.name for step in held.operations if not per_channel(step, constants)]
    if size is None:
        return _as_curves(held, left_out, mixing, rendered)
    cube = rendered(lut.identity(size).reshape(-1, 3)).reshape(size, size, size, 3)
    ways = {"trilinear": lut.trilinear, "tetrahedral": lut.tetrahedral}
    tried = _tried_colors()
    truth = rendered(tried)
    deviations = {name: _deviation(way(cube, tried), truth) for name, way in ways.items()}
    return Baked(cube, held, left_out, deviations, per_channel=not mixing)


def _refuse(held: EditPlan, left_out: tuple[tuple[str, str], ...]) -> None:
    if held.operations:
        return
    if not left_out:
        raise PlanError("The plan has no operations, so there is nothing to bake.")
    told = "; ".join(f"{name!r}: {why}" for name, why in left_out)
    raise PlanError(
        f"A colour table holds nothing of this plan ({told}).",
        hint="Only steps that change a pixel by its colour alone can be baked.",
    )


def _as_curves(
    held: EditPlan,
    left_out: tuple[tuple[str, str], ...],
    mixing: list[str],
    rendered: Callable[[Colors], Colors],
) -> Baked:
    if mixing:
        raise PlanError(
            f"{mixing[0]!r} mixes the channels, which curves cannot hold.",
            hint="Bake a cube, for example of 33.",
        )
    ramp = np.linspace(0.0, 1.0, CURVE_ENTRIES, dtype=np.float32)[:, None].repeat(3, axis=1)
    curves = rendered(ramp)
    between = np.asarray((ramp[1:] + ramp[:-1]) / 2, np.float32)
    deviation = _deviation(lut.linear(curves, between), rendered(between))
    return Baked(curves, held, left_out, {"linear": deviation}, per_channel=True)


def _tried_colors() -> Colors:
    """Colours that fill the cube evenly (Roberts 2018, the sequence R3), then a lattice.

    Tables are at their worst at the edges of clipping and at planes such as that of equal red and
    green. The sequence finds the former and hardly the latter, a lattice the other way round.
    """
    numbers = np.arange(_SPREAD)[:, None] * _PLASTIC ** -np.arange(1.0, 4.0)
    spread = ((numbers + 0.5) % 1.0).astype(np.float32)
    return np.concatenate([spread, lut.identity(_LATTICE).reshape(-1, 3)])


def _deviation(found: Colors, truth: Colors) -> Deviation:
    """The mean over the colours that are spread evenly, the maximum over all."""
    apart = np.abs(found.astype(np.float64) - truth) * 255.0
    return Deviation(float(apart[:_SPREAD].mean()), float(apart.max()))
