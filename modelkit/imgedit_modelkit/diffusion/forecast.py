"""What an edit by language and diffusion model will need: memory by part, and time on this machine.

Weights are counted exactly, from the headers of their files. The operations of UNet and VAE are
counted exactly too, by PyTorch's counter on models without memory, and divided by what a matrix
product of this device was measured to do. Memory of activations is an estimate
(`diffusion.memory`).
"""

from __future__ import annotations

import functools
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from imgedit_modelkit.devices import measured_speed
from imgedit_modelkit.diffusion.files import empty_part, vae_factor
from imgedit_modelkit.diffusion.memory import ROOM, needs
from imgedit_modelkit.diffusion.saving import Saving

Offload = Literal["none", "stages", "layers"]

_EFFICIENCY = 0.5
"""Share of a large matrix product's speed that a UNet reaches."""

_LAYER = 0.1
"""Share of the language model that is on the device when layers take turns."""


@dataclass(frozen=True)
class Forecast:
    """What one edit will need.

    Attributes:
        language, painting: bytes of the weights of both models.
        working: bytes beside them.
        seconds: of the whole edit, loading aside.
        least: bytes beside the weights when the editor saves, as it does by itself where it must;
            None where it cannot.
    """

    language: int
    painting: int
    working: int
    seconds: float
    least: int | None = None

    def memory(self, offload: Offload, free: int | None = None) -> int:
        """Bytes on the device; saved as far as so few free ones ask for it."""
        language = int(self.language * _LAYER) if offload == "layers" else self.language
        both = max(language, self.painting) if offload != "none" else language + self.painting
        fits = free is None or both + self.working < ROOM * free
        return both + (self.working if fits or self.least is None else self.least)

    def enough(self, free: int) -> Offload:
        """The least that must be offloaded, so that it fits into so many bytes."""
        choices: tuple[Offload, ...] = ("none", "stages")
        fitting = (one for one in choices if self.fits(one, free))
        return next(fitting, "layers")

    def fits(self, offload: Offload, free: int) -> bool:
        """Whether so many bytes will do."""
        return self.memory(offload, free) < ROOM * free

    def sentence(self, offload: Offload, free: int | None = None) -> str:
        """For people."""
        memory = self.memory(offload, free) / 1e9
        return f"{memory:.1f} GB of memory and about {_duration(self.seconds)}"


@dataclass(frozen=True)
class Painting:
    """What the diffusion model needs for an edit.

    Attributes:
        seconds: for all candidates.
        working: bytes beside the weights.
        least: the same when the editor saves.
    """

    seconds: float
    working: int
    least: int


def painting(
    unet: Path,
    vae: Path,
    *,
    device: torch.device,
    dtype: torch.dtype,
    size: tuple[int, int],
    steps: int,
    branches: int,
    candidates: int,
) -> Painting:
    """What UNet and VAE will need, beside their weights.

    Args:
        unet: its folder.
        vae: its folder.
        device: where, whose speed is measured once.
        dtype: of the weights.
        size: (width, height) of the picture inside the diffusion model.
        steps: of the diffusion model.
        branches: forward passes in each of them.
        candidates: how many results.
    """
    factor = vae_factor(vae)
    latents = (size[0] // factor, size[1] // factor)
    operations = unet_operations(unet, latents) * branches * steps * candidates
    # The VAE encodes and decodes for each candidate, and once to know what it itself changes.
    operations += sum(vae_operations(vae, size)) * (candidates + 1)
    needed = needs(
        _configuration(unet),
        _configuration(vae),
        size=(size[1], size[0]),
        number=torch.finfo(dtype).bits // 8,
        branches=branches,
    )
    return Painting(
        seconds=operations / (_EFFICIENCY * speed(device, dtype)),
        working=needed.beside(Saving()),
        least=needed.beside(Saving(branches_apart=True, tiled_vae=True)),
    )


def _configuration(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
    return found


@functools.lru_cache(maxsize=16)
def unet_operations(folder: Path, latents: tuple[int, int]) -> float:
    """Floating-point operations of one forward pass for one picture."""
    from diffusers import UNet2DConditionModel
    from torch.utils.flop_counter import FlopCounterMode

    unet = empty_part(UNet2DConditionModel, folder)
    with torch.device("meta"):
        noisy = torch.empty(1, int(unet.config.in_channels), latents[1], latents[0])
        text = torch.empty(1, 77, _width(unet.config.cross_attention_dim))
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            unet(noisy, torch.zeros((), device="meta"), encoder_hidden_states=text)
    return float(counter.get_total_flops())


@functools.lru_cache(maxsize=16)
def vae_operations(folder: Path, size: tuple[int, int]) -> tuple[float, float]:
    """Floating-point operations of encoding and of decoding one picture of (width, height)."""
    from diffusers import AutoencoderKL
    from torch.utils.flop_counter import FlopCounterMode

    vae, factor = empty_part(AutoencoderKL, folder), vae_factor(folder)
    latents = (1, int(vae.config.latent_channels), size[1] // factor, size[0] // factor)
    counted = []
    for work, shape in ((vae.encode, (1, 3, size[1], size[0])), (vae.decode, latents)):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            work(torch.empty(shape, device="meta"))
        counted.append(float(counter.get_total_flops()))
    return counted[0], counted[1]


def _width(width: Any) -> int:
    return int(width if isinstance(width, int) else width[0])


@functools.lru_cache(maxsize=8)
def speed(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations a second of a large matrix product; measured once."""
    return measured_speed(device, dtype, 0.3)


@functools.lru_cache(maxsize=8)
def bandwidth(device: torch.device, dtype: torch.dtype) -> float:
    """Bytes of weights that a matrix-vector product gets through in a second; measured once."""
    side = 4096
    matrix = torch.zeros(side, side, device=device, dtype=dtype)
    vector = torch.zeros(side, device=device, dtype=dtype)
    began, count = time.perf_counter(), 0
    while (passed := time.perf_counter() - began) < 0.2 or count < 2:
        (matrix @ vector).sum().item()  # waits for the device
        count += 1
    return count * matrix.numel() * matrix.element_size() / passed


def _duration(seconds: float) -> str:
    """'40 seconds', '12 minutes', '3 hours', roughly."""
    for unit, size in (("hour", 3600), ("minute", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}s"
    return f"{max(1, round(seconds))} second{'s' if round(seconds) > 1 else ''}"
