"""pyvips, made safe for what damaged files make libvips say."""

from __future__ import annotations

import functools
from typing import Any


@functools.cache
def load_pyvips() -> Any:
    """The module pyvips.

    libvips quotes a damaged file's bytes in its warnings and errors. pyvips decodes these strictly
    and so prints a traceback, or raises UnicodeDecodeError in place of its own error.
    """
    import pyvips

    def tolerant(text: Any) -> str:
        if text == pyvips.ffi.NULL:
            return "NULL"
        found = pyvips.ffi.string(text)
        return found.decode("utf-8", "replace") if isinstance(found, bytes) else str(found)

    for module in (pyvips, pyvips.error):
        if hasattr(module, "_to_string"):  # a private name: other versions may do without
            module._to_string = tolerant
    return pyvips
