"""The figures of one edit, by the paper's names."""

from __future__ import annotations

import torch
from torch import Tensor

from imgedit_mgie.evaluation.subjects import Work
from imgedit_modelkit.diffusion.painting import to_tensor
from imgedit_modelkit.evaluation.answers import Answer
from imgedit_modelkit.evaluation.items import Item
from imgedit_modelkit.evaluation.tables import Form
from imgedit_modelkit.evaluation.work import Measure
from imgedit_modelkit.metrics.edits import LOWER_IS_BETTER, EditEncoders, score_edits
from imgedit_modelkit.metrics.encoders import clip_d, clip_i, clip_s
from imgedit_modelkit.regions.resampling import Map

FIGURES: dict[Work, tuple[str, ...]] = {
    "edits": ("L1", "DINO", "CVS", "SSIM", "LPIPS", "CLIP-S", "CLIP-S expressive"),
    "trade-off": ("edit", "input consistency"),
    "texts": ("CLIP-S input", "CLIP-S goal", "words"),
}
"""What is measured, in the order of the tables.

=================  ==============================================================================
L1, SSIM, LPIPS    edited picture and goal; L1 of values from 0 to 1
DINO, CVS          cosine of DINO's and CLIP's embeddings of edited picture and goal
CLIP-S             CLIPScore of the edited picture and the instruction
CLIP-S expressive  the same with the expressive instruction
edit               cosine in CLIP's space of the ways from the input to the edited picture and goal
input consistency  cosine of CLIP's embeddings of the edited picture and the input
CLIP-S input       CLIPScore of the input and the expressive instruction
CLIP-S goal        the same of the goal
words              of the expressive instruction
=================  ==============================================================================
"""

_BY_CLIP = "CVS, CLIP-S, edit and input consistency"

NEEDS: dict[Work, dict[str, str]] = {
    "edits": {"clip": _BY_CLIP, "dino": "DINO", "alexnet": "LPIPS"},
    "trade-off": {"clip": _BY_CLIP},
    "texts": {"clip": _BY_CLIP},
}
"""Which encoders they need: by option, what is measured with them."""

RANKS: dict[Work, tuple[str, ...]] = {
    "edits": ("DINO", "CVS", "LPIPS", "SSIM"),
    "trade-off": ("edit",),
    "texts": ("CLIP-S goal",),
}
"""What decides which edit is the worst: the first that was measured."""

_PERCENT = frozenset({"DINO", "CVS", "SSIM"})
"""Shown in percent, as the paper does."""

_DECIMALS = {"words": 1} | {
    name: 3 for names in FIGURES.values() for name in names if "CLIP" in name
}


def form_of(work: Work) -> Form:
    """How the figures of a work are shown."""
    return Form(FIGURES[work], LOWER_IS_BETTER, _PERCENT, _DECIMALS)


def measure_of(work: Work, given: EditEncoders) -> Measure:
    """What the figures of an answer are."""

    def measure(item: Item, source: Map, goal: Map, answer: Answer) -> dict[str, float]:
        if answer.pixels is None:
            return figures_of_text(source, goal, answer.expressive, given)
        if work == "trade-off":
            return figures_of_curve(source, goal, answer.pixels, given)
        words = item.instruction, answer.expressive
        return figures_of_edit(goal, answer.pixels, *words, given)

    return measure


def figures_of_edit(
    goal: Map, edited: Map, instruction: str, expressive: str, given: EditEncoders
) -> dict[str, float]:
    """L1, DINO, CVS, SSIM, LPIPS and CLIP-S, as far as there are encoders.

    Args:
        goal: (height, width, 3) float32 in 0..1.
        edited: the same, of one size with it.
        instruction: of the user.
        expressive: what a language model made of it; '' for nothing.
        given: the encoders.
    """
    made = to_tensor(edited)
    found = score_edits(made, to_tensor(goal), given, [instruction])
    if given.clip is not None and expressive:
        found["CLIP-S expressive"] = clip_s(given.clip, made, [expressive])
    return {name: _number(value) for name, value in found.items()}


def figures_of_curve(source: Map, goal: Map, edited: Map, given: EditEncoders) -> dict[str, float]:
    """Both axes of the trade-off curve; none without CLIP. Arguments as above."""
    if given.clip is None:
        return {}
    before, made, wanted = map(to_tensor, (source, edited, goal))
    return {
        "edit": _number(clip_d(given.clip, before, made, wanted)),
        "input consistency": _number(clip_i(given.clip, made, before)),
    }


def figures_of_text(source: Map, goal: Map, text: str, given: EditEncoders) -> dict[str, float]:
    """CLIP-S of input and goal against an instruction, and its words."""
    found = {"words": float(len(text.split()))}
    if given.clip is not None:
        both = torch.cat([to_tensor(source), to_tensor(goal)])
        scores = clip_s(given.clip, both, [text, text])
        found |= {"CLIP-S input": float(scores[0]), "CLIP-S goal": float(scores[1])}
    return found


def _number(value: Tensor) -> float:
    return float(value[0])
