"""Small parts of no model, to try the exporter on."""

import numpy as np
import torch
from torch import nn

from imgedit_modelkit.testing import realistic
from imgedit_plugins.exporting import ExportReport, Part


class Mix(nn.Module):
    """Two layers and a table, enough to break in several ways."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(32, 64)
        self.second = nn.Linear(64, 32)

    def forward(self, values: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        return self.second(torch.tanh(self.first(values)) * shift) + values


def mix(*, seed: int = 0) -> Mix:
    return realistic(Mix(), seed=seed).eval()


def draw(rng: np.random.Generator) -> dict[str, np.ndarray]:
    rows, length = (int(number) for number in rng.integers(1, 6, 2))
    return {
        "values": rng.standard_normal((rows, length, 32), np.float32),
        "shift": rng.standard_normal(64, np.float32),
    }


def part(module=None, **changes) -> Part:
    fields = {
        "name": "mix",
        "module": module or mix(),
        "example": {
            "values": np.ones((2, 3, 32), np.float32), "shift": np.ones(64, np.float32)
        },
        "outputs": ("mixed",),
        "dynamic": {"values": {0: "rows", 1: "length"}},
        "draw": draw,
        **changes,
    }  # fmt: skip
    return Part(**fields)


def report(*parts: Part, **fields) -> ExportReport:
    return ExportReport(model="a mixture", parts=parts or (part(),), **fields)
