"""`export_parts`: the parts of each model of the family, and golden edits by the originals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from imgedit_exporters.runtime.tokens import described
from imgedit_mgie import bundled, folders
from imgedit_mgie.expressive import clean
from imgedit_mgie.folders import model_folder, read_config, with_bases
from imgedit_mgie.llava import pixels_of
from imgedit_mgie.loading import load_head, load_llava
from imgedit_mgie.requirements import NAME
from imgedit_mgie.setting import Setting, painter_part, setting_of
from imgedit_mgie.writer import Writer
from imgedit_modelkit import configurations
from imgedit_modelkit.diffusion.conditioning import Conditioning
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
from imgedit_modelkit.export_parts import (
    Arrays,
    decoder_part,
    embeddings_part,
    linear_part,
    sources,
    tower_part,
)
from imgedit_modelkit.vision_towers import DEVIATION, MEAN
from imgedit_plugins.errors import OptionError
from imgedit_plugins.exporting import ExportReport, Part
from imgedit_plugins.jobs import Job
from imgedit_plugins.pictures import RGB8
from imgedit_plugins.requests import ExportRequest, Options

_ELSEWHERE = ("fz", "instructpix2pix")
"""Models whose diffusion model is not that of the folder."""


def export_parts(request: ExportRequest, job: Job) -> ExportReport | None:
    """Declare a model of the family.

    Args:
        request: its `model` is '' for what the folder holds, or the name of one, as the option
            'model' of `apply_edit` has it.
        job: progress.

    Raises:
        WeightsError, DataError: there is no model, or a part of it is missing.
        OptionError: the folder holds another model, or there is none of that name.
    """
    setting = _setting(request, job)
    job.report("loading the model")
    editor = _editor(setting)
    writer = None if setting.writer is None else _writer(setting, setting.writer)
    reader = None if setting.guided else _reader(setting)
    settings, files = diffusion_settings(editor), dict[str, bytes]()
    parts: list[Part] = []
    if writer is not None:
        language, files = _language(writer)
        settings |= language
        parts += _language_parts(writer)
    if reader is not None:
        settings["text"], text_files = text_settings(reader)
        files |= text_files
        parts.append(text_part(reader))
    return ExportReport(
        model=setting.model,
        parts=(*parts, *diffusion_parts(editor)),
        settings=settings,
        files=files,
        lineage=sources(_lineage(setting, job)),
        golden=lambda golden_job: golden_edits(
            editor, lambda seen, text: _guided(writer, reader, seen, text), golden_job
        ),
    )


def _setting(request: ExportRequest, job: Job) -> Setting:
    """Which model, and where it lies."""
    options = request.options
    given = str(options.get("weights", ""))
    if request.model not in ("", *_ELSEWHERE):
        folder = model_folder(given)
        found = read_config(folder).model
        if request.model != found:
            raise OptionError(f"The model in {folder} is {found!r}, not {request.model!r}.")
    asked: Options = {
        "model": request.model or "auto",
        "weights": given,
        "painter": "",
        "painter-weights": str(options.get("painter-weights", "")),
    }
    return setting_of(asked, job)


def _editor(setting: Setting) -> PictureEditor:
    names = (folders.UNET, folders.VAE, folders.SCHEDULER)
    return loaded_editor(*(painter_part(setting.painter, name) for name in names))


def _writer(setting: Setting, folder: Path) -> Writer:
    head, visual = load_head(folder) if setting.guided else (None, None)
    asked = read_config(folder).prompt
    return Writer(load_llava(folder), head, visual, sees=setting.sees, asked=asked).eval()


def _reader(setting: Setting) -> TextReader:
    names = (folders.TEXT_ENCODER, folders.TOKENIZER)
    places = [painter_part(setting.painter, name) for name in names]
    return TextReader.load(places[0], places[1], torch.float32)


def _lineage(setting: Setting, job: Job) -> Iterator[configurations.Part]:
    """What a model and those that it was trained from were made of."""
    for folder in dict.fromkeys((setting.writer, setting.painter)):
        if folder is None:
            continue
        if (folder / folders.FILE).is_file():
            for config in map(read_config, with_bases(folder)):
                yield from config.lineage
        else:  # as diffusers saves it
            package = Path(__file__).parent
            yield from configurations.lineage(package, NAME, {"diffusion": folder}, job)


# --- the language model -----------------------------------------------------------------------


class Guiding(nn.Module):
    """The edit head with the embeddings of the visual tokens, which stay the same."""

    def __init__(self, head: nn.Module, visual: Tensor) -> None:
        super().__init__()
        self.head = head
        self.register_buffer("visual", visual.detach().clone())

    def forward(self, states: Tensor) -> Tensor:
        """What the UNet attends to."""
        return torch.as_tensor(self.head(states, self.visual))


def _language(writer: Writer) -> tuple[dict[str, Any], dict[str, bytes]]:
    """What the composition needs to know of the language model, and its files."""
    llava = writer.llava
    tokenizer, special = described(llava.tokens.tokenizer)
    settings = {
        "language": msgspec.to_builtins(llava.config),
        "patches": llava.tower.tokens,
        "longest": llava.longest,
        "special": special,
        "sees": writer.sees,
        "asked": writer.asked,
        "pixels": {
            "size": llava.tower.image_size,
            "mean": list(MEAN),
            "deviation": list(DEVIATION),
        },
    }
    return settings, {bundled.TOKENIZER: tokenizer}


def _language_parts(writer: Writer) -> Iterator[Part]:
    llava = writer.llava
    if writer.sees:
        yield tower_part(llava.tower)
        yield linear_part("projector", llava.projector, llava.tower.tokens, llava.tower.width)
    yield embeddings_part(llava.table)
    yield decoder_part(llava.language_model)
    if writer.edit_head is not None:
        yield head_part(writer.edit_head, writer.visual_embeddings())


def head_part(head: nn.Module, visual: Tensor) -> Part:
    """The edit head, with the embeddings of the visual tokens, (tokens, width), in it."""

    def draw(rng: np.random.Generator) -> Arrays:
        shape = (int(rng.integers(1, 3)), *visual.shape)
        return {"states": rng.standard_normal(shape, np.float32) * np.float32(rng.uniform(0.5, 2))}

    return Part(
        name="edit_head", role="edit-head", module=Guiding(head, visual), draw=draw,
        outputs=("attended",), example={"states": np.zeros((2, *visual.shape), np.float32)},
        dynamic={"states": {0: "batch"}},
    )  # fmt: skip


# --- whole edits ------------------------------------------------------------------------------


def _guided(
    writer: Writer | None, reader: TextReader | None, picture: RGB8, instruction: str
) -> tuple[Conditioning, Arrays]:
    """What guides a golden edit, with golden arrays as far as the model has such.

    ``pixels`` the tower sees, ``tokens`` are written, ``ids`` CLIP reads.
    """
    if writer is None:
        assert reader is not None
        return guided_by_text(reader, bundled.plain(instruction))
    llava = writer.llava
    prompt = llava.tokens.encode(writer.prompt(instruction))
    written = llava.write(prompt, writer.look(picture), longest=bundled.GOLDEN_TOKENS)
    arrays: Arrays = {"tokens": np.array(written.tokens, np.int64)}
    if writer.sees:
        arrays["pixels"] = pixels_of([picture], llava.tower.image_size)[0].numpy()
    if reader is None:
        states, _ = llava.predicted(written)
        return writer.conditioning(states[None]), arrays
    expressive = clean(llava.tokens.decode(written.tokens))
    conditioning, ids = guided_by_text(reader, expressive or bundled.plain(instruction))
    return conditioning, arrays | ids
