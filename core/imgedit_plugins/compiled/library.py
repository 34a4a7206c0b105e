"""The library of compiled kernels: found, loaded, and compared with OpenCV before it is used."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VARIABLE = "IMGEDIT_KERNELS"
"""Set to 'off', rendering does without."""

_LIBRARY = Path(__file__).with_name("kernels.so")
_SOURCES = Path(__file__).parents[2] / "native"  # of a checkout

Kernel = Callable[..., None]

_TYPES = {
    "a": ctypes.c_void_p,  # the address of an array
    "n": ctypes.c_size_t,
    "d": ctypes.c_ssize_t,
    "i": ctypes.c_int32,
    "f": ctypes.c_float,
}
_ARGUMENTS = {
    "sums_8_to_8": "aana",
    "sums_8_to_16": "aana",
    "sums_16_to_8": "aana",
    "toned_8": "aanai",
    "grey_of_codes": "aan",
    "grey_of_values": "aan",
    "table_8": "aana",
    "tables_8": "aana",
    "table_8_to_16": "aana",
    "tables_16": "aanaaa",
    "tables_16_to_8": "aanaaa",
    "line_16": "aanffff",
    "line_16_to_8": "aanffff",
    "sharp_8": "aaddddffa",
    "sharp_16": "aaddddffa",
    "blur_8": "aaddddia",
    "blur_16": "aaddddia",
}


@dataclass(frozen=True)
class State:
    """What there is of compiled kernels.

    Attributes:
        kernels: functions by name.
        level: the processor's instructions that they use, such as 'AVX-512'.
        reason: why there are none, as half a sentence.
        differing: names of those that are left out, as OpenCV gives other bytes here.
    """

    kernels: Mapping[str, Kernel] = field(default_factory=dict)
    level: str = ""
    reason: str = ""
    differing: tuple[str, ...] = ()


def kernel(name: str) -> Kernel | None:
    """A kernel to call, if there is one of that name."""
    return state().kernels.get(name)


def there(name: str) -> bool:
    """Whether there is a kernel of that name."""
    return kernel(name) is not None


@functools.cache
def state() -> State:
    """The library, loaded on first use."""
    if os.environ.get(VARIABLE) == "off":
        return State(reason=f"{VARIABLE} is off")
    if not _LIBRARY.is_file():
        return State(reason="not built when this was installed, for want of a C compiler")
    try:
        library = ctypes.CDLL(str(_LIBRARY))
        sources, level = _told(library, "imgedit_sources"), _told(library, "imgedit_level")
    except (OSError, AttributeError) as error:
        return State(reason=f"the library does not load ({error})")
    if (_SOURCES / "levels.c").is_file() and sources != _digest():
        return State(reason="built from other sources: run scripts/environment.py again")
    if not level:
        return State(reason="this processor lacks AVX2")
    return _agreeing(_functions(library, level), level)


def _told(library: ctypes.CDLL, name: str) -> str:
    function = getattr(library, name)
    function.restype = ctypes.c_char_p
    return str(function().decode())


def _digest() -> str:
    """As native/hatch_build.py has it."""
    found = hashlib.sha256()
    for path in (*sorted(_SOURCES.glob("*.[ch]")), _SOURCES / "hatch_build.py"):
        found.update(f"{path.name}\0".encode())
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def _functions(library: ctypes.CDLL, level: str) -> dict[str, Kernel]:
    found: dict[str, Any] = {}
    for name, arguments in _ARGUMENTS.items():
        function = getattr(library, f"{level}{name}", None)  # some levels lack some
        if function is not None:
            function.argtypes = [_TYPES[letter] for letter in arguments]
            function.restype = None
            found[name] = function
    return found


def _agreeing(kernels: dict[str, Kernel], level: str) -> State:
    from imgedit_plugins.compiled.agreement import differing

    left_out = differing(kernels)
    chosen = {name: function for name, function in kernels.items() if name not in left_out}
    shown = {"avx512_": "AVX-512", "avx2_": "AVX2", "neon_": "NEON"}.get(level, level)
    return State(chosen, shown, differing=left_out)
