"""Where an edit runs; nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Place:
    """Where and how precisely it runs.

    Attributes:
        device, dtype: as torch has them.
        offload: 'none', 'stages' or 'layers'.
    """

    device: torch.device
    dtype: torch.dtype
    offload: Literal["none", "stages", "layers"] = "none"
