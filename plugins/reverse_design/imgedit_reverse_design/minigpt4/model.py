"""The model: tower, projection and language model, put together.

Only the projection has gradients. Both pictures go through the same tower.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from imgedit_modelkit import model_folders
from imgedit_modelkit.constrained_decoding import Constraint
from imgedit_modelkit.tensor_files import load_tensors
from imgedit_modelkit.vision_language import Generated, PictureLanguageModel, Prompt
from imgedit_modelkit.vision_towers import VisionTower, to_pixels
from imgedit_plugins.pictures import RGB8
from imgedit_reverse_design.minigpt4.answer_grammar import AnswerGrammar
from imgedit_reverse_design.minigpt4.config import (
    LANGUAGE_MODEL,
    MAX_NEW_TOKENS,
    PROJECTION,
    TOWER,
    Config,
    read_config,
)
from imgedit_reverse_design.minigpt4.experiments import experiment
from imgedit_reverse_design.minigpt4.targets import LEADS


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

    def encode(self, pixels: Tensor) -> Tensor:
        """Picture tokens, as wide as the language model's embeddings.

        Args:
            pixels: (batch, 2, 3, size, size), source and edited.

        Returns:
            (batch, 2, tokens, width); the gradient goes to the projection.
        """
        tokens = self.tower(pixels.flatten(0, 1))
        projected = self.projection(tokens.to(self.projection.weight.dtype))
        return torch.as_tensor(projected.reshape(*pixels.shape[:2], *projected.shape[1:]))

    def forward(self, pixels: Tensor, prompts: Sequence[Prompt], answers: Sequence[str]) -> Read:
        """The language model's reading of true answers, for a loss."""
        embedded = self.language.embed(prompts, self.encode(pixels), answers)
        return Read(self.language(embedded), embedded.labels)

    @torch.no_grad()
    def answer(
        self,
        pixels: Tensor,
        prompts: Sequence[Prompt],
        *,
        constraint: Constraint | None = None,
        longest: int = MAX_NEW_TOKENS,
        on_token: Callable[[], None] = lambda: None,
    ) -> list[Generated]:
        """Greedy answers to prompts."""
        return self.language.generate(
            prompts,
            self.encode(pixels),
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
        return AnswerGrammar(LEADS if self.config.own_sentences else None, longest)

    def constraint(self, grammar: AnswerGrammar) -> Constraint:
        """The grammar over this model's tokens."""
        end = int(self.language.tokenizer.eos_token_id)
        return Constraint(grammar, self.language.strings, end)


# --- loading ----------------------------------------------------------------------------------


def load_model(folder: Path, *, dtype: torch.dtype = torch.float32) -> MiniGPT4:
    """The model of a folder, on the CPU.

    Args:
        folder: see `config`.
        dtype: of the frozen parts; the projection is always float32.

    Raises:
        DataError: a file is missing, or its tensors are not those of the model.
    """
    model = load_untrained(folder, dtype=dtype)
    load_tensors(model.projection, folder / PROJECTION)
    return model.eval()


def load_untrained(
    folder: Path, *, dtype: torch.dtype = torch.float32, config: Config | None = None
) -> MiniGPT4:
    """The model with its projection as it begins.

    Args:
        folder: as for `load_model`.
        dtype: as for `load_model`.
        config: instead of the folder's own, such as for another experiment.
    """
    config = config or read_config(folder)
    frozen = Path(config.base) if config.base else folder
    tower = VisionTower(config.tower.config())
    load_tensors(tower, frozen / TOWER)
    language = load_language_model(frozen / LANGUAGE_MODEL, config, dtype)
    return MiniGPT4(config, tower.to(dtype), language)


def load_language_model(folder: Path, config: Config, dtype: torch.dtype) -> PictureLanguageModel:
    """The language model of a folder with its tokenizer; no code of theirs is run."""
    model, tokenizer = model_folders.load_language_model(folder, dtype)
    return PictureLanguageModel(model, tokenizer, experiment(config.experiment).special)
