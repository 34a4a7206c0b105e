"""Which version of the sources a fine-tuning was made by."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from imgedit_modelkit import fingerprints

ROOT = Path(__file__).resolve().parents[2]

_TELLING = {"__main__.py", "curves.py", "pages.py", "report.py", "sources.py", "work.py"}


def sources_sha256() -> str:
    """A hash of the plugin, the model kit, and what of this benchmark makes its figures."""
    return fingerprints.of_files(_sources(), ROOT)


def _sources() -> Iterator[Path]:
    for place in ("modelkit", "plugins/reverse_design"):
        yield from (ROOT / place).rglob("*.py")
    own = (ROOT / "benchmarks" / "minigpt4_learning").glob("*.py")
    yield from (path for path in own if path.name not in _TELLING)
