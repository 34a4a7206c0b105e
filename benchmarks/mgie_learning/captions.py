"""What the tiny LLaVA is trained to say: of pictures, of what things are like, and of edits.

It also learns to answer the question by which the data of MGIE is made ('what will this image be
like if ...'), as the published LLaVA can, which labels that data. It never sees an edited picture.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from benchmarks.mgie_learning import edits, scenes
from benchmarks.mgie_learning.scenes import KINDS, NATURAL, PLACES, Scene
from imgedit_mgie.expressive import question
from imgedit_plugins.pictures import RGB8

_DESCRIBE = ("describe this image", "what is in this image?", "what do you see?")
_ONE = ("what colour does it have?", "which colour is it?")
_OF_TWO = ("what is on the {place}?", "what colour does the {place} one have?")
_BY_NATURE = ("what colour does it have by nature?", "what is its natural colour?")
_IN_WORDS = ("what colour does a {kind} have by nature?", "how does a {kind} look by nature?")

WORDS = (*scenes.KINDS, *scenes.COLOURS, *PLACES, *edits.ADJUSTMENTS)
"""What answers tell apart."""

_SAID_OF_TEXT = (edits.RECOLOUR, edits.ADJUST)


@dataclass(frozen=True)
class Said:
    """One question and its answer.

    Attributes:
        asked, answer: texts.
        picture: (SIDE, SIDE, 3), or None where it is about none.
        scene: what it shows.
    """

    asked: str
    answer: str
    picture: RGB8 | None = None
    scene: Scene | None = None


def about_a_picture(rng: np.random.Generator) -> Said:
    """A question about a picture: what it shows, what that is like, or how it would be."""
    if rng.random() < 0.45:
        edit = edits.draw_edit(str(rng.choice(edits.FAMILIES)), rng)
        return Said(question(edit.instruction), edit.expressive, edit.before, edit.scene)
    scene = scenes.draw_scene(rng, int(rng.integers(1, 3)))
    asked, answer = _about(scene, rng)
    return Said(asked, answer, scenes.drawn(scene), scene)


def _about(scene: Scene, rng: np.random.Generator) -> tuple[str, str]:
    if rng.random() < 0.4:
        return str(rng.choice(_DESCRIBE)), described(scene)
    number = int(rng.integers(len(scene.things)))
    thing = scene.things[number]
    if len(scene.things) == 2:
        place = PLACES[number]
        asked = str(rng.choice(_OF_TWO)).format(place=place)
        return asked, f"The {thing.kind} on the {place} is {thing.colour}."
    if rng.random() < 0.5:
        return str(rng.choice(_ONE)), f"The {thing.kind} is {thing.colour}."
    return str(rng.choice(_BY_NATURE)), by_nature(thing.kind)


def described(scene: Scene) -> str:
    """A caption."""
    told = [f"a {thing.colour} {thing.kind}" for thing in scene.things]
    if len(told) == 1:
        return f"There is {told[0]}."
    return f"There is {told[0]} on the left and {told[1]} on the right."


def by_nature(kind: str) -> str:
    """What is known of a kind."""
    return f"The {kind} is {NATURAL[kind]} by nature."


def in_words(rng: np.random.Generator) -> Said:
    """A question without a picture: what a kind is like by nature, or what an edit comes to."""
    if rng.random() < 0.5:
        kind = str(rng.choice(KINDS))
        return Said(str(rng.choice(_IN_WORDS)).format(kind=kind), by_nature(kind))
    edit = edits.draw_edit(str(rng.choice(_SAID_OF_TEXT)), rng)
    if "it" in edit.instruction.split():
        return Said(
            question(edit.instruction), edit.expressive.replace(edit.scene.things[0].kind, "thing")
        )
    return Said(question(edit.instruction), edit.expressive)


def words_of(answer: str) -> list[bool]:
    """Which of `WORDS` an answer has."""
    there = set(re.findall(r"\w+", answer))
    return [word in there for word in WORDS]


def everything_said(count: int = 1500) -> list[str]:
    """What a tokenizer is trained on: each form of text, often enough."""
    rng = np.random.default_rng(0)
    made = [one for _ in range(count) for one in (about_a_picture(rng), in_words(rng))]
    return [text for one in made for text in (one.asked, one.answer)]
