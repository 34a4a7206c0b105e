"""Hue, temperature, tint, vibrance, split tone and the colour bands."""

import colorsys
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgedit_plugins.errors import ParameterError
from imgedit_plugins.operations.bands import BANDS, band_weights
from imgedit_plugins.operations.colour import OPERATIONS
from imgedit_plugins.operations.forms import evaluate

BY_NAME = {operation.name: operation for operation in OPERATIONS}
LUMA = np.array([0.2126, 0.7152, 0.0722])
GREYS = np.linspace(0, 1, 256, dtype=np.float32).reshape(1, -1, 1).repeat(3, axis=2)
SKY, SKIN, LEAF = (0.35, 0.55, 0.85), (0.85, 0.65, 0.55), (0.3, 0.6, 0.2)
EXTREMES = [
    (operation.name, {p.name: getattr(p, edge) for p in operation.parameters})
    for operation in OPERATIONS
    for edge in ("minimum", "maximum")
] + [
    ("split-tone", {"shadow_hue": hue, "shadow_saturation": 100, "balance": balance})
    for hue in (60, 240)
    for balance in (-100, 100)
]


def edited(values, name, **parameters):
    operation = BY_NAME[name]
    form = operation.form(operation.check(parameters), {})
    return evaluate(form, np.asarray(values, np.float32))


def on_colour(colour, name, **parameters):
    return edited([[colour]], name, **parameters)[0, 0].astype(float)


def undone(values, name, **parameters):
    inverse = BY_NAME[name].inverse(BY_NAME[name].check(parameters))
    assert not inverse.exact
    return edited(edited(values, name, **parameters), inverse.name, **inverse.parameters)


def colours(seed=0):
    """Random colours, and the corners of the cube."""
    corners = np.array(list(itertools.product((0, 1), repeat=3)), np.float32)
    random = np.random.default_rng(seed).random((992, 3)).astype(np.float32)
    return np.concatenate([corners, random]).reshape(20, 50, 3)


def hsv(colour):
    hue, saturation, value = colorsys.rgb_to_hsv(*(float(c) for c in colour))
    return hue * 360, saturation, value


def turned(before, after):
    """Degrees from one hue to the other, -180 to 180."""
    return (hsv(after)[0] - hsv(before)[0] + 180) % 360 - 180


def to_light(value):
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


# --- hue --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "degrees", "after"),
    [
        ((1, 0, 0), 120, (0, 1, 0)),
        ((1, 0, 0), -120, (0, 0, 1)),
        ((1, 0, 0), 60, (1, 1, 0)),
        ((0.8, 0.2, 0.2), 180, (0.2, 0.8, 0.8)),
        ((0.8, 0.2, 0.2), -180, (0.2, 0.8, 0.8)),
        ((0.5, 0.25, 0.0), 15, (0.5, 0.375, 0.0)),
        ((0.0, 0.0, 0.0), 77, (0.0, 0.0, 0.0)),
    ],
)
def test_hues_turned_by_hand(before, degrees, after):
    assert on_colour(before, "hue", degrees=degrees) == pytest.approx(after, abs=3e-6)


@given(st.floats(-180, 180))
@settings(deadline=None, max_examples=25)
def test_hue_is_turned_and_value_and_saturation_stay(degrees):
    for before, after in zip(
        colours()[10, :20], edited(colours()[10:11, :20], "hue", degrees=degrees)[0], strict=True
    ):
        assert hsv(after)[1:] == pytest.approx(hsv(before)[1:], abs=1e-5)
        error = turned(before, after) - degrees
        assert (error + 180) % 360 - 180 == pytest.approx(0, abs=0.01)


# --- white balance ----------------------------------------------------------------------------


