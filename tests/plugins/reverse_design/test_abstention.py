"""Abstention curves: hand-computed examples, ties, intervals, and bounds that always hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgedit_reverse_design.abstention import Curve, Point, curve
from imgedit_reverse_design.scores import Sample

TRUE = {"flip": 1.0, "hdr": 1.0}
RIGHT = Sample(TRUE, TRUE, "a")
HALF = Sample(TRUE, {"flip": 1.0, "sepia": 1.0}, "b")
WRONG = Sample(TRUE, {"sepia": 1.0}, "c")
NONE = Sample(TRUE, {}, "d", abstained=True)


def drawn(samples: list[Sample], ranks: list[float | None], draws: int = 0) -> Curve:
    found = curve(samples, ranks, draws=draws)
    assert found is not None
    return found


def test_hand_computed_curve() -> None:
    found = drawn([HALF, NONE, RIGHT, WRONG], [0.5, 0.99, 0.9, 0.2])
    assert found.points == (
        Point(0.9, 0.25, 1.0, 1.0),
        Point(0.5, 0.5, 0.75, pytest.approx(2 * 3 / 8)),  # 2 + 1 right of 2 + 2 said, 2 + 2 true
        Point(0.2, 0.75, 0.5, pytest.approx(2 * 3 / 11)),
    )
    assert found.accuracy_area.value == pytest.approx((1 + 0.75 + 0.5) / 3)
    assert found.f1_area.value == pytest.approx((1 + 6 / 8 + 6 / 11) / 3)
    assert found.accuracy_random == pytest.approx(0.5)
    assert found.accuracy_ideal == found.accuracy_area.value, "the ranking is the ideal one"


def test_the_worst_ranking() -> None:
    found = drawn([HALF, RIGHT, WRONG], [0.5, 0.1, 0.9])
    assert found.accuracy_area.value == pytest.approx((0 + 0.25 + 0.5) / 3)
    assert found.accuracy_ideal == pytest.approx((1 + 0.75 + 0.5) / 3)


def test_answers_of_one_score_cannot_be_told_apart() -> None:
    found = drawn([RIGHT, WRONG, HALF], [0.9, 0.9, 0.1])
    assert [(p.threshold, p.accuracy) for p in found.points] == [(0.9, 0.5), (0.1, 0.5)]
    # In whichever order the two stand: 1/2 is expected of the first, and of both.
    assert found.accuracy_area.value == pytest.approx((0.5 + 0.5 + 0.5) / 3)
    swapped = drawn([WRONG, RIGHT, HALF], [0.9, 0.9, 0.1])
    assert swapped == found
    # F1 of one of the two: (2*2 + 0)/2 hits over ((2+2) + (1+2))/2 names
    assert found.f1_area.value == pytest.approx((2 / 3.5 + 4 / 7 + 6 / 11) / 3)


def test_there_is_no_curve_without_answers_or_scores() -> None:
    assert curve([NONE], [0.9]) is None
    assert curve([RIGHT, HALF], [0.9, None]) is None
    assert curve([RIGHT, NONE], [0.9, None]) is not None, "who abstains needs no score"


def test_intervals_draw_whole_pictures() -> None:
    alone = [Sample(TRUE, TRUE if n % 2 else {"sepia": 1.0}, str(n)) for n in range(40)]
    ranks: list[float | None] = [0.5] * 40
    once, often = drawn(alone, ranks, 300), drawn(alone * 5, ranks * 5, 300)
    for found in (once.accuracy_area, often.accuracy_area):
        assert found.value == pytest.approx(0.5)
        assert found.low == pytest.approx(0.5 - 1.96 * 0.5 / np.sqrt(40), abs=0.03)
        assert found.high == pytest.approx(0.5 + 1.96 * 0.5 / np.sqrt(40), abs=0.03)
    assert often.accuracy_area.low == pytest.approx(once.accuracy_area.low)


def test_one_picture_has_no_spread() -> None:
    found = drawn([RIGHT, Sample(TRUE, {}, "a")], [0.9, 0.1], 50)
    assert found.accuracy_area.low == found.accuracy_area.value == found.accuracy_area.high


answers = st.lists(
    st.tuples(
        st.sampled_from([RIGHT, HALF, WRONG, NONE]), st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9])
    ),
    min_size=1,
    max_size=10,
).filter(lambda pairs: any(sample is not NONE for sample, _ in pairs))


@given(answers, st.randoms())
@settings(max_examples=80, deadline=None)
def test_bounds_and_order(pairs: list[tuple[Sample, float]], rng: object) -> None:
    found = drawn([s for s, _ in pairs], [r for _, r in pairs], 20)
    shares = [point.answered for point in found.points]
    assert shares == sorted(shares)
    answered = sum(not sample.abstained for sample, _ in pairs)
    assert shares[-1] == pytest.approx(answered / len(pairs))
    thresholds = [point.threshold for point in found.points]
    assert thresholds == sorted(set(thresholds), reverse=True)
    assert found.accuracy_area.value is not None
    assert found.accuracy_area.value <= found.accuracy_ideal + 1e-12
    assert found.points[-1].accuracy == pytest.approx(found.accuracy_random)
    mixed = list(pairs)
    rng.shuffle(mixed)  # type: ignore[attr-defined]
    again = drawn([s for s, _ in mixed], [r for _, r in mixed])
    assert again.accuracy_area.value == pytest.approx(found.accuracy_area.value)
    assert again.f1_area.value == pytest.approx(found.f1_area.value)
