"""Loaded models: kept between edits, put where they have their turn."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from imgedit_modelkit.diffusion.edits import load_editor
from imgedit_modelkit.diffusion.text_reader import TextReader
from imgedit_modelkit.picture_features import PictureReader, Reading
from imgedit_reason_edit.model import folders
from imgedit_reason_edit.model.projection import load_projection

if TYPE_CHECKING:
    from imgedit_modelkit.diffusion.conditioning import Conditioning
    from imgedit_modelkit.diffusion.editor import PictureEditor
    from imgedit_modelkit.diffusion.places import Place
    from imgedit_plugins.pictures import RGB8
    from imgedit_reason_edit.model.setting import Setting


class Models:
    """The models of one setting in one place; loaded when they are needed.

    With `offload` 'stages' or 'layers' on the CPU, where there is nowhere to wait, one is let go
    before the other is loaded.
    """

    def __init__(self, setting: Setting, place: Place) -> None:
        self.setting, self.place = setting, place

    @property
    def _one_at_a_time(self) -> bool:
        return self.place.offload != "none" and self.place.device.type == "cpu"

    def conditioning(self, seen: RGB8, instruction: str) -> Conditioning:
        """What guides the edit of a picture (eq. 8 and the projection).

        Args:
            seen: (height, width, 3), what the diffusion model gets.
            instruction: as the user says it.
        """
        setting = self.setting
        if setting.encoder is None:
            return self._text_reader().conditioning([" ".join(instruction.split())])
        if self._one_at_a_time:
            _editor.cache_clear()
        reader = self._reader()
        told = setting.encoder.told(instruction)
        states = reader.read(seen if setting.sees else None, told)
        projection = load_projection(setting.part(folders.PROJECTION)).to(states.device)
        found: Conditioning = projection(states[None])
        return found

    def rest(self) -> None:
        """The language model has had its turn."""
        if self.setting.encoder is None or self.place.offload == "none":
            return
        if self._one_at_a_time:
            _reader.cache_clear()
        elif self.place.offload == "stages":
            self._reader().to("cpu")

    def editor(self) -> PictureEditor:
        """The diffusion model."""
        if self._one_at_a_time:
            _reader.cache_clear()
        names = (folders.UNET, folders.VAE, folders.SCHEDULER)
        places = [self.setting.part(name) for name in names]
        return _editor((places[0], places[1], places[2]), self._stamp, self.place)

    def _reader(self) -> PictureReader:
        encoder = self.setting.encoder
        assert encoder is not None
        reading = Reading(encoder.layer, encoder.tokens)
        reader = _reader(self.setting.part(folders.MLLM), self._stamp, reading, self.place)
        if self.place.offload != "layers":
            reader.to(self.place.device)
        return reader

    def _text_reader(self) -> TextReader:
        places = [self.setting.part(name) for name in (folders.TEXT_ENCODER, folders.TOKENIZER)]
        return TextReader.load(places[0], places[1], self.place.dtype).to(self.place.device)

    @property
    def _stamp(self) -> int:
        """Changes when the model folder was written anew."""
        return (self.setting.folder / folders.FILE).stat().st_mtime_ns


def release() -> None:
    """Let go of all models."""
    for cached in (_reader, _editor):
        cached.cache_clear()


@functools.lru_cache(maxsize=1)
def _reader(
    folder: Path,
    stamp: int,  # noqa: ARG001
    reading: Reading,
    place: Place,
) -> PictureReader:
    reader = PictureReader.load(folder, place.dtype, reading)
    if place.offload == "layers":
        reader.offload(place.device)
    return reader


@functools.lru_cache(maxsize=1)
def _editor(
    places: tuple[Path, Path, Path],
    stamp: int,  # noqa: ARG001
    place: Place,
) -> PictureEditor:
    return load_editor(*places, place)