def planckian(mired):
    """Linear sRGB of a black body: the locus of Kim et al. 2002, the matrix of IEC 61966-2-1."""
    t = 1e6 / mired
    if t >= 4000:
        x = -3.0258469e9 / t**3 + 2.1070379e6 / t**2 + 0.2226347e3 / t + 0.240390
        y = 3.0817580 * x**3 - 5.87338670 * x**2 + 3.75112997 * x - 0.37001483
    else:
        x = -0.2661239e9 / t**3 - 0.2343589e6 / t**2 + 0.8776956e3 / t + 0.179910
        y = -0.9549476 * x**3 - 1.37418593 * x**2 + 2.09137015 * x - 0.16748867
    rows = ((3.2406, -1.5372, -0.4986), (-0.9689, 1.8758, 0.0415), (0.0557, -0.2040, 1.0570))
    return np.array(rows) @ (x / y, 1, (1 - x - y) / y)


@pytest.mark.parametrize(
    ("shift", "tolerance"), [(-50, 0.02), (-20, 0.01), (20, 0.01), (50, 0.02), (100, 0.04)]
)
def test_temperature_changes_grey_as_a_black_bodys_light_changes(shift, tolerance):
    daylight = 1e6 / 6504
    expected = planckian(daylight + shift) / planckian(daylight)
    light = np.array([to_light(v) for v in on_colour((0.4, 0.4, 0.4), "temperature", shift=shift)])
    assert light[0] / light[1] == pytest.approx(expected[0] / expected[1], rel=tolerance)
    assert light[2] / light[1] == pytest.approx(expected[2] / expected[1], rel=tolerance)


@pytest.mark.parametrize("shift", [-50, -10, 30, 50])
def test_tint_is_a_density_against_green(shift):
    light = [to_light(v) for v in on_colour((0.4, 0.4, 0.4), "tint", shift=shift)]
    assert light[1] / light[0] == pytest.approx(10 ** (-shift / 100), rel=1e-5)
    assert light[2] == pytest.approx(light[0], rel=1e-5)


@pytest.mark.parametrize(("name", "shift", "tolerance"), [
    ("temperature", 50, 0.01), ("temperature", -50, 0.01), ("tint", 10, 0.01), ("tint", -10, 0.01),
])  # fmt: skip
def test_white_balance_hardly_changes_the_light_of_grey(name, shift, tolerance):
    light = [to_light(v) for v in on_colour((0.5, 0.5, 0.5), name, shift=shift)]
    assert np.dot(LUMA, light) == pytest.approx(to_light(0.5), rel=tolerance)


@pytest.mark.parametrize(("name", "limit"), [("temperature", 150), ("tint", 50)])
def test_white_balance_moves_monotonely_from_cold_to_warm(name, limit):
    scale = [on_colour(SKIN, name, shift=shift) for shift in np.linspace(-limit, limit, 21)]
    if name == "temperature":
        differences = [c[0] - c[2] for c in scale]  # more red than blue
    else:
        differences = [min(c[0], c[2]) - c[1] for c in scale]  # more magenta than green
    assert np.diff(differences).min() > 0


@pytest.mark.parametrize("name", ["temperature", "tint"])
def test_shifts_add_up(name):
    twice = edited(edited(GREYS * 0.5, name, shift=12), name, shift=20)
    assert np.abs(twice - edited(GREYS * 0.5, name, shift=32)).max() < 2e-6


# --- vibrance ---------------------------------------------------------------------------------


def test_vibrance_by_hand():
    # Saturation 0.5: odds 1, times three is 3, saturation 0.75; the largest channel stays.
    assert on_colour((0.8, 0.6, 0.4), "vibrance", amount=100) == pytest.approx((0.8, 0.5, 0.2))
    assert on_colour((0.8, 0.5, 0.2), "vibrance", amount=-100) == pytest.approx((0.8, 0.6, 0.4))
    assert on_colour((0.8, 0.4, 0.0), "vibrance", amount=-100) == pytest.approx((0.8, 0.4, 0.0))


def test_more_vibrance_is_more_chroma_and_pale_colours_gain_most():
    amounts = np.linspace(-100, 100, 21)
    chroma = np.array([np.ptp(edited(colours(), "vibrance", amount=a), axis=2) for a in amounts])
    assert np.diff(chroma, axis=0).min() > -1e-6
    assert np.diff(chroma.mean(axis=(1, 2))).min() > 0
    pale, vivid = (0.6, 0.55, 0.5), (0.6, 0.3, 0.1)
    gains = [
        np.ptp(on_colour(colour, "vibrance", amount=50)) / np.ptp(colour)
        for colour in (pale, vivid)
    ]
    assert gains[0] > 1.5
    assert 1 < gains[1] < 1.2


