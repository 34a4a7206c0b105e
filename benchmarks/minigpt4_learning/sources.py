"""Which version of the sources a fine-tuning was made by."""

from __future__ import annotations

from benchmarks.loaded_sources import loaded_sources

_OWN = "benchmarks/minigpt4_learning"
_PLACES = ("modelkit", "plugins/reverse_design", _OWN)
_TELLING = ("__main__.py", "curves.py", "pages.py", "report.py", "sources.py", "work.py")


def sources() -> dict[str, str]:
    """The loaded files of the plugin, of the model kit, and of what makes the figures here."""
    return loaded_sources(_PLACES, without=[f"{_OWN}/{name}" for name in _TELLING])
