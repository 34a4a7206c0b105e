"""Which passes over the picture a plan needs."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from imgedit_plugins.operations import Operation, Parameters, Profile
from imgedit_plugins.operations.forms import Form, Geometry, Measured
from imgedit_plugins.render.passes import Builder, Pass

T = TypeVar("T")


def plan_passes(
    steps: Iterable[tuple[Operation, Parameters]],
    profile: Profile,
    source: np.dtype[Any],
    *,
    each_step: bool,
) -> tuple[Pass, ...]:
    """The passes of a plan on pixels of that type.

    Args:
        steps: operations with checked parameters, in order.
        profile: constants.
        source: type of the picture's pixels; uint8 if `each_step`.
        each_step: whether every step rounds to 8 bits.

    Returns:
        The same passes as before for the same plan, so that tables are made once for a folder.
    """
    todo = tuple((_Itself(o), tuple(p.items())) for o, p in steps if not o.is_neutral(p))
    return _remembered(todo, _Itself(profile), source, each_step)


@dataclass(frozen=True, eq=False)
class _Itself(Generic[T]):
    """A key that is equal to the same object alone, whatever it holds."""

    value: T

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


_Steps = tuple[tuple[_Itself[Operation], tuple[tuple[str, Any], ...]], ...]


@functools.lru_cache(maxsize=8)  # each with up to 800 kB of tables
def _remembered(
    steps: _Steps, profile: _Itself[Profile], source: np.dtype[Any], each_step: bool
) -> tuple[Pass, ...]:
    todo = [(operation.value, dict(parameters)) for operation, parameters in steps]
    return _compiled(Builder(source, source), todo, profile.value, each_step=each_step)


def _compiled(
    builder: Builder,
    steps: Sequence[tuple[Operation, Parameters]],
    profile: Profile,
    *,
    each_step: bool,
) -> tuple[Pass, ...]:
    for number, (operation, parameters) in enumerate(steps, 1):
        if each_step or operation.form is None:
            builder.add_rounded(operation, parameters, profile)
            continue
        form = operation.form(parameters, profile.of(operation.name))
        if isinstance(form, Geometry) and form.exact:
            builder.add_move(form, last=all(_is_move(*step, profile) for step in steps[number:]))
            continue
        if isinstance(form, Measured):
            after = steps[number:]

            def rest(found: Form, dtype: np.dtype[Any]) -> tuple[Pass, ...]:
                next_builder = Builder(dtype, builder.target)
                next_builder.add_form(found)
                return _compiled(next_builder, after, profile, each_step=each_step)  # noqa: B023

            return builder.finish_measured(form, rest)
        builder.add_form(form)
    return builder.finish()


def _is_move(operation: Operation, parameters: Parameters, profile: Profile) -> bool:
    """Whether an operation moves pixels unchanged."""
    if operation.form is None or operation.kind != "geometric":
        return False
    form = operation.form(parameters, profile.of(operation.name))
    return isinstance(form, Geometry) and form.exact
