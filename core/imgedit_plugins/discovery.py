"""Finding plugins and reading their manifests without importing any of their code."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.machinery import ModuleSpec
from importlib.metadata import EntryPoint
from pathlib import Path

from imgedit_plugins.errors import ManifestError
from imgedit_plugins.hookspecs import PROJECT

OWN_DISTRIBUTION = "imgedit-plugins"


@dataclass(frozen=True)
class Found:
    """An entry point in the plugins' group.

    Attributes:
        entry_point: as its distribution declares it.
        distribution, version: what provides it; empty where the metadata does not say.
    """

    entry_point: EntryPoint
    distribution: str
    version: str

    @property
    def name(self) -> str:
        """The name of the plugin."""
        return self.entry_point.name

    @cached_property
    def module(self) -> str:
        """The dotted name of the entry-point module."""
        return self.entry_point.value.partition(":")[0].partition("[")[0].strip()

    def manifest_path(self) -> Path:
        """Where the manifest has to be: beside the entry-point module.

        Raises:
            ManifestError: the module is not there, or is no file.
        """
        spec = find_without_import(self.module)
        if spec is None or not spec.has_location or spec.origin is None:
            raise ManifestError(
                f"The entry point {self.name!r} of {self.distribution} names the module "
                f"{self.module!r}, which is not there.",
                plugin=self.name,
            )
        from imgedit_plugins.manifest import FILE_NAME

        return Path(spec.origin).parent / FILE_NAME


def installed() -> list[Found]:
    """All entry points of the group: the core's own distribution first, then by name.

    The order decides who keeps a name that two distributions claim.
    """
    found = [
        Found(entry_point, name, version)
        for entry_point, name, version in _with_distribution(
            importlib.metadata.entry_points(group=PROJECT)
        )
    ]
    return sorted(found, key=lambda f: (f.distribution != OWN_DISTRIBUTION, f.distribution, f.name))


def find_without_import(module: str) -> ModuleSpec | None:
    """The spec of a module, dotted or not, without importing its parents.

    `importlib.util.find_spec` imports the parents of a dotted name; this asks the finders of
    `sys.meta_path` for one part after another instead, which also serves editable installs that
    bring a finder of their own.
    """
    path: Sequence[str] | None = None
    spec: ModuleSpec | None = None
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        if depth > 1 and not path:
            return None
        spec = _ask_finders(".".join(parts[:depth]), path)
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or ())
    return spec


def _ask_finders(name: str, path: Sequence[str] | None) -> ModuleSpec | None:
    for finder in sys.meta_path:
        find_spec = getattr(finder, "find_spec", None)
        if find_spec is None:
            continue
        try:
            spec: ModuleSpec | None = find_spec(name, path, None)
        except KeyError:
            # Namespace packages inside others look for their parent in `sys.modules`.
            spec = _nested_namespace(name, path or ())
        if spec is not None:
            return spec
    return None


def _nested_namespace(name: str, parents: Sequence[str]) -> ModuleSpec | None:
    candidates = [Path(parent, name.rpartition(".")[2]) for parent in parents]
    folders = [str(folder) for folder in candidates if folder.is_dir()]
    if not folders:
        return None
    spec = ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = folders
    return spec


def _with_distribution(
    entry_points: Iterable[EntryPoint],
) -> Iterator[tuple[EntryPoint, str, str]]:
    """Each entry point with its distribution's name and version; metadata is parsed once each."""
    known: dict[int, tuple[str, str]] = {}
    for entry_point in entry_points:
        distribution = entry_point.dist
        if distribution is None:
            yield entry_point, "", ""
            continue
        if id(distribution) not in known:
            metadata = distribution.metadata
            known[id(distribution)] = (metadata["Name"] or "", metadata["Version"] or "")
        yield entry_point, *known[id(distribution)]
