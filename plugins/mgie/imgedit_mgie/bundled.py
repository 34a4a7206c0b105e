"""Editing with a bundle: the family's composition on numpy, without torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from imgedit_exporters.runtime.decoding import Rules, Written, decoder_of, write
from imgedit_exporters.runtime.painting import Guidance, Noise, denoised
from imgedit_exporters.runtime.schedulers import scheduler
from imgedit_exporters.runtime.sessions import Bundle
from imgedit_exporters.runtime.tokens import Tokenizer
from imgedit_mgie.expressive import clean
from imgedit_mgie.folders import Language
from imgedit_mgie.tokens import Tokens
from imgedit_modelkit.pixels import normalised
from imgedit_modelkit.regions.resampling import Map
from imgedit_plugins.errors import ImgeditError
from imgedit_plugins.pictures import RGB8

TOKENIZER = "tokenizer/tokenizer.json"
GOLDEN_LATENTS, GOLDEN_STEPS, GOLDEN_TOKENS = 16, 4, 24
"""Sizes of golden edits: the shorter side, in latents; steps; tokens at most."""

REPEATED = 3
"""No sequence of so many tokens is written twice."""

Floats = NDArray[np.float32]


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


class BundledModel:
    """MGIE or LGIE, of a bundle.

    Args:
        bundle: that `export mgie` made.

    Raises:
        WeightsError: the bundle is another plugin's, or lacks a part.
    """

    def __init__(self, bundle: Bundle) -> None:
        bundle.check_plugin("mgie")
        self.bundle, settings = bundle, bundle.settings
        language = msgspec.convert(settings["language"], Language)
        tokenizer = Tokenizer(bundle.folder / TOKENIZER, settings["special"])
        self.tokens = Tokens(language, tokenizer, int(settings["patches"]))
        self.longest = int(settings["longest"])
        self.sees: bool = settings["sees"]
        self.factor, self.multiple = int(settings["factor"]), int(settings["multiple"])

    # --- the language model -------------------------------------------------------------------

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
    ) -> Derived:
        """Write the expressive instruction, greedily."""
        ids = self._prompt(instruction, longest)[1]
        rules = Rules(
            self.tokens.end,
            longest=longest,
            ngram=REPEATED,
            complete=self._is_complete,
            on_token=on_token,
        )
        embeds = self.embed(ids, self.look(picture))
        written = write(decoder_of(self.bundle), embeds, rules, embed=self.embed, prompt=ids)
        states, complete = self._predicted(written)
        return Derived(written.tokens, clean(self.tokens.decode(written.tokens)), states, complete)

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

    def conditioning(self, states: Floats) -> tuple[Floats, Floats]:
        """What the UNet attends to, and what stands for no instruction."""
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

    def _predicted(self, written: Written) -> tuple[Floats, bool]:
        """The states that predict the visual tokens, and whether the model wrote them.

        Where it never did, or stopped on the way, the last but one of all that are there.
        """
        count, rows, first = len(self.tokens.visual), len(written.states), self.tokens.visual[0]
        begin, complete = rows - count - 1, False
        if first in written.tokens:
            place = rows - len(written.tokens) + written.tokens.index(first)
            complete = place + count <= rows
            begin = place if complete else begin
        return written.states[begin : begin + count], complete

    # --- the diffusion model ------------------------------------------------------------------

    def latents(self, pixels: Map) -> Floats:
        """(channels, height, width) of a picture in 0..1, not scaled."""
        given = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)
        return np.asarray(self.bundle.run("vae_encoder", [given])[0][0], np.float32)

    def paint(
        self,
        pixels: Map,
        conditioning: tuple[Floats, Floats],
        *,
        guidance: Guidance,
        steps: int,
        noise: Noise | int,
        name: str = "",
        on_step: Callable[[int], None] = lambda _: None,
    ) -> Map:
        """A picture, edited.

        Args:
            pixels: (height, width, 3) in 0..1.
            conditioning: as `conditioning` makes it.
            guidance: towards the instruction and the picture.
            steps: of the scheduler.
            noise: all of it, or a seed.
            name: of another scheduler than the model's.
            on_step: told the number of each step before it; what it raises ends the work.
        """
        seen = self.latents(pixels)
        noise = Noise.seeded(noise, seen.shape) if isinstance(noise, int) else noise
        made = denoised(
            lambda latents, time, attended: self.bundle.run("unet", [latents, time, attended])[0],
            scheduler(self.bundle.settings["scheduler"], steps, name),
            seen=seen,
            text=conditioning[0],
            null=conditioning[1],
            guidance=guidance,
            noise=noise,
            on_step=on_step,
        )
        return self._decoded(made)

    def rebuild(self, pixels: Map) -> Map:
        """What the VAE makes of a picture when nothing is edited."""
        scaling = float(self.bundle.settings["scaling"])
        return self._decoded(self.latents(pixels) * np.float32(scaling))

    def _decoded(self, latents: Floats) -> Map:
        (pictures,) = self.bundle.run("vae_decoder", [latents[None]])
        return np.ascontiguousarray(pictures[0].transpose(1, 2, 0), np.float32)


def _square(picture: RGB8, mean: Sequence[float]) -> RGB8:
    """A picture padded to a square with CLIP's mean colour."""
    height, width = picture.shape[:2]
    side = max(height, width)
    square = np.empty((side, side, 3), np.uint8)
    square[:] = np.rint(np.array(mean) * 255).astype(np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = picture
    return square