@pytest.mark.parametrize("amount", [-100, 40, 100])
def test_vibrance_keeps_hue_and_value(amount):
    for before in (SKY, SKIN, LEAF, (0.5, 0.5, 0.49)):
        after = on_colour(before, "vibrance", amount=amount)
        assert turned(before, after) == pytest.approx(0, abs=0.01)
        assert after.max() == pytest.approx(max(before))


# --- split tone -------------------------------------------------------------------------------


def test_split_tone_by_hand():
    # Luma 0.5: a quarter of room, half for each part. Pure blue less its luma: (-l, -l, 1 - l).
    after = on_colour((0.5, 0.5, 0.5), "split-tone", shadow_hue=240, shadow_saturation=80)
    change = 0.125 * 0.8
    assert after == pytest.approx(
        (0.5 - change * 0.0722, 0.5 - change * 0.0722, 0.5 + change * 0.9278), abs=1e-6
    )
    # Luma 0.2 with balance 100: odds 1/4, times four is 1: half shadow and half highlight.
    after = on_colour(
        (0.2, 0.2, 0.2), "split-tone", highlight_hue=0, highlight_saturation=100, balance=100
    )
    assert after == pytest.approx((0.2 + 0.08 * 0.7874, 0.2 - 0.08 * 0.2126, 0.2 - 0.08 * 0.2126))


def test_toning_colours_greys_and_keeps_their_luma():
    toned = edited(
        GREYS, "split-tone", shadow_hue=220, shadow_saturation=100, highlight_hue=45,
        highlight_saturation=100,
    )  # fmt: skip
    assert np.abs(toned @ LUMA - GREYS @ LUMA).max() < 2e-6
    assert np.array_equal(toned[0, [0, -1]], GREYS[0, [0, -1]])  # black and white stay
    assert hsv(toned[0, 40])[0] == pytest.approx(220, abs=20)
    assert hsv(toned[0, 220])[0] == pytest.approx(45, abs=20)


def test_more_saturation_and_balance_tone_more():
    def coloured(grey, **parameters):
        return np.ptp(on_colour((grey,) * 3, "split-tone", highlight_hue=30, **parameters))

    steps = [coloured(0.6, highlight_saturation=s) for s in range(0, 101, 10)]
    assert np.diff(steps).min() > 0
    steps = [coloured(0.4, highlight_saturation=50, balance=b) for b in range(-100, 101, 20)]
    assert np.diff(steps).min() > 0


def test_a_hue_without_saturation_tones_nothing():
    after = edited(colours(), "split-tone", shadow_hue=200, highlight_hue=30, balance=50)
    assert np.abs(after - colours()).max() < 1e-6


# --- colour bands -----------------------------------------------------------------------------


def test_band_weights_are_smooth_and_sum_to_one():
    hues = np.linspace(0, 360, 36_001)
    weights = band_weights(hues)
    assert weights.shape == (36_001, 8)
    assert weights.min() >= 0
    assert weights.sum(axis=1) == pytest.approx(1)
    assert np.abs(np.diff(weights, axis=0)).max() < 0.01 * (math.pi / 2 / 30) * 1.001
    assert np.abs(np.diff(weights, 2, axis=0)).max() < 1e-6  # no corners
    assert weights[0] == pytest.approx(weights[-1])
    assert band_weights(np.array(list(BANDS.values()))) == pytest.approx(np.eye(8))
    assert band_weights(np.array([10.0]))[0, :2] == pytest.approx([0.75, 0.25])  # cos(30°)²


@pytest.mark.parametrize("band", BANDS)
def test_a_band_turns_its_own_centre_and_no_other(band):
    for other, centre in BANDS.items():
        colour = colorsys.hsv_to_rgb(centre / 360, 0.6, 0.8)
        after = on_colour(colour, "hsl", **{f"{band}_hue": 20})
        assert turned(colour, after) == pytest.approx(20 if other == band else 0, abs=0.01)
        assert hsv(after)[1:] == pytest.approx((0.6, 0.8), abs=1e-5)


