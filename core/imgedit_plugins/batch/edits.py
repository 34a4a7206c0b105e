"""The edits that `apply` knows: a plan rendered here, or a plugin's answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.batch.running import Told
from imgedit_plugins.errors import ImgeditError
from imgedit_plugins.jobs import Job
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan
from imgedit_plugins.render import Rounding, render_plan
from imgedit_plugins.requests import ApplyRequest, EditResult
from imgedit_plugins.wording import abstention

if TYPE_CHECKING:
    from imgedit_plugins.batch.running import Turn

Mask = NDArray[np.uint8]


class AbstainedError(ImgeditError):
    """There is nothing to apply."""

    exit_code = 3


@dataclass(frozen=True)
class Edited:
    """What an edit made.

    Attributes:
        picture: the edited picture.
        plan: what it was rendered by, if it was rendered.
        further: other candidates, best first.
    """

    picture: Picture
    plan: EditPlan | None = None
    further: tuple[Picture, ...] = ()


Edit = Callable[["Picture", "Mask | None", "Turn"], Edited]
"""(picture, (height, width) uint8 mask or None, turn) -> the result; called in any thread."""


@dataclass(frozen=True)
class PlanEdit:
    """Renders a plan; raises as `render_plan`.

    Attributes:
        plan, strength, rounding: as `render_plan` takes them.
    """

    plan: EditPlan
    strength: float = 1.0
    rounding: Rounding = "auto"

    def __call__(self, picture: Picture, mask: Mask | None, turn: Turn) -> Edited:
        """The rendered picture."""
        rendered = render_plan(
            picture,
            self.plan,
            mask=mask,
            strength=self.strength,
            rounding=self.rounding,
            job=turn.job,
        )
        return Edited(rendered, self.plan)


@dataclass(frozen=True)
class PluginEdit:
    """Asks the plugins' `apply_edit`, one picture after another.

    Attributes:
        ask: calls the hook.
        plan, instruction, options, seed: for the request.
    """

    ask: Callable[[ApplyRequest, Job], EditResult]
    plan: EditPlan | None = None
    instruction: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    def __call__(self, picture: Picture, mask: Mask | None, turn: Turn) -> Edited:
        """The candidates, put back where they belong; else the plugin's plan, rendered.

        Raises:
            AbstainedError: the plugin's plan abstains.
            ImgeditError: what the plugin or `render_plan` raises.
        """
        request = ApplyRequest(
            picture=picture,
            plan=self.plan,
            instruction=self.instruction,
            mask=mask,
            options=dict(self.options),
            seed=self.seed,
        )
        result = turn.alone(lambda: self.ask(request, turn.job))
        for warning in result.warnings:
            turn.job.warn(warning)
        turn.told = Told(result.explanation, result.plan)
        if result.candidates:
            best, *further = (_pasted(picture, c.picture, c.offset) for c in result.candidates)
            return Edited(best, further=tuple(further))
        assert result.plan is not None, "EditResult refuses to have neither"
        if result.plan.abstained:
            raise AbstainedError(abstention(result.plan))
        return PlanEdit(result.plan)(picture, mask, turn)


def geometry_of(plan: EditPlan) -> EditPlan:
    """The steps of a plan that move pixels."""
    moves = tuple(step for step in plan.operations if step.operation.kind == "geometric")
    return EditPlan(definitions=plan.definitions, operations=moves)


def _pasted(picture: Picture, patch: Picture, offset: tuple[int, int]) -> Picture:
    """A candidate that covers a part of the picture goes into a copy of the whole."""
    x, y = offset
    inside = 0 <= x <= picture.width - patch.width and 0 <= y <= picture.height - patch.height
    alike = patch.mode == picture.mode and patch.pixels.dtype == picture.pixels.dtype
    smaller = (patch.width, patch.height) != (picture.width, picture.height)
    if not (inside and alike and smaller and offset != (0, 0)):
        return patch
    pixels = picture.pixels.copy()
    pixels[y : y + patch.height, x : x + patch.width] = patch.pixels
    return picture.with_pixels(pixels)
