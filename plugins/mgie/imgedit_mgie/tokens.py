"""Text and tokens of a LLaVA: no model, so that processes which make batches need none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from imgedit_mgie.folders import Language
from imgedit_mgie.prompts import Asked, prompt
from imgedit_plugins.errors import DataError, ImgeditError


class Tokens:
    """A tokenizer that knows the tokens of pictures.

    Args:
        language: their names.
        tokenizer: of transformers.
        patches: how many tokens one picture has.

    Raises:
        DataError: it lacks a token.
    """

    def __init__(self, language: Language, tokenizer: Any, patches: int) -> None:
        self.config, self.tokenizer, self.patches = language, tokenizer, patches
        self.visual = self._ids(language.visual)
        enclosing = [name for name in (language.start, language.end) if name]
        (self.patch, *_) = self._ids((language.patch, *enclosing))
        self.end = int(tokenizer.eos_token_id)

    @property
    def picture_text(self) -> str:
        """The tokens that stand for a picture in a prompt."""
        return self.config.start + self.config.patch * self.patches + self.config.end

    @property
    def highest(self) -> int:
        """The highest id of those that are known by name."""
        return max(*self.visual, self.patch, self.end)

    def _ids(self, names: Sequence[str]) -> tuple[int, ...]:
        known = self.tokenizer.get_vocab()
        if absent := [name for name in names if name not in known]:
            raise DataError(f"{absent[0]!r} is no token of this language model.")
        return tuple(known[name] for name in names)

    def encode(self, text: str, *, begin: bool = True) -> list[int]:
        """The tokens of a text in which special tokens count as such."""
        first = self.tokenizer.bos_token_id
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return [int(first), *ids] if begin and first is not None else ids

    def encode_answer(self, before: str, text: str, longest: int | None = None) -> list[int]:
        """The tokens of an answer behind its prompt, then the visual tokens, which stand alone.

        Tokenizers differ in what becomes of a space at the beginning of a text, so prompt and
        answer are encoded together.

        Args:
            before: the prompt.
            text: the expressive instruction.
            longest: tokens that it may have; the visual tokens are always whole.
        """
        prompted = self.encode(before)
        both = self.encode(f"{before} {text}")
        if both[: len(prompted)] != prompted:
            both = [*prompted, *self.encode(text, begin=False)]
        told = both[len(prompted) :]
        return [*told[: None if longest is None else max(0, longest)], *self.visual]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of tokens, special ones included."""
        return str(self.tokenizer.decode(list(ids), clean_up_tokenization_spaces=False))

    def harmless(self, text: str) -> str:
        """A user's text without anything that this tokenizer takes for a special token."""
        special = {*self.tokenizer.get_added_vocab(), *self.tokenizer.all_special_tokens}
        before = ""
        while before != text:  # what is left may be one again
            before = text
            for name in sorted(special, key=len, reverse=True):
                text = text.replace(name, " ")
        return " ".join(text.split())

    def prompt(self, instruction: str, *, sees: bool, asked: Asked = "what") -> str:
        """The prompt; whatever the user writes, special tokens are ours alone.

        Raises:
            ImgeditError: the instruction is empty.
        """
        plain = self.harmless(instruction)
        if not plain:
            raise ImgeditError("The instruction is empty.", hint="Say what to change.")
        return prompt(plain, self.picture_text if sees else "", asked)
