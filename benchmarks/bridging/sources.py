"""Which version of the sources a run measured."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_MEASURED = (
    *("bridges/imgedit_bridges/*.py", "bridges/imgedit_bridges/worker/*.py"),
    "bridges/imgedit_bridges/gimp/transfer.py",
    *(f"bridges/imgedit_bridges/krita/{name}.py" for name in ("canvas", "bands", "background")),
    *("core/imgedit_plugins/render/*.py", "benchmarks/bridge.py", "benchmarks/bridging/*.py"),
)


def sources_sha256() -> str:
    """A hash of what moves and renders pixels for the editors, and of this benchmark."""
    digest = hashlib.sha256()
    for path in _sources():
        digest.update(f"{path.relative_to(_ROOT).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _sources() -> Iterator[Path]:
    for pattern in _MEASURED:
        yield from sorted(_ROOT.glob(pattern))
