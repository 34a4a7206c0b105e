"""The model: tower, projection and language model, put together.

Only the projection learns, and adapters in the language model where there are any. Both pictures go
through the same tower.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from imgedit_modelkit import model_folders
from imgedit_modelkit.adapters import adapters, add_lora, quantisation
from imgedit_modelkit.constraints import Constraint
from imgedit_modelkit.modes import keep_gradients
from imgedit_modelkit.tensor_files import load_tensors, read_tensors, refuse_misfits
from imgedit_modelkit.vision_language import Generated, PictureLanguageModel, Prompt
from imgedit_modelkit.vision_towers import VisionTower, to_pixels
from imgedit_plugins.pictures import RGB8
from imgedit_reverse_design.minigpt4.answer_grammar import AnswerGrammar, grammar_of
from imgedit_reverse_design.minigpt4.config import (
    LANGUAGE_MODEL,
    LORA,
    MAX_NEW_TOKENS,
    PROJECTION,
    TOWER,
    Config,
    read_config,
)
from imgedit_reverse_design.minigpt4.experiments import experiment


@dataclass(frozen=True)
class Read:
    """What the language model made of a batch of true answers.

    Attributes:
        logits: (batch, length, vocabulary), of the next token.
        labels: (batch, length), the answers' tokens where they stand.
    """

    logits: Tensor
    labels: Tensor


class MiniGPT4(nn.Module):
    """Two pictures and a prompt in, an answer out.

    Args:
        config: how prompts look.
        tower: frozen.
        language: its language model is frozen here.
    """

    def __init__(self, config: Config, tower: VisionTower, language: PictureLanguageModel) -> None:
        super().__init__()
        self.config = config
        self.tower = tower
        self.language = language
        language.language_model.requires_grad_(False)
        self.projection = nn.Linear(tower.width, language.width)

    def encode(self, pictures: Tensor) -> Tensor:
        """Picture tokens, as wide as the language model's embeddings.

        Args:
            pictures: (batch, 2, 3, size, size) pixels of source and edited, or (batch, 2, tokens,
                tower's width) what the tower made of them (`tower_tokens`).

        Returns:
            (batch, 2, tokens, width); the gradient goes to the projection.
        """
        flat = pictures.flatten(0, 1)
        tokens = tower_tokens(self.tower, flat) if pictures.ndim == 5 else flat
        projected = self.projection(tokens.to(self.projection.weight.dtype))
        return torch.as_tensor(projected.reshape(*pictures.shape[:2], *projected.shape[1:]))

    def forward(self, pictures: Tensor, prompts: Sequence[Prompt], answers: Sequence[str]) -> Read:
        """The language model's reading of true answers, for a loss."""
        embedded = self.language.embed(prompts, self.encode(pictures), answers)
        return Read(self.language(embedded), embedded.labels)

    @torch.no_grad()
    def answer(
        self,
        pictures: Tensor,
        prompts: Sequence[Prompt],
        *,
        constraint: Constraint | None = None,
        longest: int = MAX_NEW_TOKENS,
        on_token: Callable[[], None] = lambda: None,
    ) -> list[Generated]:
        """Greedy answers to prompts."""
        return self.language.generate(
            prompts,
            self.encode(pictures),
            max_new_tokens=longest,
            constraint=constraint,
            on_token=on_token,
        )

    def pixels(self, pairs: Sequence[tuple[RGB8, RGB8]]) -> Tensor:
        """Pairs of pictures as `encode` wants them, on the CPU."""
        flat = to_pixels([picture for pair in pairs for picture in pair], self.tower.image_size)
        return flat.reshape(len(pairs), 2, *flat.shape[1:])

    def grammar(self, longest: int = 5) -> AnswerGrammar:
        """What an answer of this model may look like."""
        return grammar_of(longest, own_sentences=self.config.own_sentences)

    def constraint(self, grammar: AnswerGrammar) -> Constraint:
        """The grammar over this model's tokens."""
        end = int(self.language.tokenizer.eos_token_id)
        return Constraint(grammar, self.language.strings, end)


def tower_tokens(tower: VisionTower, pixels: Tensor) -> Tensor:
    """What a tower makes of pictures, in its own precision whatever is computed around it.

    Each goes through alone: products of other shapes add in another order, and a picture's tokens
    must not hang on what else is in its batch.

    Args:
        tower: frozen.
        pixels: (n, 3, size, size).

    Returns:
        (n, tokens, the tower's width).
    """
    with torch.autocast(pixels.device.type, enabled=False):
        # Clones, since kernels may also add in another order where memory is aligned otherwise.
        return torch.cat([tower(one[None].clone()) for one in pixels])


# --- loading ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Frozen:
    """How frozen parts are kept.

    Attributes:
        dtype: of their weights.
        bits: 4 or 8 for the language model's linear layers (bitsandbytes); None for `dtype`.
        device: where the language model will run; with `bits` it is loaded there.
    """

    dtype: torch.dtype = torch.float32
    bits: Literal[4, 8] | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


IN_FULL = Frozen()


def load_model(folder: Path, frozen: Frozen = IN_FULL) -> MiniGPT4:
    """The model of a folder, on the CPU but for a language model in few bits.

    Args:
        folder: see `config`.
        frozen: how its frozen parts are kept; projection and adapters are always float32.

    Raises:
        DataError: a file is missing, or its tensors are not those of the model.
    """
    model = load_untrained(folder, frozen)
    load_learnt(model, folder)
    return model.eval()


def load_untrained(
    folder: Path, frozen: Frozen = IN_FULL, *, config: Config | None = None
) -> MiniGPT4:
    """The model with its projection, and its adapters if it has any, as they begin.

    Args:
        folder: as for `load_model`.
        frozen: as for `load_model`.
        config: instead of the folder's own, such as for another experiment.
    """
    config = config or read_config(folder)
    base = Path(config.base) if config.base else folder
    tower = VisionTower(config.tower.config())
    load_tensors(tower, base / TOWER)
    language = load_language_model(base / LANGUAGE_MODEL, config, frozen)
    model = MiniGPT4(config, tower.to(frozen.dtype), language)
    if config.lora is not None:
        add_lora(language.language_model, config.lora.adapters())
    return model


def load_learnt(model: MiniGPT4, folder: Path) -> None:
    """Put what a folder's training has learnt into a model.

    Raises:
        DataError: as `load_model`.
    """
    load_tensors(model.projection, folder / PROJECTION)
    if model.config.lora is not None:
        load_adapters(model, folder / LORA)


def load_language_model(folder: Path, config: Config, frozen: Frozen) -> PictureLanguageModel:
    """The language model of a folder with its tokenizer; no code of theirs is run.

    Raises:
        DataError: there is none.
        MissingPackageError, TrainingError: few bits cannot be had here.
    """
    few: dict[str, Any] = {}
    if frozen.bits:
        few = {
            "quantization_config": quantisation(frozen.bits, frozen.device),
            "device_map": {"": _numbered(frozen.device)},
        }
    model, tokenizer = model_folders.load_language_model(folder, frozen.dtype, **few)
    keep_gradients(model)
    return PictureLanguageModel(model, tokenizer, experiment(config.experiment).special)


def _numbered(device: torch.device) -> torch.device:
    """The device with its number: 'cuda' is the one of this process."""
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return device


def load_adapters(model: MiniGPT4, path: Path) -> None:
    """Load a file of adapters into a model that has them; raises as `load_tensors`."""
    parameters = adapters(model.language.language_model)
    tensors = read_tensors(path)
    refuse_misfits(path, parameters, tensors)
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(tensors[name])
