"""What each patch of a picture shows: what CLIP's states are taught to tell."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.tiny_editing import scenes
from benchmarks.tiny_editing.scenes import Scene

_KINDS = ("", *scenes.KINDS)
_COLOURS = ("", *scenes.COLOURS)
NAMES = ("what", "colour")


def heads(width: int) -> nn.ModuleList:
    """Layers that read kind and colour from patches of a width."""
    return nn.ModuleList(nn.Linear(width, len(names)) for names in (_KINDS, _COLOURS))


def shown(scene: Scene, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Shares of each kind and of each colour in each patch, (side * side, kinds), row by row."""
    kinds = np.zeros((side * side, len(_KINDS)), np.float32)
    colours = np.zeros((side * side, len(_COLOURS)), np.float32)
    for thing in scene.things:
        mask = cv2.resize(scenes.mask_of(thing), (side, side), interpolation=cv2.INTER_AREA)
        kinds[:, _KINDS.index(thing.kind)] += mask.ravel()
        colours[:, _COLOURS.index(thing.colour)] += mask.ravel()
    return _with_ground(kinds), _with_ground(colours)


def batch_of(scenes: Sequence[Scene], side: int) -> list[Tensor]:
    """The same of several pictures: (n, side * side, kinds) of each."""
    made = (shown(scene, side) for scene in scenes)
    return [torch.from_numpy(np.stack(one)) for one in zip(*made, strict=True)]


def losses(readers: nn.ModuleList, patches: Tensor, wanted: list[Tensor]) -> dict[str, Tensor]:
    """Cross-entropies of what the heads read from (n, patches, width), by `NAMES`."""
    return {
        name: nn.functional.cross_entropy(head(patches).flatten(0, 1), shares.flatten(0, 1))
        for name, head, shares in zip(NAMES, readers, wanted, strict=True)
    }


def _with_ground(shares: np.ndarray) -> np.ndarray:
    """Shares that sum to 1: what is no thing is the ground, in the first column."""
    shares[:, 0] = np.clip(1 - shares.sum(1), 0, 1)
    return np.asarray(shares / shares.sum(1, keepdims=True))
