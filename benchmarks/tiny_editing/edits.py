"""Edits of generated pictures: what is asked for, what it comes to, and the picture that it makes.

The brief instruction of a family in `NEED_THE_PICTURE` does not say what will change to what; the
expressive one does. In the others it is all said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.tiny_editing import scenes
from benchmarks.tiny_editing.scenes import COLOURS, KINDS, NATURAL, PLACES, Scene
from imgedit_plugins.pictures import RGB8

NATURAL_KNOWN, NATURAL_NEW, MATCH, RECOLOUR, ADJUST = (
    "natural colour", "natural colour, new kinds", "colour of the other", "recolour", "adjust",
)  # fmt: skip
FAMILIES = (NATURAL_KNOWN, NATURAL_NEW, MATCH, RECOLOUR, ADJUST)

NEED_THE_PICTURE = (NATURAL_KNOWN, NATURAL_NEW, MATCH)
"""Where a model that sees the picture is to be ahead; in the others it may be as good."""

NEW_KINDS = ("cherry", "tree", "fish")
"""No training of an editor shows what is known of them; the LLaVA that it begins with knows it."""

_NATURAL = (
    "give it its natural colour", "make it look natural", "paint it as it is by nature",
)  # fmt: skip
_MATCH = (
    "give the {one} one the colour of the {other} one",
    "paint the {one} one like the {other} one",
)
_RECOLOUR = ("make the {kind} {colour}", "paint it {colour}", "turn the {kind} {colour}")

Tone = Callable[[np.ndarray], np.ndarray]


def _tinted(*factors: float) -> Tone:
    return lambda pixels: pixels * np.array(factors, np.float32)


def _gray(pixels: np.ndarray) -> np.ndarray:
    return np.repeat(pixels @ np.array([[0.299], [0.587], [0.114]], np.float32), 3, axis=2)


ADJUSTMENTS: Mapping[str, tuple[Tone, tuple[str, ...], str]] = {
    "brighter": (lambda p: p + 55, ("brighten it", "more light please"), "brighter"),
    "darker": (lambda p: p * 0.5, ("darken it", "less light please"), "darker"),
    "warmer": (_tinted(1.15, 1.0, 0.7), ("make it warmer", "like an evening"), "warmer"),
    "cooler": (_tinted(0.7, 1.0, 1.2), ("make it cooler", "like a winter day"), "cooler"),
    "gray": (_gray, ("black and white please", "take the colours away"), "gray"),
}
"""Names -> what is done to the codes, what is asked for, and what the picture is then."""


@dataclass(frozen=True)
class Edit:
    """One pair, drawn.

    Attributes:
        family: of `FAMILIES`.
        scene: before the edit.
        before, after: (SIDE, SIDE, 3).
        instruction: the brief one.
        expressive: what it comes to in this picture.
    """

    family: str
    scene: Scene
    before: RGB8
    after: RGB8
    instruction: str
    expressive: str


def draw_edit(family: str, rng: np.random.Generator) -> Edit:
    """An edit of a picture of its own."""
    return _MAKERS[family](rng)


def becomes(scene: Scene, number: int, colour: str) -> str:
    """The expressive instruction for one thing that changes its colour."""
    kind = scene.things[number].kind
    where = f" on the {PLACES[number]}" if len(scene.things) > 1 else ""
    return f"The {kind}{where} is {colour} now."


def in_full(scene: Scene, number: int, colour: str) -> str:
    """A brief instruction for the same that leaves nothing to the reader."""
    # In the answer's order the language model could not say it: no three tokens come twice.
    where = f"{PLACES[number]} " if len(scene.things) > 1 else ""
    return f"make the {where}{scene.things[number].kind} {colour}"


def picture_becomes(name: str) -> str:
    """The expressive instruction of an adjustment."""
    return f"The whole picture is {ADJUSTMENTS[name][2]} now."


def said_edit(rng: np.random.Generator) -> Edit:
    """An edit that is said in full: a thing in another colour, or an adjustment."""
    if rng.random() < 0.2:
        return draw_edit(ADJUST, rng)
    scene = scenes.draw_scene(rng, int(rng.integers(1, 3)))
    number = int(rng.integers(len(scene.things)))
    thing = scene.things[number]
    colour = str(rng.choice([name for name in COLOURS if name != thing.colour]))
    return recoloured(RECOLOUR, scene, number, colour, in_full(scene, number, colour))


# --- families ---------------------------------------------------------------------------------


def recoloured(family: str, scene: Scene, number: int, colour: str, instruction: str) -> Edit:
    """One thing of a scene in another colour."""
    after = scenes.drawn(scene.with_colour(number, colour))
    told = becomes(scene, number, colour)
    return Edit(family, scene, scenes.drawn(scene), after, instruction, told)


def unnatural(rng: np.random.Generator, kinds: tuple[str, ...]) -> Scene:
    """One thing of these kinds, in a colour that it does not have by nature."""
    kind = str(rng.choice(kinds))
    scene = scenes.draw_scene(rng, 1)
    colour = str(rng.choice([name for name in COLOURS if name != NATURAL[kind]]))
    return scenes.with_kinds(scene, kind).with_colour(0, colour)


def natural(rng: np.random.Generator, family: str) -> Edit:
    """A thing gets the colour that its kind has."""
    new = family == NATURAL_NEW
    kinds = tuple(kind for kind in KINDS if (kind in NEW_KINDS) == new)
    scene = unnatural(rng, kinds)
    colour = NATURAL[scene.things[0].kind]
    return recoloured(family, scene, 0, colour, str(rng.choice(_NATURAL)))


def _match(rng: np.random.Generator) -> Edit:
    scene = scenes.draw_scene(rng, 2)
    number = int(rng.integers(2))
    names = {"one": PLACES[number], "other": PLACES[1 - number]}
    colour = scene.things[1 - number].colour
    return recoloured(MATCH, scene, number, colour, str(rng.choice(_MATCH)).format(**names))


def _recolour(rng: np.random.Generator) -> Edit:
    scene = scenes.draw_scene(rng, 1)
    thing = scene.things[0]
    colour = str(rng.choice([name for name in COLOURS if name != thing.colour]))
    asked = str(rng.choice(_RECOLOUR)).format(kind=thing.kind, colour=colour)
    return recoloured(RECOLOUR, scene, 0, colour, asked)


def _adjust(rng: np.random.Generator) -> Edit:
    name = str(rng.choice(list(ADJUSTMENTS)))
    scene = scenes.draw_scene(rng, int(rng.integers(1, 3)))
    before = scenes.drawn(scene)
    tone, asked, _ = ADJUSTMENTS[name]
    after = np.rint(np.clip(tone(before.astype(np.float32)), 0, 255)).astype(np.uint8)
    return Edit(ADJUST, scene, before, after, str(rng.choice(asked)), picture_becomes(name))


_MAKERS: Mapping[str, Callable[[np.random.Generator], Edit]] = {
    NATURAL_KNOWN: lambda rng: natural(rng, NATURAL_KNOWN),
    NATURAL_NEW: lambda rng: natural(rng, NATURAL_NEW),
    MATCH: _match,
    RECOLOUR: _recolour,
    ADJUST: _adjust,
}
