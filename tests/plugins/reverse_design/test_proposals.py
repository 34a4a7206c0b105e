"""Plans from elsewhere as a start of the search: confirmed, mended or replaced."""

from __future__ import annotations

import pytest
from made_pictures import Value, edit, moves_of

from imgedit_plugins.jobs import Job
from imgedit_plugins.operations import DEFAULT_PROFILE
from imgedit_plugins.pictures import RGB8
from imgedit_reverse_design.hunt import best_answer, solver
from imgedit_reverse_design.scene import Pair
from imgedit_reverse_design.search import Search

TRUTH: tuple[tuple[str, Value], ...] = (("sepia", None), ("blur", 5), ("bright", 30.0))


@pytest.fixture
def efforts(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The efforts that searches were run with."""
    found: list[object] = []
    run = Search.run

    def counted(self: Search, effort: object) -> object:
        found.append(effort)
        return run(self, effort)  # type: ignore[arg-type]

    monkeypatch.setattr(Search, "run", counted)
    return found


def answer(photo: RGB8, proposal: tuple[tuple[str, Value], ...], effort: str = "normal"):
    pair = Pair(photo, edit(photo, *TRUTH))
    engine = solver(DEFAULT_PROFILE, 5)
    return best_answer(pair, engine, effort, Job(), moves_of(*proposal))[0]


@pytest.mark.parametrize(
    "proposal",
    [
        TRUTH,
        (("bright", 30.0), ("blur", 5), ("sepia", None)),  # another order
        (("sepia", None), ("blur", 5), ("bright", 50.0)),  # another level
        (*TRUTH, ("contrast", 1.1)),  # one too many
    ],
    ids=["right", "order", "level", "surplus"],
)
def test_what_is_nearly_right_needs_no_search(photo, efforts, proposal):
    found = answer(photo, proposal)
    assert set(found.moves) == set(moves_of(*TRUTH))
    assert found.verdict.explained > 0.999
    assert not efforts


@pytest.mark.parametrize(
    "proposal",
    [
        (("invert", None), ("saturate", 2.5)),
        (("sepia", None),),
        (("hdr", None), ("sharp", None), ("gaussian", 21), ("contrast", 0.5), ("winter", None)),
    ],
    ids=["wrong", "part", "long"],
)
def test_what_is_wrong_is_replaced(photo, efforts, proposal):
    found = answer(photo, proposal)
    assert set(found.moves) == set(moves_of(*TRUTH))
    assert efforts


def test_no_proposal_is_the_search_as_it_was(photo, efforts):
    assert set(answer(photo, ()).moves) == set(moves_of(*TRUTH))
    assert efforts
