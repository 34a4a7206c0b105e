"""Ways to need less memory, each for some time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Saving:
    """What an editor does to need less memory; nothing by default.

    Attributes:
        branches_apart: the forward passes of the guidance one after the other, not as one batch.
        sliced_attention: attention a head at a time. Where PyTorch's fused attention is at work
            (CPU, CUDA) it saves nothing and costs time.
        tiled_vae: large pictures through the VAE in tiles; the result differs a little.
        offload: only the part at work is on the device, the others wait on the CPU.
        automatic: do what else of the first, third and fourth the free memory asks for at each
            edit (`diffusion.memory`).
    """

    branches_apart: bool = False
    sliced_attention: bool = False
    tiled_vae: bool = False
    offload: bool = False
    automatic: bool = False

    @property
    def told(self) -> str:
        """What is done, for people; empty for nothing."""
        done = {
            "one pass of the guidance at a time": self.branches_apart,
            "attention in slices": self.sliced_attention,
            "each part on the device only while it works": self.offload,
            "the VAE in tiles": self.tiled_vae,
        }
        return ", ".join(text for text, is_done in done.items() if is_done)

    def prepare(self, unet: Any, vae: Any, device: torch.device) -> None:
        """Set the parts up for it, and put them where they wait for work."""
        if self.sliced_attention:
            unet.set_attention_slice("max")
        where = torch.device("cpu") if self.offload else device
        unet.to(where)
        vae.to(where)

    @contextlib.contextmanager
    def at_work(self, part: Any, device: torch.device) -> Iterator[None]:
        """A block in which a part is on the device, and takes pictures in tiles if it shall."""
        cuts = self.tiled_vae and not getattr(part, "use_tiling", True)
        if self.offload:
            part.to(device)
        if cuts:
            part.enable_tiling()
        try:
            yield
        finally:
            if cuts:
                part.disable_tiling()
            if self.offload:
                part.to("cpu")
