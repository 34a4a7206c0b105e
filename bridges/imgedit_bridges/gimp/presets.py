"""What the dialogs remember: named options of each procedure, and plans used lately.

One JSON file in the plug-in's folder of GIMP's configuration, replaced as a whole. A damaged one is
put aside and not overwritten. Standard library only.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from imgedit_bridges.edits import is_plan
from imgedit_bridges.errors import BridgeError

RECENT = 12
"""Plans that are remembered beside the favourites."""

Options = dict[str, bool | int | float | str]


@dataclass(frozen=True)
class KeptPlan:
    """A plan that was used.

    Attributes:
        title: for people.
        plan: as decoded JSON.
        strength: with which it was used, 0..2.
        favourite: whether it stays when others come.
    """

    title: str
    plan: Mapping[str, Any]
    strength: float = 1.0
    favourite: bool = False


class Presets:
    """The file; every call reads it, and what changes it writes it.

    Args:
        path: of the file; its folder is made when something is written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    # --- options of procedures ----------------------------------------------------------------

    def names(self, procedure: str) -> list[str]:
        """Names of the presets of a procedure, in order of the alphabet."""
        return sorted(self._options(procedure), key=str.casefold)

    def options(self, procedure: str, name: str) -> Options:
        """The values of a preset; none where it is gone."""
        return self._options(procedure).get(name, {})

    def save(self, procedure: str, name: str, values: Options) -> None:
        """Keep values under a name; one of that name is replaced.

        Raises:
            BridgeError: the name is empty, or the file cannot be written.
        """
        if not name.strip():
            raise BridgeError("A preset needs a name.")
        data = self._read()
        data["options"].setdefault(procedure, {})[name.strip()] = values
        self._write(data)

    def remove(self, procedure: str, name: str) -> None:
        """Forget a preset; none of that name is no fault.

        Raises:
            BridgeError: the file cannot be written.
        """
        data = self._read()
        if data["options"].get(procedure, {}).pop(name, None) is not None:
            self._write(data)

    def _options(self, procedure: str) -> dict[str, Options]:
        found = self._read()["options"].get(procedure, {})
        return {str(name): one for name, one in found.items() if isinstance(one, dict)}

    # --- plans --------------------------------------------------------------------------------

    def plans(self) -> list[KeptPlan]:
        """Favourites first, then the latest."""
        found = [one for data in self._read()["plans"] if (one := _kept(data)) is not None]
        return sorted(found, key=lambda one: not one.favourite)

    def used(self, plan: KeptPlan) -> None:
        """Put a plan first; the oldest one goes where there are too many.

        Raises:
            BridgeError: the file cannot be written.
        """
        others = self.plans()
        favourite = plan.favourite or any(o.favourite for o in others if _alike(o, plan))
        kept = KeptPlan(plan.title, plan.plan, plan.strength, favourite)
        self._keep([kept, *(one for one in others if not _alike(one, plan))])

    def keep(self, plan: KeptPlan) -> None:
        """Keep a plan as the favourite that it is, or let it go with time.

        Raises:
            BridgeError: the file cannot be written.
        """
        others = self.plans()
        if any(_alike(one, plan) for one in others):
            self._keep([plan if _alike(one, plan) else one for one in others])
        else:
            self._keep([plan, *others])

    def _keep(self, plans: list[KeptPlan]) -> None:
        favourites = [one for one in plans if one.favourite]
        recent = [one for one in plans if not one.favourite][:RECENT]
        data = self._read()
        data["plans"] = [asdict(one) for one in (*favourites, *recent)]
        self._write(data)

    # --- the file -----------------------------------------------------------------------------

    def _read(self) -> dict[str, Any]:
        empty: dict[str, Any] = {"options": {}, "plans": []}
        try:
            data = json.loads(self._path.read_text("utf-8"))
        except (OSError, ValueError):
            return empty
        if not isinstance(data, dict):
            return empty
        return {
            name: data[name] if isinstance(data.get(name), type(one)) else one
            for name, one in empty.items()
        }

    def _write(self, data: Mapping[str, Any]) -> None:
        text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
        part = self._path.with_name(f".{self._path.name}-{secrets.token_hex(4)}.part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._put_aside_if_damaged()
            part.write_text(text, "utf-8")
            os.replace(part, self._path)  # noqa: PTH105  # Path.replace says no other thing
        except OSError as error:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            why = (error.strerror or str(error)).rstrip(".")
            raise BridgeError(f"{self._path} cannot be written: {why}.") from error

    def _put_aside_if_damaged(self) -> None:
        try:
            json.loads(self._path.read_text("utf-8"))
        except FileNotFoundError:
            return
        except ValueError:
            os.replace(self._path, self._path.with_suffix(".damaged"))  # noqa: PTH105


def _kept(data: object) -> KeptPlan | None:
    if not isinstance(data, dict) or not is_plan(data.get("plan")):
        return None
    plan, strength = data["plan"], data.get("strength", 1.0)
    if not isinstance(strength, int | float):
        return None
    title = str(data.get("title") or "A plan")
    return KeptPlan(title, plan, float(strength), bool(data.get("favourite")))


def _alike(one: KeptPlan, other: KeptPlan) -> bool:
    return one.plan.get("operations") == other.plan.get("operations")
