"""DPM-Solver++ on numpy (Lu et al. 2023), in several steps, without and with noise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgedit_exporters.runtime.noise_levels import (
    NEARLY_NONE,
    Floats,
    predicts,
    products,
    sigmas,
    trained,
)
from imgedit_plugins.errors import ImgeditError

_KARRAS = 7.0
_FEW = 15
"""Steps below which `lower_order_final` counts."""

_ELSEWHERE = (
    "use_exponential_sigmas", "use_beta_sigmas", "use_lu_lambdas", "use_flow_sigmas",
)  # fmt: skip
_SOLVERS = ("dpmsolver++", "sde-dpmsolver++", "deis")
"""What diffusers takes 'deis' for is the first of them."""


class DpmSolver:
    """See `Scheduler`; `DPMSolverMultistepScheduler` of diffusers.

    Of its kinds there are ``dpmsolver++`` (the usual one), of order 1 to 3, and
    ``sde-dpmsolver++``, of order 1 and 2. It looks back on earlier steps, so each is made once, in
    order.

    Raises:
        ImgeditError: the configuration asks for another kind, or for more steps than it can make.
    """

    initial = 1.0

    def __init__(self, config: Mapping[str, Any], steps: int) -> None:
        kind = _kind(config)
        self.noisy = kind == "sde-dpmsolver++"
        self._order = int(config.get("solver_order", 2))
        if not 1 <= self._order <= (2 if self.noisy else 3):
            raise ImgeditError(f"Bundles have no scheduler {kind} of order {self._order}.")
        self._heun = config.get("solver_type") == "heun"
        self._predicts = predicts(config)
        every = sigmas(config)
        if config.get("use_karras_sigmas"):
            found = _karras(every, steps)
            self.times = _times_of(found, every, config)
        else:
            self.times = _spaced(config, steps)
            found = np.interp(self.times, np.arange(len(every)), every)
        to_zero = config.get("final_sigmas_type", "zero") == "zero"
        self._sigmas = np.append(found, 0.0 if to_zero else every[0]).astype(np.float32)
        few = bool(config.get("lower_order_final", True)) and len(self.times) < _FEW
        self._last_first = few or to_zero or bool(config.get("euler_at_final"))
        self._last_but_one_second = few
        self._clean: list[NDArray[Any]] = []
        self._made = 0

    def scaled(self, latents: Floats, number: int) -> Floats:  # noqa: ARG002
        """As `Scheduler`."""
        return latents

    def step(self, predicted: Floats, latents: Floats, number: int, noise: Floats | None) -> Floats:
        """As `Scheduler`.

        Raises:
            ValueError: it is not this step's turn.
        """
        if number != self._made:
            raise ValueError(f"step {self._made} comes next, and not {number}")
        self._made += 1
        now, goal = (float(one) for one in self._sigmas[number : number + 2])
        scale = 1 / math.sqrt(now**2 + 1)
        clean: NDArray[Any] = predicted
        if self._predicts == "v_prediction":
            clean = scale * latents - now * scale * predicted
        elif self._predicts == "epsilon":
            clean = latents / scale - now * predicted
        self._clean = [clean, *self._clean][: self._order]
        made = self._solved(latents, number, self._order_of(number))
        if noise is not None:
            left = goal / math.sqrt(goal**2 + 1)
            made = made + left * math.sqrt(1 - (goal / now) ** 2) * noise
        return np.asarray(made, np.float32)

    def _order_of(self, number: int) -> int:
        """Fewer at first, where nothing lies behind, and last, where steps are long."""
        order, left = min(self._order, number + 1), len(self.times) - number
        if left == 1 and self._last_first:
            return 1
        return min(order, 2) if left == 2 and self._last_but_one_second else order

    def _solved(self, latents: Floats, number: int, order: int) -> NDArray[Any]:
        """The latents after a step, without new noise; Lu et al. 2023, algorithm 2 and eq. B.3."""
        now, goal = (float(one) for one in self._sigmas[number : number + 2])
        scale, scale_now = 1 / math.sqrt(goal**2 + 1), 1 / math.sqrt(now**2 + 1)
        # Half the logarithm of the signal-to-noise ratio is -log(sigma), so exp(-h) is a quotient;
        # with noise the same integrals run over twice the way.
        quotient = goal / now
        kept = quotient * scale / scale_now * (quotient if self.noisy else 1.0)
        rest = quotient**2 if self.noisy else quotient
        made = kept * latents + scale * (1 - rest) * self._clean[0]
        if order == 1:
            return made
        way = math.log(now / goal)
        slope, bend = self._slopes(number, way, order)
        whole = 2 * way if self.noisy else way
        second = 1 + (rest - 1) / whole if order == 3 or self._heun else (1 - rest) / 2
        made = made + scale * second * slope
        if bend is not None:
            made = made + scale * ((1 - rest - whole) / whole**2 + 0.5) * bend
        return np.asarray(made)

    def _slopes(
        self, number: int, way: float, order: int
    ) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """First and second divided differences of the clean latents, in units of this step."""
        before = self._sigmas[number - order + 1 : number + 1].astype(np.float64)
        ways = (np.log(before[:-1] / before[1:]) / way)[::-1]
        first = (self._clean[0] - self._clean[1]) / ways[0]
        if order == 2:
            return first, None
        bend = (first - (self._clean[1] - self._clean[2]) / ways[1]) / (ways[0] + ways[1])
        return first + ways[0] * bend, bend


def _kind(config: Mapping[str, Any]) -> str:
    kind = str(config.get("algorithm_type", "dpmsolver++"))
    if kind not in _SOLVERS:
        raise ImgeditError(
            f"Bundles have no scheduler {kind!r}.", hint=f"They have {', '.join(_SOLVERS[:2])}."
        )
    for switch in _ELSEWHERE:
        if config.get(switch):
            raise ImgeditError(f"Bundles have no scheduler with {switch}.")
    return kind


def _spaced(config: Mapping[str, Any], steps: int) -> Floats:
    """Times from the noisiest on, of which the last is not 0 where it need not be."""
    spacing, count = str(config.get("timestep_spacing", "linspace")), trained(config)
    last = count - _clipped(config)
    if spacing == "linspace":
        times = np.round(np.linspace(0, last - 1, steps + 1))[:0:-1]
    elif spacing == "leading":
        apart = last // (steps + 1)
        if not apart:
            raise ImgeditError(f"This scheduler makes up to {last - 1} steps, not {steps}.")
        times = np.arange(steps, 0, -1.0) * apart + int(config.get("steps_offset", 0))
    elif spacing == "trailing":
        times = np.round(np.arange(last, 0, -count / steps)) - 1
    else:
        raise ImgeditError(f"Bundles have no scheduler with the spacing {spacing!r}.")
    return times.astype(np.float32)


def _clipped(config: Mapping[str, Any]) -> int:
    """How many of the noisiest times are left out."""
    lowest = float(config.get("lambda_min_clipped", -math.inf))
    found = products(config, lowest=NEARLY_NONE)
    return int(np.searchsorted(np.log(found / (1 - found))[::-1] / 2, lowest))


def _karras(every: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
    """Sigmas between the highest and the lowest; Karras et al. 2022, equation 5."""
    ends = every[-1] ** (1 / _KARRAS), every[0] ** (1 / _KARRAS)
    return np.asarray(np.linspace(*ends, steps) ** _KARRAS)


def _times_of(
    found: NDArray[np.float64], every: NDArray[np.float64], config: Mapping[str, Any]
) -> Floats:
    """The times of sigmas, as whole numbers in diffusers' way."""
    times = np.interp(np.log(found), np.log(every), np.arange(len(every)))
    cosine = config.get("beta_schedule") == "squaredcos_cap_v2"
    return (np.trunc(times) if cosine else np.round(times)).astype(np.float32)
