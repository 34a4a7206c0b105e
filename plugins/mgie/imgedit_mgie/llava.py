"""LLaVA, 1.0 and 1.5: a CLIP, a projector and a language model that reads and writes tokens."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from imgedit_mgie.folders import Language
from imgedit_mgie.tokens import Tokens
from imgedit_modelkit.vision_language import IGNORED
from imgedit_modelkit.vision_towers import MEAN, VisionTower, to_pixels
from imgedit_plugins.errors import DataError, ImgeditError
from imgedit_plugins.pictures import RGB8

REPEATED = 3
"""No sequence of so many tokens is written twice."""


@dataclass(frozen=True)
class Read:
    """What the language model made of given texts.

    Attributes:
        states: (batch, length, width): the last hidden states; padding is behind.
        ids: (batch, length) tokens.
        labels: (batch, length): the answers' tokens where they stand, `IGNORED` elsewhere.
    """

    states: Tensor
    ids: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Written:
    """One answer.

    Attributes:
        tokens: the new ones.
        states: (prompt + new tokens - 1, width): hidden states of all that was read.
    """

    tokens: tuple[int, ...]
    states: Tensor


class Llava(nn.Module):
    """A language model that sees one picture.

    Args:
        language: how it sees, and the names of its tokens.
        language_model: a causal language model of transformers.
        tokenizer: that belongs to it and knows all tokens of `language`.

    Raises:
        DataError: the tokenizer lacks a token, or the model has no row for one.
    """

    def __init__(self, language: Language, language_model: Any, tokenizer: Any) -> None:
        super().__init__()
        self.config = language
        self.language_model = language_model
        self.tower = VisionTower(language.tower())
        self.projector = projector(language, self.tower.width, self.width)
        self.tokens = Tokens(language, tokenizer, self.tower.tokens)
        rows = len(self.table.weight)
        if self.tokens.highest >= rows:
            raise DataError(
                f"Token {self.tokens.highest} is used, and the language model has {rows} of them."
            )

    @property
    def table(self) -> nn.Embedding:
        """The input embeddings."""
        found: nn.Embedding = self.language_model.get_input_embeddings()
        return found

    @property
    def output(self) -> nn.Linear:
        """The output layer."""
        found: nn.Linear = self.language_model.get_output_embeddings()
        return found

    @property
    def width(self) -> int:
        """Width of the hidden states."""
        return int(self.table.weight.shape[1])

    @property
    def longest(self) -> int:
        """Tokens that the language model can read."""
        return int(self.language_model.config.max_position_embeddings)

    def visual_embeddings(self) -> Tensor:
        """The input embeddings of the visual tokens: (tokens, width)."""
        return self.table.weight[list(self.tokens.visual)]

    # --- reading ------------------------------------------------------------------------------

    def see(self, pixels: Tensor) -> Tensor:
        """Picture tokens: (batch, patches, width).

        Args:
            pixels: (batch, 3, size, size), as `pixels_of` makes them.
        """
        tokens = self.tower(pixels)
        weights = next(self.projector.parameters())
        return torch.as_tensor(self.projector(tokens.to(weights.device, weights.dtype)))

    def embed(self, ids: Tensor, seen: Tensor | None) -> Tensor:
        """Input embeddings with the picture in place of its patch tokens.

        Args:
            ids: (batch, length).
            seen: (batch, patches, width), or None where no row has a picture.

        Raises:
            ImgeditError: a row has another number of patch tokens than its picture.
        """
        embedded = self.table(ids)
        places = ids == self.tokens.patch
        if seen is None:
            return torch.as_tensor(embedded)
        if bool((places.sum(1) != seen.shape[1]).any()):
            counts = places.sum(1).tolist()
            raise ImgeditError(f"A picture has {seen.shape[1]} patches, and the prompts {counts}.")
        return torch.as_tensor(embedded.masked_scatter(places[..., None], seen.to(embedded)))

    def read(
        self, prompts: Sequence[list[int]], answers: Sequence[list[int]], seen: Tensor | None
    ) -> Read:
        """The hidden states of prompts with their answers."""
        rows = [torch.tensor([*p, *a]) for p, a in zip(prompts, answers, strict=True)]
        device = self.table.weight.device
        # Put together on the CPU: small copies to a device, one by one, would wait for each other.
        ids = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=self.tokens.end)
        places = torch.arange(ids.shape[1])
        mask = places < torch.tensor([len(row) for row in rows])[:, None]
        prompted = places < torch.tensor([len(prompt) for prompt in prompts])[:, None]
        labels = ids.masked_fill(prompted | ~mask, IGNORED).to(device)
        ids, mask = ids.to(device), mask.long().to(device)
        out = self.language_model.get_decoder()(
            inputs_embeds=self.embed(ids, seen), attention_mask=mask, use_cache=False
        )
        return Read(out.last_hidden_state, ids, labels)

    def predicting(self, read: Read) -> Tensor:
        """The hidden states that predict each row's visual tokens: (batch, tokens, width)."""
        first, count = self.tokens.visual[0], len(self.tokens.visual)
        there = read.labels == first
        if not bool(there.any(1).all()):
            raise ImgeditError(f"An answer has no {self.config.visual[0]}.")
        begins = there.int().argmax(1, keepdim=True) - 1
        places = begins + torch.arange(count, device=begins.device)
        rows = torch.arange(len(places), device=begins.device)[:, None]
        return read.states[rows, places]

    def answer_loss(self, read: Read) -> Tensor:
        """Mean cross-entropy of the answers' tokens, each predicted from what is before it."""
        wanted = read.labels[:, 1:]
        chosen = wanted != IGNORED
        logits = self.output(read.states[:, :-1][chosen])
        return nn.functional.cross_entropy(logits.float(), wanted[chosen])

    # --- writing ------------------------------------------------------------------------------

    @torch.no_grad()
    def write(
        self,
        prompt: list[int],
        seen: Tensor | None,
        *,
        longest: int = 96,
        on_token: Callable[[Sequence[int]], None] = lambda _: None,
    ) -> Written:
        """A greedy answer without repeated 3-grams, up to its end or its last visual token.

        Args:
            prompt: its tokens.
            seen: (1, patches, width), or None.
            longest: tokens after which it is broken off.
            on_token: told all new tokens after each; what it raises ends the work.
        """
        device = self.table.weight.device
        ids, states, cache = list(prompt), [], None
        inputs = self.embed(torch.tensor([ids], device=device), seen)
        while True:
            out = self.language_model.get_decoder()(
                inputs_embeds=inputs, past_key_values=cache, use_cache=True
            )
            cache = out.past_key_values
            states.append(out.last_hidden_state[0])
            logits = self.output(out.last_hidden_state[0, -1:]).float()[0]
            logits[_repeating(ids)] = -torch.inf
            ids.append(int(logits.argmax()))
            new = ids[len(prompt) :]
            on_token(new)
            if new[-1] == self.tokens.end or len(new) >= longest or self._is_complete(new):
                return Written(tuple(new), torch.cat(states))
            inputs = self.table(torch.tensor([ids[-1:]], device=device))

    def _is_complete(self, written: list[int]) -> bool:
        """Whether as many tokens as there are visual ones were written from the first on."""
        count = len(self.tokens.visual)
        return (
            len(written) >= count and self.tokens.visual[0] in written[: len(written) - count + 1]
        )

    def predicted(self, written: Written) -> tuple[Tensor, bool]:
        """The hidden states that predict the visual tokens, and whether the model wrote them.

        Where it never did, or stopped on the way, the last but one of all that are there.
        """
        count, rows = len(self.tokens.visual), len(written.states)
        last = rows - count - 1
        begin, there = last, self.tokens.visual[0] in written.tokens
        if there:
            first = rows + 1 - len(written.tokens) + written.tokens.index(self.tokens.visual[0])
            complete = first - 1 + count <= rows
            begin = first - 1 if complete else last
            there = complete
        return written.states[begin : begin + count], there


