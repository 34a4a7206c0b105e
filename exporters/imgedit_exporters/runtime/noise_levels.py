"""Which noise a diffusion model was trained on, of the fields of a ``scheduler_config.json``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.errors import ImgeditError

Floats = NDArray[np.float32]
Config = Mapping[str, Any]

NEARLY_NONE = 2.0**-24
"""What diffusers puts in place of a product of 0, whose sigma would be infinite."""


def trained(config: Config) -> int:
    """How many times there are."""
    return int(config.get("num_train_timesteps", 1000))


def predicts(config: Config) -> str:
    """What the model predicts: 'epsilon' (noise), 'v_prediction' (velocity), 'sample' (latents)."""
    return str(config.get("prediction_type", "epsilon"))


def products(config: Config, *, lowest: float = 0.0) -> Floats:
    """The cumulative products of alpha, one for each time that was trained, falling.

    Args:
        config: of a scheduler.
        lowest: takes the place of the last one where the betas are rescaled to no signal at all.

    Raises:
        ImgeditError: there are no betas of that kind here.
    """
    # In float32, as diffusers: where little noise is left, 1 - product shows how it was rounded.
    found = np.cumprod(np.float32(1) - _betas(config), dtype=np.float32)
    if config.get("rescale_betas_zero_snr"):
        found = _without_signal(found)
        found[-1] = max(float(found[-1]), lowest)
    return found


def sigmas(config: Config) -> NDArray[np.float64]:
    """Standard deviations of the noise where the picture's scale is left alone, rising."""
    found = products(config, lowest=NEARLY_NONE)
    return np.asarray(np.sqrt((1 - found) / found), np.float64)


def spaced(
    config: Config, spacing: str, steps: int, *, rounded: bool = False
) -> NDArray[np.float64]:
    """Times from the noisiest on; Lin et al. 2024, table 2.

    Raises:
        ImgeditError: there is no such spacing.
    """
    count, offset = trained(config), int(config.get("steps_offset", 0))
    if spacing == "linspace":
        times = np.linspace(0, count - 1, steps)
        return (np.round(times) if rounded else times)[::-1]
    if spacing == "leading":
        return np.arange(steps, dtype=np.float64)[::-1] * (count // steps) + offset
    if spacing == "trailing":
        return np.asarray(np.round(np.arange(count, 0, -count / steps)) - 1, np.float64)
    raise ImgeditError(f"Bundles have no scheduler with the spacing {spacing!r}.")


def _betas(config: Config) -> Floats:
    if config.get("trained_betas") is not None:
        return np.asarray(config["trained_betas"], np.float32)
    count, kind = trained(config), config.get("beta_schedule", "linear")
    first, last = float(config.get("beta_start", 0.0001)), float(config.get("beta_end", 0.02))
    if kind == "scaled_linear":
        betas = np.linspace(math.sqrt(first), math.sqrt(last), count) ** 2
    elif kind == "linear":
        betas = np.linspace(first, last, count)
    elif kind == "squaredcos_cap_v2":
        levels = np.cos((np.arange(count + 1) / count + 0.008) / 1.008 * math.pi / 2) ** 2
        betas = np.minimum(1 - levels[1:] / levels[:-1], 0.999)
    else:
        raise ImgeditError(f"Bundles have no scheduler with betas of the kind {kind!r}.")
    return betas.astype(np.float32)


def _without_signal(found: Floats) -> Floats:
    """Products that end at 0 and begin as before; Lin et al. 2024, algorithm 1."""
    roots = np.sqrt(found)
    roots = (roots - roots[-1]) * (roots[0] / (roots[0] - roots[-1]))
    squares = roots**2
    # By way of the betas, as diffusers, for how they are rounded.
    alphas = np.concatenate([squares[:1], squares[1:] / squares[:-1]])
    return np.cumprod(1 - (1 - alphas), dtype=np.float32)
