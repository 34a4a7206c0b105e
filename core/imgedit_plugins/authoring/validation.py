"""`validate`: does an installed plugin keep the contract? Every check has a verdict and a reason.

The manifest and what importing costs are looked at from outside; cancellation, masks, seeds and
the form of results by calling the plugin on small generated pictures.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

from imgedit_plugins import discovery
from imgedit_plugins.authoring import imports
from imgedit_plugins.authoring.verdicts import Check, FailedCheckError, Report, run_check
from imgedit_plugins.errors import PluginError, PluginQuarantinedError, UnknownPluginError
from imgedit_plugins.options import did_you_mean
from imgedit_plugins.plugins import PluginManager


def validate(package: str, *, instruction: str | None = None) -> Report:
    """Check every plugin of a package.

    Args:
        package: name of an installed plugin, distribution or import package, or the folder of an
            installed project (with its pyproject.toml).
        instruction: what to ask `apply_edit` for; by default the labels of the plugin's menu
            actions and a few common edits are tried until it takes one.

    Raises:
        UnknownPluginError: no installed plugin belongs to that name.
    """
    checks: list[Check] = []
    for name in _plugins_of(package):
        checks += _validate_plugin(name, instruction)
    return Report(package, tuple(checks))


def _validate_plugin(name: str, instruction: str | None) -> Iterator[Check]:
    # Limited to this plugin: others must not decide the outcome.
    manager = PluginManager.discover({"IMGEDIT_PLUGINS": name})
    yield run_check(name, "manifest", lambda: _manifest(manager, name))
    if manager.get(name).status != "available":
        return
    info = manager.get(name)
    yield run_check(name, "listing imports nothing heavy", lambda: imports.listing(info))
    yield run_check(name, "importing it is light", lambda: imports.importing(info))
    yield run_check(name, "hook signatures", lambda: _signatures(manager, name))
    if manager.get(name).status != "available":
        return
    from imgedit_plugins.authoring.behaviour import behaviour_checks

    yield from behaviour_checks(manager, info, instruction)


def _manifest(manager: PluginManager, name: str) -> str:
    info = manager.get(name)
    if info.status != "available" or info.manifest is None:
        raise FailedCheckError(info.reason)
    hooks = ", ".join(info.manifest.hooks)
    return f"{info.manifest.title}: {hooks}"


def _signatures(manager: PluginManager, name: str) -> str:
    try:
        manager.load(name)
    except PluginQuarantinedError as error:
        raise FailedCheckError(error.reason) from None
    return "all hooks of the manifest, and no other"


# --- which plugins ----------------------------------------------------------------------------


def _plugins_of(package: str) -> Sequence[str]:
    """Names of the installed plugins that `package` means.

    Raises:
        UnknownPluginError: none.
    """
    folder = Path(package)
    wanted = _distribution_in(folder) if (folder / "pyproject.toml").is_file() else package
    found = discovery.installed()
    for matches in (_is_plugin, _is_distribution, _is_import_package):
        if names := sorted({f.name for f in found if matches(f, wanted)}):
            return names
    known = {f.name for f in found} | {f.distribution for f in found}
    raise UnknownPluginError(
        f"No installed plugin belongs to {wanted!r}.",
        plugin=wanted,
        hint=did_you_mean(wanted, known) or "Install it first: `pip install -e FOLDER`.",
    )


def _distribution_in(folder: Path) -> str:
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
        return str(project["project"]["name"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PluginError(f"{folder / 'pyproject.toml'} names no project ({error}).") from error


def _is_plugin(found: discovery.Found, wanted: str) -> bool:
    return found.name == wanted


def _is_distribution(found: discovery.Found, wanted: str) -> bool:
    return _normalised(found.distribution) == _normalised(wanted)


def _is_import_package(found: discovery.Found, wanted: str) -> bool:
    return f"{found.module}.".startswith(f"{wanted}.")


def _normalised(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
