"""Which version of the sources a run measured."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_MEASURED = ("compiled", "render", "operations", "picture_files")  # and what lies beside them
_BENCHMARK = ("render.py", "render_memory.py", "rendering")


def sources_sha256() -> str:
    """A hash of what renders, reads and writes pictures, and of this benchmark."""
    digest = hashlib.sha256()
    for path in _sources():
        digest.update(f"{path.relative_to(_ROOT).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _sources() -> Iterator[Path]:
    core, benchmarks = _ROOT / "core" / "imgedit_plugins", _ROOT / "benchmarks"
    yield from sorted(core.glob("*.py"))
    yield from sorted((_ROOT / "core" / "native").glob("*.[ch]"))
    for place in [core / name for name in _MEASURED] + [benchmarks / name for name in _BENCHMARK]:
        yield from sorted(place.rglob("*.py")) if place.is_dir() else [place]
