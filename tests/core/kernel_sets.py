"""Rendering with the compiled kernels of one level, or without any, for a while."""

import contextlib
import ctypes

import pytest

from imgedit_plugins.compiled import library
from imgedit_plugins.render import planning

LEVELS = {"AVX-512": ("avx512_", "avx2_"), "AVX2": ("avx2_",), "NEON": ("neon_",)}


def levels():
    """What the names of the builds begin with that this processor runs; none without a library."""
    return LEVELS.get(library.state().level, ())


@contextlib.contextmanager
def kernels_of(level):
    """Those of a level alone; none at all for ''."""
    chosen = {}
    if level:
        loaded = ctypes.CDLL(str(library._LIBRARY))
        chosen = library._functions(loaded, level)
        assert chosen, level
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library, "kernel", chosen.get)
        planning._remembered.cache_clear()  # what runs is chosen when passes are planned
        try:
            yield
        finally:
            planning._remembered.cache_clear()


def without_kernels():
    return kernels_of("")
