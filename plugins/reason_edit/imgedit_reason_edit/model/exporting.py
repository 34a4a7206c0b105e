"""`export_parts`: the parts of each kind of trained model, and golden edits by the originals."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from imgedit_modelkit.diffusion.editor import PictureEditor
from imgedit_modelkit.diffusion.text_reader import TextReader
from imgedit_modelkit.export_diffusion import (
    diffusion_parts,
    diffusion_settings,
    golden_edits,
    guided_by_text,
    loaded_editor,
    text_part,
    text_settings,
)
from imgedit_modelkit.export_parts import FEW_MATRICES, sources
from imgedit_modelkit.export_seeing import golden_reading, seeing_parts, seeing_settings
from imgedit_modelkit.picture_features import PictureReader, Reading
from imgedit_plugins.exporting import ExportReport, Part
from imgedit_plugins.requests import Options
from imgedit_reason_edit.model import bundled, folders
from imgedit_reason_edit.model.folders import model_folder, read_config, with_bases
from imgedit_reason_edit.model.projection import Projection, load_projection
from imgedit_reason_edit.model.setting import Setting, setting_of

if TYPE_CHECKING:
    from imgedit_modelkit.diffusion.conditioning import Conditioning
    from imgedit_modelkit.export_parts import Arrays
    from imgedit_plugins.jobs import Job
    from imgedit_plugins.pictures import RGB8
    from imgedit_plugins.requests import ExportRequest
    from imgedit_reason_edit.model.folders import Encoder


def export_parts(request: ExportRequest, job: Job) -> ExportReport:
    """Declare a trained model.

    Args:
        request: its `model` is '' for what the folder holds, or a kind: an imported folder that
            nobody has trained can be any.
        job: progress, warnings.

    Raises:
        WeightsError, DataError: there is no model, or a part of it is missing.
        OptionError: the folder holds another kind, or a model that cannot be exported.
    """
    given = str(request.options.get("weights", ""))
    asked: Options = {
        "model": request.model or read_config(model_folder(given)).model,
        "weights": given,
    }
    setting = setting_of(asked, job)
    job.report("loading the model")
    guide = _Words(setting) if setting.encoder is None else _Reasoning(setting, setting.encoder)
    editor = _editor(setting)
    return ExportReport(
        model=setting.kind,
        parts=(*guide.parts, *diffusion_parts(editor)),
        settings={
            "trained": read_config(setting.folder).trained,
            **guide.settings,
            **diffusion_settings(editor),
        },
        files=guide.files,
        lineage=sources(
            part for folder in with_bases(setting.folder) for part in read_config(folder).lineage
        ),
        golden=lambda golden_job: golden_edits(editor, guide, golden_job),
    )


def _editor(setting: Setting) -> PictureEditor:
    names = (folders.UNET, folders.VAE, folders.SCHEDULER)
    return loaded_editor(*(setting.part(name) for name in names))


# --- what guides the UNet ---------------------------------------------------------------------


class _Words:
    """CLIP's text encoder reads the instruction."""

    def __init__(self, setting: Setting) -> None:
        names = (folders.TEXT_ENCODER, folders.TOKENIZER)
        encoder, tokenizer = (setting.part(name) for name in names)
        self._reader = TextReader.load(encoder, tokenizer, torch.float32)
        text, self.files = text_settings(self._reader)
        self.settings: dict[str, Any] = {"text": text}
        self.parts: tuple[Part, ...] = (text_part(self._reader),)

    def __call__(self, picture: RGB8, instruction: str) -> tuple[Conditioning, Arrays]:  # noqa: ARG002
        return guided_by_text(self._reader, bundled.plain(instruction))


class _Reasoning:
    """The language model reads it, with the picture where the kind is so, and a projection."""

    def __init__(self, setting: Setting, encoder: Encoder) -> None:
        self._sees, self._encoder = setting.sees, encoder
        reading = Reading(encoder.layer, encoder.tokens)
        self._reader = PictureReader.load(setting.part(folders.MLLM), torch.float32, reading)
        self._projection = load_projection(setting.part(folders.PROJECTION))
        reader, self.files = seeing_settings(self._reader, sees=self._sees)
        self.files[bundled.NULL] = _written(self._projection.null)
        self.settings: dict[str, Any] = {
            "encoder": msgspec.to_builtins(encoder),
            "reader": reader,
        }
        self.parts: tuple[Part, ...] = (
            *seeing_parts(self._reader, sees=self._sees),
            _projection_part(self._projection),
        )

    @torch.no_grad()
    def __call__(self, picture: RGB8, instruction: str) -> tuple[Conditioning, Arrays]:
        seen, told = picture if self._sees else None, self._encoder.told(instruction)
        conditioning: Conditioning = self._projection(self._reader.read(seen, told)[None])
        return conditioning, golden_reading(self._reader, seen, told)


class _Learnt(nn.Module):
    """The projection without the vector for no instruction, which hangs on nothing."""

    def __init__(self, projection: Projection) -> None:
        super().__init__()
        self.norm, self.linear = projection.norm, projection.linear

    def forward(self, states: Tensor) -> Tensor:
        """What the UNet attends to."""
        return torch.as_tensor(self.linear(self.norm(states)))


def _projection_part(projection: Projection) -> Part:
    width = int(projection.linear.in_features)

    def draw(rng: np.random.Generator) -> Arrays:
        shape = (1, int(rng.integers(1, 9)), width)
        return {"states": rng.standard_normal(shape, np.float32) * np.float32(rng.uniform(0.5, 2))}

    return Part(
        name="projection", role="projection", module=_Learnt(projection), draw=draw,
        outputs=("attended",), example={"states": np.zeros((1, 4, width), np.float32)},
        dynamic={"states": {1: "tokens"}}, limits=FEW_MATRICES,
    )  # fmt: skip


def _written(array: Tensor) -> bytes:
    """An array as a file of NumPy's."""
    file = io.BytesIO()
    np.save(file, array.detach().numpy(), allow_pickle=False)
    return file.getvalue()
