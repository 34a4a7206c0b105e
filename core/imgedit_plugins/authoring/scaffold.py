"""`new`: a plugin distribution that works as written, to start from."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import tempfile
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from imgedit_plugins import discovery
from imgedit_plugins.errors import PluginError

_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_LONGEST = 40
_PREFIX = re.compile(r"^imgedit[-_]")
_PACKAGE_FOLDER = "__package__"
_SUFFIX = ".in"


@dataclass(frozen=True)
class Names:
    """What a new plugin is called in its various places.

    Attributes:
        plugin: in the manifest and on the command line, 'warm-look'.
        distribution: for pip, 'imgedit-warm-look'.
        package: for Python, 'imgedit_warm_look'.
        title: for people, 'Warm look'.
    """

    plugin: str
    distribution: str
    package: str
    title: str


def names_for(name: str) -> Names:
    """The names of a new plugin; a leading 'imgedit-' of `name` is taken off first.

    Raises:
        PluginError: the name cannot be used, or an installed plugin has it.
    """
    plugin = _PREFIX.sub("", name)
    if not _NAME.fullmatch(plugin) or len(plugin) > _LONGEST:
        raise PluginError(
            f"{name!r} cannot be the name of a plugin.",
            plugin=name,
            hint="Use lower-case letters and digits, in words joined by single hyphens, "
            f"at most {_LONGEST} characters: 'warm-look'.",
        )
    slug = plugin.replace("_", "-")
    for found in discovery.installed():
        if found.name.replace("_", "-") == slug:
            raise PluginError(
                f"There is already a plugin {found.name!r}, of {found.distribution}.",
                plugin=name,
                hint="Choose another name.",
            )
    title = slug.replace("-", " ").capitalize()
    return Names(plugin, f"imgedit-{slug}", f"imgedit_{slug.replace('-', '_')}", title)


def new(name: str, folder: Path) -> Path:
    """Write a plugin distribution into a new folder below `folder`.

    Args:
        name: of the plugin, such as 'warm-look'.
        folder: where the distribution's own folder, 'imgedit-warm-look', is made.

    Returns:
        The distribution's folder.

    Raises:
        PluginError: the name cannot be used or is taken, the folder is there already, or nothing
            can be written. No half-written folder is left.
    """
    names = names_for(name)
    target = folder / names.distribution
    if target.exists() or target.is_symlink():
        raise PluginError(
            f"{target} exists already; nothing was written.",
            plugin=name,
            hint="Choose another name or folder.",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_whole(target, names)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise PluginError(f"{target} cannot be written: {reason}.", plugin=name) from error
    return target


def _write_whole(target: Path, names: Names) -> None:
    """Fill a temporary folder beside the target, then rename it."""
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        content = temporary / target.name  # mkdtemp's own folder is for this user's eyes only
        _fill(files(__package__) / "templates" / "plugin", content, _values(names))
        content.rename(target)
    finally:
        shutil.rmtree(temporary)


def _fill(source: Traversable, target: Path, values: dict[str, str]) -> None:
    target.mkdir()
    for entry in source.iterdir():
        if entry.is_dir():
            name = values["package"] if entry.name == _PACKAGE_FOLDER else entry.name
            _fill(entry, target / name, values)
        elif entry.name.endswith(_SUFFIX):
            text = Template(entry.read_text(encoding="utf-8")).substitute(values)
            path = target / entry.name.removesuffix(_SUFFIX)
            path.write_text(text, encoding="utf-8", newline="\n")


def _values(names: Names) -> dict[str, str]:
    try:
        version = importlib.metadata.version(discovery.OWN_DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        from imgedit_plugins import __version__ as version
    return {
        "plugin": names.plugin,
        "distribution": names.distribution,
        "package": names.package,
        "title": names.title,
        "core_version": version,
    }
