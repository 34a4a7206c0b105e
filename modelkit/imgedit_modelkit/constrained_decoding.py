"""Constrained decoding with transformers: a model that can only write what an automaton accepts."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import torch
from torch import Tensor
from transformers import LogitsProcessor

from imgedit_modelkit.constraints import Constraint


class Constrained(LogitsProcessor):
    """Minus infinity for every token that the constraint does not allow.

    With `generate(inputs_embeds=...)` the ids that arrive are those of the new tokens alone.

    Args:
        constraint: what may be written. Each call of `generate` needs a processor of its own.
    """

    def __init__(self, constraint: Constraint) -> None:
        self._constraint = constraint
        self._states: dict[tuple[int, ...], Hashable | None] = {(): constraint.automaton.start}

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """The scores of a batch with all else at minus infinity."""
        limited = torch.full_like(scores, -torch.inf)
        for row, ids in enumerate(input_ids.tolist()):
            state = self._state(tuple(ids))
            ended = np.array([self._constraint.end])
            allowed = torch.from_numpy(
                ended if state is None else self._constraint.allowed(state)
            ).to(scores.device)
            limited[row, allowed] = scores[row, allowed]
        return limited

    def _state(self, ids: tuple[int, ...]) -> Hashable | None:
        """The state after these tokens; None after the end."""
        if ids not in self._states:
            before = self._state(ids[:-1])
            ended = before is None or ids[-1] == self._constraint.end
            self._states[ids] = None if ended else self._constraint.after(before, ids[-1])
        return self._states[ids]
