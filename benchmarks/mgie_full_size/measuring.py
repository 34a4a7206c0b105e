"""One edit through the plugin's own path, and what becomes of its times."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.mgie_full_size.clock import Clock, peak_memory
from benchmarks.mgie_full_size.made import DTYPE, folder_of, maker
from benchmarks.mgie_full_size.sizes import Scale
from imgedit_mgie import plugin
from imgedit_mgie.editing import edit
from imgedit_mgie.forecast import Forecast, forecast
from imgedit_mgie.setting import setting_of
from imgedit_modelkit.devices import free_memory
from imgedit_plugins.errors import ImgeditError
from imgedit_plugins.jobs import Job
from imgedit_plugins.manifest import FILE_NAME, load
from imgedit_plugins.options import resolve_options
from imgedit_plugins.pictures import Picture
from imgedit_plugins.requests import ApplyRequest

CPU = torch.device("cpu")
BRANCHES = 3
_BESIDE = 1.5e9
"""Bytes for the program itself and what the machine needs."""


@dataclass(frozen=True)
class Stages:
    """Seconds, each of one time.

    Attributes:
        create: all weights.
        see: CLIP and its picture.
        read: the prompt, with the first token.
        token: each further one.
        head: the edit head, twice: for the instruction and for none.
        step: of the diffusion model, all branches of the guidance.
        encode, decode: of the VAE; an edit does each twice, to know what the VAE itself changes.
    """

    create: float
    see: float
    read: float
    token: float
    head: float
    step: float
    encode: float
    decode: float

    def edit(self, tokens: int, steps: int) -> float:
        """Seconds of an edit, without the making of the weights."""
        writing = self.see + self.read + (tokens - 1) * self.token + self.head
        return writing + steps * self.step + 2 * (self.encode + self.decode)


def measure(scale: Scale, tokens: int, steps: int, job: Job) -> dict[str, Any]:
    """Make the weights, edit a picture, and say what it took.

    Raises:
        ImgeditError: less memory is free than it needs.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        numbers = folder_of(scale, folder)
        request = _request(folder, scale, tokens, steps)
        told = _forecast(request, scale, tokens, steps)
        check_room(told, free_memory(CPU))
        before, clock = peak_memory(), Clock()
        with clock.taking("all"):
            result = edit(request, job, models=maker(scale, clock))
        written = len(clock.calls["read"])
        short = _forecast(request, scale, written, steps).seconds
        long = {n: _forecast(request, scale, 96, n).seconds for n in (50, 100)}
    (candidate,) = result.candidates
    assert candidate.picture.pixels.shape == request.picture.pixels.shape
    stages = stages_of(clock, steps)
    return {
        "scale": scale.name,
        "side": scale.side,
        "tokens": written,
        "steps": steps,
        "numbers": numbers,
        "stages": asdict(stages),
        "seconds": sum(clock.calls["all"]) - stages.create,
        "memory": {
            "weights": 2 * sum(numbers.values()), "peak": peak_memory(), "before": before
        },
        "forecast": {"seconds": short, "memory": told.memory("none")},
        "extrapolated": {
            str(n): {"seconds": stages.edit(96, n), "forecast": long[n]} for n in (50, 100)
        },
    }  # fmt: skip


def check_room(told: Forecast, free: int) -> None:
    """Refuse to fill a machine's memory.

    Raises:
        ImgeditError: so it would.
    """
    needed = told.memory("none") + _BESIDE
    if needed > free:
        raise ImgeditError(
            f"This needs {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free.",
            hint="End other programs, or try it with --scale small.",
        )


def stages_of(clock: Clock, steps: int) -> Stages:
    """The times of one edit, by stage."""
    calls = clock.calls
    tokens = [a + b for a, b in zip(calls["read"], calls["output"], strict=True)]
    return Stages(
        create=sum(sum(taken) for name, taken in calls.items() if name.startswith("create")),
        see=sum(calls["see"]),
        read=tokens[0],
        token=sum(tokens[1:]) / max(1, len(tokens) - 1),
        head=sum(calls["edit head"]),
        step=sum(calls["UNet"]) / steps,
        encode=sum(calls["VAE encode"]) / len(calls["VAE encode"]),
        decode=sum(calls["VAE decode"]) / len(calls["VAE decode"]),
    )


def _request(folder: Path, scale: Scale, tokens: int, steps: int) -> ApplyRequest:
    specs = load(Path(plugin.__file__).parent / FILE_NAME).options_for("apply_edit")
    given: dict[str, str | bool | int | float] = {
        "weights": str(folder), "device": "cpu", "precision": "bf16", "offload": "none",
        "max-tokens": tokens, "steps": steps, "resolution": scale.side,
    }  # fmt: skip
    y, x = np.mgrid[0 : scale.side, 0 : scale.side]
    planes = [127 + 100 * np.sin(x / a) * np.cos(y / b) for a, b in ((9, 31), (23, 17), (40, 11))]
    picture = Picture(np.stack(planes, axis=2).astype(np.uint8))
    options = resolve_options(specs, given)
    return ApplyRequest(picture=picture, instruction="make it red", options=options)


def _forecast(request: ApplyRequest, scale: Scale, tokens: int, steps: int) -> Forecast:
    return forecast(
        setting_of(request.options, Job()),
        device=CPU,
        dtype=DTYPE,
        size=(scale.side, scale.side),
        steps=steps,
        branches=BRANCHES,
        candidates=1,
        tokens=tokens,
    )
