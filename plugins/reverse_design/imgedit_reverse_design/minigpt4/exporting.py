"""`export_parts`: the parts of MiniGPT-4, and golden answers by the original."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from imgedit_exporters.runtime.tokens import described
from imgedit_modelkit.adapters import merged_copy
from imgedit_modelkit.export_parts import (
    Arrays,
    decoder_part,
    embeddings_part,
    linear_part,
    sources,
    tower_part,
)
from imgedit_modelkit.vision_towers import DEVIATION, MEAN
from imgedit_plugins.exporting import ExportReport
from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import ExportRequest
from imgedit_reverse_design.minigpt4 import bundled
from imgedit_reverse_design.minigpt4.config import read_config
from imgedit_reverse_design.minigpt4.experiments import experiment
from imgedit_reverse_design.minigpt4.golden_pairs import GoldenPair, made_pairs, pairs_of
from imgedit_reverse_design.minigpt4.model import MiniGPT4, load_model
from imgedit_reverse_design.minigpt4.predicting import model_folder
from imgedit_reverse_design.minigpt4.prompts import draw

_SMALL, _MANY, _FEW = 200_000_000, 100, 16
"""Numbers up to which a model is small, and golden pairs of small and of large ones."""

_SEEN = 2
"""Pairs whose pixels are kept: at 224 px they take more room than the pictures."""


def export_parts(request: ExportRequest, job: Job) -> ExportReport | None:
    """Declare MiniGPT-4.

    Args:
        request: its `model` is '' or 'minigpt4'.
        job: progress.

    Raises:
        WeightsError, DataError: there is no model, or a part of it is missing; later, and as
            DataError, the option 'data' names no data set.
    """
    if request.model not in ("", "minigpt4"):
        return None
    folder = model_folder(str(request.options.get("weights", "")))
    config = read_config(folder)
    job.report("loading the model")
    model = load_model(folder)
    base = read_config(Path(config.base)).lineage if config.base else ()
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
        lineage=sources((*config.lineage, *base)),
        golden=lambda golden_job: _asked(request, model, golden_job),
    )


def golden_answers(model: MiniGPT4, pairs: Iterable[GoldenPair], count: int, job: Job) -> Arrays:
    """Answers by the original, with all that goes into them.

    Args:
        model: the original.
        pairs: what it is asked of.
        count: how many those are, for the progress.
        job: progress and cancellation.

    Returns:
        For pair N: ``N/source`` and ``N/edited`` (height, width, 3) uint8, ``N/prompt``
        and ``N/truth`` (the operations' names) as JSON, ``N/tokens`` and ``N/probabilities``; of
        the first ones ``N/pixels`` that the tower sees.
    """
    breaks = experiment(model.config.experiment).breaks
    found: Arrays = {}
    for number, pair in enumerate(pairs):
        job.report("making golden answers", number, count)
        prompt = draw(random.Random(number), pair.command, model.config.wrap, breaks=breaks)  # noqa: S311
        pixels = model.pixels([(pair.source, pair.edited)])
        (written,) = model.answer(
            pixels, [prompt], longest=bundled.GOLDEN_TOKENS, on_token=job.check
        )
        found |= {
            f"{number}/source": pair.source,
            f"{number}/edited": pair.edited,
            f"{number}/prompt": np.array(json.dumps(prompt)),
            f"{number}/truth": np.array(json.dumps(pair.names)),
            f"{number}/tokens": np.array(written.tokens, np.int64),
            f"{number}/probabilities": np.array(written.probabilities, np.float64),
        }
        if number < _SEEN:
            found[f"{number}/pixels"] = pixels[0].numpy()
    return found


def _asked(request: ExportRequest, model: MiniGPT4, job: Job) -> Arrays:
    """Golden answers about as many pairs as the options say."""
    small = sum(p.numel() for p in model.parameters()) <= _SMALL
    count = int(request.options.get("pairs", 0)) or (_MANY if small else _FEW)
    data = str(request.options.get("data", ""))
    pairs = pairs_of(Path(data), count, job) if data else made_pairs(count)
    return golden_answers(model, pairs, count, job)
