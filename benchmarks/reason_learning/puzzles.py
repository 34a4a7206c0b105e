"""Pairs whose instruction leaves to the reader what is meant.

In the families of `NEED_THE_PICTURE` the same sentence asks for different edits of different
pictures: what it says tells neither the colour nor the thing, or only one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.tiny_editing import edits, scenes
from benchmarks.tiny_editing.edits import NEW_KINDS
from benchmarks.tiny_editing.scenes import COLOURS, KINDS, NATURAL, PLACES, Scene
from imgedit_plugins.pictures import RGB8

NATURE, NATURE_NEW, NEIGHBOUR, PICK, PICK_NEW, SAID = (
    "by nature", "by nature, new kinds", "like its neighbour", "which of two",
    "which of two, new kinds", "said in full",
)  # fmt: skip
FAMILIES = (NATURE, NATURE_NEW, NEIGHBOUR, PICK, PICK_NEW, SAID)

NEED_THE_PICTURE = FAMILIES[:-1]
"""Where the model is to be ahead of its twin; in the last one it may be as good."""

_NATURE = ("make it as nature has it", "that is not its colour", "it should look real")
_NEIGHBOUR = (
    "give the {one} one the colour of its neighbour", "the {one} one should match the other",
)  # fmt: skip

GROUPS: Mapping[tuple[str, ...], tuple[str, ...]] = {
    ("cherry", "carrot", "pumpkin", "grape"): (
        "make what you can eat {colour}", "paint the food {colour}",
    ),
    ("star", "moon", "drop"): (
        "make what comes from above {colour}", "paint what the sky has {colour}",
    ),
    ("leaf", "tree", "flower"): (
        "make what the forest has {colour}", "paint the plant {colour}",
    ),
}  # fmt: skip
"""Kinds that belong together -> how the one of them is asked for."""


@dataclass(frozen=True)
class Puzzle:
    """One pair.

    Attributes:
        family: of `FAMILIES`.
        scene: before the edit.
        number: of the thing that changes.
        colour: that it gets.
        instruction: that has to be reasoned about.
    """

    family: str
    scene: Scene
    number: int
    colour: str
    instruction: str

    @property
    def goal(self) -> Scene:
        """The scene after the edit."""
        return self.scene.with_colour(self.number, self.colour)

    @property
    def pictures(self) -> tuple[RGB8, RGB8]:
        """Before and after, each (SIDE, SIDE, 3)."""
        return scenes.drawn(self.scene), scenes.drawn(self.goal)

    @property
    def direct(self) -> str:
        """The same edit, said directly."""
        return edits.in_full(self.scene, self.number, self.colour)

    @property
    def comes_to(self) -> str:
        """What the picture then shows, in words."""
        return edits.becomes(self.scene, self.number, self.colour)


def draw_puzzle(family: str, rng: np.random.Generator) -> Puzzle:
    """A pair with a picture of its own."""
    return _MAKERS[family](rng)


# --- families ---------------------------------------------------------------------------------


def _nature(rng: np.random.Generator, family: str) -> Puzzle:
    """A thing gets the colour that its kind has."""
    scene = edits.unnatural(rng, _known(KINDS, new=family == NATURE_NEW))
    colour = NATURAL[scene.things[0].kind]
    return Puzzle(family, scene, 0, colour, str(rng.choice(_NATURE)))


def _neighbour(rng: np.random.Generator) -> Puzzle:
    """One of two gets the other's colour."""
    scene = scenes.draw_scene(rng, 2)
    number = int(rng.integers(2))
    asked = str(rng.choice(_NEIGHBOUR)).format(one=PLACES[number])
    return Puzzle(NEIGHBOUR, scene, number, scene.things[1 - number].colour, asked)


def _pick(rng: np.random.Generator, family: str) -> Puzzle:
    """The one of two that belongs to a group gets a colour."""
    new = family == PICK_NEW
    groups = [group for group in GROUPS if _known(group, new=new)]
    group = groups[int(rng.integers(len(groups)))]
    meant = str(rng.choice(_known(group, new=new)))
    other = str(rng.choice([kind for kind in _known(KINDS, new=False) if kind not in group]))
    scene, number = scenes.draw_scene(rng, 2), int(rng.integers(2))
    scene = scenes.with_kinds(scene, *((other, meant) if number else (meant, other)))
    colour = _another(rng, scene)
    asked = str(rng.choice(GROUPS[group])).format(colour=colour)
    return Puzzle(family, scene, number, colour, asked)


def _said(rng: np.random.Generator) -> Puzzle:
    """A thing gets a colour, and nothing is left open."""
    scene = scenes.draw_scene(rng, int(rng.integers(1, 3)))
    number, colour = int(rng.integers(len(scene.things))), _another(rng, scene)
    return Puzzle(SAID, scene, number, colour, edits.in_full(scene, number, colour))


def _known(kinds: tuple[str, ...], *, new: bool) -> tuple[str, ...]:
    """Those of them that are new, or not."""
    return tuple(kind for kind in kinds if (kind in NEW_KINDS) == new)


def _another(rng: np.random.Generator, scene: Scene) -> str:
    """A colour that nothing in the scene has."""
    there = {thing.colour for thing in scene.things}
    return str(rng.choice([name for name in COLOURS if name not in there]))


_MAKERS: Mapping[str, Callable[[np.random.Generator], Puzzle]] = {
    NATURE: lambda rng: _nature(rng, NATURE),
    NATURE_NEW: lambda rng: _nature(rng, NATURE_NEW),
    NEIGHBOUR: _neighbour,
    PICK: lambda rng: _pick(rng, PICK),
    PICK_NEW: lambda rng: _pick(rng, PICK_NEW),
    SAID: _said,
}
