"""What a training will need, before it begins.

The diffusion model's part is the model kit's. The frozen language model only runs forward: two
operations for each weight and token, and with a cache not at all.
"""

from __future__ import annotations

import dataclasses

from imgedit_modelkit.diffusion import training_forecast
from imgedit_modelkit.diffusion.training_forecast import (
    Counted,
    Forecast,
    diffusion_counted,
    forecast_of,
)
from imgedit_modelkit.tensor_files import numbers_in
from imgedit_modelkit.training import TrainConfig
from imgedit_reason_edit.model import folders
from imgedit_reason_edit.model.folders import PROMPT, WORDS, part
from imgedit_reason_edit.model.task import Form
from imgedit_reason_edit.model.trained import Start


def forecast(start: Start, config: TrainConfig, form: Form) -> Forecast:
    """What a training with these settings will need, on this machine."""
    counted = diffusion_counted(start.diffusion, form.size) + _guide_counted(start)
    return forecast_of(counted, config, start.precision)


def lighter(
    start: Start, config: TrainConfig, form: Form, room: int
) -> tuple[str, Forecast] | None:
    """The options that make a training fit into so many bytes, and its forecast then."""

    def told(config: TrainConfig, lora: int) -> Forecast:
        return forecast(dataclasses.replace(start, lora=lora), config, form)

    return training_forecast.lighter(told, config, start.lora, room)


def reading_operations(start: Start) -> float:
    """Floating-point operations by which the language model reads one row."""
    tokens = PROMPT if start.sees else WORDS
    return 2.0 * numbers_in(part(start.folder, folders.MLLM)) * tokens


def _guide_counted(start: Start) -> Counted:
    """What makes the conditioning."""
    if start.kind == "clip":
        return Counted(frozen=numbers_in(part(start.folder, folders.TEXT_ENCODER)))
    learnt = numbers_in(part(start.folder, folders.PROJECTION))
    if start.cached:
        return Counted(learnt=learnt)
    return Counted(
        frozen=numbers_in(part(start.folder, folders.MLLM)),
        learnt=learnt,
        operations=reading_operations(start),
    )
