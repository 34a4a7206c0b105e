"""What the frozen language model knows of the test pairs, before any editor reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from benchmarks.reason_learning import clip, data, llava
from benchmarks.reason_learning.puzzles import FAMILIES, Puzzle
from benchmarks.reason_learning.sizes import Sizes
from benchmarks.tiny_editing.captions import Said
from imgedit_modelkit.checkpoints import load_weights


def known(folder: Path, sizes: Sizes, each: int) -> Mapping[str, float]:
    """For each family the share of its pairs of which the states tell all words of the answer.

    Args:
        folder: has LLaVA's run folder.
        sizes: of it.
        each: test pairs of a family, the first ones.
    """
    task = llava.TalkingTask(sizes, clip.Seeing(sizes))
    model = task.build()
    load_weights(model, folder / "llava")
    drawn = list(data.puzzles_to_test(each))
    return {
        family: _share(model.eval(), task, [one for one in drawn if one.family == family])
        for family in FAMILIES
    }


@torch.no_grad()
def _share(model: llava.Talking, task: llava.TalkingTask, some: Sequence[Puzzle]) -> float:
    pictures = [one.pictures[0] for one in some]
    pixels = task.processor.image_processor(pictures, return_tensors="pt").pixel_values
    batch = task.written(
        [
            Said(one.instruction, one.comes_to, picture)
            for one, picture in zip(some, pictures, strict=True)
        ]
    )
    states = model.read(batch, model.patches(pixels))
    told = model.words(states[torch.arange(len(some)), batch["ends"] - 1]) > 0
    return float((told == batch["words"].bool()).all(1).float().mean())
