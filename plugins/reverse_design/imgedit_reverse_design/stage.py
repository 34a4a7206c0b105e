"""The stage of a search: renders beginnings and plans on one pair's places, and judges them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from imgedit_plugins.pictures import RGB8
from imgedit_reverse_design.align import Turn
from imgedit_reverse_design.curves import Target
from imgedit_reverse_design.moves import EXPENSIVE, Move, Renderer, Sequence_
from imgedit_reverse_design.places import DEEP_MARGIN, MARGIN, Place, choose_places
from imgedit_reverse_design.scene import Pair, Scene, cut_scene

MATCH = 0.05
"""Mean squared error, in squared codes, below which a plan is taken to be the edit itself."""

DEEP_MATCH = 0.2
"""The same for plans with a detail filter, which a picture's distant parts reach a little."""

LOSSY_MATCH = 0.5
"""The same for edited pictures that were compressed or scaled, which is modelled nearly exactly."""

_COST_UNIT = 1e6
"""Bytes through a cheap operation that count as one unit of cost (about 1 ms on one core)."""

_EXPENSIVE_COST = 20
_COMPRESSION_COST = 8
_SCALING_COST = 8

_KEPT = 200
"""Renderings behind an expensive operation that are kept; about 100 kB each."""

_CONFIRM = 2.0
"""Mean squared error on one place below which the other places are asked as well."""

_NEAR = 40.0
"""Mean squared error above which the order of a turn and a detail filter cannot be the reason."""


class View:
    """A scene with its target prepared.

    Args:
        scene: where beginnings are rendered.
        step: beginnings are ranked on every `step`-th pixel.
    """

    def __init__(self, scene: Scene, step: int) -> None:
        self.scene = scene
        self.step = step
        self.target = Target(scene.target)
        self._some = Target(np.ascontiguousarray(scene.target[::step]))

    def scatter(self, pixels: RGB8) -> float:
        """What remains of rendered crops behind the best curves."""
        return self._some.statistics(self.scene.inner(pixels)[:: self.step]).scatter()


@dataclass(frozen=True, eq=False)
class Beginning:
    """A rendered beginning of a plan.

    Attributes:
        moves: its operations.
        pixels: the view's crops after them.
        scatter: mean squared error that remains behind the best per-channel curves.
        view: where it was rendered.
    """

    moves: Sequence_
    pixels: RGB8
    scatter: float
    view: View


@dataclass(frozen=True)
class Found:
    """A plan and its mean squared error, in squared 8-bit codes."""

    moves: Sequence_
    error: float


def is_expensive(moves: Sequence_) -> bool:
    """Whether a plan has an operation that takes long and looks far around."""
    return any(m.name in EXPENSIVE for m in moves)


