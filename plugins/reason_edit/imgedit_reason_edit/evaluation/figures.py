"""The figures of one edit, by the paper's names (section 4.3)."""

from __future__ import annotations

from torch import Tensor

from imgedit_modelkit.diffusion.painting import to_tensor
from imgedit_modelkit.evaluation.answers import Answer
from imgedit_modelkit.evaluation.items import Item
from imgedit_modelkit.evaluation.tables import Form
from imgedit_modelkit.evaluation.work import Measure
from imgedit_modelkit.metrics.edits import EditEncoders
from imgedit_modelkit.metrics.encoders import clip_i, clip_t, dino
from imgedit_modelkit.metrics.pictures import l1, l2
from imgedit_modelkit.regions.resampling import Map
from imgedit_reason_edit.evaluation import judging

EDITS = Form(("L1", "L2", "CLIP-I", "DINO", "CLIP-T"), frozenset({"L1", "L2"}))
"""Of an edit that has a goal.

=======  ========================================================================================
L1, L2   mean absolute and mean squared difference of edited picture and goal, values from 0 to 1
CLIP-I   cosine of CLIP's embeddings of edited picture and goal
DINO     cosine of DINO's first tokens of edited picture and goal
CLIP-T   cosine of CLIP's embeddings of the edited picture and the goal's caption, if it has one
=======  ========================================================================================
"""

SENTENCE = Form(("L1 to input", "CLIP-I to input"))
"""Of an edit that has none: how far it is from the input; nothing is better or worse."""

RANKS = ("DINO", "CLIP-I", "L1", "score")
"""What decides which edit is the worst: the first that was measured."""

_FORMS = {"edits": EDITS, "sentence": SENTENCE, "judged": judging.FORM}

_NEEDS: dict[str, dict[str, str]] = {
    "edits": {"clip": "CLIP-I and CLIP-T", "dino": "DINO"},
    "sentence": {"clip": "CLIP-I to input"},
    "judged": {},
}


def form_of(work: str) -> Form:
    """How the figures of a work are shown."""
    return _FORMS[work]


def needs_of(work: str) -> dict[str, str]:
    """Which encoders the figures of a work need: by option, what is measured with them."""
    return _NEEDS[work]


def measure_of(work: str, given: EditEncoders) -> Measure:
    """What the figures of an answer are, as far as there are encoders."""

    def measure(item: Item, source: Map, goal: Map, answer: Answer) -> dict[str, float]:
        assert answer.pixels is not None  # every row of these tables makes pictures
        if work == "sentence":
            return _from_input(source, answer.pixels, given)
        return figures_of(goal, answer.pixels, item.pair.captions[1], given)

    return measure


def figures_of(goal: Map, edited: Map, caption: str, given: EditEncoders) -> dict[str, float]:
    """L1, L2, CLIP-I, DINO and CLIP-T.

    Args:
        goal: (height, width, 3) float32 in 0..1.
        edited: the same, of one size with it.
        caption: of the goal; '' for none.
        given: the encoders.
    """
    made, wanted = to_tensor(edited), to_tensor(goal)
    found = {"L1": l1(made, wanted), "L2": l2(made, wanted)}
    if given.clip is not None:
        found["CLIP-I"] = clip_i(given.clip, made, wanted)
        if caption:
            found["CLIP-T"] = clip_t(given.clip, made, [caption])
    if given.dino is not None:
        found["DINO"] = dino(given.dino, made, wanted)
    return _numbers(found)


def _from_input(source: Map, edited: Map, given: EditEncoders) -> dict[str, float]:
    made, before = to_tensor(edited), to_tensor(source)
    found = {"L1 to input": l1(made, before)}
    if given.clip is not None:
        found["CLIP-I to input"] = clip_i(given.clip, made, before)
    return _numbers(found)


def _numbers(found: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(value[0]) for name, value in found.items()}
