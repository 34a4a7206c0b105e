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

BLOCKS = """
import ctypes, sys
from imgedit_plugins.large_pages import gather
libc, size = ctypes.CDLL(None), 3 << 20
libc.malloc.restype = ctypes.c_void_p
def large():
    lines = open("/proc/self/smaps_rollup").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("AnonHugePages"))
blocks = [libc.malloc(ctypes.c_size_t(size)) for _ in range(40)]
for number, block in enumerate(blocks):
    ctypes.memset(block, number, size)
before, gathered = large(), gather()
assert all(ctypes.string_at(b, size) == bytes([n]) * size for n, b in enumerate(blocks))
print(before, large(), gathered >> 10)
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


def output(code: str, environ: dict[str, str]) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environ, capture_output=True, check=True
    )
    return [int(word) for word in done.stdout.split()]


offered = pytest.mark.skipif(
    not ALLOWED.is_file() or "[madvise]" not in ALLOWED.read_text(),
    reason="the system gives large pages to nobody, or to everybody",
)


@offered
def test_a_process_that_asks_gets_large_pages():
    assert output(CODE, {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=0"})[0] < 32 << 10
    assert output(CODE, asked_for({}))[0] > 32 << 10


@offered
def test_blocks_that_are_neighbours_share_large_pages():
    """Blocks of 3 MiB begin in the middle of large pages; what they hold stays."""
    before, after, gathered = output(BLOCKS, asked_for({}))
    if not gathered:
        pytest.skip("this Linux cannot put pages together when it is asked to")
    assert after > before
    assert after >= 0.8 * 40 * 3 * 1024


@offered
def test_without_such_memory_there_is_nothing_to_gather():
    before, after, gathered = output(BLOCKS, {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=0"})
    assert before == after
    assert gathered == 0


@offered
def test_it_stops_in_time():
    code = BLOCKS.replace("gather()", "gather(0.0)")
    before, after, gathered = output(code, asked_for({}))
    assert (after - before, gathered) == (0, 0)
