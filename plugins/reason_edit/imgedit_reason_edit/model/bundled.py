"""Editing with a bundle: the composition of each kind on numpy, without torch."""

from __future__ import annotations

import msgspec
import numpy as np

from imgedit_exporters.runtime.sessions import Bundle
from imgedit_modelkit.bundled_diffusion import BundledDiffusion, BundledText, Floats, Guided
from imgedit_modelkit.bundled_seeing import BundledReader
from imgedit_plugins.errors import WeightsError
from imgedit_plugins.pictures import RGB8
from imgedit_reason_edit.model.folders import Encoder
from imgedit_reason_edit.requirements import NAME

NULL = "projection/null.npy"
"""The vector that stands for no instruction, (1, width)."""


class BundledModel(BundledDiffusion):
    """A trained model, of a bundle.

    Args:
        bundle: that `export reason_edit` made.

    Attributes:
        kind: what guides the diffusion model.
        reader: the language model; None for 'clip'.
        text: CLIP's text encoder, for 'clip'.

    Raises:
        WeightsError: the bundle is another plugin's, or lacks a file.
    """

    def __init__(self, bundle: Bundle) -> None:
        bundle.check_plugin(NAME)
        super().__init__(bundle)
        settings = bundle.settings
        self.kind = bundle.document.model
        self.trained: bool = settings["trained"]
        self.text = BundledText(bundle) if "text" in settings else None
        self.reader = None
        if "reader" in settings:
            self.reader = BundledReader(bundle)
            self._encoder = msgspec.convert(settings["encoder"], Encoder)
            self._null = _null(bundle)

    def conditioning(self, seen: RGB8, instruction: str) -> Guided:
        """What guides the edit of a picture (eq. 8 and the projection), and what stands for none.

        Args:
            seen: (height, width, 3), what the diffusion model gets.
            instruction: as the user says it.
        """
        told = self.told(instruction)
        if self.reader is None:
            assert self.text is not None
            return self.text.conditioning(told)
        states = self.reader.read(seen, told)
        attended = np.asarray(self.bundle.run("projection", [states[None]])[0][0], np.float32)
        # Attending to the same vector many times is attending to it once.
        return attended, np.broadcast_to(self._null, attended.shape)

    def told(self, instruction: str) -> str:
        """What is read: the instruction, or the prompt with it."""
        return plain(instruction) if self.reader is None else self._encoder.told(instruction)

    def ids(self, instruction: str) -> list[int]:
        """The tokens of that."""
        told = self.told(instruction)
        if self.reader is not None:
            return self.reader.ids(told)
        assert self.text is not None
        return self.text.ids(told)


def plain(instruction: str) -> str:
    """An instruction as CLIP reads it."""
    return " ".join(instruction.split())


def _null(bundle: Bundle) -> Floats:
    path = bundle.folder / NULL
    try:
        return np.asarray(np.load(path, allow_pickle=False), np.float32)
    except (OSError, ValueError, EOFError) as error:
        raise WeightsError(f"{path} cannot be read: {error}.", path=path) from error
