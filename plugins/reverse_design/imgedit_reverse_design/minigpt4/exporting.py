"""`export_parts`: the parts of MiniGPT-4, and golden answers by the original."""

from __future__ import annotations

import json
import random
from pathlib import Path

import msgspec
import numpy as np

from imgedit_exporters.runtime.tokens import described
from imgedit_modelkit.adapters import merged_copy
from imgedit_modelkit.export_parts import (
    Arrays,
    decoder_part,
    embeddings_part,
    linear_part,
    smooth,
    tower_part,
)
from imgedit_modelkit.vision_towers import DEVIATION, MEAN
from imgedit_plugins.exporting import ExportReport, Source
from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import ExportRequest
from imgedit_reverse_design.minigpt4 import bundled
from imgedit_reverse_design.minigpt4.config import read_config
from imgedit_reverse_design.minigpt4.experiments import experiment
from imgedit_reverse_design.minigpt4.model import MiniGPT4, load_model
from imgedit_reverse_design.minigpt4.predicting import model_folder
from imgedit_reverse_design.minigpt4.prompts import draw

_PAIRS = 2


def export_parts(request: ExportRequest, job: Job) -> ExportReport | None:
    """Declare MiniGPT-4.

    Args:
        request: its `model` is '' or 'minigpt4'.
        job: progress.

    Raises:
        WeightsError, DataError: there is no model, or a part of it is missing.
    """
    if request.model not in ("", "minigpt4"):
        return None
    folder = model_folder(str(request.options.get("weights", "")))
    config = read_config(folder)
    job.report("loading the model")
    model = load_model(folder)
    language, tower = model.language, model.tower
    # Golden answers are those of the model with its adapters as they are.
    writer = (
        language.language_model if config.lora is None else merged_copy(language.language_model)
    )
    tokenizer, special = described(language.tokenizer)
    settings = {
        "special": special,
        "averaged": list(language.averaged),
        "wrap": config.wrap,
        "own_sentences": config.own_sentences,
        "breaks": experiment(config.experiment).breaks,
        "pixels": {"size": tower.image_size, "mean": list(MEAN), "deviation": list(DEVIATION)},
    }
    return ExportReport(
        model="minigpt4",
        parts=(
            tower_part(tower),
            linear_part("projection", model.projection, tower.tokens, tower.width),
            embeddings_part(writer.get_input_embeddings()),
            decoder_part(writer),
        ),
        settings=settings,
        files={
            bundled.TOKENIZER: tokenizer,
            bundled.STRINGS: json.dumps(list(language.strings), ensure_ascii=False).encode(),
        },
        lineage=tuple(_lineage(folder)),
        golden=lambda golden_job: golden_answers(model, golden_job),
    )


def _lineage(folder: Path) -> list[Source]:
    config = read_config(folder)
    base = read_config(Path(config.base)).lineage if config.base else ()
    found = [Source(**msgspec.to_builtins(part)) for part in (*config.lineage, *base)]
    return [one for number, one in enumerate(found) if one not in found[:number]]


def golden_answers(model: MiniGPT4, job: Job) -> Arrays:
    """Answers by the original, with all that goes into them.

    Returns:
        ``count``; for pair N: ``N/pictures`` (2, height, width, 3) uint8, ``N/pixels`` that the
        tower sees, ``N/prompt`` as JSON, ``N/tokens`` and ``N/probabilities``.
    """
    rng = np.random.default_rng(4)
    breaks = experiment(model.config.experiment).breaks
    found: Arrays = {"count": np.array(_PAIRS)}
    for number in range(_PAIRS):
        job.report("making golden answers", number, _PAIRS)
        pictures = np.rint(smooth(rng, 2, 60, 80).transpose(0, 2, 3, 1) * 255).astype(np.uint8)
        command = "make it brighter" if number else None
        prompt = draw(random.Random(number), command, model.config.wrap, breaks=breaks)  # noqa: S311
        pixels = model.pixels([(pictures[0], pictures[1])])
        (written,) = model.answer(pixels, [prompt], longest=bundled.GOLDEN_TOKENS)
        found |= {
            f"{number}/pictures": pictures,
            f"{number}/pixels": pixels[0].numpy(),
            f"{number}/prompt": np.array(json.dumps(prompt)),
            f"{number}/tokens": np.array(written.tokens, np.int64),
            f"{number}/probabilities": np.array(written.probabilities, np.float64),
        }
    return found
