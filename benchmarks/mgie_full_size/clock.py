"""Seconds that parts of a model take, and the memory of this process."""

from __future__ import annotations

import contextlib
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from torch import nn


class Clock:
    """Seconds of each call, by the name of what was called."""

    def __init__(self) -> None:
        self.calls: dict[str, list[float]] = defaultdict(list)

    def watch(self, name: str, module: nn.Module) -> None:
        """Take the time of each forward pass of a module."""
        began: list[float] = []

        def before(*_: Any) -> None:
            began.append(time.perf_counter())

        def after(*_: Any) -> None:
            self.calls[name].append(time.perf_counter() - began.pop())

        module.register_forward_pre_hook(before)
        module.register_forward_hook(after)

    @contextlib.contextmanager
    def taking(self, name: str) -> Iterator[None]:
        """Take the time of a block."""
        began = time.perf_counter()
        yield
        self.calls[name].append(time.perf_counter() - began)


def peak_memory() -> int:
    """The most bytes that this process ever had in memory."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most
