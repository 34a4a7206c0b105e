"""Loaded models: kept between edits, put where they have their turn."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import torch

from imgedit_mgie import folders
from imgedit_mgie.folders import Config, read_config
from imgedit_mgie.loading import load_head, load_llava
from imgedit_mgie.pipelines import PipelinePainter
from imgedit_mgie.setting import Setting, painter_part
from imgedit_mgie.writer import Writer
from imgedit_modelkit.diffusion.editor import PictureEditor
from imgedit_modelkit.diffusion.edits import load_editor
from imgedit_modelkit.diffusion.places import Place
from imgedit_modelkit.diffusion.text_reader import TextReader


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

    def writer(self) -> Writer:
        """The language model, on its device."""
        assert self.setting.writer is not None
        if self._one_at_a_time:
            _editor.cache_clear()
            _pipeline.cache_clear()
        setting = self.setting
        writer = _writer(
            setting.writer, _stamp(setting.writer), setting.guided, setting.sees, self.place
        )
        if self.place.offload != "layers":
            writer.to(self.place.device)
        return writer

    def rest(self) -> None:
        """The language model has had its turn."""
        if self.setting.writer is None or self.place.offload == "none":
            return
        if self._one_at_a_time:
            _writer.cache_clear()
        elif self.place.offload == "stages":
            self.writer().to("cpu")

    def editor(self) -> PictureEditor:
        """The diffusion model of the family."""
        if self._one_at_a_time:
            _writer.cache_clear()
        return _editor(self.setting.painter, _stamp(self.setting.painter), self.place)

    def text_reader(self) -> TextReader:
        """CLIP's text encoder, on the device."""
        folder = self.setting.painter
        names = (folders.TEXT_ENCODER, folders.TOKENIZER)
        encoder, tokenizer = (painter_part(folder, name) for name in names)
        return TextReader.load(encoder, tokenizer, self.place.dtype).to(self.place.device)

    def pipeline(self) -> PipelinePainter:
        """Another painter, by name."""
        if self._one_at_a_time:
            _writer.cache_clear()
        return _pipeline(self.setting.pipeline, self.setting.painter, self.place)


def release() -> None:
    """Let go of all models."""
    for cached in (_writer, _editor, _pipeline):
        cached.cache_clear()


def _stamp(folder: Path | None) -> int:
    """Changes when a model folder was written anew."""
    file = folder / folders.FILE if folder else None
    return file.stat().st_mtime_ns if file and file.is_file() else 0


@functools.lru_cache(maxsize=1)
def _writer(
    folder: Path,
    stamp: int,  # noqa: ARG001
    guided: bool,
    sees: bool,
    place: Place,
) -> Writer:
    config: Config = read_config(folder)
    llava = load_llava(folder, place.dtype)
    head, visual = load_head(folder, place.dtype) if guided else (None, None)
    writer = Writer(llava, head, visual, sees=sees, asked=config.prompt).eval()
    if place.offload == "layers":
        _layers_take_turns(writer, place.device)
    return writer


def _layers_take_turns(writer: Writer, device: torch.device) -> None:
    """Each layer of the language model is on the device while it works; all else stays there."""
    from accelerate import cpu_offload

    offload: Any = cpu_offload
    decoder = writer.llava.language_model.get_decoder()
    layers = decoder.layers
    decoder.layers = torch.nn.ModuleList()
    writer.to(device)
    decoder.layers = layers
    for layer in layers:
        offload(layer, execution_device=device)


@functools.lru_cache(maxsize=1)
def _editor(folder: Path, stamp: int, place: Place) -> PictureEditor:  # noqa: ARG001
    names = (folders.UNET, folders.VAE, folders.SCHEDULER)
    unet, vae, scheduler = (painter_part(folder, name) for name in names)
    return load_editor(unet, vae, scheduler, place)


@functools.lru_cache(maxsize=1)
def _pipeline(name: str, folder: Path, place: Place) -> PipelinePainter:
    return PipelinePainter.load(
        name, folder, dtype=place.dtype, device=place.device, offload=place.offload
    )
