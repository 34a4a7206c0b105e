"""What the frozen tower makes of a data set's pictures, kept on disk: it runs once for each."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imgedit_modelkit import fingerprints
from imgedit_modelkit.errors import RunError
from imgedit_modelkit.features import FeatureCache
from imgedit_modelkit.vision_towers import VisionTower, to_pixels
from imgedit_plugins.jobs import Job
from imgedit_plugins.picture_files import open_picture
from imgedit_reverse_design.minigpt4.config import TOWER, Config
from imgedit_reverse_design.minigpt4.model import tower_tokens

_NUMPY = {torch.float32: np.float32, torch.float16: np.float16, torch.bfloat16: np.int16}
"""NumPy has no bfloat16: its bits are kept as whole numbers."""


@dataclass
class TowerCache:
    """Tokens of pictures by the hashes of their files, and of all that the tower's output hangs on.

    Training with it gives the same bits as without, since a picture's tokens do not hang on the
    batch that it is in. Killed or cancelled, filling goes on with the next call.

    Attributes:
        folder: of all caches.
        config: of the model; names the tower's folder.
        precision: of the tower.
        limit: bytes that the features of this tower may take; None for all that there is room for.
    """

    folder: Path
    config: Config
    precision: torch.dtype
    limit: int | None = None
    _keys: dict[Path, str] = field(default_factory=dict, init=False)
    _opened: FeatureCache | None = field(default=None, init=False)
    _encoder: str = field(default="", init=False)

    def hash_pictures(self, paths: Sequence[Path], job: Job) -> None:
        """Find out what each picture is called in the cache."""
        for number, path in enumerate(paths):
            job.report("reading", number, len(paths))
            self._keys[path] = fingerprints.of_file(path)

    def check_room(self, tower: VisionTower) -> None:
        """Refuse what will not fit, before hours of encoding.

        Args:
            tower: its shapes count; it may be without memory.

        Raises:
            RunError: all pictures need more than the limit, or than the disk has free.
        """
        one = tower.tokens * tower.width * torch.finfo(self.precision).bits // 8
        every = len(set(self._keys.values())) * one
        self.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.folder).free + _size(self.folder)
        for room, what in ((self.limit, "the limit is"), (free, "on that disk can be had")):
            if room is not None and every > room:
                raise RunError(
                    f"The tower's features of {len(self._keys):,} pictures take {every / 1e9:.3g} "
                    f"GB in {self.folder}, and {what} {room / 1e9:.3g} GB.",
                    path=self.folder,
                    hint="Raise cache-limit, give another folder, or train without the cache.",
                )

    def fill(self, tower: VisionTower, job: Job, *, process: int = 0, processes: int = 1) -> None:
        """Encode the pictures that are not there yet.

        Args:
            tower: on the device that it shall run on.
            job: progress and cancellation.
            process: of several, each of which encodes its share.
            processes: how many there are.
        """
        device = next(tower.parameters()).device
        frozen = Path(self.config.base) / TOWER
        told = {
            "tower": fingerprints.of_file(frozen),
            "config": self.config.tower.vision | {"joined": self.config.tower.joined},
            "kind": [self.config.tower.kind, self.config.tower.queries, self.config.tower.layer],
            "how": [str(self.precision), device.type, torch.__version__, "square"],
        }
        self._encoder = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
        cache = self._cache()
        for fault in cache.verify():
            job.warn(f"Features are made anew: {fault}.")
        every = {key: path for path, key in sorted(self._keys.items())}
        share = dict(list(every.items())[process::processes])

        def encode(paths: list[Path]) -> NDArray[np.generic]:
            pixels = to_pixels([open_picture(p).rgb8() for p in paths], tower.image_size)
            return _as_numpy(tower_tokens(tower, pixels.to(device)))

        cache.fill(share, encode, job, needed=every.keys())
        self._opened = None  # what other processes encode is seen when it is opened anew

    def tokens(self, paths: Sequence[Path]) -> Tensor:
        """(paths, tokens, width), in the tower's precision.

        Raises:
            KeyError: `fill` was not called.
        """
        if self._opened is None:
            self._opened = self._cache()
        stacked = np.stack([self._opened[self._keys[path]] for path in paths])
        return torch.from_numpy(stacked).view(self.precision)

    def _cache(self) -> FeatureCache:
        return FeatureCache(self.folder, self._encoder, limit=self.limit)


def _as_numpy(features: Tensor) -> NDArray[np.generic]:
    flat = features.cpu()
    found: NDArray[np.generic] = (
        flat.view(torch.int16) if flat.dtype == torch.bfloat16 else flat
    ).numpy()
    assert found.dtype == _NUMPY[features.dtype]
    return found


def _size(folder: Path) -> int:
    """Bytes of the features in a folder, which make room or need none."""
    return sum(path.stat().st_size for path in folder.glob("*/*.npy"))
