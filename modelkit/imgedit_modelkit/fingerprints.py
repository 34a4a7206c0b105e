"""Hashes of files, folders and code, and seeds that are made from words."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

_PACKAGES = (
    *("imgedit-plugins", "numpy", "torch", "accelerate", "transformers", "diffusers", "peft"),
    "bitsandbytes",
)


def of_file(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_files(paths: Iterable[Path], root: Path) -> str:
    """SHA-256 over the names below `root` and the contents of files, in any order."""
    digest = hashlib.sha256()
    for name, path in sorted((path.relative_to(root).as_posix(), path) for path in paths):
        digest.update(f"{of_file(path)} {name}\n".encode())
    return digest.hexdigest()


def of_folder(folder: Path) -> str:
    """SHA-256 over all files below a folder, hidden ones left out."""
    files = (path for path in folder.rglob("*") if path.is_file())
    shown = [p for p in files if not any(part[0] == "." for part in p.relative_to(folder).parts)]
    return of_files(shown, folder)


def of_code(kind: type) -> str:
    """SHA-256 over the Python files of the package, or of the one file, that defines a class.

    A class that stands in no file (typed in a console) has the empty string.
    """
    top = sys.modules.get(kind.__module__.partition(".")[0])
    here = sys.modules.get(kind.__module__)
    place = _file_of(top) or _file_of(here)
    if place is None:
        return ""
    if place.name == "__init__.py":
        return of_files(place.parent.rglob("*.py"), place.parent)
    return of_file(place)


def versions() -> dict[str, str]:
    """The versions of Python and of what computes, as far as it is installed."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def seed_of(*parts: object) -> int:
    """A seed, 0 <= seed < 2**63, that hangs on all parts: the same parts give the same seed."""
    text = "/".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def _file_of(module: ModuleType | None) -> Path | None:
    name = getattr(module, "__file__", None)
    return Path(name) if name and Path(name).is_file() else None
