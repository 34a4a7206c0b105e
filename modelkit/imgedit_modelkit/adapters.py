"""Models that are too large to train whole: LoRA adapters, and frozen parts in 8 or 4 bits."""

from __future__ import annotations

import copy
import importlib.util
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from imgedit_modelkit.errors import MissingPackageError, TrainingError

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import BitsAndBytesConfig

M = TypeVar("M", bound="nn.Module")


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters (Hu et al. 2021), by peft.

    Attributes:
        targets: ends of the names of the linear layers to adapt, such as 'q_proj'.
        rank: of the update.
        alpha: the update is scaled by alpha / rank.
        dropout: before the update, 0..1.
    """

    targets: Sequence[str]
    rank: int = 8
    alpha: int = 16
    dropout: float = 0.0


def add_lora(model: nn.Module, lora: Lora) -> nn.Module:
    """Put adapters into a model, in place, and freeze everything else.

    The adapters start as no change at all, and are float32 whatever the model is. Only they are in
    the checkpoints of a run.

    Raises:
        TrainingError: no layer has such a name.
    """
    from peft import LoraConfig, inject_adapter_in_model

    names = [name for name, _ in model.named_modules()]
    missing = [t for t in lora.targets if not any(_ends_with(name, t) for name in names)]
    if missing or not lora.targets:
        layers = sorted({name.rpartition(".")[2] for name in names if name} - {""})
        raise TrainingError(
            f"{type(model).__name__} has no layer {missing[0] if missing else ''!r}.",
            hint=f"Its layers end in {', '.join(layers[:20])}.",
        )
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.targets),
    )
    adapted: nn.Module = inject_adapter_in_model(config, model)
    for name, parameter in adapted.named_parameters():
        parameter.requires_grad_("lora_" in name)
        if "lora_" in name:
            parameter.data = parameter.data.float()  # an optimiser's small steps get lost in halves
    return adapted


def adapters(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters of a model's adapters, by name; empty if it has none."""
    return {name: p for name, p in model.named_parameters() if "lora_" in name}


def merge_lora(model: nn.Module) -> None:
    """Add the adapters' updates to the weights that they adapt, so that the adapters can go."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for module in model.modules():
        if isinstance(module, BaseTunerLayer):
            module.merge()


def merged_copy(model: M) -> M:
    """A copy of a model with its adapters merged into the weights, and no adapters.

    What no adapter changes is shared with the model, so that the copy takes little memory.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    adapted = [module for module in model.modules() if isinstance(module, BaseTunerLayer)]
    own = {id(p) for layer in adapted for p in (*layer.parameters(), *layer.buffers())}
    shared = {id(p): p for p in (*model.parameters(), *model.buffers()) if id(p) not in own}
    made = copy.deepcopy(model, shared)
    merge_lora(made)
    for name, module in list(made.named_modules()):
        if isinstance(module, BaseTunerLayer):
            made.set_submodule(name, module.get_base_layer())
    return made


def quantisation(bits: Literal[4, 8], device: torch.device | None = None) -> BitsAndBytesConfig:
    """For `from_pretrained(..., quantization_config=...)`: a frozen part in 4 or 8 bits.

    4 bits are NF4 with computations in bfloat16 (Dettmers et al. 2023).

    Args:
        bits: of the weights of linear layers.
        device: where the part will run; not checked if None.

    Raises:
        MissingPackageError: bitsandbytes is not installed.
        TrainingError: it does not work on this machine, or not on this device.
    """
    if importlib.util.find_spec("bitsandbytes") is None:
        raise MissingPackageError("bitsandbytes", f"Keeping a frozen part in {bits} bits")
    _check_device(bits, device)
    import torch
    from transformers import BitsAndBytesConfig

    if bits == 8:
        # It says at each call of each layer that it computes in float16.
        logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
        return BitsAndBytesConfig(load_in_8bit=True)  # type: ignore[no-untyped-call]
    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=torch.bfloat16,
        bnb_4bit_use_double_quant=True,
    )


def _check_device(bits: int, device: torch.device | None) -> None:
    try:
        import bitsandbytes
    except (ImportError, OSError, RuntimeError) as error:
        told = " ".join(str(error).split())[:200]
        raise TrainingError(
            f"bitsandbytes does not work here ({told}), so nothing is kept in {bits} bits.",
            hint="Install the build for this machine, or keep the weights as they are.",
        ) from error
    known = sorted(getattr(bitsandbytes, "supported_torch_devices", {"cuda"}))
    if device is not None and device.type not in known:
        raise TrainingError(
            f"bitsandbytes {bitsandbytes.__version__} keeps no part in {bits} bits on the device "
            f"{str(device)!r}.",
            hint=f"It can on {', '.join(known)}; elsewhere keep the weights as they are.",
        )


def _ends_with(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")
