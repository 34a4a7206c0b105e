"""A running average of the weights (Polyak and Juditsky 1992), kept in float32."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import torch


class RunningAverage:
    """The exponential average of parameters over the updates.

    The decay of update n is min(decay, (1 + n) / (10 + n)): the first weights, which are random,
    are soon forgotten.

    Args:
        parameters: names and what is averaged, in place of the same objects all along.
        decay: 0..1; how much of the average stays at each update.
    """

    def __init__(self, parameters: Mapping[str, torch.nn.Parameter], decay: float) -> None:
        self._parameters = dict(parameters)
        self._decay = decay
        self.averages = {
            name: parameter.detach().float().clone() for name, parameter in parameters.items()
        }

    def update(self, updates: int) -> None:
        """Take the present weights into the average; `updates` were there before this one."""
        decay = min(self._decay, (1 + updates) / (10 + updates))
        present = [parameter.detach().float() for parameter in self._parameters.values()]
        torch._foreach_lerp_(list(self.averages.values()), present, 1.0 - decay)

    def load(self, averages: Mapping[str, torch.Tensor]) -> None:
        """Take over averages of the same names and shapes."""
        for name, average in self.averages.items():
            average.copy_(averages[name])

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """The averages stand in the parameters during a block; the weights come back after it."""
        kept = {name: p.detach().clone() for name, p in self._parameters.items()}
        self._put(self.averages)
        try:
            yield
        finally:
            self._put(kept)

    def _put(self, values: Mapping[str, torch.Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(values[name])
