"""What a training will need, before it begins: memory by part, and time from this machine's speed.

Parameters are counted exactly, on models without memory. Operations are counted from the shapes
(2 for each weight and token, forward; once more, backward through the frozen language model; the
attention's own on top) and divided by what a matrix product of this device was measured to do.
Memory of activations is an estimate: what one layer keeps for the backward pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from imgedit_modelkit.devices import measured_speed
from imgedit_modelkit.model_folders import empty_language_model
from imgedit_modelkit.vision_towers import VisionTower
from imgedit_reverse_design.minigpt4.config import LANGUAGE_MODEL, Adapted, read_config
from imgedit_reverse_design.minigpt4.model import Frozen

TEXT_TOKENS = 110
"""Tokens of a prompt with a command and its answer, LLaMA-2's tokenizer; ours have 80 to 130."""

_EFFICIENCY = 0.6
"""Share of a large matrix product's speed that a whole model reaches."""

_KEPT = 18
"""Numbers that one layer keeps of each token for the backward pass, in hidden widths."""

_SLACK = 1.1


@dataclass(frozen=True)
class Forecast:
    """What a training will need.

    Attributes:
        parameters: of each part.
        weights, training, activations: bytes: frozen and trained weights; gradients and the
            optimiser's state; what the backward pass needs.
        operations: floating-point operations of one step.
        seconds: of one step.
        shares: processes that share the model.
    """

    parameters: dict[str, int]
    weights: int
    training: int
    activations: int
    operations: float
    seconds: float
    shares: int = 1

    @property
    def memory(self) -> int:
        """Bytes of a process, with some slack; the main one gathers all weights at times."""
        gathered = self.weights if self.shares > 1 else 0
        kept = (self.weights + self.training) // self.shares
        return int((kept + max(self.activations, gathered)) * _SLACK)

    def sentence(self, steps: int) -> str:
        """For people."""
        hours = self.seconds * steps / 3600
        return (
            f"{self.memory / 1e9:.2f} GB of memory and about {hours:.2g} hours "
            f"({self.seconds:.2g} s a step, {steps:,} steps)"
        )


@dataclass(frozen=True)
class Shapes:
    """What the counting needs of a model folder.

    Attributes:
        linears: (in, out) of the language model's linear layers, the one behind all others left
            out: what can be kept in few bits, and adapted.
    """

    tower: Any
    language: Any
    tower_parameters: int
    language_parameters: int
    embedding_parameters: int
    picture_tokens: int
    width: int
    linears: Mapping[str, tuple[int, int]]

    @property
    def projection_parameters(self) -> int:
        """Weights and biases."""
        hidden = int(self.language.hidden_size)
        return self.width * hidden + hidden

    def adapter_parameters(self, lora: Adapted | None) -> int:
        """Weights of adapters."""
        if lora is None:
            return 0
        chosen = [s for name, s in self.linears.items() if name.rpartition(".")[2] in lora.targets]
        return sum(lora.rank * (into + out) for into, out in chosen)

    def frozen_bytes(self, size: int, bits: int | None) -> int:
        """Of the tower and the language model, with so many bytes a weight, or fewer bits."""
        few = sum(into * out for into, out in self.linears.values()) if bits else 0
        full = self.tower_parameters + self.language_parameters - few
        return full * size + few * (bits or 0) // 8


def forecast(
    folder: Path,
    *,
    batch: int,
    frozen: Frozen,
    lora: Adapted | None = None,
    checkpointing: bool = False,
    shares: int = 1,
) -> Forecast:
    """What training the projection of a model folder, and adapters, will need.

    Args:
        folder: the model folder.
        batch: pairs of one forward and backward pass.
        frozen: how the frozen parts are kept, and on which device: its speed is measured, in about
            a second.
        lora: adapters that learn.
        checkpointing: activations are computed twice instead of kept.
        shares: processes that share the model.
    """
    shapes = shapes_of(folder)
    size = torch.finfo(frozen.dtype).bits // 8
    trained = shapes.projection_parameters + shapes.adapter_parameters(lora)
    tokens = 2 * shapes.picture_tokens + TEXT_TOKENS
    operations = step_operations(shapes, batch, tokens, checkpointing=checkpointing)
    return Forecast(
        parameters={
            "tower": shapes.tower_parameters,
            "projection": shapes.projection_parameters,
            "language model": shapes.language_parameters,
        }
        | ({"adapters": shapes.adapter_parameters(lora)} if lora else {}),
        weights=shapes.frozen_bytes(size, frozen.bits) + trained * 4,
        training=trained * 12,
        activations=_activations(shapes, batch, tokens, size, checkpointing=checkpointing),
        operations=operations,
        seconds=operations / (_EFFICIENCY * measured_speed(frozen.device, frozen.dtype)),
        shares=shares,
    )


def shapes_of(folder: Path) -> Shapes:
    """The shapes of a model folder, from its configurations alone."""
    config = read_config(folder)
    model = empty_language_model(Path(config.base or folder) / LANGUAGE_MODEL)
    with torch.device("meta"):
        tower = VisionTower(config.tower.config())
    return Shapes(
        tower=tower.vision.config,
        language=model.config,
        tower_parameters=_count(tower),
        language_parameters=_count(model),
        embedding_parameters=_count(model.get_input_embeddings()),
        picture_tokens=tower.tokens,
        width=tower.width,
        linears={
            name: (module.in_features, module.out_features)
            for name, module in model.named_modules()
            if isinstance(module, torch.nn.Linear) and module is not model.get_output_embeddings()
        },
    )


def step_operations(shapes: Shapes, batch: int, tokens: int, *, checkpointing: bool) -> float:
    """Floating-point operations of a forward and backward pass.

    Args:
        shapes: of the model.
        batch: pairs.
        tokens: of one sequence.
        checkpointing: the forward pass of the language model is made twice.
    """
    patches = (shapes.tower.image_size // shapes.tower.patch_size) ** 2 + 1
    tower = 2 * batch * _forward(shapes.tower, shapes.tower_parameters, patches)
    projection = 2 * 2 * batch * shapes.picture_tokens * shapes.projection_parameters
    in_products = shapes.language_parameters - shapes.embedding_parameters
    language = batch * _forward(shapes.language, in_products, tokens)
    # Frozen weights need no gradient, so the backward pass costs as much as the forward pass.
    return tower + 2 * projection + (3 if checkpointing else 2) * language


def _forward(config: Any, parameters: int, tokens: int) -> float:
    """One sequence: two operations a weight and token, and the attention's two products."""
    attention = 4 * int(config.num_hidden_layers) * tokens**2 * int(config.hidden_size)
    return 2.0 * parameters * tokens + attention


def _activations(shapes: Shapes, batch: int, tokens: int, size: int, *, checkpointing: bool) -> int:
    hidden, layers = int(shapes.language.hidden_size), int(shapes.language.num_hidden_layers)
    layer = batch * tokens * hidden * _KEPT * size
    kept = layer + layers * batch * tokens * hidden * size if checkpointing else layers * layer
    logits = batch * tokens * int(shapes.language.vocab_size) * (size + 2 * 4)
    return kept + logits


def _count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
