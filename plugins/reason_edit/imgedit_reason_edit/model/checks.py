"""What would stop a training only after it has begun, found before."""

from __future__ import annotations

import numpy as np

from imgedit_modelkit.picture_answers import LocalModel
from imgedit_modelkit.picture_features import check_layer, inputs_of, picture_token
from imgedit_plugins.errors import DataError
from imgedit_reason_edit.model import folders
from imgedit_reason_edit.model.folders import part
from imgedit_reason_edit.model.rows import Row
from imgedit_reason_edit.model.task import ReasonTask


def check_prompts(task: ReasonTask) -> None:
    """Refuse a layer that there is not, and rows whose prompts are too long.

    The language model is not loaded; the longest prompt is laid out.

    Raises:
        ImgeditError: its configuration has no such layer.
        DataError: a row is too long; names it.
        WeightsError: the language model's folder cannot be read.
    """
    start = task.start
    if start.encoder is None:
        return
    from transformers import AutoConfig, AutoProcessor

    source = LocalModel(part(start.folder, folders.MLLM))
    config = source.read(AutoConfig)
    check_layer(config, start.encoder.layer)
    processor = source.read(AutoProcessor, backend="pil")

    def words(row: Row) -> int:
        assert start.encoder is not None
        return len(processor.tokenizer(start.encoder.told(row.instruction)).input_ids)

    longest = max((*task.train_items(), *task.validation_items()), key=words)
    blank = np.zeros((task.form.size, task.form.size, 3), np.uint8)
    told = start.encoder.told(longest.instruction)
    ids = inputs_of(processor, blank if start.sees else None, told)["input_ids"][0]
    if start.sees and start.encoder.tokens == "text":
        ids = ids[ids != picture_token(config)]
    if len(ids) > task.form.longest:
        raise DataError(
            f"Row {longest.id} has {len(ids)} tokens that guide the edit, and {task.form.longest} "
            "are all that a row may have.",
            hint=f"Set max-length to {len(ids)} or more.",
        )
