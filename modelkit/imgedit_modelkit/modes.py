"""Frozen and trained parts of a model: their modes, their hashes, gradient checkpointing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from imgedit_modelkit.errors import TrainingError

_RANDOM = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._BatchNorm)


def trained(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that learn, by name.

    Raises:
        TrainingError: there are none.
    """
    found = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not found:
        raise TrainingError(
            "No parameter of the model has requires_grad.",
            hint="Leave it True for the parts that shall learn.",
        )
    return found


def set_training(model: nn.Module) -> None:
    """Train mode for what learns; frozen parts behave as they will later.

    Frozen parts are put in eval mode. Where one recomputes its activations, which transformers
    only does in train mode, just its dropout and batch norms are.
    """
    model.train()
    for part in _frozen_parts(model):
        if any(getattr(inner, "gradient_checkpointing", False) for inner in part.modules()):
            for inner in part.modules():
                if isinstance(inner, _RANDOM):
                    inner.eval()
        else:
            part.eval()


def checkpoint_gradients(model: nn.Module) -> None:
    """Switch gradient checkpointing on in all parts that know it (transformers, diffusers).

    Raises:
        TrainingError: no part does.
    """
    parts = list(_outermost(model, _knows_checkpointing))
    for part in parts:
        known: Any = part
        if hasattr(known, "activation_checkpointing_enable"):  # transformers, its new name
            known.activation_checkpointing_enable()
        elif hasattr(known, "gradient_checkpointing_enable"):
            known.gradient_checkpointing_enable({"use_reentrant": False})
        else:  # diffusers
            known.enable_gradient_checkpointing()
    if not parts:
        raise TrainingError(
            f"No part of {type(model).__name__} knows gradient checkpointing.",
            hint="Leave gradient_checkpointing off; parts from transformers and diffusers know it.",
        )


def keep_gradients(model: nn.Module) -> None:
    """Let gradients pass through layers in 4 bits (bitsandbytes) after a validation, too.

    On CPUs with AVX512-BF16 such a layer packs its weights anew when it is first used without
    gradients, and from then on returns results that no gradient passes through, silently; and
    widths that are no multiple of 64 fail.
    """
    for module in model.modules():
        if getattr(module, "support_avx512bf16_for_cpu", False):
            module.support_avx512bf16_for_cpu = False  # type: ignore[assignment]


def frozen_hashes(model: nn.Module) -> dict[str, str]:
    """SHA-256 of the frozen parameters, for each direct part of the model that has any.

    Over names, types, shapes and bytes, in the order of the model.
    """
    digests: dict[str, hashlib._Hash] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            continue
        digest = digests.setdefault(name.partition(".")[0], hashlib.sha256())
        digest.update(f"{name} {parameter.dtype} {tuple(parameter.shape)}\n".encode())
        digest.update(tensor_bytes(parameter))
    return {part: digest.hexdigest() for part, digest in digests.items()}


def buffer_hashes(model: nn.Module) -> dict[str, str]:
    """SHA-256 of each buffer that belongs to the model's state."""
    persistent = set(model.state_dict(keep_vars=True)) - {n for n, _ in model.named_parameters()}
    return {
        name: hashlib.sha256(tensor_bytes(buffer)).hexdigest()
        for name, buffer in model.named_buffers()
        if name in persistent
    }


def tensor_bytes(tensor: torch.Tensor) -> bytes:
    """The bytes of a tensor of any type, in row-major order."""
    flat = tensor.detach().cpu().contiguous().flatten()
    return flat.view(torch.uint8).numpy().tobytes()


def _frozen_parts(model: nn.Module) -> Iterator[nn.Module]:
    """The outermost parts with parameters or buffers none of which learns."""
    return _outermost(model, _is_frozen)


def _is_frozen(part: nn.Module) -> bool:
    parameters = list(part.parameters())
    return bool(parameters) and not any(p.requires_grad for p in parameters)


def _knows_checkpointing(part: nn.Module) -> bool:
    names = ("supports_gradient_checkpointing", "_supports_gradient_checkpointing")
    return any(getattr(part, name, False) is True for name in names)


def _outermost(model: nn.Module, chosen: Callable[[nn.Module], bool]) -> Iterator[nn.Module]:
    if chosen(model):
        yield model
        return
    for part in model.children():
        yield from _outermost(part, chosen)
