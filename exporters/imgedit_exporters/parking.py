"""Weights that lie in a file while others need the memory."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

LEAST = 1 << 20
"""Bytes of a tensor from which on it is worth it."""


def park(module: nn.Module, path: Path) -> Callable[[], None]:
    """Move a module's large weights into a file, of which only what is used comes back to memory.

    The module goes on as before, also when the file's name is gone. On Windows, where a file in use
    cannot be removed, nothing is done.

    Args:
        module: on the CPU.
        path: of the file, which is not there yet.

    Returns:
        What gives the memory back that the weights have taken since, by whomever they are held.
    """
    found = [one for one in (*module.parameters(), *module.buffers()) if _worth_it(one)]
    tensors = list({id(one): one for one in found}.values())
    if os.name == "nt" or not tensors:
        return lambda: None
    places: list[int] = []
    with path.open("wb") as file:
        for tensor in tensors:
            places.append(file.tell())
            file.write(_bytes(tensor))
            file.write(bytes(-file.tell() % 64))
    with path.open("rb") as file:
        whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    for tensor, place in zip(tensors, places, strict=True):
        there = torch.frombuffer(whole, dtype=tensor.dtype, count=tensor.numel(), offset=place)
        tensor.data = there.view(tensor.shape)
    return lambda: whole.madvise(mmap.MADV_DONTNEED)


def _worth_it(tensor: torch.Tensor) -> bool:
    return tensor.device.type == "cpu" and tensor.nbytes >= LEAST


def _bytes(tensor: torch.Tensor) -> memoryview:
    flat = tensor.detach().contiguous().view(-1).view(torch.uint8)
    return flat.numpy().data
