"""What is known about one plugin, and how that is found out without importing it."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from imgedit_plugins import discovery
from imgedit_plugins.errors import ManifestError, PluginQuarantinedError
from imgedit_plugins.manifest import Manifest, load

Status = Literal["available", "disabled", "quarantined"]

SELECTION_VARIABLE = "IMGEDIT_PLUGINS"


@dataclass(frozen=True)
class PluginInfo:
    """What is known about a plugin.

    Attributes:
        name: of the entry point.
        title: for people; the name where there is no manifest.
        distribution, version: what installed it.
        module: its entry-point module.
        manifest: None where it is missing or malformed.
        status: 'available', 'disabled' (by IMGEDIT_PLUGINS) or 'quarantined'.
        reason: why it is not available, one line; '' if it is.
    """

    name: str
    title: str
    distribution: str
    version: str
    module: str
    manifest: Manifest | None
    status: Status
    reason: str = ""


class Slot:
    """A plugin's place in the manager: the info changes when it is set aside."""

    def __init__(self, found: discovery.Found, info: PluginInfo, folder: Path | None) -> None:
        self.found = found
        self.info = info
        self.folder = folder
        self.code: Any = None
        self.lock = threading.RLock()

    def set_aside(self, reason: str) -> PluginQuarantinedError:
        """Quarantine the plugin for one line of reason; returns the error to raise."""
        self.info = dataclasses.replace(self.info, status="quarantined", reason=reason)
        return PluginQuarantinedError(self.info.name, reason)


def wanted_names(environ: Mapping[str, str]) -> set[str] | None:
    """The names that IMGEDIT_PLUGINS allows; None for all."""
    value = environ.get(SELECTION_VARIABLE)
    if value is None:
        return None
    names = {name.strip() for name in value.split(",")} - {""}
    return set() if names == {"none"} else names


def examine(found: discovery.Found, wanted: set[str] | None, owner: str | None) -> Slot:
    """A plugin's place, from its manifest. `owner` is who claimed its name before."""
    manifest, folder, reason = _read_manifest(found)
    if owner is not None:
        reason = (
            f"{found.distribution} claims the name {found.name!r}, which {owner} has already; "
            "uninstall one of them"
        )
    status: Status = "quarantined" if reason else "available"
    if wanted is not None and found.name not in wanted:
        status, reason = "disabled", f"{SELECTION_VARIABLE} does not name it."
    info = PluginInfo(
        name=found.name,
        title=manifest.title if manifest else found.name,
        distribution=found.distribution,
        version=found.version,
        module=found.module,
        manifest=manifest,
        status=status,
        reason=reason,
    )
    return Slot(found, info, folder)


def _read_manifest(found: discovery.Found) -> tuple[Manifest | None, Path | None, str]:
    """(manifest, the plugin's folder, what is wrong)."""
    folder: Path | None = None
    try:
        path = found.manifest_path()
        folder = path.parent
        manifest = load(path)
    except ManifestError as error:
        return None, folder, str(error)
    if manifest.name != found.name:
        return (
            None,
            folder,
            f"The manifest {path} is of {manifest.name!r}, the entry point is {found.name!r}.",
        )
    return manifest, folder, ""
