"""A plan as panes show it: steps that can be adjusted, switched off, moved and weakened.

Both editors' panes work on a `StepList`; how a value is shown and which values a slider takes is
said here once. Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from imgedit_bridges.errors import BridgeError
from imgedit_bridges.protocol import MAX_STRENGTH

Declared = Mapping[str, Any]
"""An operation or a parameter as `Client.operations` gives it."""

_POSITIONS = 200  # of a slider, where a parameter says nothing else
_LARGE_RATIO = 4.0  # from the least to the largest value, from which on a slider is logarithmic


@dataclass
class Step:
    """One operation of the list.

    Attributes:
        name: as in a plan.
        parameters: name -> number, or a list of points.
        on: whether it takes part.
        confidence: as the plan gave it; 1 where somebody has changed the step.
    """

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)
    on: bool = True
    confidence: float = 1.0


@dataclass(frozen=True)
class Scale:
    """The values that a slider for one parameter takes.

    Attributes:
        minimum, maximum: of the parameter.
        increment: the distance of two positions; of a logarithmic one, near its minimum.
        decimals: how many are shown.
        logarithmic: whether equal ways of the slider are equal factors.
        odd: whether only odd whole numbers are taken.
        choices: the only values, where there are few.
    """

    minimum: float
    maximum: float
    increment: float
    decimals: int
    logarithmic: bool = False
    odd: bool = False
    choices: tuple[float, ...] = ()

    def nearest(self, value: float) -> float:
        """The value that the parameter can have nearest to this one."""
        if self.choices:
            return min(self.choices, key=lambda choice: abs(choice - value))
        value = min(max(value, self.minimum), self.maximum)
        if self.odd:
            value = min(2 * round((value - 1) / 2) + 1, int(self.maximum - (self.maximum % 2 == 0)))
        rounded = min(max(round(value, self.decimals), self.minimum), self.maximum)
        return rounded + 0.0  # no negative zero

    def position(self, value: float) -> float:
        """Where the slider stands for a value, 0 to 1."""
        if self.maximum == self.minimum:
            return 0.0
        if self.logarithmic:
            share = math.log(value / self.minimum) / math.log(self.maximum / self.minimum)
        else:
            share = (value - self.minimum) / (self.maximum - self.minimum)
        return min(1.0, max(0.0, share))

    def value_at(self, position: float) -> float:
        """The value for a position of the slider, 0 to 1."""
        if self.logarithmic:
            value = self.minimum * (self.maximum / self.minimum) ** position
        else:
            value = self.minimum + position * (self.maximum - self.minimum)
        return self.nearest(value)


def scale_of(parameter: Declared) -> Scale | None:
    """The slider of a declared parameter; None for a curve, which has none."""
    if parameter.get("points"):
        return None
    low, high = float(parameter["minimum"]), float(parameter["maximum"])
    choices = tuple(float(choice) for choice in parameter.get("choices") or ())
    if parameter.get("integer") or parameter.get("odd"):
        odd = bool(parameter.get("odd"))
        return Scale(low, high, 2.0 if odd else 1.0, 0, odd=odd, choices=choices)
    logarithmic = low > 0 and high / low > _LARGE_RATIO
    # The finest step that is worth showing: 1, 0.1, 0.01 ...
    span = low / 10 if logarithmic else (high - low) / _POSITIONS
    decimals = max(0, -math.floor(math.log10(span))) if span > 0 else 2
    return Scale(low, high, 10.0**-decimals, decimals, logarithmic, choices=choices)


def shown(parameter: Declared, value: Any) -> str:
    """A value with its unit: '1.3×', '-40 %', 'a curve'."""
    if not isinstance(value, int | float):
        return "a curve"
    unit = str(parameter.get("unit") or "")
    number = f"{value:.4g}".replace("-", "−")
    if unit in ("", "code"):
        return number
    return f"{number}{unit}" if unit in ("×", "°") else f"{number} {unit}"


class StepList:
    """A plan that somebody works on.

    Args:
        plan: as decoded JSON, valid; it is not changed.
        vocabulary: the operations that can be used, as `Client.operations` gives them.

    Attributes:
        steps: in their order.
        strength: of the whole, 0 to 2.
    """

    def __init__(self, plan: Mapping[str, Any], vocabulary: Sequence[Declared]) -> None:
        self._plan = dict(plan)
        self._known = {str(one["name"]): one for one in vocabulary}
        self.steps = [
            Step(
                str(one["name"]),
                dict(one.get("parameters") or {}),
                confidence=float(one.get("confidence", 1.0)),
            )
            for one in plan.get("operations", ())
        ]
        self.strength = 1.0
        self._original = self._operations()

    # --- looking ------------------------------------------------------------------------------

    def title(self, step: Step) -> str:
        """The operation's name for people."""
        return str(self._declared(step.name).get("title") or step.name)

    def parameters(self, step: Step) -> list[Declared]:
        """What can be adjusted, in the order in which it is shown."""
        return list(self._declared(step.name).get("parameters") or ())

    def value(self, step: Step, parameter: Declared) -> Any:
        """A parameter's value; the neutral one where the plan leaves it out."""
        return step.parameters.get(str(parameter["name"]), parameter.get("neutral"))

    def summary(self, step: Step) -> str:
        """The step in a few words: 'Contrast 1.3×'."""
        values = [
            shown(one, self.value(step, one))
            for one in self.parameters(step)
            if not one.get("optional") or self.value(step, one) != one.get("neutral")
        ]
        return " ".join([self.title(step), *([", ".join(values)] if values else [])])

    @property
    def changed(self) -> bool:
        """Whether the plan is another one than at the beginning; strength does not count."""
        return self._operations() != self._original

    def plan(self) -> dict[str, Any]:
        """The steps that are on, as a plan.

        What was found out about the original (how much it explains, who made it) is left out as
        soon as something is changed.
        """
        if not self.changed:
            return dict(self._plan)
        kept: dict[str, Any] = {
            name: self._plan[name] for name in ("schema", "definitions") if name in self._plan
        }
        told = ", ".join(self.summary(step) for step in self.steps if step.on)
        return {**kept, "operations": self._operations(), "explanation": told}

    # --- changing -----------------------------------------------------------------------------

    def adjust(self, step: Step, parameter: Declared, value: Any) -> Any:
        """Give a parameter a value, or the nearest one that it can have; returns that one."""
        scale = scale_of(parameter)
        if scale is not None:
            value = scale.nearest(float(value))
            if parameter.get("integer") or parameter.get("odd"):
                value = int(value)
            choices = parameter.get("choices") or ()
            value = next((choice for choice in choices if choice == value), value)
        if self.value(step, parameter) != value:
            step.parameters[str(parameter["name"])] = value
            step.confidence = 1.0
        return value

    def add(self, name: str) -> Step:
        """Add an operation at the end, with parameters that visibly do something.

        Raises:
            BridgeError: there is no such operation.
        """
        if name not in self._known:
            raise BridgeError(f"There is no operation {name!r}.")
        made = Step(name, dict(self._known[name].get("start") or {}))
        self.steps.append(made)
        return made

    def holds(self, step: Step) -> bool:
        """Whether this very step is in the list."""
        return any(one is step for one in self.steps)

    def place(self, step: Step) -> int:
        """Where a step is that the list holds; of two that are alike, this one."""
        return next(index for index, one in enumerate(self.steps) if one is step)

    def remove(self, step: Step) -> None:
        """Take a step out of the list."""
        del self.steps[self.place(step)]

    def move(self, step: Step, by: int) -> None:
        """Move a step up (negative) or down, as far as there is room."""
        place = self.place(step)
        wanted = min(max(place + by, 0), len(self.steps) - 1)
        self.steps.insert(wanted, self.steps.pop(place))

    def set_strength(self, strength: float) -> None:
        """Weaken or strengthen the whole, 0 to 2."""
        self.strength = min(max(float(strength), 0.0), MAX_STRENGTH)

    # --- keeping ------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """What `restore` needs to show the list again as it is, steps that are off included."""
        whole = [{**_operation(step), "on": step.on} for step in self.steps]
        return {"plan": self.plan(), "steps": whole, "strength": self.strength}

    @classmethod
    def restore(cls, state: Mapping[str, Any], vocabulary: Sequence[Declared]) -> StepList:
        """The list that `state` was made of.

        Raises:
            BridgeError: it is damaged.
        """
        try:
            found = cls(state["plan"], vocabulary)
            found.steps = [
                Step(str(one["name"]), dict(one["parameters"]), bool(one["on"]),
                     float(one.get("confidence", 1.0)))
                for one in state["steps"]
            ]  # fmt: skip
            found.set_strength(state["strength"])
        except (KeyError, TypeError, ValueError) as error:
            raise BridgeError("What was kept of this edit is damaged.") from error
        return found

    def _declared(self, name: str) -> Declared:
        return self._known.get(name, {})

    def _operations(self) -> list[dict[str, Any]]:
        return [_operation(step) for step in self.steps if step.on]


def _operation(step: Step) -> dict[str, Any]:
    return {"name": step.name, "parameters": dict(step.parameters), "confidence": step.confidence}
