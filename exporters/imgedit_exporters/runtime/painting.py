"""The denoising loop of a UNet that sees the input picture (InstructPix2Pix), on numpy."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgedit_exporters.runtime.schedulers import Scheduler
from imgedit_plugins.errors import ImgeditError

Floats = NDArray[np.float32]
Predict = Callable[[Floats, Floats, Floats], Floats]
"""Noise from (branches, channels, height, width), (1,) time and (branches, tokens, width)."""


@dataclass(frozen=True)
class Guidance:
    """Scales of the guidance (Brooks et al. 2023, equation 3); 1 is what the model itself says.

    Attributes:
        text: how far the result follows the conditioning.
        image: how far it stays with the input picture.

    Raises:
        ImgeditError: a scale is negative or no number.
    """

    text: float = 7.5
    image: float = 1.5

    def __post_init__(self) -> None:
        for name in ("text", "image"):
            if not 0 <= (value := getattr(self, name)) < math.inf:
                raise ImgeditError(f"The {name} guidance cannot be {value}: it is 0 or more.")

    @property
    def weights(self) -> tuple[tuple[bool, bool, float], ...]:
        """(with text, with picture, weight) of the forward passes that count."""
        three = (
            (True, True, self.text),
            (False, True, self.image - self.text),
            (False, False, 1 - self.image),
        )
        return tuple(one for one in three if one[2])


@dataclass(frozen=True)
class Noise:
    """All noise of one edit, of unit variance.

    Attributes:
        first: (channels, height, width) of the latents.
        of_step: noise of that shape for a step, by its number.
    """

    first: Floats
    of_step: Callable[[int], Floats]

    @classmethod
    def seeded(cls, seed: int, shape: tuple[int, ...]) -> Noise:
        """Drawn from a seed; the same on every machine, and another than PyTorch's."""
        rng = np.random.default_rng(seed)
        first = rng.standard_normal(shape, np.float32)
        return cls(first, lambda _: rng.standard_normal(shape, np.float32))


def denoised(
    predict: Predict,
    scheduler: Scheduler,
    *,
    seen: Floats,
    text: Floats,
    null: Floats,
    guidance: Guidance,
    noise: Noise,
    on_step: Callable[[int], None] = lambda _: None,
) -> Floats:
    """The latents of an edited picture.

    Args:
        predict: the UNet.
        scheduler: a fresh one.
        seen: (channels, height, width): latents of the input picture.
        text: (tokens, width): what the UNet attends to.
        null: of the same shape; what stands for no text.
        guidance: towards text and picture.
        noise: all of it.
        on_step: told the number of each step before it; what it raises ends the work.

    Raises:
        ImgeditError: the UNet made numbers that are none.
    """
    weights = guidance.weights
    attended = np.stack([text if with_text else null for with_text, _, _ in weights])
    pictures = np.stack([seen if shown else np.zeros_like(seen) for _, shown, _ in weights])
    latents = (noise.first * scheduler.initial).astype(np.float32)
    for number in range(len(scheduler.times)):
        on_step(number)
        scaled = scheduler.scaled(latents, number)
        noisy = np.broadcast_to(scaled, (len(weights), *scaled.shape))
        time = scheduler.times[number : number + 1]
        found = predict(np.concatenate([noisy, pictures], axis=1), time, attended)
        guided = _guided(found, guidance)
        extra = noise.of_step(number) if scheduler.noisy else None
        latents = scheduler.step(guided, latents, number, extra)
    if not np.isfinite(latents).all():
        raise ImgeditError("The model made numbers that are none.", hint="Use other guidance.")
    return latents


def _guided(found: Floats, guidance: Guidance) -> Floats:
    if len(found) == 3:
        both, picture, neither = found
        guided = neither + guidance.text * (both - picture) + guidance.image * (picture - neither)
    else:
        weights = np.array([weight for _, _, weight in guidance.weights], np.float32)
        guided = np.tensordot(weights, found, axes=1)
    return np.asarray(guided, np.float32)
