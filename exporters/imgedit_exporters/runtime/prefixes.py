"""A decoder that remembers what it read last, and reads only what differs from that."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np

from imgedit_exporters.runtime.decoding import Floats, Reads, Step

LIMIT = 512 << 20
"""Bytes that may be kept."""


@dataclass(frozen=True)
class _Read:
    embeds: Floats
    states: Floats
    cache: tuple[Any, ...]


class Remembering:
    """A decoder that begins where a text parts from the one that it began with last.

    The last position is always read, for its logits. Results are those of reading everything, but
    for how floating-point sums are rounded. Threads may share it.

    Args:
        decoder: what reads.
        limit: bytes that may be kept between texts; of a longer one the beginning is kept.
    """

    def __init__(self, decoder: Reads, limit: int = LIMIT) -> None:
        self._decoder, self._limit = decoder, limit
        self._last: _Read | None = None
        self._lock = threading.Lock()

    def __call__(self, embeds: Floats, cache: tuple[Any, ...] = ()) -> Step:
        """As `Reads`."""
        if cache:
            return self._decoder(embeds, cache)
        with self._lock:
            last = self._last
        known = _shared(last.embeds, embeds) if last else 0
        if last and known:
            rest = self._decoder(embeds[known:], self._decoder.first(last.cache, known))
            states = np.concatenate([last.states[:known], rest.states])
            step = Step(rest.logits, states, rest.cache)
        else:
            step = self._decoder(embeds)
        self._keep(embeds, step)
        return step

    def first(self, cache: tuple[Any, ...], count: int) -> tuple[Any, ...]:
        """As `Reads`."""
        return self._decoder.first(cache, count)

    def _keep(self, embeds: Floats, step: Step) -> None:
        count, cache = len(embeds), step.cache
        size = embeds.nbytes + step.states.nbytes
        size += sum(value.tensor_size_in_bytes() for value in cache)
        if size > self._limit:
            count = count * self._limit // size
            cache = self._decoder.first(cache, count) if count else ()
        read = _Read(embeds[:count].copy(), step.states[:count].copy(), cache)
        with self._lock:
            self._last = read if count else None


def _shared(last: Floats, embeds: Floats) -> int:
    """How many positions begin both, the last one of `embeds` left out."""
    length = min(len(last), len(embeds) - 1)
    if last.shape[1:] != embeds.shape[1:] or length <= 0:
        return 0
    equal = (last[:length] == embeds[:length]).all(axis=1)
    return length if equal.all() else int(equal.argmin())
