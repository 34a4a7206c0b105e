"""Sharded training: each process keeps a share of every weight, gradient and optimiser state.

By PyTorch's `fully_shard` (FSDP2; Zhao et al. 2023). Frozen parts are shared out too. A model is
gathered piece by piece while it computes: the pieces are the items of its outermost module lists,
such as the layers of a language model and the blocks of a UNet; what stands in no list is gathered
for the whole step, so that a task may use it as it likes.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from imgedit_modelkit import modes
from imgedit_modelkit.errors import TrainingError

if TYPE_CHECKING:
    from accelerate import Accelerator

_WITHOUT = "Train with sharding 'none'"


class Shards:
    """The shares of a model that trains in several processes, which all call all of this.

    Args:
        model: whole, on the CPU, the same in every process.
        accelerator: of several processes.

    Raises:
        TrainingError: it cannot be shared out, or differs between processes.
    """

    def __init__(self, model: nn.Module, accelerator: Accelerator) -> None:
        _check(model)
        _check_alike(model)
        self._model, self._accelerator = model, accelerator
        self._keeps: bool = accelerator.is_main_process
        self._twin = _emptied(model, accelerator.device) if self._keeps else None

    def share_out(self, forward: nn.Module) -> nn.Module:
        """Share out what computes the loss: the model in its wrapper, which is returned."""
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        here = self._accelerator
        mesh = init_device_mesh(here.device.type, (here.num_processes,))
        # Numbers without a dimension cannot be cut; frozen ones stay whole.
        whole = {p for p in forward.parameters() if not p.ndim}
        for parameter in forward.parameters():
            parameter.data = parameter.data.contiguous()
        for parameter in whole:
            parameter.data = parameter.data.to(here.device)
        for piece in pieces(forward):
            fully_shard(piece, mesh=mesh, ignored_params=whole)
        fully_shard(forward, mesh=mesh, ignored_params=whole)
        return forward

    def share_buffers(self) -> None:
        """Take over the main process's buffers, such as the counts of a batch norm."""
        for module in self._model.modules():
            if module.training:
                for name, buffer in module.named_buffers(recurse=False):
                    if name not in module._non_persistent_buffers_set:
                        torch.distributed.broadcast(buffer, src=0)

    def whole(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors gathered one after another, on the CPU of the main process; empty elsewhere."""
        gathered = {}
        for name, tensor in tensors.items():
            gathering = entire(tensor)
            if self._keeps:
                gathered[name] = gathering.cpu()
        return gathered

    @contextlib.contextmanager
    def gathered(self, averages: Mapping[str, Tensor] | None) -> Iterator[nn.Module | None]:
        """The whole model in the main process, on its device; None in the others.

        Args:
            averages: what stands in the place of the weights that learn.
        """
        into = dict(self._twin.named_parameters()) if self._twin is not None else {}
        for name, parameter in self._model.named_parameters():
            gathering = entire((averages or {}).get(name, parameter))
            if self._keeps:
                into[name].data = gathering.to(into[name].device, parameter.dtype)
        if self._twin is not None:
            own = dict(self._model.named_buffers())
            for name, buffer in self._twin.named_buffers():
                buffer.data = own[name].detach().clone()
        try:
            yield self._twin
        finally:
            for parameter in into.values():
                parameter.data = parameter.data.new_empty(0)


def pieces(model: nn.Module) -> Iterator[nn.Module]:
    """What is gathered one after another: the items of a model's outermost module lists."""
    for child in model.children():
        if isinstance(child, nn.ModuleList):
            for item in child:
                if isinstance(item, nn.ModuleList):  # it is never called itself
                    yield from pieces(nn.ModuleList([item]))
                elif next(item.parameters(), None) is not None:
                    yield item
        else:
            yield from pieces(child)


def share_of(value: Tensor, like: Tensor) -> Tensor:
    """This process's share of a whole tensor, cut as another one is; all of it for a whole one."""
    if not _is_share(like):
        return value.to(like.device)
    from torch.distributed.tensor import distribute_tensor

    cut: Any = like
    return distribute_tensor(value, cut.device_mesh, cut.placements, src_data_rank=None)


def entire(tensor: Tensor) -> Tensor:
    """A tensor gathered from all processes; the same where it is whole already."""
    found: Any = tensor.detach()
    return torch.as_tensor(found.full_tensor()) if _is_share(tensor) else found


def _is_share(tensor: Tensor) -> bool:
    return hasattr(tensor, "full_tensor")


# --- before it begins -------------------------------------------------------------------------


def _check(model: nn.Module) -> None:
    for name, parameter in model.named_parameters():
        if not parameter.is_floating_point():
            raise TrainingError(
                f"{name} is kept in few bits, and such parts cannot be shared out.",
                hint=f"{_WITHOUT}, or keep the part in 'bf16'.",
            )
    learnt = modes.trained(model)
    scalar = next((name for name, p in learnt.items() if not p.ndim), None)
    if scalar is not None:
        raise TrainingError(
            f"{scalar} learns and has no dimension, so it cannot be shared out.",
            hint=f"{_WITHOUT}, or give it the shape (1,).",
        )
    kinds = sorted({str(p.dtype).removeprefix("torch.") for p in learnt.values()})
    if len(kinds) > 1:
        raise TrainingError(
            f"What learns is in {' and '.join(kinds)}, and can be shared out in one type only.",
            hint="Keep all that learns in float32.",
        )


def _check_alike(model: nn.Module) -> None:
    """Raise TrainingError where processes built different models: nobody would make them alike."""
    from accelerate.utils import gather_object

    digest = hashlib.sha256(repr(modes.frozen_hashes(model)).encode())
    for name, parameter in modes.trained(model).items():
        digest.update(f"{name} {parameter.dtype} {tuple(parameter.shape)}\n".encode())
        digest.update(modes.tensor_bytes(parameter))
    found = gather_object([digest.hexdigest()])
    if len(set(found)) > 1:
        raise TrainingError(
            "The processes built different models, so they cannot share one.",
            hint="All randomness of `build` must come from Python's, NumPy's and torch's global "
            "generators, and all processes must load the same files.",
        )


def _emptied(model: nn.Module, device: torch.device) -> nn.Module:
    """A copy of a model with nothing in its parameters."""
    memo: dict[int, Any] = {
        id(p): nn.Parameter(p.new_empty(0, device=device), requires_grad=p.requires_grad)
        for p in model.parameters()
    }
    try:
        return copy.deepcopy(model, memo)
    except (TypeError, RuntimeError) as error:
        told = str(error).splitlines()[0].rstrip(".")
        raise TrainingError(
            f"{type(model).__name__} cannot be copied ({told}), so sharded training cannot "
            "validate it.",
            hint=f"{_WITHOUT}, or keep what cannot be copied out of the model.",
        ) from error
