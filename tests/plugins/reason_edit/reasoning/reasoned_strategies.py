"""Arbitrary valid documents."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from plan_strategies import GEOMETRY, OPERATIONS, steps

from imgedit_reason_edit.reasoning.document import (
    Document,
    Layer,
    Origin,
    Region,
    Round,
    parse_document,
)

STILL = tuple(name for name in OPERATIONS if name not in GEOMETRY)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@st.composite
def boxes(draw: Any) -> tuple[float, float, float, float]:
    left, right = sorted(draw(st.lists(st.floats(0, 1), min_size=2, max_size=2, unique=True)))
    top, bottom = sorted(draw(st.lists(st.floats(0, 1), min_size=2, max_size=2, unique=True)))
    return left, top, right, bottom


regions = st.builds(
    Region,
    what=texts,
    box=boxes(),
    shape=st.sampled_from(["box", "ellipse"]),
    feather=st.floats(0, 0.5),
    outside=st.booleans(),
    mask=st.none(),
)


somewhere = st.none() | regions


def layers(
    names: tuple[str, ...] = STILL, region: st.SearchStrategy[Any] = somewhere
) -> st.SearchStrategy[Layer]:
    """Layers of operations."""
    some = st.lists(steps(names), min_size=1, max_size=3).map(tuple)
    return st.builds(Layer, title=texts, region=region, operations=some)


painted = st.builds(Layer, title=texts, region=somewhere, paint=texts.filter(lambda t: t.strip()))


@st.composite
def documents(draw: Any, *, paints: bool = True, moves: bool = True) -> Document:
    """With everything that a document can hold."""
    kinds = layers() | painted if paints else layers()
    chosen = draw(st.lists(kinds, max_size=3))
    if moves and draw(st.booleans()):
        chosen.append(draw(layers(tuple(OPERATIONS), st.none())))
    criticism = st.builds(
        Round, criticism=texts, layers=st.lists(kinds, max_size=2).map(tuple), kept=st.booleans(),
        reason=texts, before=st.lists(kinds, max_size=2).map(tuple),
    )  # fmt: skip
    origin = st.builds(Origin, model=texts, prompts=texts, version=texts,
                       attempts=st.integers(1, 9))  # fmt: skip
    made = Document(
        instruction=draw(texts),
        intent=draw(texts),
        layers=tuple(chosen),
        criticism=draw(st.none() | criticism),
        origin=draw(st.none() | origin),
    )
    return parse_document(made.to_json())
