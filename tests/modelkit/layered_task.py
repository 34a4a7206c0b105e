"""A task with what is hard to share out: frozen layers in half precision, weights used by hand."""

import torch
from tiny_task import TinyTask
from torch import nn

WIDTH = 12


class Layer(nn.Module):
    """Adds to what comes in."""

    def __init__(self, drop: float) -> None:
        super().__init__()
        self.linear = nn.Linear(WIDTH, WIDTH)
        self.drop = nn.Dropout(drop)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.drop(torch.tanh(self.linear(x.to(self.linear.weight.dtype)))).to(x.dtype)


class Layered(nn.Module):
    """Frozen layers, learning ones that are gone through twice, and a weight that is no layer's."""

    def __init__(self, noisy: bool) -> None:
        super().__init__()
        drop = 0.2 if noisy else 0.0
        self.first = nn.Linear(6, WIDTH).requires_grad_(False)
        self.frozen = nn.ModuleList([Layer(drop) for _ in range(3)])
        self.frozen.bfloat16().requires_grad_(False)
        self.layers = nn.ModuleList([Layer(drop) for _ in range(2)])
        self.norm = nn.BatchNorm1d(WIDTH) if noisy else nn.Identity()
        self.last = nn.Linear(WIDTH, 3)
        self.scale = nn.Parameter(torch.tensor(0.5), requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        for layer in [*self.frozen, *self.layers, *self.layers]:
            x = layer(x)
        x = self.norm(x) * self.scale
        return self.last(x) + 0.1 * x @ self.last.weight.T  # used by hand, too


class LayeredTask(TinyTask):
    """`TinyTask` with another model, which it remembers."""

    def build(self):
        self.model = Layered(self.noisy)
        return self.model
