"""One line about what went wrong inside a plugin: type, message, and the place in its code."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

_LONGEST = 300


def one_line(error: BaseException, folder: Path | None = None) -> str:
    """'ValueError: wrong size (plugin.py:12)'.

    Args:
        error: what was raised.
        folder: where the plugin's code is; the innermost place inside it is named.
    """
    message = " ".join(str(error).split())
    if len(message) > _LONGEST:
        message = message[: _LONGEST - 1] + "…"
    what = f"{type(error).__name__}: {message}" if message else type(error).__name__
    place = _place(error, folder)
    return f"{what} ({place})" if place else what


def _place(error: BaseException, folder: Path | None) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}:{error.lineno}"
    frames = [(f.filename, f.lineno) for f in traceback.extract_tb(error.__traceback__)]
    inside = [frame for frame in frames if folder and Path(frame[0]).is_relative_to(folder)]
    foreign = [frame for frame in frames if not _is_ours(frame[0])]
    for candidates in (inside, foreign):
        if candidates:
            filename, line = candidates[-1]
            return f"{Path(filename).name}:{line}"
    return ""


def _is_ours(filename: str) -> bool:
    standard = sysconfig.get_path("stdlib")
    here = Path(__file__).parent
    return filename.startswith((str(here), standard, "<frozen")) or "pluggy" in filename
