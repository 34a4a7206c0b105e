"""A cache of what a frozen encoder makes of pictures, so that it runs once for each.

::

    FOLDER/ENCODER/NAME.npy     features, stacked along the first axis
    FOLDER/ENCODER/NAME.json    their keys in order, and the SHA-256 of NAME.npy

ENCODER is how the encoder's hash begins; keys are hashes of contents (`key_of`, or
`fingerprints.of_file`), so that neither a renamed picture nor another encoder is mistaken. Files
appear by rename, the list of keys last: a killed run loses the shard that it was working on.
Several processes may fill one cache. Nothing here needs torch.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from imgedit_modelkit import fingerprints
from imgedit_modelkit.errors import RunError
from imgedit_plugins.atomic import atomic_write, write_text_atomic
from imgedit_plugins.jobs import Job

_T = TypeVar("_T")
_HASH_LETTERS = 16


@dataclass(frozen=True)
class _Shard:
    path: Path
    keys: tuple[str, ...]
    sha256: str
    size: int

    @property
    def index(self) -> Path:
        return self.path.with_suffix(".json")


class FeatureCache:
    """Features of one encoder.

    Args:
        folder: of all caches; made when needed.
        encoder: the encoder's hash, with all that its output hangs on: weights, size, crop.
        limit: bytes that its files may take; the shards used longest ago go first.

    Raises:
        RunError: a list of keys cannot be read.
    """

    def __init__(self, folder: Path, encoder: str, *, limit: int | None = None) -> None:
        self.path = folder / encoder[:_HASH_LETTERS]
        self._limit = limit
        self._places: dict[str, tuple[_Shard, int]] = {}
        self.path.mkdir(parents=True, exist_ok=True)
        for index in self.path.glob("[!.]*.json"):
            self._add(_shard(index))

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, key: str) -> NDArray[Any]:
        """The features of one picture, read from disk when they are used.

        Raises:
            KeyError: they are not here.
        """
        shard, place = self._places[key]
        found: NDArray[Any] = _opened(shard.path)[place]
        return found

    @property
    def size(self) -> int:
        """Bytes of the features."""
        return sum(shard.size for shard in self._shards())

    def fill(
        self,
        items: Mapping[str, _T],
        encode: Callable[[list[_T]], NDArray[Any]],
        job: Job,
        *,
        batch_size: int = 32,
        shard_batches: int = 16,
        needed: Collection[str] = (),
    ) -> None:
        """Encode what is not here yet; cancelled or killed, the next call goes on.

        Args:
            items: by key; whatever `encode` takes, such as paths.
            encode: (n) items to (n, ...) features, of one shape and type in all calls.
            job: progress, and cancellation between batches.
            batch_size: items per call of `encode`.
            shard_batches: calls per file.
            needed: keys, besides those of `items`, that may not go to make room: of what other
                processes fill in.

        Raises:
            RunError: `encode` returned other shapes, or `items` need more than the limit.
        """
        for index in {self._places[key][0].index for key in items if key in self._places}:
            os.utime(index)  # used now
        missing = [key for key in items if key not in self._places]
        done = len(items) - len(missing)
        for begin in range(0, len(missing), batch_size * shard_batches):
            keys = missing[begin : begin + batch_size * shard_batches]
            parts = []
            for first in range(0, len(keys), batch_size):
                job.report("encoding", done + begin + first, len(items))
                some = keys[first : first + batch_size]
                parts.append(self._checked(encode([items[key] for key in some]), len(some)))
            self._write(keys, np.concatenate(parts))
            self._make_room({*items, *needed})

    def verify(self) -> list[str]:
        """What is wrong with the files, one clause each; they are removed, to be made anew."""
        found = []
        for shard in self._shards():
            if shard.path.exists() and fingerprints.of_file(shard.path) == shard.sha256:
                continue
            found.append(f"{shard.path} is not what was written")
            self._remove(shard)
        return found

    # --- inside -------------------------------------------------------------------------------

    def _shards(self) -> list[_Shard]:
        return list({shard.path: shard for shard, _ in self._places.values()}.values())

    def _add(self, shard: _Shard) -> None:
        for place, key in enumerate(shard.keys):
            self._places[key] = (shard, place)

    def _checked(self, features: NDArray[Any], count: int) -> NDArray[Any]:
        wanted = next((self[key] for key in self._places), features[0] if len(features) else None)
        good = wanted is not None and features.shape == (count, *wanted.shape)
        if not good or features.dtype != (wanted.dtype if wanted is not None else None):
            here = f" ({wanted.shape}, {wanted.dtype} here)" if wanted is not None else ""
            raise RunError(
                f"The encoder made {features.shape}, {features.dtype} of {count} pictures{here}.",
                path=self.path,
                hint="Features of one cache have one shape; give another encoder another hash.",
            )
        return features

    def _write(self, keys: Sequence[str], features: NDArray[Any]) -> None:
        name = hashlib.sha256("/".join(keys).encode()).hexdigest()[:_HASH_LETTERS]
        path = self.path / f"{name}.npy"
        with atomic_write(path) as temporary:
            np.save(temporary, features, allow_pickle=False)
        sha256 = fingerprints.of_file(path)
        document = {"keys": list(keys), "sha256": sha256}
        write_text_atomic(path.with_suffix(".json"), json.dumps(document))
        self._add(_Shard(path, tuple(keys), sha256, path.stat().st_size))

    def _make_room(self, needed: Collection[str]) -> None:
        if self._limit is None or self.size <= self._limit:
            return
        for shard in sorted(self._shards(), key=lambda shard: shard.index.stat().st_mtime_ns):
            if not any(key in needed for key in shard.keys):
                self._remove(shard)
                if self.size <= self._limit:
                    return
        raise RunError(
            f"The features need more than the limit of {self._limit:,} bytes in {self.path}.",
            path=self.path,
            hint="Raise the limit, or train without the cache.",
        )

    def _remove(self, shard: _Shard) -> None:
        _opened.cache_clear()  # a file that is mapped cannot be removed on Windows
        with contextlib.suppress(FileNotFoundError):
            shard.index.unlink()  # first: without it the rest does not count
            shard.path.unlink()
        self._places = {k: place for k, place in self._places.items() if place[0] != shard}


def key_of(pixels: NDArray[Any]) -> str:
    """SHA-256 of a picture's pixels, with their shape and type."""
    digest = hashlib.sha256(f"{pixels.shape} {pixels.dtype}\n".encode())
    digest.update(np.ascontiguousarray(pixels).tobytes())
    return digest.hexdigest()


@functools.lru_cache(maxsize=256)
def _opened(path: Path) -> NDArray[Any]:
    found: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return found


def _shard(index: Path) -> _Shard:
    path = index.with_suffix(".npy")
    try:
        document = json.loads(index.read_text("utf-8"))
        return _Shard(path, tuple(document["keys"]), document["sha256"], path.stat().st_size)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{index} cannot be read: {error}.", path=index, hint="Remove it, to have it made anew."
        ) from error
