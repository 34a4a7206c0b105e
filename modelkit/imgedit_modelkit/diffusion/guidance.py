"""Guidance in two directions: towards the text, and towards the input picture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from imgedit_plugins.errors import ImgeditError


class Branch(NamedTuple):
    """What the UNet is told in one of its forward passes."""

    text: bool
    picture: bool


BOTH, PICTURE, NEITHER = Branch(True, True), Branch(False, True), Branch(False, False)


@dataclass(frozen=True)
class Guidance:
    """Scales of the classifier-free guidance (Brooks et al. 2023, equation 3).

    ::

        e(neither) + image * (e(picture) - e(neither)) + text * (e(both) - e(picture))

    Attributes:
        text: how far the result follows the conditioning; 1 is what the model itself says.
        image: how far it stays with the input picture.

    Raises:
        ImgeditError: a scale is negative or no number.
    """

    text: float = 7.5
    image: float = 1.5

    def __post_init__(self) -> None:
        for name in ("text", "image"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise ImgeditError(f"The {name} guidance cannot be {value}: it is 0 or more.")

    @property
    def weights(self) -> dict[Branch, float]:
        """The branches that count, with their weights; the sum of the weights is 1.

        Scales of 1, or equal ones, leave branches out, and with them a third of the work each.
        """
        weights = {BOTH: self.text, PICTURE: self.image - self.text, NEITHER: 1 - self.image}
        return {branch: weight for branch, weight in weights.items() if weight}

    def combined(self, predicted: Mapping[Branch, Tensor]) -> Tensor:
        """The guided prediction, from one prediction for each branch of `weights`."""
        if len(predicted) == 3:
            both, picture, neither = predicted[BOTH], predicted[PICTURE], predicted[NEITHER]
            # In this order, so that half precisions round as in diffusers.
            return neither + self.text * (both - picture) + self.image * (picture - neither)
        weights = self.weights
        parts = [weights[branch] * tensor for branch, tensor in predicted.items()]
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]
