"""Questions and answers about pictures, and about what things are like."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from benchmarks.tiny_editing import edits, scenes
from benchmarks.tiny_editing.scenes import KINDS, NATURAL, PLACES, Scene
from imgedit_plugins.pictures import RGB8

_DESCRIBE = ("describe this image", "what is in this image?", "what do you see?")
_ONE = ("what colour does it have?", "which colour is it?")
_OF_TWO = ("what is on the {place}?", "what colour does the {place} one have?")
_BY_NATURE = ("what colour does it have by nature?", "what is its natural colour?")
_IN_WORDS = ("what colour does a {kind} have by nature?", "how does a {kind} look by nature?")

WORDS = (*scenes.KINDS, *scenes.COLOURS, *PLACES, *edits.ADJUSTMENTS)
"""What answers tell apart."""


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


def of_a_scene(rng: np.random.Generator) -> Said:
    """What a picture shows, or what that is like."""
    scene = scenes.draw_scene(rng, int(rng.integers(1, 3)))
    asked, answer = _about(scene, rng)
    return Said(asked, answer, scenes.drawn(scene), scene)


def of_a_kind(rng: np.random.Generator) -> Said:
    """What a kind is like by nature; without a picture."""
    kind = str(rng.choice(KINDS))
    return Said(str(rng.choice(_IN_WORDS)).format(kind=kind), by_nature(kind))


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


def words_of(answer: str) -> list[bool]:
    """Which of `WORDS` an answer has."""
    there = set(re.findall(r"\w+", answer))
    return [word in there for word in WORDS]
