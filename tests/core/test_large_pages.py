"""Memory in large pages, asked for by the environment of a process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from imgedit_plugins.large_pages import asked_for

ALLOWED = Path("/sys/kernel/mm/transparent_hugepage/enabled")
CODE = """
import ctypes
libc, size = ctypes.CDLL(None), 64 << 20
libc.malloc.restype = ctypes.c_void_p
ctypes.memset(libc.malloc(ctypes.c_size_t(size)), 1, size)
lines = open("/proc/self/smaps_rollup").read().splitlines()
print(next(int(line.split()[1]) for line in lines if line.startswith("AnonHugePages")))
"""


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("", "glibc.malloc.hugetlb=1"),
        ("glibc.malloc.check=3", "glibc.malloc.check=3:glibc.malloc.hugetlb=1"),
        ("glibc.malloc.hugetlb_other=1", "glibc.malloc.hugetlb_other=1:glibc.malloc.hugetlb=1"),
    ],
)
def test_what_is_set_already_stays(given, told):
    assert asked_for({"GLIBC_TUNABLES": given}) == {"GLIBC_TUNABLES": told}
    assert asked_for({}) == {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


@pytest.mark.parametrize("given", ["glibc.malloc.hugetlb=0", "a=1:glibc.malloc.hugetlb=2"])
def test_who_has_chosen_pages_keeps_them(given):
    assert asked_for({"GLIBC_TUNABLES": given}) == {}


@pytest.mark.skipif(
    not ALLOWED.is_file() or "[madvise]" not in ALLOWED.read_text(),
    reason="the system gives large pages to nobody, or to everybody",
)
def test_a_process_that_asks_gets_large_pages():
    def kilobytes(environ: dict[str, str]) -> int:
        done = subprocess.run(
            [sys.executable, "-c", CODE], env=os.environ | environ, capture_output=True, check=True
        )
        return int(done.stdout)

    assert kilobytes({"GLIBC_TUNABLES": "glibc.malloc.hugetlb=0"}) < 32 << 10
    assert kilobytes(asked_for({})) > 32 << 10
