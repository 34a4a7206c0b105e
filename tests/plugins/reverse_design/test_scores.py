"""Scores: hand-computed examples, and properties that hold for any prediction."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgedit_reverse_design import scores
from imgedit_reverse_design.scores import Sample

NAMES = ("blur", "bright", "flip", "hdr", "sepia")
values = st.integers(0, 20).map(lambda n: n / 20)
edits = st.dictionaries(st.sampled_from(NAMES), values, max_size=5)
true_edits = st.dictionaries(st.sampled_from(NAMES), values, min_size=1, max_size=5)
samples = st.lists(
    st.builds(
        Sample,
        truth=true_edits,
        predicted=edits,
        image=st.sampled_from(["a", "b", "c"]),
        psnr_db=st.floats(0, 60) | st.just(math.inf),
        mean_difference=st.floats(0, 255),
        max_difference=st.integers(0, 255),
        cpu_seconds=st.floats(0, 10),
    ),
    min_size=1,
    max_size=12,
)

# Three pairs, worked out by hand below.
PERFECT = Sample({"flip": 1.0, "blur": 0.333}, {"blur": 0.333, "flip": 1.0}, "a")
HALF = Sample({"bright": 0.5, "hdr": 1.0}, {"bright": 0.7, "sepia": 1.0, "flip": 1.0}, "b")
NONE = Sample({"hdr": 1.0}, {}, "b", abstained=True)


def values_of(group: list[Sample], draws: int = 0) -> dict[str, float | None]:
    return {name: found.value for name, found in scores.summarise(group, draws=draws).items()}


def test_hand_computed_figures() -> None:
    found = values_of([PERFECT, HALF, NONE])
    assert found["accuracy"] == pytest.approx((1 + 0.5 + 0) / 3)
    # perfect: 0; half: (0.2² + 1²) / 2 = 0.52; none: 1² / 1
    assert found["mse"] == pytest.approx((0 + 0.52 + 1) / 3)
    assert found["precision"] == pytest.approx(3 / 5)  # 2 + 1 right of 2 + 3 + 0 predicted
    assert found["recall"] == pytest.approx(3 / 5)  # of 2 + 2 + 1 true
    assert found["f1"] == pytest.approx(2 * 3 / (5 + 5))
    # flip: 2*1/(1+2); blur 1; bright 1; hdr 0/(2+0); sepia 0/(0+1)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 1 + 1 + 0 + 0) / 5)
    assert found["exact"] == pytest.approx(1 / 3)
    assert found["exact_values"] == pytest.approx(1 / 3)
    assert found["abstained"] == pytest.approx(1 / 3)
    assert found["psnr_db"] is None  # not measured
    assert found["equivalent"] is None


def test_figures_by_operation() -> None:
    found = scores.by_operation([PERFECT, HALF, NONE])
    assert list(found) == ["blur", "bright", "flip", "hdr", "sepia"]
    assert found["flip"] == scores.OperationScore(1, 2, 0.5, 1.0, 2 / 3, 0.0)
    assert found["bright"].value_mae == pytest.approx(0.2)
    assert found["hdr"] == scores.OperationScore(2, 0, None, 0.0, 0.0, None)
    assert found["sepia"] == scores.OperationScore(0, 1, 0.0, None, 0.0, None)


def test_samples_by_number_of_operations() -> None:
    assert scores.by_count([PERFECT, NONE, HALF]) == {1: [NONE], 2: [PERFECT, HALF]}


@pytest.mark.parametrize(("value", "exact"), [(0.333, True), (0.343, True), (0.345, False)])
def test_exact_values_allow_two_decimals(value: float, exact: bool) -> None:
    assert scores.is_exact_with_values({"blur": 0.333}, {"blur": value}) is exact


def test_over_prediction_pleases_the_papers_scores_but_not_f1_or_the_exact_set() -> None:
    truth = {"flip": 1.0, "hdr": 1.0}
    everything = dict.fromkeys([*NAMES, "invert", "sharp", "summer"], 1.0)
    found = values_of([Sample(truth, everything)])
    assert (found["accuracy"], found["mse"]) == (1.0, 0.0)
    assert found["precision"] == 0.25
    assert found["f1"] == pytest.approx(0.4)
    assert found["exact"] == 0.0


@pytest.mark.parametrize(
    ("predicted", "mean", "maximum", "equivalent", "same"),
    [
        ({"flip": 1.0}, 80.0, 255, 1.0, 0.0),  # the same set, in whatever order
        ({"hdr": 1.0}, 0.5, 2, 1.0, 1.0),
        ({"hdr": 1.0}, 0.5, 3, 1.0, 0.0),
        ({"hdr": 1.0}, 0.51, 1, 0.0, 1.0),
    ],
)
def test_equivalence(
    predicted: dict[str, float], mean: float, maximum: int, equivalent: float, same: float
) -> None:
    sample = Sample({"flip": 1.0}, predicted, mean_difference=mean, max_difference=maximum)
    found = values_of([sample])
    assert (found["equivalent"], found["same_picture"]) == (equivalent, same)


def test_psnr_median_is_the_lower_one_and_may_be_infinite() -> None:
    def median(*values: float) -> float | None:
        return values_of([Sample({"flip": 1}, {}, psnr_db=v) for v in values])["psnr_db"]

    assert median(30.0, 50.0, 40.0) == 40.0
    assert median(30.0, 50.0, 40.0, math.inf) == 40.0
    assert median(30.0, math.inf, math.inf) == math.inf
    found = values_of([Sample({"flip": 1}, {}, psnr_db=v) for v in (30.0, math.inf)])
    assert found["identical"] == 0.5


def test_a_figure_that_was_not_measured_for_all_is_left_out() -> None:
    group = [Sample({"flip": 1}, {}, cpu_seconds=1.0), Sample({"flip": 1}, {})]
    assert values_of(group)["cpu_seconds"] is None


def test_intervals_follow_the_textbook_where_samples_are_independent() -> None:
    # 400 pictures, 80 % right: the standard error of a share is sqrt(0.8 * 0.2 / 400) = 0.02.
    right = {"flip": 1.0}
    group = [Sample(right, right if i % 5 else {}, image=str(i)) for i in range(400)]
    found = scores.summarise(group)["exact"]
    assert found.value == pytest.approx(0.8)
    assert found.low == pytest.approx(0.8 - 1.96 * 0.02, abs=0.006)
    assert found.high == pytest.approx(0.8 + 1.96 * 0.02, abs=0.006)


def test_rows_of_one_picture_are_no_independent_evidence() -> None:
    right = {"flip": 1.0}
    alone = [Sample(right, right if i % 2 else {}, image=str(i)) for i in range(40)]
    repeated = [sample for sample in alone for _ in range(10)]
    a, b = scores.summarise(alone)["exact"], scores.summarise(repeated)["exact"]
    assert (a.low, a.high) == (b.low, b.high)


def test_intervals_are_seeded() -> None:
    group = [PERFECT, HALF, NONE] * 5
    group = [
        Sample(s.truth, s.predicted, str(i), s.abstained, psnr_db=float(i))
        for i, s in enumerate(group)
    ]
    assert scores.summarise(group, seed=3) == scores.summarise(group, seed=3)
    assert scores.summarise(group, seed=3) != scores.summarise(group, seed=4)


@given(samples)
@settings(max_examples=60, deadline=None)
def test_every_share_is_a_share_and_lies_in_its_interval(group: list[Sample]) -> None:
    found = scores.summarise(group, draws=40)
    for name in set(scores.FIGURES) - {"mse", "psnr_db", "cpu_seconds"}:
        value, low, high = found[name].value, found[name].low, found[name].high
        if value is None:
            assert name == "precision"
            assert not any(sample.predicted for sample in group)
            continue
        assert 0 <= value <= 1
        assert low is not None
        assert high is not None
        assert 0 <= low <= high <= 1
    equivalent, exact = found["equivalent"].value, found["exact"].value
    assert equivalent is not None
    assert exact is not None
    assert equivalent >= exact


@given(samples)
@settings(max_examples=60, deadline=None)
def test_figures_agree_with_the_plain_formulas(group: list[Sample]) -> None:
    found = values_of(group)
    hits = sum(len(set(s.truth) & set(s.predicted)) for s in group)
    size = sum(len(s.truth) + len(s.predicted) for s in group)
    assert found["f1"] == pytest.approx(2 * hits / size)
    errors = [
        statistics.fmean((s.predicted.get(n, 0.0) - v) ** 2 for n, v in s.truth.items())
        for s in group
    ]
    assert found["mse"] == pytest.approx(statistics.fmean(errors))
    assert found["psnr_db"] == statistics.median_low(s.psnr_db or 0.0 for s in group)
    macro = [score.f1 for score in scores.by_operation(group).values()]
    assert found["macro_f1"] == pytest.approx(statistics.fmean(f or 0.0 for f in macro))


@given(samples, st.randoms())
@settings(max_examples=30, deadline=None)
def test_the_order_of_samples_does_not_matter(group: list[Sample], rng: object) -> None:
    mixed = list(group)
    rng.shuffle(mixed)  # type: ignore[attr-defined]
    a, b = values_of(group), values_of(mixed)
    assert all(a[name] == pytest.approx(b[name]) for name in scores.FIGURES)


@given(true_edits, edits)
def test_a_perfect_prediction_is_best(truth: dict[str, float], predicted: dict[str, float]) -> None:
    assert scores.accuracy(truth, truth) == 1.0
    assert scores.squared_error(truth, truth) == 0.0
    assert 0 <= scores.accuracy(truth, predicted) <= 1
    assert scores.squared_error(truth, predicted) >= 0


def test_samples_and_groups_must_not_be_empty() -> None:
    with pytest.raises(ValueError, match="at least one true operation"):
        Sample({}, {})
    with pytest.raises(ValueError, match="has no prediction"):
        Sample({"flip": 1}, {"flip": 1}, abstained=True)
    with pytest.raises(ValueError, match="no samples"):
        scores.summarise([])
