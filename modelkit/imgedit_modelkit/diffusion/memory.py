"""What an edit needs beside its weights, and which ways of saving fit it into the free memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from imgedit_modelkit.devices import free_memory
from imgedit_modelkit.diffusion.saving import Saving

_UNET_KEPT = 26
"""Numbers of each latent, in widths of the UNet's first level, that it keeps while it runs.

Counted with UNets of Stable Diffusion's kind, of 64 to 320 channels, and fused attention.
"""

_VAE_KEPT = 6
"""Numbers of each pixel, in widths of the VAE's first level; the decoder's, which needs most."""

_KERNELS = 1.5
"""What convolutions take beside it, for copies in another order."""

ROOM = 0.85
"""Share of the free memory that is counted on."""


def free(device: torch.device) -> int:
    """Bytes that are free on a device, with those that PyTorch keeps there for later."""
    kept = 0
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return free_memory(device) + kept


@dataclass(frozen=True)
class Needs:
    """Bytes that an edit needs.

    Attributes:
        unet, vae: of the weights.
        one_pass: a forward pass of the UNet for one picture.
        branches, pictures: passes of the guidance, and pictures that are edited together.
        coding: the VAE with one picture.
        tile: the VAE with one tile of it.
    """

    unet: int
    vae: int
    one_pass: int
    branches: int
    pictures: int
    coding: int
    tile: int

    def beside(self, saving: Saving) -> int:
        """Bytes beside the weights, at most."""
        return max(self._painting(saving), self._coding(saving))

    def peak(self, saving: Saving) -> int:
        """Bytes in all, at most."""
        if saving.offload:
            return max(self.unet + self._painting(saving), self.vae + self._coding(saving))
        return self.unet + self.vae + self.beside(saving)

    def _painting(self, saving: Saving) -> int:
        return self.one_pass * self.pictures * (1 if saving.branches_apart else self.branches)

    def _coding(self, saving: Saving) -> int:
        return self.pictures * (self.tile if saving.tiled_vae else self.coding)


def needs(
    unet: Mapping[str, Any],
    vae: Mapping[str, Any],
    *,
    size: tuple[int, int],
    number: int,
    weights: tuple[int, int] = (0, 0),
    branches: int = 3,
    pictures: int = 1,
) -> Needs:
    """What an edit needs, from the configurations of its parts; an estimate.

    Args:
        unet: its configuration.
        vae: the same of the VAE.
        size: (height, width) of a picture inside the model, in pixels.
        number: bytes of one number: 2 in half precision.
        weights: bytes of the UNet's and the VAE's.
        branches: passes of the guidance.
        pictures: that are edited together.
    """
    pixels = size[0] * size[1]
    side = vae.get("sample_size", 32)  # of a tile, as diffusers cuts them
    side = int(side if isinstance(side, int) else side[0])
    channels = vae["block_out_channels"]
    latents = pixels / 4 ** (len(channels) - 1)
    of_latent = _KERNELS * _UNET_KEPT * int(unet["block_out_channels"][0]) * number
    of_pixel = _KERNELS * _VAE_KEPT * int(channels[0]) * number
    return Needs(
        unet=weights[0],
        vae=weights[1],
        one_pass=int(latents * of_latent),
        branches=branches,
        pictures=pictures,
        coding=int(pixels * of_pixel),
        tile=int(min(pixels, side * side) * of_pixel),
    )


def ways(least: Saving, *, elsewhere: bool) -> list[Saving]:
    """Ways to save more and more, those first that leave the result as it is.

    Args:
        least: what is saved in any case.
        elsewhere: whether there is a memory where parts can wait.
    """
    found = [least]
    for tiled in (False, True):
        for offload in (False, True) if elsewhere else (False,):
            for apart in (False, True):
                way = replace(
                    least,
                    branches_apart=apart or least.branches_apart,
                    offload=offload or least.offload,
                    tiled_vae=tiled or least.tiled_vae,
                )
                if way not in found:
                    found.append(way)
    return found


def chosen(needed: Needs, room: int, least: Saving, *, elsewhere: bool) -> tuple[Saving, bool]:
    """The first of the ways that fits into so many bytes, and whether any does.

    Where none does it is the one that needs least.
    """
    candidates = ways(least, elsewhere=elsewhere)
    for way in candidates:
        if needed.peak(way) <= room:
            return way, True
    return min(candidates, key=needed.peak), False
