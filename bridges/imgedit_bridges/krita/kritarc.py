"""One line of kritarc: which extensions are switched on. Every other byte stays as it is."""

from __future__ import annotations

import re

_HEADER = b"[python]"


def switched_on(settings: bytes, name: str) -> bytes:
    """The settings with an extension switched on."""
    lines = settings.splitlines(keepends=True)
    places = _places(lines, name)
    wanted = b"enable_" + name.encode() + b"=true"
    if places:
        for place in places:  # Krita heeds the last one
            if not re.fullmatch(rb"\s*[^=]*=\s*true\s*", lines[place]):
                lines[place] = wanted + _end(lines[place])
        return b"".join(lines)
    if headers := _headers(lines):
        ending = _end(lines[headers[0]]) or b"\n"
        lines[headers[0]] = _HEADER + ending + wanted + ending
        return b"".join(lines)
    ending = b"\r\n" if b"\r\n" in settings else b"\n"
    before = ending if settings and not settings.endswith((b"\n", b"\r")) else b""
    gap = ending if settings else b""
    return settings + before + gap + _HEADER + ending + wanted + ending


def switched_off(settings: bytes, name: str) -> bytes:
    """The settings without a word about an extension."""
    lines = settings.splitlines(keepends=True)
    places = set(_places(lines, name))
    return b"".join(line for number, line in enumerate(lines) if number not in places)


def is_on(settings: bytes, name: str) -> bool | None:
    """Whether an extension is switched on; None where the settings do not speak of it."""
    lines = settings.splitlines(keepends=True)
    told = [lines[place].partition(b"=")[2].strip().lower() for place in _places(lines, name)]
    return told[-1] == b"true" if told else None


def _headers(lines: list[bytes]) -> list[int]:
    return [number for number, line in enumerate(lines) if line.strip() == _HEADER]


def _places(lines: list[bytes], name: str) -> list[int]:
    """Where the sections [python] speak of an extension."""
    found = []
    inside = False
    for number, line in enumerate(lines):
        if line.lstrip().startswith(b"["):
            inside = line.strip() == _HEADER
        elif inside and line.split(b"=")[0].strip() == b"enable_" + name.encode():
            found.append(number)
    return found


def _end(line: bytes) -> bytes:
    return line[len(line.rstrip(b"\r\n")) :]
