"""Memory in pages of 2 MiB, from which a processor reads large weights faster than from small ones.

Where Linux gives such pages to whoever asks for them (`madvise` in
/sys/kernel/mm/transparent_hugepage/enabled, the usual setting), glibc asks for them if a variable
says so when a process starts. Other systems do not look at it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

_VARIABLE = "GLIBC_TUNABLES"
_NAME = "glibc.malloc.hugetlb"
_SIZE = 1 << 21
_ASKED = "hg"
_COLLAPSE = 25  # MADV_COLLAPSE of linux/mman.h, which Python's mmap does not name


def asked_for(environ: Mapping[str, str]) -> dict[str, str]:
    """What an environment needs besides, so that a process that starts in it gets large pages.

    Args:
        environ: of the process; what it says of such pages already stays as it is.

    Returns:
        At most one variable, with all tunables that the environment has already.
    """
    given = environ.get(_VARIABLE, "")
    if any(one.partition("=")[0] == _NAME for one in given.split(":")):
        return {}
    return {_VARIABLE: ":".join(filter(None, (given, f"{_NAME}=1")))}


def gather(seconds: float = 2.0) -> int:
    """Put into large pages what asked for such and lies in small ones.

    glibc's blocks begin and end at small pages, so much of a block of few MiB gets no large one;
    but blocks are neighbours, and together they fill large pages. What memory holds stays as it is.
    Takes about 2 seconds for a gigabyte that lies in small pages. Other threads may work meanwhile.

    Args:
        seconds: after which it stops.

    Returns:
        Bytes of the large pages that were looked through; 0 where Linux is older than 6.1, on other
        systems, and where nobody asked for large pages.
    """
    places = list(_places())
    if not places:  # on systems without `madvise` always
        return 0
    import ctypes

    advise = ctypes.CDLL(None).madvise
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    end, done = time.monotonic() + seconds, 0
    for begin in places:
        if time.monotonic() > end:
            break
        done += _SIZE * (advise(begin, _SIZE, _COLLAPSE) == 0)
    return done


def _places() -> Iterator[int]:
    """Where large pages may begin, in memory that has the kernel's flag that asks for them."""
    try:
        lines = Path("/proc/self/smaps").read_text("ascii", "replace").splitlines()
    except OSError:
        return
    first = last = 0
    for line in lines:
        name, _, rest = line.partition(" ")
        if name == "VmFlags:" and _ASKED in rest.split():
            yield from range(-(-first // _SIZE) * _SIZE, last - _SIZE + 1, _SIZE)
        elif not name.endswith(":"):
            first, last = (int(one, 16) for one in name.split("-"))