def test_bands_by_hand():
    green = (0.2, 0.8, 0.2)  # HSV 120°, 0.75, 0.8; chroma 0.6
    after = on_colour(green, "hsl", green_saturation=-100)
    assert after == pytest.approx((0.8, 0.8, 0.8), abs=1e-6)
    after = on_colour(green, "hsl", green_saturation=100)  # S (2 - S)
    assert hsv(after) == pytest.approx((120, 0.75 * 1.25, 0.8), abs=1e-4)
    share = 0.6 * (1 - 0.3)
    after = on_colour(green, "hsl", green_lightness=-100)
    assert after == pytest.approx(np.array(green) * (1 - share), abs=1e-6)
    after = on_colour(green, "hsl", green_lightness=50)
    assert after == pytest.approx(np.array(green) * (1 - share / 2) + share / 2, abs=1e-6)
    assert on_colour((0, 0, 1), "hsl", blue_lightness=100) == pytest.approx((0.5, 0.5, 1))
    # Ten degrees from red to orange: three quarters red.
    colour = colorsys.hsv_to_rgb(10 / 360, 0.5, 0.5)
    after = on_colour(colour, "hsl", red_hue=-20, orange_hue=12)
    assert turned(colour, after) == pytest.approx(-12, abs=0.01)


@pytest.mark.parametrize("kind", ["saturation", "lightness"])
def test_more_of_a_band_is_more(kind):
    colour = colorsys.hsv_to_rgb(200 / 360, 0.5, 0.7)
    steps = [on_colour(colour, "hsl", **{f"aqua_{kind}": a}) for a in range(-100, 101, 10)]
    measured = [np.ptp(c) if kind == "saturation" else np.dot(LUMA, c) for c in steps]
    assert np.diff(measured).min() > 0
    for after in steps:
        assert turned(colour, after) == pytest.approx(0, abs=0.02)


def test_noise_near_black_is_not_lifted():
    code = 1 / 255
    everything = {f"{band}_lightness": 100 for band in BANDS}
    after = on_colour((code, 0, 0), "hsl", **everything)
    assert after.max() < 2.5 * code


@pytest.mark.parametrize("sign", [-1, 1])
def test_bands_are_exact_enough_for_16_bits(sign):
    rng = np.random.default_rng(3)
    amounts = sign * rng.uniform(-1, 1, (8, 3))
    parameters = {
        f"{band}_{kind}": float(a * limit)
        for band, row in zip(BANDS, amounts, strict=True)
        for kind, limit, a in zip(("hue", "saturation", "lightness"), (30, 100, 100), row,
                                  strict=True)
    }  # fmt: skip
    picture = rng.random((20, 15, 3)).astype(np.float32)
    result = edited(picture, "hsl", **parameters).reshape(-1, 3)
    for before, after in zip(picture.reshape(-1, 3), result, strict=True):
        hue, saturation, value = hsv(before)
        turn, more, lighter = band_weights(np.array([hue]))[0] @ (amounts * (30, 1, 1))
        chroma = saturation * value
        saturation *= 1 + more - max(more, 0) * saturation
        share = lighter * chroma * (1 - chroma / 2)
        expected = np.array(colorsys.hsv_to_rgb((hue + turn) / 360 % 1, saturation, value))
        expected = expected * (1 - abs(share)) + max(share, 0)
        assert after == pytest.approx(expected, abs=0.7 / 65535)


# --- all of them ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BY_NAME)
def test_neutral_values_change_nothing(name):
    operation = BY_NAME[name]
    neutral = {p.name: p.neutral for p in operation.parameters}
    assert operation.is_neutral(neutral)
    for values in (colours(), GREYS):
        assert np.abs(edited(values, name, **neutral) - values).max() < 1e-6


