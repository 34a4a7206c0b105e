"""Diffusion schedulers on numpy: what diffusers' classes of the same names do, noise passed in.

Euler ancestral as in k-diffusion, after Karras et al. 2022; DDIM after Song et al. 2021, eta 0;
DPM-Solver++ after Lu et al. 2023.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from imgedit_exporters.runtime.dpm_solver import DpmSolver
from imgedit_exporters.runtime.noise_levels import (
    Floats,
    predicts,
    products,
    sigmas,
    spaced,
    trained,
)
from imgedit_plugins.errors import ImgeditError, OptionError


class Scheduler(Protocol):
    """One run of a scheduler: each step is made once, in order, since some look back on others.

    Attributes:
        times: what the UNet is told at each step, float32.
        initial: standard deviation of the first noise.
        noisy: whether each step takes noise.
    """

    times: Floats
    initial: float
    noisy: bool

    def scaled(self, latents: Floats, number: int) -> Floats:
        """The latents as the UNet wants them at a step."""
        ...

    def step(self, predicted: Floats, latents: Floats, number: int, noise: Floats | None) -> Floats:
        """The latents after a step, of unit-variance noise where `noisy`."""
        ...


def scheduler(config: Mapping[str, Any], steps: int, name: str = "") -> Scheduler:
    """A fresh scheduler.

    Args:
        config: the fields of a ``scheduler_config.json`` of diffusers, or of a scheduler's own
            `config`, whose ``_use_default_values`` count as left open.
        steps: that it shall make.
        name: of another class than the configuration's, or its short name.

    Raises:
        OptionError: there is no such scheduler here.
        ImgeditError: it cannot make so many steps, or its configuration asks for what it has not.
    """
    wanted = name or str(config.get("_class_name", ""))
    kinds = {kind: made for made, kinds in KINDS.items() for kind in kinds}
    if wanted not in kinds:
        raise OptionError(
            f"Bundles have no scheduler {wanted!r}.",
            hint=f"Use {', '.join(kinds)}, or the model itself with PyTorch.",
        )
    # What a model's own class filled in is not for another class, whose defaults are others.
    open_ = set(config.get("_use_default_values", ()))
    config = {name: config[name] for name in config if name not in open_}
    if not 1 <= steps <= trained(config):
        raise ImgeditError(f"A scheduler makes 1 to {trained(config)} steps, not {steps}.")
    for switch in ("thresholding", "variance_type"):
        if config.get(switch):
            raise ImgeditError(f"Bundles have no scheduler with {switch}.")
    if predicts(config) not in ("epsilon", "v_prediction", "sample"):
        raise ImgeditError(f"Bundles have no scheduler for {predicts(config)!r}.")
    made: Scheduler = kinds[wanted](config, steps)
    return made


class EulerAncestral:
    """See `Scheduler`; `EulerAncestralDiscreteScheduler` of diffusers."""

    noisy = True

    def __init__(self, config: Mapping[str, Any], steps: int) -> None:
        spacing = str(config.get("timestep_spacing", "linspace"))
        self.times = spaced(config, spacing, steps).astype(np.float32)
        every = sigmas(config)
        found = np.interp(self.times, np.arange(len(every)), every)
        self._sigmas = np.append(found, 0.0).astype(np.float32)
        highest = float(self._sigmas.max())
        self.initial = highest if spacing != "leading" else math.sqrt(highest**2 + 1)
        self._predicts = predicts(config)
        if self._predicts == "sample":  # diffusers' has none either
            raise ImgeditError(
                "Euler ancestral steps are not for a model that predicts 'sample'.",
                hint="Use another scheduler, such as ddim or dpm++.",
            )

    def scaled(self, latents: Floats, number: int) -> Floats:
        """As `Scheduler`."""
        return _single(latents / math.sqrt(float(self._sigmas[number]) ** 2 + 1))

    def step(self, predicted: Floats, latents: Floats, number: int, noise: Floats | None) -> Floats:
        """As `Scheduler`."""
        assert noise is not None
        sigma, goal = float(self._sigmas[number]), float(self._sigmas[number + 1])
        if self._predicts == "v_prediction":
            clean = predicted * (-sigma / math.sqrt(sigma**2 + 1)) + latents / (sigma**2 + 1)
        else:
            clean = latents - sigma * predicted
        up = math.sqrt(goal**2 * (sigma**2 - goal**2) / sigma**2)
        down = math.sqrt(max(goal**2 - up**2, 0.0))
        slope = (latents - clean) / sigma
        return _single(latents + slope * (down - sigma) + noise * up)


class Ddim:
    """See `Scheduler`; `DDIMScheduler` of diffusers with eta 0."""

    noisy, initial = False, 1.0

    def __init__(self, config: Mapping[str, Any], steps: int) -> None:
        spacing = str(config.get("timestep_spacing", "leading"))
        self.times = spaced(config, spacing, steps, rounded=True).astype(np.float32)
        self._products = products(config)
        self._last = 1.0 if config.get("set_alpha_to_one", True) else float(self._products[0])
        self._apart = trained(config) // steps
        self._predicts = predicts(config)
        if self._predicts == "epsilon" and not self._products[int(self.times[0])]:
            raise ImgeditError(
                "Where all is noise, a model that predicts noise tells nothing.",
                hint="Use another scheduler, such as euler-ancestral.",
            )
        clipped = bool(config.get("clip_sample", True))
        self._clip = float(config.get("clip_sample_range", 1.0)) if clipped else math.inf

    def scaled(self, latents: Floats, number: int) -> Floats:  # noqa: ARG002
        """As `Scheduler`."""
        return latents

    def step(
        self,
        predicted: Floats,
        latents: Floats,
        number: int,
        noise: Floats | None,  # noqa: ARG002
    ) -> Floats:
        """As `Scheduler`."""
        time = int(self.times[number])
        before = time - self._apart
        now = float(self._products[time])
        goal = float(self._products[before]) if before >= 0 else self._last
        clean: NDArray[Any]
        epsilon: NDArray[Any]
        if self._predicts == "sample":
            clean, epsilon = predicted, (latents - math.sqrt(now) * predicted) / math.sqrt(1 - now)
        elif self._predicts == "v_prediction":
            clean = math.sqrt(now) * latents - math.sqrt(1 - now) * predicted
            epsilon = math.sqrt(now) * predicted + math.sqrt(1 - now) * latents
        else:
            clean = (latents - math.sqrt(1 - now) * predicted) / math.sqrt(now)
            epsilon = predicted
        clean = np.clip(clean, -self._clip, self._clip)
        return _single(math.sqrt(goal) * clean + math.sqrt(1 - goal) * epsilon)


KINDS: dict[Any, tuple[str, ...]] = {
    EulerAncestral: ("EulerAncestralDiscreteScheduler", "euler-ancestral"),
    Ddim: ("DDIMScheduler", "ddim"),
    DpmSolver: ("DPMSolverMultistepScheduler", "dpm++"),
}
"""What there is, with the names it is asked for by."""


def _single(values: NDArray[Any]) -> Floats:
    return np.asarray(values, np.float32)
