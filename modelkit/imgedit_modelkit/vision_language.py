"""Pictures in the prompt of any causal language model of transformers.

A prompt is a sequence of pieces: text, or the index of one of the sample's pictures, whose tokens
(already as wide as the language model's embeddings) take that place. Each text between two pictures
is tokenised for itself and the whole begins with the tokenizer's begin-of-text token, as in
MiniGPT-4, so that its published weights find what they were trained on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationConfig, StoppingCriteria

from imgedit_modelkit.constrained_decoding import Constrained
from imgedit_modelkit.constraints import Constraint
from imgedit_modelkit.token_strings import token_strings
from imgedit_plugins.errors import ImgeditError

IGNORED = -100
"""Label of positions that no loss is computed for."""

Prompt = Sequence[str | int]
"""Text, and indices of the sample's pictures."""


@dataclass(frozen=True)
class Embedded:
    """A batch that a language model can read.

    Attributes:
        inputs_embeds: (batch, length, width).
        attention_mask: (batch, length); 0 for padding.
        labels: (batch, length) tokens of the answers, `IGNORED` for prompts, pictures and padding.
    """

    inputs_embeds: Tensor
    attention_mask: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Generated:
    """One answer.

    Attributes:
        text: without special tokens.
        tokens: the new tokens, up to the end and without it.
        probabilities: of each token, 0..1, by the language model alone (before any constraint).
        ended: whether the model itself ended the text.
    """

    text: str
    tokens: tuple[int, ...]
    probabilities: tuple[float, ...]
    ended: bool


