"""Editing with a bundle: the family's composition on numpy, without torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from imgedit_exporters.runtime.decoding import Rules, decoder_of, write
from imgedit_exporters.runtime.sessions import Bundle
from imgedit_exporters.runtime.tokens import Tokenizer
from imgedit_mgie.expressive import clean
from imgedit_mgie.folders import Language
from imgedit_mgie.requirements import NAME
from imgedit_mgie.tokens import Tokens
from imgedit_modelkit.bundled_diffusion import BundledDiffusion, BundledText, Floats, Guided
from imgedit_modelkit.pixels import normalised
from imgedit_plugins.errors import ImgeditError
from imgedit_plugins.pictures import RGB8

TOKENIZER = "tokenizer/tokenizer.json"
GOLDEN_TOKENS = 24
"""Of golden edits, at most."""

REPEATED = 3
"""No sequence of so many tokens is written twice."""


@dataclass(frozen=True)
class Derived:
    """What the language model made of an instruction.

    Attributes:
        tokens: that it wrote.
        expressive: the expressive instruction, cleaned; empty where it wrote none.
        states: (visual tokens, width): hidden states for the edit head.
        complete: whether the model wrote the visual tokens itself.
    """

    tokens: tuple[int, ...]
    expressive: str
    states: Floats
    complete: bool


class BundledModel(BundledDiffusion):
    """A model of the family, of a bundle.

    Args:
        bundle: that `export mgie` made.

    Attributes:
        writes: whether it has a language model; what the methods before `conditioning` need.
        sees: whether that sees the picture.
        text: CLIP's text encoder, where it and not the edit head guides the UNet.

    Raises:
        WeightsError: the bundle is another plugin's, or lacks a file.
    """

    def __init__(self, bundle: Bundle) -> None:
        bundle.check_plugin(NAME)
        super().__init__(bundle)
        settings = bundle.settings
        self.text = BundledText(bundle) if "text" in settings else None
        self.writes, self.sees = "language" in settings, bool(settings.get("sees"))
        if self.writes:
            language = msgspec.convert(settings["language"], Language)
            tokenizer = Tokenizer(bundle.folder / TOKENIZER, settings["special"])
            self.tokens = Tokens(language, tokenizer, int(settings["patches"]))
            self.longest = int(settings["longest"])

    def pixels(self, picture: RGB8) -> Floats:
        """(1, 3, size, size): a picture as the tower wants it, whole."""
        given = self.bundle.settings["pixels"]
        square = _square(picture, given["mean"])
        return normalised(square, given["size"], given["mean"], given["deviation"])[None]

    def look(self, picture: RGB8) -> Floats | None:
        """Picture tokens, (patches, width); None where it does not see."""
        if not self.sees:
            return None
        (seen,) = self.bundle.remembered("tower", [self.pixels(picture)])
        (projected,) = self.bundle.remembered("projector", [seen])
        return np.asarray(projected[0], np.float32)

    def embed(self, ids: Sequence[int], seen: Floats | None = None) -> Floats:
        """Input embeddings, (tokens, width), the picture in place of its patch tokens."""
        (embeds,) = self.bundle.run("embeddings", [np.array([ids], np.int64)])
        made = np.asarray(embeds[0], np.float32)
        if seen is not None:
            places = np.array(ids) == self.tokens.patch
            if places.sum() != len(seen):
                raise ImgeditError(
                    f"A picture has {len(seen)} patches, and the prompt {places.sum()}."
                )
            made[places] = seen
        return made

    def derive(
        self,
        picture: RGB8,
        instruction: str,
        *,
        longest: int = 96,
        on_token: Callable[[int], None] = lambda _: None,
        on_text: Callable[[str], None] = lambda _: None,
    ) -> Derived:
        """Write the expressive instruction, greedily; see `Writer.derive`."""
        ids = self._prompt(instruction, longest)[1]
        rules = Rules(
            self.tokens.end,
            longest=longest,
            ngram=REPEATED,
            complete=self._is_complete,
            on_token=on_token,
            decode=self.tokens.decode,
            on_text=on_text,
        )
        embeds = self.embed(ids, self.look(picture))
        written = write(decoder_of(self.bundle), embeds, rules, embed=self.embed, prompt=ids)
        return self._derived(written.tokens, written.states)

    def as_written(self, picture: RGB8, instruction: str, tokens: Sequence[int]) -> Derived:
        """What tokens come to that the model might have written."""
        ids = self._prompt(instruction, len(tokens))[1]
        embeds = self.embed([*ids, *tokens[:-1]], self.look(picture))
        return self._derived(tokens, decoder_of(self.bundle)(embeds).states)

    def reread(self, picture: RGB8, instruction: str, expressive: str) -> Derived:
        """What a given expressive instruction comes to, as if the model had written it."""
        plain = self.tokens.harmless(expressive)
        text, _ = self._prompt(instruction, 0)
        told = self.tokens.encode_answer(text, plain)
        _, ids = self._prompt(instruction, len(told))
        read = decoder_of(self.bundle)(self.embed([*ids, *told], self.look(picture)))
        begin = len(ids) + len(told) - len(self.tokens.visual) - 1
        states = read.states[begin : begin + len(self.tokens.visual)]
        return Derived(tuple(told), plain, states, complete=True)

    def conditioning(self, states: Floats) -> Guided:
        """What the UNet attends to, by the edit head, and what stands for no instruction."""
        (attended,) = self.bundle.run("edit_head", [states[None]])
        (null,) = self.bundle.run("edit_head", [np.zeros_like(states)[None]])
        return attended[0], null[0]

    def _prompt(self, instruction: str, room: int) -> tuple[str, list[int]]:
        settings = self.bundle.settings
        text = self.tokens.prompt(instruction, sees=self.sees, asked=settings["asked"])
        ids = self.tokens.encode(text)
        if len(ids) + room > self.longest:
            raise ImgeditError(
                f"The instruction is too long: with the picture it has {len(ids)} tokens, and the "
                f"model reads {self.longest}, of which {room} are for its answer.",
                hint="Shorten it.",
            )
        return text, ids

    def _is_complete(self, written: Sequence[int]) -> bool:
        count, first = len(self.tokens.visual), self.tokens.visual[0]
        return len(written) >= count and first in written[: len(written) - count + 1]

    def _derived(self, tokens: Sequence[int], states: Floats) -> Derived:
        """What was written comes to: above all the states that predict the visual tokens.

        Where it never wrote them, or stopped on the way, the last but one of all that are there.

        Args:
            tokens: that were written.
            states: (prompt + tokens - 1, width).
        """
        count, rows, first = len(self.tokens.visual), len(states), self.tokens.visual[0]
        begin, complete = rows - count - 1, False
        if first in tokens:
            place = rows - len(tokens) + tokens.index(first)
            complete = place + count <= rows
            begin = place if complete else begin
        expressive = clean(self.tokens.decode(tokens))
        return Derived(tuple(tokens), expressive, states[begin : begin + count], complete)


def plain(instruction: str) -> str:
    """An instruction as CLIP reads it where no expressive one was written."""
    return " ".join(instruction.split())


def _square(picture: RGB8, mean: Sequence[float]) -> RGB8:
    """A picture padded to a square with CLIP's mean colour."""
    height, width = picture.shape[:2]
    side = max(height, width)
    square = np.empty((side, side, 3), np.uint8)
    square[:] = np.rint(np.array(mean) * 255).astype(np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = picture
    return square
