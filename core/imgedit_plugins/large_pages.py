"""Memory in pages of 2 MiB, from which a processor reads large weights faster than from small ones.

Where Linux gives such pages to whoever asks for them (`madvise` in
/sys/kernel/mm/transparent_hugepage/enabled, the usual setting), glibc asks for them if a variable
says so when a process starts. Other systems do not look at it.
"""

from __future__ import annotations

from collections.abc import Mapping

VARIABLE = "GLIBC_TUNABLES"
_NAME = "glibc.malloc.hugetlb"


def asked_for(environ: Mapping[str, str]) -> dict[str, str]:
    """What an environment needs besides, so that a process that starts in it gets large pages.

    Args:
        environ: of the process; what it says of such pages already stays as it is.

    Returns:
        At most one variable, with all tunables that the environment has already.
    """
    given = environ.get(VARIABLE, "")
    if any(one.partition("=")[0] == _NAME for one in given.split(":")):
        return {}
    return {VARIABLE: ":".join(filter(None, (given, f"{_NAME}=1")))}
