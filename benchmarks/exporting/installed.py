"""How much disk the packages of an extra take, those that they need included."""

from __future__ import annotations

from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PACKAGE = "imgedit-plugins"


def sizes() -> dict[str, float]:
    """Bytes by extras: where bundles are used, and where models run by PyTorch."""
    return {extras: size(tuple(extras.split(","))) for extras in ("runtime", "torch")}


def size(extras: tuple[str, ...]) -> float:
    """Bytes of all packages, by their own records of their files; our own left out.

    A package that is needed and not installed counts nothing.
    """
    found: dict[str, Distribution] = {}
    _gather(PACKAGE, frozenset(extras), found, set())
    found.pop(PACKAGE)
    return float(sum(_bytes(one) for one in found.values()))


def _gather(
    name: str,
    extras: frozenset[str],
    found: dict[str, Distribution],
    seen: set[tuple[str, frozenset[str]]],
) -> None:
    key = canonicalize_name(name)
    if (key, extras) in seen:
        return
    seen.add((key, extras))
    try:
        found[key] = distribution(name)
    except PackageNotFoundError:
        return
    for text in found[key].requires or ():
        needed = Requirement(text)
        marker = needed.marker
        if marker is None or any(marker.evaluate({"extra": e}) for e in (*extras, "")):
            _gather(needed.name, frozenset(needed.extras), found, seen)


def _bytes(one: Distribution) -> int:
    paths = (Path(str(one.locate_file(file))) for file in one.files or ())
    return sum(path.stat().st_size for path in paths if path.is_file())