class PictureLanguageModel(nn.Module):
    """A causal language model that reads prompts with pictures in them.

    Args:
        language_model: of transformers, on whatever device and in whatever precision.
        tokenizer: that belongs to it.
        averaged: texts that become one token each, with the mean of their word pieces' embeddings
            (as the paper's fourth experiment has it). They only ever stand in prompts, so the
            vocabulary stays as it is.
    """

    def __init__(self, language_model: Any, tokenizer: Any, averaged: Sequence[str] = ()) -> None:
        super().__init__()
        self.language_model = language_model
        self.tokenizer = tokenizer
        self.averaged = tuple(averaged)
        if tokenizer.eos_token_id is None:
            raise ImgeditError("This tokenizer has no end-of-text token, so answers cannot end.")
        self._strings: tuple[str, ...] | None = None

    @property
    def width(self) -> int:
        """Width of the embeddings, which picture tokens must have."""
        return int(self._table.weight.shape[1])

    @property
    def strings(self) -> tuple[str, ...]:
        """What each token writes (see `token_strings`)."""
        if self._strings is None:
            self._strings = token_strings(self.tokenizer, self.language_model.config.vocab_size)
        return self._strings

    @property
    def _table(self) -> nn.Embedding:
        table: nn.Embedding = self.language_model.get_input_embeddings()
        return table

    # --- reading ------------------------------------------------------------------------------

    def embed(
        self,
        prompts: Sequence[Prompt],
        pictures: Tensor,
        answers: Sequence[str] | None = None,
        *,
        pad_left: bool = False,
    ) -> Embedded:
        """Prompts and answers as embeddings, padded to one length.

        Args:
            prompts: one for each sample.
            pictures: (batch, pictures, tokens, width) picture tokens.
            answers: what the model shall learn to say; ended by the end-of-text token. Only they
                have labels.
            pad_left: put padding in front, as generation wants it.

        Raises:
            ImgeditError: a prompt names a picture that is not there.
        """
        rows, labels = [], []
        for number, prompt in enumerate(prompts):
            row = self._prompt(prompt, pictures[number])
            label = torch.full((len(row),), IGNORED, device=row.device)
            if answers is not None:
                tokens = self._answer_tokens(answers[number])
                row = torch.cat([row, self._table(tokens)])
                label = torch.cat([label, tokens])
            rows.append(row)
            labels.append(label)
        return _padded(rows, labels, pad_left=pad_left)

    def answer_ids(self, answer: str) -> list[int]:
        """The tokens of an answer, its end included."""
        ids = self.tokenizer.encode(answer, add_special_tokens=False)
        return [*ids, int(self.tokenizer.eos_token_id)]

    def _answer_tokens(self, answer: str) -> Tensor:
        return torch.tensor(self.answer_ids(answer), device=self._table.weight.device)

    def _prompt(self, prompt: Prompt, pictures: Tensor) -> Tensor:
        begin = self.tokenizer.bos_token_id
        parts = [] if begin is None else [self._tokens([int(begin)])]
        for piece in prompt:
            if isinstance(piece, str):
                parts += self._text(piece)
            elif 0 <= piece < len(pictures):
                parts.append(pictures[piece].to(self._table.weight))
            else:
                raise ImgeditError(
                    f"The prompt names picture {piece}, and there are {len(pictures)} pictures."
                )
        return torch.cat(parts)

    def _text(self, text: str) -> list[Tensor]:
        parts = []
        pattern = "|".join(map(re.escape, self.averaged))
        for part in re.split(f"({pattern})", text) if pattern else [text]:
            if part:
                embedded = self._tokens(self.tokenizer.encode(part, add_special_tokens=False))
                parts.append(embedded.mean(0, keepdim=True) if part in self.averaged else embedded)
        return parts

    def _tokens(self, ids: list[int]) -> Tensor:
        table = self._table
        return torch.as_tensor(
            table(torch.tensor(ids, dtype=torch.long, device=table.weight.device))
        )

    # --- logits and hidden states -------------------------------------------------------------

    def forward(self, embedded: Embedded) -> Tensor:
        """Logits of the next token at every position: (batch, length, vocabulary)."""
        out = self.language_model(
            inputs_embeds=embedded.inputs_embeds,
            attention_mask=embedded.attention_mask,
            use_cache=False,
        )
        return torch.as_tensor(out.logits)

    def hidden_states(self, embedded: Embedded, layer: int = -1) -> Tensor:
        """The hidden states of a layer (0 is the embeddings, -1 the last): as `inputs_embeds`."""
        out = self.language_model(
            inputs_embeds=embedded.inputs_embeds,
            attention_mask=embedded.attention_mask,
            output_hidden_states=True,
            use_cache=False,
        )
        return torch.as_tensor(out.hidden_states[layer])

    # --- writing ------------------------------------------------------------------------------

    @torch.no_grad()
    def generate(
        self,
        prompts: Sequence[Prompt],
        pictures: Tensor,
        *,
        max_new_tokens: int = 256,
        constraint: Constraint | None = None,
        on_token: Callable[[], None] = lambda: None,
    ) -> list[Generated]:
        """Greedy answers.

        Args:
            prompts: as for `embed`.
            pictures: as for `embed`.
            max_new_tokens: where an answer is broken off.
            constraint: what may be written; everything by default.
            on_token: called after each token; what it raises ends the work.
        """
        embedded = self.embed(prompts, pictures, pad_left=True)
        end = int(self.tokenizer.eos_token_id)
        out = self.language_model.generate(
            inputs_embeds=embedded.inputs_embeds,
            attention_mask=embedded.attention_mask,
            generation_config=_greedy(end, max_new_tokens),
            logits_processor=[Constrained(constraint)] if constraint else None,
            stopping_criteria=[Watch(on_token)],
        )
        chances = torch.stack([step.float().softmax(-1) for step in out.logits], dim=1)
        picked = chances.gather(2, out.sequences[..., None])[..., 0]
        return [
            self._generated(ids, chance)
            for ids, chance in zip(out.sequences.tolist(), picked.tolist(), strict=True)
        ]

    def _generated(self, ids: list[int], chances: list[float]) -> Generated:
        end = int(self.tokenizer.eos_token_id)
        length = ids.index(end) if end in ids else len(ids)
        text = self.tokenizer.decode(
            ids[:length], skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return Generated(text, tuple(ids[:length]), tuple(chances[:length]), end in ids)


def _greedy(end: int, max_new_tokens: int) -> Any:
    made: Any = GenerationConfig
    return made(
        max_new_tokens=max_new_tokens,
        do_sample=False,
        eos_token_id=end,
        pad_token_id=end,
        output_logits=True,
        return_dict_in_generate=True,
    )


def answer_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross entropy over the labelled tokens, each predicted from what comes before it."""
    return nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=IGNORED
    )


def _padded(rows: list[Tensor], labels: list[Tensor], *, pad_left: bool) -> Embedded:
    length = max(map(len, rows))
    embeds = rows[0].new_zeros(len(rows), length, rows[0].shape[1])
    mask = torch.zeros(len(rows), length, dtype=torch.long, device=embeds.device)
    marks = torch.full((len(rows), length), IGNORED, device=embeds.device)
    for number, (row, label) in enumerate(zip(rows, labels, strict=True)):
        place = slice(length - len(row), length) if pad_left else slice(0, len(row))
        embeds[number, place] = row
        mask[number, place] = 1
        marks[number, place] = label
    return Embedded(embeds, mask, marks)


class Watch(StoppingCriteria):
    """Stops nothing; tells that a token was written."""

    def __init__(self, on_token: Callable[[], None]) -> None:
        self._on_token = on_token

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:  # noqa: ARG002
        """False for each row."""
        self._on_token()
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
