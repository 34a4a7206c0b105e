"""Tokenizers without transformers: the few methods of its tokenizers that compositions need."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from imgedit_plugins.errors import WeightsError

FILE = "tokenizer.json"


class Tokenizer:
    """A ``tokenizer.json`` with the names of its special tokens.

    Args:
        path: of the file.
        special: all special tokens, by what they are for ('bos', 'eos', 'pad', 'unk'); what is
            special beside these is in the file.

    Raises:
        WeightsError: the file is missing or holds no tokenizer, or a token is none of its.
    """

    def __init__(self, path: Path, special: dict[str, str | None]) -> None:
        from tokenizers import Tokenizer as Kind

        if not path.is_file():
            raise WeightsError(f"{path} is missing.", path=path)
        kind: Any = Kind
        try:
            self._made = kind.from_file(str(path))
        except Exception as error:  # tokenizers raises nothing narrower
            raise WeightsError(f"{path} holds no tokenizer: {error}", path=path) from error
        self._made.no_padding()
        self._made.no_truncation()
        self.special = special
        known = self.get_vocab()
        for token in special.values():
            if token is not None and token not in known:
                raise WeightsError(f"{path} has no token {token!r}.", path=path)

    @property
    def bos_token_id(self) -> int | None:
        """The token that begins a text."""
        return self._id("bos")

    @property
    def eos_token_id(self) -> int | None:
        """The token that ends a text."""
        return self._id("eos")

    @property
    def all_special_tokens(self) -> list[str]:
        """All that have a purpose of their own."""
        named = [token for token in self.special.values() if token is not None]
        added = self._made.get_added_tokens_decoder().values()
        return list(dict.fromkeys([*named, *(one.content for one in added if one.special)]))

    def get_vocab(self) -> dict[str, int]:
        """Every token with its number."""
        return dict(self._made.get_vocab(with_added_tokens=True))

    def get_added_vocab(self) -> dict[str, int]:
        """The tokens that were added to a trained tokenizer."""
        added = self._made.get_added_tokens_decoder().items()
        return {token.content: number for number, token in added}

    def encode(self, text: str, *, add_special_tokens: bool = False) -> list[int]:
        """The tokens of a text in which special tokens count as such."""
        return list(self._made.encode(text, add_special_tokens=add_special_tokens).ids)

    def decode(
        self,
        ids: Sequence[int],
        *,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool = False,
    ) -> str:
        """The text of tokens; spaces stay as they are.

        Raises:
            ValueError: `clean_up_tokenization_spaces`, which nobody needs, was asked for.
        """
        if clean_up_tokenization_spaces:
            raise ValueError("spaces stay as they are")
        return str(self._made.decode(list(ids), skip_special_tokens=skip_special_tokens))

    def _id(self, purpose: str) -> int | None:
        token = self.special.get(purpose)
        return None if token is None else self.get_vocab()[token]


def described(tokenizer: Any) -> tuple[bytes, dict[str, str | None]]:
    """What `Tokenizer` needs of one of transformers' fast tokenizers: its file, its special tokens.

    Raises:
        WeightsError: it is none that `tokenizers` can run.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise WeightsError(
            f"{type(tokenizer).__name__} has no {FILE}, which is run without transformers.",
            hint="Load it with use_fast and save it again.",
        )
    special = {name: getattr(tokenizer, f"{name}_token", None) for name in ("bos", "eos", "unk")}
    return str(backend.to_str()).encode(), special
