"""Weights that lie in a file: the same numbers, and memory that is free meanwhile."""

import resource
from pathlib import Path

import pytest
import torch
from torch import nn

from imgedit_exporters.parking import park

pytestmark = pytest.mark.torch


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        # 41 MB: below 33 glibc may keep what is freed for itself.
        self.table = nn.Embedding(10_000, 1024)
        self.output = nn.Linear(1024, 10_000, bias=True)
        self.output.weight = self.table.weight
        self.register_buffer("large", torch.randn(512, 1024).half())
        self.register_buffer("small", torch.randn(3))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.output(self.table(ids)) * self.small.sum() + self.large.float().mean()


@torch.no_grad()
def test_a_parked_module_computes_as_before_and_its_memory_is_free(tmp_path):
    torch.manual_seed(0)
    module, ids = Tied().eval(), torch.arange(4)
    wanted, state = module(ids), {name: one.clone() for name, one in module.state_dict().items()}
    weight, small = module.table.weight, module.small
    before = resident()
    rest = park(module, tmp_path / "weights")
    (tmp_path / "weights").unlink()
    assert before - resident() > 0.9 * weight.nbytes
    assert module.output.weight is module.table.weight is weight
    assert module.small is small
    torch.testing.assert_close(module(ids), wanted, rtol=0, atol=0)
    for name, one in module.state_dict().items():
        assert torch.equal(one, state[name])
    used = resident()
    rest()
    assert used - resident() > 0.9 * weight.nbytes
    torch.testing.assert_close(module(ids), wanted, rtol=0, atol=0)


def test_small_weights_stay_where_they_are(tmp_path):
    module = nn.Linear(8, 8)
    before = module.weight.data_ptr()
    park(module, tmp_path / "weights")()
    assert module.weight.data_ptr() == before
    assert list(tmp_path.iterdir()) == []
