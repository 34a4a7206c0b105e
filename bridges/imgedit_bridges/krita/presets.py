"""Named sets of options, and the ones last used, kept among Krita's settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

Options = dict[str, Any]


class Settings(Protocol):
    """Where texts are kept by name."""

    def setting(self, name: str) -> str:
        """What was written; empty where nothing was."""

    def write_setting(self, name: str, value: str) -> None:
        """Keep a text."""


class Presets:
    """The sets of one command.

    Args:
        settings: where they are kept.
        command: id of the command.

    Attributes:
        last: what was last used; empty where nothing was.
        named: the sets by name.
    """

    def __init__(self, settings: Settings, command: str) -> None:
        self._settings = settings
        self._key = f"options/{command}"
        kept = _read(settings.setting(self._key))
        self.last: Options = _object(kept.get("last"))
        self.named: dict[str, Options] = {
            str(name): _object(values) for name, values in _object(kept.get("named")).items()
        }

    def use(self, values: Mapping[str, Any]) -> None:
        """Remember what was used."""
        self.last = dict(values)
        self._write()

    def save(self, name: str, values: Mapping[str, Any]) -> None:
        """Keep a set under a name, instead of one that had it."""
        self.named[name] = dict(values)
        self._write()

    def delete(self, name: str) -> None:
        """Forget a set."""
        self.named.pop(name, None)
        self._write()

    def _write(self) -> None:
        kept = {"last": self.last, "named": self.named}
        self._settings.write_setting(self._key, json.dumps(kept))


def _read(text: str) -> Options:
    """What was kept; nothing where somebody damaged it, since options can be chosen again."""
    try:
        return _object(json.loads(text)) if text else {}
    except ValueError:
        return {}


def _object(value: Any) -> Options:
    return dict(value) if isinstance(value, dict) else {}
