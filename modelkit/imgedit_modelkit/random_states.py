"""The states of all random number generators of a process: kept, put back, written as numbers."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch


def seed_all(seed: int) -> None:
    """Seed Python's, NumPy's and torch's generators, on all devices."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 (models use the global one)
    torch.manual_seed(seed)


def capture() -> dict[str, Any]:
    """The states as JSON knows them, of this process and its devices."""
    version, numbers, gauss = random.getstate()
    kind, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002
    cuda = [state.tolist() for state in torch.cuda.get_rng_state_all()] if _cuda() else []
    return {
        "python": [version, list(numbers), gauss],
        "numpy": [str(kind), np.asarray(keys).tolist(), position, has_gauss, cached],
        "torch": torch.get_rng_state().tolist(),
        "cuda": cuda,
    }


def restore(states: dict[str, Any]) -> None:
    """Put back what `capture` gave; states of devices that are not here are left out."""
    version, numbers, gauss = states["python"]
    random.setstate((version, tuple(numbers), gauss))
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, np.array(keys, np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(torch.tensor(states["torch"], dtype=torch.uint8))
    if _cuda():
        for device, state in enumerate(states["cuda"][: torch.cuda.device_count()]):
            torch.cuda.set_rng_state(torch.tensor(state, dtype=torch.uint8), device)


@contextlib.contextmanager
def kept(seed: int | None = None) -> Iterator[None]:
    """Let a block draw random numbers, from `seed` if given, and put the states back after it."""
    before = capture()
    if seed is not None:
        seed_all(seed)
    try:
        yield
    finally:
        restore(before)


def _cuda() -> bool:
    return torch.cuda.is_available() and bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]
