"""Text out of tokens while they are written: whole characters, up to what stops it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Decode = Callable[[Sequence[int]], str]

_BROKEN = "\ufffd"
"""What tokenizers put for bytes that are no character, or not yet."""


class Text:
    """The text of tokens that come one after another.

    Args:
        decode: the text of tokens.
        stops: where the text holds one of these it is over, and ends before it.
        on_text: told the text piece by piece. A character is held back until all its bytes are
            there, and what may be the beginning of a stop string until it is not.
    """

    def __init__(
        self,
        decode: Decode,
        stops: Sequence[str] = (),
        on_text: Callable[[str], None] = lambda _: None,
    ) -> None:
        if not all(stops):
            raise ValueError("an empty string stops every text")
        self._decode, self._stops, self._on_text = decode, tuple(stops), on_text
        self._text, self._told = "", ""

    def read(self, tokens: Sequence[int]) -> bool:
        """Read all tokens that there are.

        Returns:
            Whether one of the strings stops the text.
        """
        text = self._decode(tokens)
        found = [text.index(stop) for stop in self._stops if stop in text]
        self._text = text[: min(found)] if found else text
        self._tell(self._text if found else self._text[: self._settled(text)])
        return bool(found)

    def end(self) -> str:
        """Tell what was held back.

        Returns:
            The whole text.
        """
        self._text = self._text.rstrip(_BROKEN)
        self._tell(self._text)
        return self._text

    def _settled(self, text: str) -> int:
        """How much of a text stays as it is, whatever follows."""
        whole = text.rstrip(_BROKEN)
        for begin in range(max(0, len(whole) - max(map(len, self._stops), default=0)), len(whole)):
            if any(stop.startswith(whole[begin:]) for stop in self._stops):
                return begin
        return len(whole)

    def _tell(self, text: str) -> None:
        # Where bytes of a character follow, some tokenizers take back the one before for a while.
        if len(text) > len(self._told) and text.startswith(self._told):
            self._on_text(text[len(self._told) :])
            self._told = text
