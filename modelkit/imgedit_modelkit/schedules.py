"""The learning rate as a function of the step: nothing to save, nothing to resume."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class WarmupCosine:
    """A straight line up to the peak, then half a cosine down to the end.

    Attributes:
        peak: the learning rate at step `warmup_steps`, the highest.
        steps: of the whole training, at least 1.
        final: the learning rate of the last step.
        warmup_steps: steps before the peak; 0 begins at the peak.
        warmup_start: the learning rate of step 0 where there is a warm-up.
    """

    peak: float
    steps: int
    final: float = 0.0
    warmup_steps: int = 0
    warmup_start: float = 0.0

    def __call__(self, step: int) -> float:
        """The learning rate of the update number `step`, 0 <= step < steps."""
        if step < self.warmup_steps:
            return self.warmup_start + (self.peak - self.warmup_start) * step / self.warmup_steps
        rest = self.steps - 1 - self.warmup_steps
        way = min(1.0, (step - self.warmup_steps) / rest) if rest > 0 else 0.0
        return self.final + (self.peak - self.final) * 0.5 * (1.0 + math.cos(math.pi * way))
