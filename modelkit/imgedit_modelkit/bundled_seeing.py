"""A vision-language model of a bundle that reads a picture with words; no torch here.

`picture_features.PictureReader` is the original, and `export_seeing` declares it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from imgedit_exporters.runtime.decoding import decoder_of
from imgedit_exporters.runtime.sessions import Bundle
from imgedit_exporters.runtime.tokens import Tokenizer
from imgedit_modelkit.pixels import processed
from imgedit_plugins.errors import ImgeditError
from imgedit_plugins.pictures import RGB8

TOKENIZER = "tokenizer/tokenizer.json"

Floats = NDArray[np.float32]


class BundledReader:
    """A vision-language model that reads, of a bundle.

    Args:
        bundle: with the parts, the settings 'reader' and the file that `export_seeing` declares.

    Attributes:
        sees: whether it sees the picture.

    Raises:
        WeightsError: the tokenizer's file is missing.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle, self._settings = bundle, bundle.settings["reader"]
        self._tokenizer = Tokenizer(bundle.folder / TOKENIZER, self._settings["special"])
        self.sees: bool = self._settings["sees"]

    def pixels(self, picture: RGB8) -> Floats:
        """(3, height, width): a picture as the tower wants it."""
        return processed(picture, self._settings["pixels"])

    def look(self, picture: RGB8) -> Floats:
        """Picture tokens, (patches, width)."""
        (seen,) = self._bundle.remembered("tower", [self.pixels(picture)[None]])
        (projected,) = self._bundle.remembered("projector", [seen])
        return np.asarray(projected[0], np.float32)

    def ids(self, text: str) -> list[int]:
        """The tokens of the prompt around what the user says."""
        settings = self._settings
        prompt = f"{settings['before']}{text}{settings['after']}"
        if self.sees:
            mark = settings["mark"]
            prompt = prompt.replace(mark, mark * int(settings["patches"]))
        return self._tokenizer.encode(prompt, add_special_tokens=True)

    def read(self, picture: RGB8, text: str) -> Floats:
        """Hidden states over the tokens of the prompt: (tokens, width).

        Args:
            picture: (height, width, 3); it is looked at where the model sees.
            text: what the user says.

        Raises:
            ImgeditError: the text has a token for pictures in it.
        """
        ids = self.ids(text)
        if not self.sees:
            return self._states(self._embed(ids))
        embeds, seen = self._embed(ids), self.look(picture)
        places = np.array(ids) == int(self._settings["patch"])
        if places.sum() != len(seen):
            raise ImgeditError(
                f"A picture has {len(seen)} patches, and the prompt {places.sum()}.",
                hint=f"Leave {self._settings['mark']!r} out of the instruction.",
            )
        embeds[places] = seen
        states = self._states(embeds)
        return states if self._settings["tokens"] == "all" else states[~places]

    def _states(self, embeds: Floats) -> Floats:
        return np.asarray(decoder_of(self._bundle)(embeds).states, np.float32)

    def _embed(self, ids: Sequence[int]) -> Floats:
        (embeds,) = self._bundle.run("embeddings", [np.array([ids], np.int64)])
        return np.array(embeds[0], np.float32)
