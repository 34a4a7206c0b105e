"""Results that are remembered by what they were made of."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping

import numpy as np

from imgedit_plugins.exporting import Array, Arrays

COUNT, LIMIT = 8, 128 << 20
"""Results that are kept at most, and their bytes."""


class Results:
    """The last few results, by the bytes of their inputs. Threads may share it.

    Args:
        count: results that are kept at most.
        limit: bytes of all of them together; a larger one is not kept.
    """

    def __init__(self, count: int = COUNT, limit: int = LIMIT) -> None:
        self._count, self._limit, self._bytes = count, limit, 0
        self._kept: OrderedDict[tuple[str, str], list[Array]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, name: str, inputs: Arrays, make: Callable[[], list[Array]]) -> list[Array]:
        """What `make` makes, or has made of the same inputs.

        Args:
            name: of what makes it.
            inputs: what it hangs on.
            make: called where it is not there.

        Returns:
            Arrays that cannot be written to, since others get them too.
        """
        key = name, _digest(inputs)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return list(self._kept[key])
        made = make()
        for array in made:
            array.setflags(write=False)
        self._keep(key, made)
        return list(made)

    def forget(self, *names: str) -> None:
        """Let go of what was made by these, by default of all."""
        with self._lock:
            for key in tuple(self._kept):
                if not names or key[0] in names:
                    self._drop(key)

    def _keep(self, key: tuple[str, str], made: list[Array]) -> None:
        size = _bytes(made)
        if size > self._limit:
            return
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = made
            self._bytes += size
            while len(self._kept) > self._count or self._bytes > self._limit:
                self._drop(next(iter(self._kept)))

    def _drop(self, key: tuple[str, str]) -> None:
        self._bytes -= _bytes(self._kept.pop(key))


def _bytes(arrays: list[Array]) -> int:
    return sum(array.nbytes for array in arrays)


def _digest(inputs: Mapping[str, Array]) -> str:
    found = hashlib.sha256()
    for name, array in inputs.items():
        found.update(f"{name} {array.dtype} {array.shape} ".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()
