"""Definition profiles: the constants behind the operations, and the levels a data set uses."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from imgedit_plugins.errors import ProfileError
from imgedit_plugins.operations.vocabulary import Parameters, ParameterValue, default_vocabulary

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
        """The constants of one operation; empty for operations the profile does not name."""
        return self.constants.get(operation, MappingProxyType({}))

    def levels(self, operation: str) -> tuple[ParameterValue, ...]:
        """The values that the profile's data uses, rising; empty for on/off operations."""
        return tuple(self.of(operation).get("levels", ()))

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


@functools.cache
def load_profile(identifier: str = DEFAULT_PROFILE) -> Profile:
    """The profile of an id ('opencv-photo-filters/1') or of a TOML file's path.

    Raises:
        ProfileError: unknown id, unreadable or malformed file.
    """
    if identifier.endswith(".toml"):
        return _read(Path(identifier))
    shipped = {p.id: p for p in map(_read, sorted(Path(__file__).parent.glob("*.toml")))}
    if identifier in shipped:
        return shipped[identifier]
    raise ProfileError(
        f"There is no definition profile {identifier!r}.",
        hint=f"Shipped: {', '.join(shipped)}; or give the path of a .toml file.",
    )


def _read(path: Path) -> Profile:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ProfileError(f"The profile {path} cannot be read: {error}.") from error
    if data.pop("schema", None) != _SCHEMA:
        raise ProfileError(f"{path} is no definition profile.", hint=f'schema = "{_SCHEMA}"')
    identifier, title = data.pop("id", None), data.pop("title", "")
    if not isinstance(identifier, str) or not isinstance(title, str):
        raise ProfileError(f"The profile {path} needs `id` and `title` as text.")
    constants = {name: _constants(path, name, table) for name, table in data.items()}
    return Profile(identifier, title, MappingProxyType(constants))


def _constants(path: Path, name: str, table: object) -> Mapping[str, Any]:
    if not isinstance(table, dict):
        raise ProfileError(f"{path}: {name!r} must be a table of one operation's constants.")
    operation = default_vocabulary()[name]
    levels = table.get("levels", [])
    if levels != sorted(levels):
        raise ProfileError(f"{path}: levels of {name!r} must rise, not {levels!r}.")
    for level in levels:
        operation.parameters[0].check(name, level)
    return MappingProxyType(table)
