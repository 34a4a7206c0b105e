"""Exposure, gamma, lightness, highlights, shadows, whites, blacks, levels and curves."""

import colorsys
import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from imgedit_plugins.errors import ParameterError
from imgedit_plugins.operations.encoding import decode, encode
from imgedit_plugins.operations.forms import Colour, Curves, evaluate
from imgedit_plugins.operations.interpolation import monotone_cubic
from imgedit_plugins.operations.tone import OPERATIONS
from imgedit_plugins.operations.vocabulary import STRAIGHT

BY_NAME = {operation.name: operation for operation in OPERATIONS}
AMOUNTS = ("lightness", "highlights", "shadows", "whites", "blacks")
FALLING_FREE = (*(("amount", name, -100, 100) for name in AMOUNTS), ("stops", "exposure", -5, 5),
                ("gamma", "gamma", 0.1, 10))  # fmt: skip
LUMA = np.array([0.2126, 0.7152, 0.0722])
RAMP = np.linspace(0, 1, 2001)
RED = np.array([[[0.6, 0.2, 0.1]]], np.float32)

one_slider = pytest.mark.parametrize(("parameter", "name", "least", "most"), FALLING_FREE, ids=str)


def form(name, **parameters):
    operation = BY_NAME[name]
    return operation.form(operation.check(parameters), {})


def edited(values, name, **parameters):
    return evaluate(form(name, **parameters), np.asarray(values, np.float32))


def grey(values):
    return np.repeat(np.asarray(values, np.float32).reshape(1, -1, 1), 3, axis=2)


def on_grey(values, name, **parameters):
    """What becomes of grey values; it must stay grey."""
    result = edited(grey(values), name, **parameters)
    assert (result == result[:, :, :1]).all()
    return result[0, :, 0]


def colours(seed=0):
    """Random colours, and the corners of the cube."""
    corners = np.array(list(itertools.product((0, 1), repeat=3)), np.float32)
    random = np.random.default_rng(seed).random((992, 3)).astype(np.float32)
    return np.concatenate([corners, random]).reshape(20, 50, 3)


def undone(values, name, **parameters):
    inverse = BY_NAME[name].inverse(BY_NAME[name].check(parameters))
    assert not inverse.exact
    return edited(edited(values, name, **parameters), inverse.name, **inverse.parameters)


# --- values computed by hand ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "parameters", "before", "after"),
    [
        # 0.5 encoded is 0.21404 in linear light; twice that is 0.42808, encoded 0.68584.
        ("exposure", {"stops": 1}, 0.5, 0.685836),
        ("exposure", {"stops": -1}, 0.685836, 0.5),
        ("exposure", {"stops": -2}, 0.04, 0.01),  # in the straight part
        ("exposure", {"stops": 2}, 0.9, 1.0),
        ("exposure", {"stops": 5}, 0.0, 0.0),
        ("gamma", {"gamma": 2}, 0.25, 0.5),
        ("gamma", {"gamma": 0.5}, 0.5, 0.25),
        ("gamma", {"gamma": 10}, 0.0, 0.0),
        ("lightness", {"amount": 100}, 0.5, 0.75),
        ("lightness", {"amount": -100}, 0.5, 0.25),
        ("lightness", {"amount": 50}, 0.5, math.sqrt(3) / (1 + math.sqrt(3))),
        ("lightness", {"amount": 100}, 1.0, 1.0),
        ("whites", {"amount": -100}, 1.0, 1 / math.sqrt(1.36)),
        ("whites", {"amount": 100}, 0.5, 0.5 / math.sqrt(0.91)),
        ("whites", {"amount": 100}, 0.86, 1.0),
        ("whites", {"amount": 100}, 0.0, 0.0),
        ("blacks", {"amount": 100}, 0.0, 1 - 1 / math.sqrt(1.36)),
        ("blacks", {"amount": -100}, 0.14, 0.0),
        ("blacks", {"amount": -100}, 0.5, 1 - 0.5 / math.sqrt(0.91)),
        ("blacks", {"amount": -100}, 1.0, 1.0),
        ("levels", {"in_black": 51, "in_white": 204}, 0.5, 0.5),
        ("levels", {"in_black": 51, "in_white": 204}, 0.2, 0.0),
        ("levels", {"in_black": 51, "in_white": 204}, 0.35, 0.25),
        ("levels", {"gamma": 2}, 0.25, 0.5),
        ("levels", {"out_black": 51, "out_white": 204}, 0.25, 0.35),
        ("levels", {"in_black": 51, "gamma": 2, "out_white": 204}, 0.4, 0.4),
        ("levels", {"out_black": 255, "out_white": 0}, 0.3, 0.7),  # turned round
        ("curves", {"all": [[0, 0.2], [1, 0.6]]}, 0.5, 0.4),
        ("curves", {"all": [[0.2, 0], [0.8, 1]]}, 0.1, 0.0),  # held before the first point
        ("curves", {"all": [[0.2, 0.3], [0.8, 1]]}, 0.1, 0.3),
        ("curves", {"all": [[0, 0], [0.5, 0.5], [0.8, 0.9]]}, 0.95, 0.9),
    ],
)  # fmt: skip
def test_tones_as_computed_by_hand(name, parameters, before, after):
    assert on_grey([before], name, **parameters)[0] == pytest.approx(after, abs=2e-6)


