"""What a training will need, before it begins: memory by part, and time from this machine's speed.

The diffusion model's part is the model kit's (`diffusion.training_forecast`). The language model's
operations are two for each weight and token, forward, and as many again backward, since its weights
are frozen.
"""

from __future__ import annotations

import dataclasses
import json

from imgedit_mgie import folders
from imgedit_mgie.task import Form
from imgedit_mgie.trained import Start
from imgedit_modelkit.diffusion import training_forecast
from imgedit_modelkit.diffusion.training_forecast import (
    Counted,
    Forecast,
    diffusion_counted,
    forecast_of,
)
from imgedit_modelkit.tensor_files import numbers_in
from imgedit_modelkit.training import TrainConfig

_TOKEN_KEPT = 600_000
"""Numbers kept for the backward pass, of each token of a 7B language model; scaled by the number of
parameters."""

_LANGUAGE_SIZE = 6.7e9


def forecast(start: Start, config: TrainConfig, form: Form) -> Forecast:
    """What a training with these settings will need, on this machine."""
    counted = diffusion_counted(start.diffusion, form.size) + _text_counted(start, form)
    return forecast_of(counted, config, start.precision)


def lighter(
    start: Start, config: TrainConfig, form: Form, room: int
) -> tuple[str, Forecast] | None:
    """The options that make a training fit into so many bytes, and its forecast then."""

    def told(config: TrainConfig, lora: int) -> Forecast:
        return forecast(dataclasses.replace(start, lora=lora), config, form)

    return training_forecast.lighter(told, config, start.lora, room)


def _text_counted(start: Start, form: Form) -> Counted:
    """What makes the conditioning: a language model with its edit head, or CLIP's text encoder."""
    if not start.guided:
        return Counted(frozen=numbers_in(start.place(folders.TEXT_ENCODER)))
    language = numbers_in(start.place(folders.LANGUAGE_MODEL))
    tables = _tables(start) if start.writes else _tables(start) // 2
    once = 2.0 * language * form.longest
    return Counted(
        frozen=language + numbers_in(start.place(folders.TOWER)) - tables,
        learnt=tables + numbers_in(start.place(folders.EDIT_HEAD)),
        kept=form.longest * _TOKEN_KEPT * language / _LANGUAGE_SIZE,
        operations=2 * once,
        again=once,
    )


def _tables(start: Start) -> int:
    """Numbers in the language model's first and last layer."""
    path = start.place(folders.LANGUAGE_MODEL) / "config.json"
    fields = json.loads(path.read_text("utf-8"))
    return 2 * int(fields["vocab_size"]) * int(fields["hidden_size"])