class Stage:
    """Renders and judges plans for one aligned pair; remembers what it has judged.

    Args:
        pair: the pictures, the source not turned.
        turn: what brings the source into the edited picture's orientation.
        renderer: draws moves.

    Attributes:
        spent: cost of all rendering so far, in units that do not depend on the machine.
    """

    def __init__(self, pair: Pair, turn: Turn, renderer: Renderer) -> None:
        pair = replace(pair, source=turn.apply(pair.source))
        places = choose_places(pair.source, pair.edited, pair.opaque)
        self.renderer = renderer
        self.spent = 0.0
        self._compressed = pair.jpeg is not None
        self._scaled = pair.source.shape != pair.edited.shape
        self._judging = cut_scene(pair, places, MARGIN)
        # Beginnings are ranked on smaller places, expensive ones on one of them only.
        inner = tuple(p.inset(pair.edited.shape, scaled=self._scaled) for p in places)
        ranking = cut_scene(pair, inner, MARGIN)
        self._full = View(ranking, 2)
        self._lean = View(ranking.first_place(), 1)
        self.splits = turn.splits()
        self._deep = self._deep_scenes(pair, places)
        self.match = LOSSY_MATCH if self._compressed or self._scaled else MATCH
        self._kept: dict[tuple[int, Sequence_], RGB8] = {}
        self._errors: dict[Sequence_, float] = {}
        self.nothing = Beginning((), ranking.pixels, self._full.scatter(ranking.pixels), self._full)

    def _deep_scenes(self, pair: Pair, places: tuple[Place, ...]) -> list[list[Scene]]:
        """The places with a wide margin, one by one, and that for each split of the turn.

        A detail filter looks far around and does not commute with turns.
        """
        scenes = [cut_scene(pair, (place,), DEEP_MARGIN) for place in places]
        return [[scene.turned_after(after) for scene in scenes] for _, after in self.splits]

    def extend(self, parent: Beginning, *moves: Move) -> Beginning:
        """The parent with moves added."""
        pixels, view = parent.pixels, parent.view
        if view is self._full and is_expensive(moves):
            view = self._lean
            pixels = np.ascontiguousarray(pixels[:, : view.scene.pixels.shape[1]])
        pixels = self.render(pixels, moves)
        return Beginning(parent.moves + moves, pixels, view.scatter(pixels), view)

    def render(self, pixels: RGB8, moves: Sequence_) -> RGB8:
        """Pixels after moves; what it costs is added to `spent`."""
        self._charge(pixels, moves)
        return self.renderer.render_all(pixels, moves)

    def _render_once(self, pixels: RGB8, moves: Sequence_) -> RGB8:
        """Pixels after moves; what an expensive one left is kept, for plans that go on from there.

        The cost is counted as if it were rendered anew, so that searches do not depend on it.
        """
        last = max((i for i, m in enumerate(moves) if m.name in EXPENSIVE), default=-1)
        head, tail = moves[: last + 1], moves[last + 1 :]
        self._charge(pixels, moves)
        if not head:
            return self.renderer.render_all(pixels, tail)
        key = (id(pixels), head)
        if key not in self._kept:
            if len(self._kept) >= _KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = self.renderer.render_all(pixels, head)
        return self.renderer.render_all(self._kept[key], tail)

    def _charge(self, pixels: RGB8, moves: Sequence_) -> None:
        weight = sum(_EXPENSIVE_COST if m.name in EXPENSIVE else 1 for m in moves)
        weight += 1 + _SCALING_COST * self._scaled
        self.spent += weight * pixels.size / _COST_UNIT

    def begin(self, moves: Sequence_) -> Beginning:
        """A beginning rendered from the source."""
        return self.extend(self.nothing, *moves)

    def rough_error(self, pixels: RGB8) -> float:
        """Mean squared error of rendered ranking crops, without the edited file's losses."""
        gap = self._full.scene.inner(pixels).astype(np.float32) - self._full.target.pixels
        return float(np.square(gap).mean())

    def error(self, moves: Sequence_) -> float:
        """Mean squared error of a plan, through the edited file's own losses."""
        if moves not in self._errors:
            self._errors[moves] = (
                min(self.split_errors(moves))
                if is_expensive(moves)
                else self._error_on(self._judging, moves)
            )
        return self._errors[moves]

    def split_errors(self, moves: Sequence_) -> list[float]:
        """The error of a plan with a detail filter for each split of the turn.

        Only that of the first split where it shows that the plan is right or wrong.
        """
        first = self._deep_error(self._deep[0], moves)
        if not DEEP_MATCH < first < _NEAR:
            return [first]
        return [first, *(self._deep_error(scenes, moves) for scenes in self._deep[1:])]

    def _deep_error(self, scenes: list[Scene], moves: Sequence_) -> float:
        """The error on the first place, or on all of them where that one is nearly perfect."""
        first = self._error_on(scenes[0], moves)
        if first > _CONFIRM:
            return first
        return (first + sum(self._error_on(scene, moves) for scene in scenes[1:])) / len(scenes)

    def _error_on(self, scene: Scene, moves: Sequence_) -> float:
        rendered = self._render_once(scene.pixels, moves)
        if self._compressed:
            self.spent += _COMPRESSION_COST * scene.pixels.size / _COST_UNIT
        gap = scene.inner(rendered, lossy=True).astype(np.float32) - scene.target
        return float(np.square(gap).mean())

    def found(self, moves: Sequence_) -> Found:
        """The plan, judged."""
        return Found(moves, self.error(moves))

    def enough(self, plan: Found) -> bool:
        """Whether the plan is as near to the edited picture as the edit itself would be."""
        return plan.error < (
            max(self.match, DEEP_MATCH) if is_expensive(plan.moves) else self.match
        )
