"""Definition profiles: the constants behind the operations, and the levels a data set uses."""

from __future__ import annotations

import functools
import itertools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from imgedit_plugins.errors import ParameterError, ProfileError
from imgedit_plugins.operations.vocabulary import (
    Operation,
    Parameters,
    ParameterValue,
    default_vocabulary,
    shorten,
)

DEFAULT_PROFILE = "opencv-photo-filters/1"
_SCHEMA = "imgedit-definitions/1"


@dataclass(frozen=True)
class Profile:
    """Constants and levels of each operation.

    Attributes:
        id: as in a plan's `definitions`, 'name/version'.
        title: for people.
        constants: operation name -> constant name -> value.
    """

    id: str
    title: str
    constants: Mapping[str, Mapping[str, Any]]

    def of(self, operation: str) -> Mapping[str, Any]:
        """The constants of one operation; empty where it takes none or does without.

        Raises:
            ProfileError: the operation cannot do without constants and the profile has none.
        """
        if operation in self.constants:
            return self.constants[operation]
        vocabulary = default_vocabulary()
        declared = vocabulary[operation].constants if operation in vocabulary else ()
        needed = [constant.name for constant in declared if constant.required]
        if needed:
            raise ProfileError(
                f"The definition profile {self.id!r} says nothing about {operation!r}, which "
                f"needs {', '.join(needed)}."
            )
        return MappingProxyType({})

    def levels(self, operation: str) -> tuple[ParameterValue, ...]:
        """The values that the profile's data uses, rising; empty for on/off operations."""
        return tuple(self.constants.get(operation, {}).get("levels", ()))

    def normalise(self, operation: str, parameters: Parameters) -> float:
        """I-MAD's normalised value: value / largest level; 1.0 for on/off operations."""
        levels = self.levels(operation)
        if not levels or not parameters:
            return 1.0
        return float(next(iter(parameters.values()))) / float(levels[-1])

    def denormalise(self, operation: str, value: float) -> dict[str, ParameterValue]:
        """The parameters of a normalised value, at the nearest level (I-MAD rounds to 3 digits).

        Raises:
            UnknownOperationError: no such operation.
        """
        parameters = default_vocabulary()[operation].parameters
        levels = self.levels(operation)
        if not parameters or not levels:
            return {}
        nearest = min(levels, key=lambda level: abs(float(level) / float(levels[-1]) - value))
        return {parameters[0].name: nearest}


def load_profile(identifier: str = DEFAULT_PROFILE) -> Profile:
    """The profile of an id ('opencv-photo-filters/1') or of a TOML file's path.

    Raises:
        ProfileError: unknown id, unreadable or malformed file.
    """
    if identifier.endswith(".toml"):
        return _read(Path(identifier))
    shipped = _shipped()
    if identifier in shipped:
        return shipped[identifier]
    raise ProfileError(
        f"There is no definition profile {identifier!r}.",
        hint=f"Shipped: {', '.join(shipped)}; or give the path of a .toml file.",
    )


@functools.cache
def _shipped() -> Mapping[str, Profile]:
    return {p.id: p for p in map(_read, sorted(Path(__file__).parent.glob("*.toml")))}


def _read(path: Path) -> Profile:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise ProfileError(f"The profile {str(path)!r} cannot be read: {reason}.") from error
    except (ValueError, RecursionError) as error:  # neither UTF-8 nor TOML, or no path at all
        raise ProfileError(f"The profile {str(path)!r} cannot be read: {error}.") from error
    if data.pop("schema", None) != _SCHEMA:
        raise _fault(path, "this is no definition profile", hint=f'It begins schema = "{_SCHEMA}".')
    identifier, title = data.pop("id", None), data.pop("title", "")
    if not isinstance(identifier, str) or not isinstance(title, str):
        raise _fault(path, "`id` and `title` must be text")
    constants = {name: _constants(path, name, table) for name, table in data.items()}
    return Profile(identifier, title, MappingProxyType(constants))


def _constants(path: Path, name: str, table: object) -> Mapping[str, Any]:
    vocabulary = default_vocabulary()
    if not isinstance(table, dict):
        raise _fault(path, f"{name!r} must be a table of one operation's constants")
    if name not in vocabulary:
        raise _fault(path, f"there is no operation {name!r}")
    operation = vocabulary[name]
    declared = {constant.name: constant for constant in operation.constants}
    for key, value in table.items():
        if key == "levels":
            _check_levels(path, operation, value)
        elif key not in declared:
            raise _fault(path, f"{name!r} takes no constant {key!r}")
        elif fault := declared[key].fault(value):
            raise _fault(path, f"{name}.{key} {fault}")
    missing = [key for key, c in declared.items() if c.required and key not in table]
    if missing:
        raise _fault(path, f"{name!r} needs the constant {missing[0]!r}")
    return MappingProxyType(table)


def _check_levels(path: Path, operation: Operation, levels: object) -> None:
    where = f"{operation.name}.levels"
    if not operation.parameters:
        raise _fault(path, f"{where}: {operation.name!r} has no parameter and so no levels")
    if not isinstance(levels, list) or not levels:
        raise _fault(path, f"{where} must be a list of numbers, not {shorten(levels)}")
    for level in levels:
        try:
            operation.parameters[0].check(operation.name, level)
        except ParameterError as error:
            raise _fault(path, f"{where}: {error.message.removesuffix('.')}") from error
    if any(a >= b for a, b in itertools.pairwise(levels)):
        raise _fault(path, f"{where} must rise, not {shorten(levels)}")
    if levels[-1] <= 0:
        raise _fault(path, f"{where}: the largest level must be above 0, not {levels[-1]!r}")


def _fault(path: Path, what: str, hint: str = "") -> ProfileError:
    return ProfileError(f"{path}: {what}.", hint=hint)