@pytest.mark.parametrize("parameters", [
    {"name": "hue", "degrees": 75}, {"name": "vibrance", "amount": -60},
    {"name": "vibrance", "amount": 80}, {"name": "hsl", "red_hue": 30, "red_lightness": 100,
     "orange_saturation": 100, "blue_saturation": -100, "red_saturation": 50},
])  # fmt: skip
def test_greys_stay_exactly_as_they_are(parameters):
    assert np.array_equal(edited(GREYS, **parameters), GREYS)


@pytest.mark.parametrize(("name", "parameters"), [
    ("temperature", {"shift": 40}), ("tint", {"shift": -15}),
    ("split-tone", {"shadow_saturation": 40, "shadow_hue": 210}),
])  # fmt: skip
def test_white_balance_and_toning_colour_greys(name, parameters):
    after = edited(GREYS[:, 20:220], name, **parameters)
    assert np.ptp(after, axis=2).min() > 1 / 255


@pytest.mark.parametrize(("name", "parameters"), [
    ("hue", {"degrees": 100}), ("hue", {"degrees": -33}), ("temperature", {"shift": 60}),
    ("temperature", {"shift": -60}), ("tint", {"shift": 20}), ("tint", {"shift": -20}),
    ("vibrance", {"amount": 70}), ("vibrance", {"amount": -100}),
    ("split-tone", {"shadow_hue": 200, "shadow_saturation": 60, "highlight_hue": 350,
                    "highlight_saturation": 70, "balance": -40}),
])  # fmt: skip
def test_the_inverse_undoes(name, parameters):
    middle = 0.3 + 0.3 * colours()  # away from black and white, where these settings clip
    assert np.abs(undone(middle, name, **parameters) - middle).max() < 1e-5


def test_bands_cannot_be_undone():
    assert BY_NAME["hsl"].inverse(BY_NAME["hsl"].check({"red_hue": 10})) is None


@pytest.mark.parametrize(("name", "parameters"), EXTREMES)
def test_extreme_settings_give_finite_values_and_valid_inverses(name, parameters):
    operation = BY_NAME[name]
    checked = operation.check(parameters)
    for values in (colours(), GREYS, GREYS * np.float32(1e-6)):
        after = edited(values, name, **parameters)
        assert after.dtype == np.float32
        assert np.isfinite(after).all()
        assert after.min() >= 0
        assert after.max() <= 1
    inverse = operation.inverse(checked)
    if inverse is not None:
        BY_NAME[inverse.name].check(inverse.parameters)


@pytest.mark.parametrize(("name", "parameter"), [
    (operation.name, p) for operation in OPERATIONS for p in operation.parameters[:3]
])  # fmt: skip
def test_values_out_of_range_are_refused(name, parameter):
    for value in (parameter.minimum - 0.5, parameter.maximum + 0.5):
        with pytest.raises(ParameterError, match="must be between"):
            BY_NAME[name].check({parameter.name: value})


def test_the_bands_have_three_optional_sliders_each():
    names = [p.name for p in BY_NAME["hsl"].parameters]
    assert names[:4] == ["red_hue", "red_saturation", "red_lightness", "orange_hue"]
    assert len(names) == len(set(names)) == 24
    assert all(p.optional and p.neutral == 0 for p in BY_NAME["hsl"].parameters)
    assert all(p.optional for p in BY_NAME["split-tone"].parameters)


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("hue", {"degrees": -12.5}, "hues turned by -12.5°"),
        ("temperature", {"shift": -20}, "made colder by 20 mired"),
        ("tint", {"shift": 5}, "tinted magenta by 5 CC"),
        ("vibrance", {"amount": 30}, "vibrance raised by 30 %"),
        ("split-tone", {"shadow_hue": 220, "shadow_saturation": 20},
         "split-toned (shadows 220° at 20 %, highlights 0° at 0 %)"),
        ("hsl", {"blue_lightness": -40, "red_hue": 5},
         "single colours adjusted (red hue +5, blue lightness -40)"),
    ],
)  # fmt: skip
def test_edits_in_words(name, parameters, words):
    assert BY_NAME[name].describe(BY_NAME[name].check(parameters)) == words
