"""What the frozen language model makes of each picture and instruction, kept on the disk.

Sequences are padded to one length, with a further column that is 1 where there is a token.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imgedit_modelkit.features import FeatureCache
from imgedit_plugins.errors import DataError
from imgedit_plugins.jobs import Job
from imgedit_reason_edit.model.folders import Encoder


def padded(states: Tensor, longest: int, row: str) -> Tensor:
    """Hidden states of one prompt as (longest, width + 1).

    Args:
        states: (tokens, width).
        longest: tokens that a row has.
        row: which, for what is told of a fault.

    Raises:
        DataError: there are more.
    """
    if len(states) > longest:
        raise DataError(
            f"Row {row} has {len(states)} tokens that guide the edit, and {longest} are all that a "
            "row may have.",
            hint="Set max-length higher.",
        )
    made = states.new_zeros(longest, states.shape[1] + 1)
    made[: len(states), :-1] = states
    made[: len(states), -1] = 1
    return made


class Cached:
    """The cache of one encoder in one precision.

    Args:
        folder: of all caches.
        encoder: which model, layer, tokens and prompt.
        sees: whether it sees the picture.
        size: of the squares that it sees, in pixels.
        longest: tokens that a row has.
        precision: of the model, and of what is kept.
    """

    def __init__(
        self,
        folder: Path,
        encoder: Encoder,
        *,
        sees: bool,
        size: int,
        longest: int,
        precision: torch.dtype,
    ) -> None:
        facts = [msgspec.to_builtins(encoder), sees, size, longest, str(precision)]
        digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
        self._cache = FeatureCache(folder, digest)
        self._precision = precision

    @property
    def path(self) -> Path:
        """Its folder."""
        return self._cache.path

    def missing(self, keys: Sequence[str]) -> int:
        """How many of these are not here."""
        return sum(key not in self._cache for key in set(keys))

    def fill(self, items: Mapping[str, Any], encode: Callable[[Any], Tensor], job: Job) -> None:
        """Encode what is not here yet; killed, the next call goes on.

        Args:
            items: by key.
            encode: gives the padded states of one.
            job: progress and cancellation.
        """

        def encoded(some: list[Any]) -> NDArray[Any]:
            return np.stack([_bits(encode(one)) for one in some])

        self._cache.fill(items, encoded, job, batch_size=1, shard_batches=64)

    def batch(self, keys: Sequence[str]) -> Tensor:
        """(rows, longest, width + 1), in the precision of the model.

        Raises:
            KeyError: one is not here.
        """
        found = np.stack([self._cache[key] for key in keys])
        return torch.from_numpy(found).view(self._precision)


def _bits(states: Tensor) -> NDArray[Any]:
    """The same bits as numbers that NumPy knows."""
    states = states.detach().cpu().contiguous()
    kind = {2: torch.int16, 4: torch.float32}[states.element_size()]
    return states.view(kind).numpy()
