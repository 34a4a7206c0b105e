"""What the tiny LLaVA is trained to say: of pictures, of what things are like, and of edits.

It also learns to answer the question by which the data of MGIE is made ('what will this image be
like if ...'), as the published LLaVA can, which labels that data. It never sees an edited picture.
"""

from __future__ import annotations

import numpy as np

from benchmarks.tiny_editing import edits
from benchmarks.tiny_editing.captions import Said, of_a_kind, of_a_scene
from imgedit_mgie.expressive import question

_SAID_OF_TEXT = (edits.RECOLOUR, edits.ADJUST)


def about_a_picture(rng: np.random.Generator) -> Said:
    """A question about a picture: what it shows, what that is like, or how it would be."""
    if rng.random() < 0.45:
        edit = edits.draw_edit(str(rng.choice(edits.FAMILIES)), rng)
        return Said(question(edit.instruction), edit.expressive, edit.before, edit.scene)
    return of_a_scene(rng)


def in_words(rng: np.random.Generator) -> Said:
    """A question without a picture: what a kind is like by nature, or what an edit comes to."""
    if rng.random() < 0.5:
        return of_a_kind(rng)
    edit = edits.draw_edit(str(rng.choice(_SAID_OF_TEXT)), rng)
    if "it" in edit.instruction.split():
        return Said(
            question(edit.instruction), edit.expressive.replace(edit.scene.things[0].kind, "thing")
        )
    return Said(question(edit.instruction), edit.expressive)


def everything_said(count: int = 1500) -> list[str]:
    """What a tokenizer is trained on: each form of text, often enough."""
    rng = np.random.default_rng(0)
    made = [one for _ in range(count) for one in (about_a_picture(rng), in_words(rng))]
    return [text for one in made for text in (one.asked, one.answer)]