def projector(language: Language, narrow: int, wide: int) -> nn.Module:
    """From CLIP's width to the language model's."""
    if language.projector == "linear":
        return nn.Linear(narrow, wide)
    layers = {
        "linear_1": nn.Linear(narrow, wide),
        "act": nn.GELU(),
        "linear_2": nn.Linear(wide, wide),
    }
    return nn.Sequential(OrderedDict(layers))


def pixels_of(pictures: Sequence[RGB8], size: int) -> Tensor:
    """Pictures as CLIP wants them, whole: padded to squares with its mean colour.

    Returns:
        (n, 3, size, size) float32.
    """
    return to_pixels([_square(picture) for picture in pictures], size)


def _square(picture: RGB8) -> RGB8:
    height, width = picture.shape[:2]
    side = max(height, width)
    if height == width:
        return picture
    square = np.empty((side, side, 3), np.uint8)
    square[:] = np.rint(np.array(MEAN) * 255).astype(np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = picture
    return square


def _repeating(ids: Sequence[int]) -> list[int]:
    """The tokens that would write a sequence of `REPEATED` tokens for the second time."""
    tail = tuple(ids[len(ids) - REPEATED + 1 :])
    if len(tail) < REPEATED - 1:
        return []
    ends = range(REPEATED - 1, len(ids))
    return [ids[i] for i in ends if tuple(ids[i - REPEATED + 1 : i]) == tail]