@pytest.mark.parametrize(
    ("encoded", "linear"),
    [(0.0, 0.0), (0.04045, 0.0031308), (0.5, 0.21404114), (0.735357, 0.5), (1.0, 1.0)],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_transfer_function_of_srgb(encoded, linear, dtype):
    light = decode(np.array([encoded], dtype))
    assert light.dtype == dtype
    assert light[0] == pytest.approx(linear, abs=1e-6)
    back = encode(np.array([linear], dtype))
    assert back.dtype == dtype
    assert back[0] == pytest.approx(encoded, abs=1e-6)


def test_a_curve_between_its_points_is_the_hermite_cubic():
    # Secants 1.6 and 0.4, intervals alike: slope in the middle 2 / (1/1.6 + 1/0.4) = 0.64. In
    # the middle of an interval: mean of its ends, and width / 8 times the slopes' difference.
    curve = monotone_cubic(((0.0, 0.0), (0.5, 0.8), (1.0, 1.0)))
    expected = [0.4 + 0.5 / 8 * (1.6 - 0.64), 0.9 + 0.5 / 8 * (0.64 - 0.4)]
    assert curve(np.array([0.25, 0.75])) == pytest.approx(expected)
    uneven = monotone_cubic(((0.0, 0.0), (0.2, 0.1), (1.0, 0.9)))  # secants 0.5 and 1
    slope = 3.0 / (1.8 / 0.5 + 1.2 / 1.0)  # weights (2 x 0.8 + 0.2), (0.8 + 2 x 0.2)
    assert uneven(np.array([0.1]))[0] == pytest.approx(0.05 + 0.2 / 8 * (0.5 - slope))


def flow(value, amount, speed, steps=20_000):
    """dv/dt = speed(v) by small steps."""
    for _ in range(steps):
        middle = value + speed(value) * amount / steps / 2
        value += speed(middle) * amount / steps
    return value


def shadow_speed(v):
    return v**2 * (1 - v) ** 2 / (v**2 + 0.1 * (1 - v) ** 2)


@pytest.mark.parametrize("luma", [0.02, 0.1, 0.24, 0.26, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("amount", [-100, 40, 100])
def test_shadows_and_highlights_follow_their_flow(luma, amount):
    wanted = flow(luma, amount / 200, shadow_speed)
    assert on_grey([luma], "shadows", amount=amount)[0] == pytest.approx(wanted, abs=2e-6)
    wanted = flow(luma, amount / 200, lambda v: shadow_speed(1 - v))
    assert on_grey([luma], "highlights", amount=amount)[0] == pytest.approx(wanted, abs=2e-6)


# --- what photographers expect ----------------------------------------------------------------


@one_slider
def test_more_is_brighter_everywhere_and_tones_never_invert(parameter, name, least, most):
    photograph = colours()
    means, curves = [], []
    for setting in np.linspace(least, most, 21):
        curve = on_grey(RAMP, name, **{parameter: float(setting)})
        assert np.diff(curve).min() >= -1e-6
        curves.append(curve)
        means.append(float((edited(photograph, name, **{parameter: float(setting)}) @ LUMA).mean()))
    assert np.diff(means).min() > 0
    assert np.diff(curves, axis=0).min() >= -1e-6


@given(
    st.lists(st.integers(0, 1000), min_size=2, max_size=12, unique=True),
    st.lists(st.integers(0, 1000), min_size=12, max_size=12),
)
@settings(deadline=None, max_examples=100)
def test_curves_rise_where_their_points_do_and_pass_through_them(inputs, outputs):
    x = [v / 1000 for v in sorted(inputs)]
    y = [v / 1000 for v in outputs[: len(x)]]
    points = tuple(zip(x, y, strict=True))
    curve = monotone_cubic(points)
    assert curve(np.array(x)) == pytest.approx(y, abs=1e-9)
    for a, b in itertools.pairwise(points):
        between = curve(np.linspace(a[0], b[0], 50))
        assert (np.diff(between) * np.sign(b[1] - a[1])).min() >= -1e-9
    assert curve(np.array([0.0, 1.0])) == pytest.approx([y[0], y[-1]])
    rising = monotone_cubic(tuple(zip(x, sorted(y), strict=True)))(RAMP)
    assert np.diff(rising).min() >= -1e-9


@given(
    st.floats(0, 255), st.floats(0, 255), st.floats(0.1, 10), st.floats(0, 255), st.floats(0, 255)
)
@settings(deadline=None, max_examples=60)
def test_levels_rise_unless_their_outputs_are_exchanged(in_black, in_white, gamma, low, high):
    assume(in_white - in_black >= 1)
    curve = on_grey(
        RAMP, "levels", in_black=in_black, in_white=in_white, gamma=gamma, out_black=low,
        out_white=high,
    )  # fmt: skip
    assert (np.diff(curve) * (1 if high >= low else -1)).min() >= -1e-6
    assert np.isfinite(curve).all()


def test_shadows_leave_bright_tones_and_highlights_dark_ones():
    ends = np.array([0, 1], np.float32)
    for name, kept, moved in (("shadows", 0.95, 0.25), ("highlights", 0.05, 0.75)):
        for amount in (-100, 100):
            assert on_grey([kept], name, amount=amount)[0] == pytest.approx(kept, abs=0.004)
            assert abs(on_grey([moved], name, amount=amount)[0] - moved) > 0.09
            assert np.array_equal(on_grey(ends, name, amount=amount), ends)


def test_whites_leave_dark_tones_and_blacks_bright_ones():
    for amount in (-100, 100):
        assert on_grey([0.2], "whites", amount=amount)[0] == pytest.approx(0.2, abs=0.002)
        assert on_grey([0.8], "blacks", amount=amount)[0] == pytest.approx(0.8, abs=0.002)


@pytest.mark.parametrize("name", ["highlights", "shadows"])
@pytest.mark.parametrize("amount", [-100, -30, 60, 100])
def test_highlights_and_shadows_keep_hue_and_never_clip(name, amount):
    before = colours()
    raw = form(name, amount=amount).function(before.copy())
    assert raw.min() >= -1e-6
    assert raw.max() <= 1 + 1e-6
    # The brightness of each pixel moves as that of a grey of the same brightness.
    brightness = (before @ LUMA + before.max(axis=-1)).ravel() / 2
    after = (raw @ LUMA + raw.max(axis=-1)).ravel() / 2
    assert after == pytest.approx(on_grey(brightness, name, amount=amount), abs=2e-6)
    for old, new in zip(before.reshape(-1, 3), raw.reshape(-1, 3), strict=True):
        if new.max() - new.min() > 0.01:
            turned = colorsys.rgb_to_hsv(*new.tolist())[0] - colorsys.rgb_to_hsv(*old.tolist())[0]
            assert (turned + 0.5) % 1 - 0.5 == pytest.approx(0, abs=2e-4)


def test_darkened_colours_keep_their_saturation():
    before, after = RED[0, 0], edited(RED, "shadows", amount=-80)[0, 0]
    assert after.max() < before.max()
    assert after / after.max() == pytest.approx(before / before.max(), abs=1e-5)


def test_single_curves_act_on_their_channel_before_the_common_one():
    red = [[0, 0], [0.6, 0.9], [1, 1]]
    after = edited(RED, "curves", red=red)[0, 0]
    assert after == pytest.approx([0.9, 0.2, 0.1], abs=1e-6)
    common = [[0, 0], [0.9, 0.3], [1, 1]]
    after = edited(RED, "curves", red=red, all=common)[0, 0]
    assert after[0] == pytest.approx(0.3, abs=1e-6)
    assert after[1:] == pytest.approx(edited(RED, "curves", all=common)[0, 0, 1:], abs=1e-6)
    # One function for all channels lets a grey picture be computed once.
    both = form("curves", all=common)
    assert both.red is both.green is both.blue


def test_channels_of_their_own_colour_a_grey():
    after = edited(grey([0.5]), "curves", blue=[[0, 0], [0.5, 0.6], [1, 1]])[0, 0]
    assert after == pytest.approx([0.5, 0.5, 0.6], abs=1e-6)


# --- neutral, undone, refused -----------------------------------------------------------------


@pytest.mark.parametrize("name", BY_NAME)
def test_neutral_values_change_nothing(name):
    operation = BY_NAME[name]
    neutral = {p.name: p.neutral for p in operation.parameters}
    assert operation.is_neutral(neutral)
    for values in (colours(), grey(RAMP)):
        assert np.abs(edited(values, name, **neutral) - values).max() < 1e-6


@one_slider
def test_the_opposite_setting_undoes(parameter, name, least, most):
    middle = 0.3 + 0.4 * colours()  # away from the ends, where these settings clip
    for share in (0.2, 0.4, 0.6, 0.8):
        setting = (least + (most - least) * share) / (1 if name != "exposure" else 3)
        if name == "gamma":
            setting = 0.4 + 2 * share
        assert np.abs(undone(middle, name, **{parameter: setting}) - middle).max() < 2e-5


@pytest.mark.parametrize("name", AMOUNTS)
@pytest.mark.parametrize(("first", "second"), [(20, 30), (-45, 15), (60, -60)])
def test_amounts_add_up(name, first, second):
    values = np.linspace(0.2, 0.8, 50)
    twice = on_grey(on_grey(values, name, amount=first), name, amount=second)
    assert twice == pytest.approx(on_grey(values, name, amount=first + second), abs=2e-6)


@pytest.mark.parametrize(
    "parameters",
    [
        {"in_black": 20, "in_white": 230},
        {"gamma": 1.7},
        {"out_black": 30, "out_white": 220},
        {"in_black": 10, "in_white": 240, "gamma": 0.6, "out_black": 12, "out_white": 200},
    ],
)
def test_levels_are_undone_by_levels(parameters):
    values = grey(np.linspace(0.1, 0.9, 50))
    assert np.abs(undone(values, "levels", **parameters) - values).max() < 2e-5


@pytest.mark.parametrize(
    "parameters",
    [
        {"all": [[0, 0], [0.25, 0.15], [0.75, 0.9], [1, 1]]},
        {"all": [[0, 0.1], [0.4, 0.5], [1, 0.8]]},
        {"red": [[0, 0], [0.5, 0.7], [1, 1]], "blue": [[0, 0.05], [1, 0.9]]},
    ],
)
def test_rising_curves_are_undone_by_curves(parameters):
    assert np.abs(undone(colours(), "curves", **parameters) - colours()).max() < 0.5 / 255


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("levels", {"out_black": 255, "out_white": 0}),
        ("levels", {"out_black": 100, "out_white": 100}),
        ("curves", {"all": [[0, 0.5], [1, 0.5]]}),
        ("curves", {"all": [[0, 0], [0.4, 0.8], [0.6, 0.8], [1, 1]]}),
        ("curves", {"red": [[0, 1], [1, 0]]}),
        ("curves", {"all": [[0, 0], [1, 0.5]], "red": [[0, 0], [1, 0.5]]}),
    ],
)
def test_what_merges_tones_cannot_be_undone(name, parameters):
    assert BY_NAME[name].inverse(BY_NAME[name].check(parameters)) is None


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_inverses_are_valid_steps(data):
    operation = BY_NAME[data.draw(st.sampled_from(sorted(set(BY_NAME) - {"curves"})))]
    given_values = {
        p.name: data.draw(st.floats(p.minimum, p.maximum) | st.sampled_from([p.minimum, p.maximum]))
        for p in operation.parameters
    }
    assume(not operation.fault(given_values))
    inverse = operation.inverse(operation.check(given_values))
    if inverse is not None:
        BY_NAME[inverse.name].check(inverse.parameters)


@given(st.lists(st.integers(1, 999), min_size=0, max_size=12, unique=True), st.randoms())
@settings(deadline=None, max_examples=60)
def test_inverses_of_curves_are_valid_steps(middle, random):
    x = [0, *sorted(middle), 1000]
    y = sorted(random.sample(range(1001), len(x)))
    points = [[a / 1000, b / 1000] for a, b in zip(x, y, strict=True)]
    operation = BY_NAME["curves"]
    inverse = operation.inverse(operation.check({"green": points}))
    if y[-1] - y[0] > 10:
        operation.check(inverse.parameters)


@one_slider
@pytest.mark.parametrize("beyond", [-1.001, 1.001])
def test_values_out_of_range_are_refused(parameter, name, least, most, beyond):
    value = (least + most) / 2 + (most - least) / 2 * beyond
    with pytest.raises(ParameterError, match="must be between"):
        BY_NAME[name].check({parameter: value})


def test_levels_and_curves_out_of_range_are_refused():
    for parameters in ({"in_black": -1}, {"out_white": 256}, {"gamma": 0.05}):
        with pytest.raises(ParameterError, match="must be between"):
            BY_NAME["levels"].check(parameters)
    for in_white in (20, 100, 100.5):
        with pytest.raises(ParameterError, match=r"a code or more above the input black \(100\)"):
            BY_NAME["levels"].check({"in_black": 100, "in_white": in_white})
    BY_NAME["levels"].check({"in_black": 100, "in_white": 101})
    for points in ([[0, 0], [1, 1.1]], [[0.5, 0], [0.5, 1]], [[0, 0]], 0.5):
        with pytest.raises(ParameterError):
            BY_NAME["curves"].check({"all": points})
    assert BY_NAME["curves"].check({}) == dict.fromkeys(("all", "red", "green", "blue"), STRAIGHT)


EXTREMES = [
    *((name, {parameter: edge}) for parameter, name, *edges in FALLING_FREE for edge in edges),
    ("levels", {"in_black": 254, "gamma": 0.1, "out_black": 255, "out_white": 0}),
    ("levels", {"in_white": 1, "gamma": 10}),
    ("curves", {"all": [[0.4, 1], [0.4002, 0], [0.4004, 1]], "red": [[0.9998, 0], [1, 1]]}),
]


@pytest.mark.parametrize(("name", "parameters"), EXTREMES, ids=str)
def test_extreme_settings_give_finite_values(name, parameters):
    for values in (colours(), grey(RAMP), grey(RAMP * 1e-6), grey(1 - RAMP * 1e-6)):
        after = edited(values, name, **parameters)
        assert after.dtype == np.float32
        assert np.isfinite(after).all()
        assert after.min() >= 0
        assert after.max() <= 1


# --- shape and words --------------------------------------------------------------------------


def test_what_each_channel_does_alone_becomes_a_table():
    for name, operation in BY_NAME.items():
        some = operation.check({p.name: p.neutral for p in operation.parameters})
        wanted = Colour if name in ("highlights", "shadows") else Curves
        assert isinstance(operation.form(some, {}), wanted), name


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", sorted(set(BY_NAME) - {"highlights", "shadows"}))
def test_tables_may_be_computed_in_either_precision(name, dtype):
    parameters = {
        p.name: ((0, 0.1), (0.3, 0.5), (1, 1)) if p.points else 0.7 * p.maximum
        for p in BY_NAME[name].parameters
        if p.name != "in_black"
    }
    curve = form(name, **parameters).red
    values = np.linspace(0, 1, 11, dtype=dtype)
    before = values.copy()
    assert curve(values).dtype == dtype
    assert np.array_equal(values, before)
    assert curve(values.reshape(-1, 1)).shape == (11, 1)


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("exposure", {"stops": -0.5}, "exposed shorter by 0.5 EV"),
        ("gamma", {"gamma": 2.2}, "gamma-corrected by 2.2"),
        ("lightness", {"amount": 20}, "lightened by 20 %"),
        ("lightness", {"amount": -20}, "darkened by 20 %"),
        ("highlights", {"amount": -35}, "highlights lowered by 35 %"),
        ("levels", {"in_black": 12, "gamma": 1.2},
         "levels 12 to 255 spread over 0 to 255 with gamma 1.2"),
        ("curves", {"all": [[0, 0], [0.5, 0.6], [1, 1]], "red": [[0, 0.1], [1, 1]]},
         "curves bent (all channels through 3 points, red through 2 points)"),
    ],
)  # fmt: skip
def test_edits_in_words(name, parameters, words):
    assert BY_NAME[name].describe(BY_NAME[name].check(parameters)) == words
