"""Compiled kernels: what takes longest in rendering, in C, where this installation has it.

They give the bytes of the functions that call them, and those do the same without. Each returns
None where there is no kernel for what is asked; nothing is written then. Arrays are contiguous;
results go into `out`, of the result's shape and type, or into a new array.
"""

from imgedit_plugins.compiled.calls import (
    blurred,
    grey,
    line_16,
    sharpened,
    summed,
    through_byte_tables,
    through_wide_table,
    through_word_tables,
    toned,
)
from imgedit_plugins.compiled.library import State, state, there

__all__ = [
    "State",
    "blurred",
    "grey",
    "line_16",
    "sharpened",
    "state",
    "summed",
    "there",
    "through_byte_tables",
    "through_wide_table",
    "through_word_tables",
    "toned",
]
