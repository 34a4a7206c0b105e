"""The same tests for every operation of the vocabulary, from its declaration alone.

What an operation does in particular is tested beside it; here is what all of them promise.
"""

import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_operations import DTYPES, MODES, WHITE, picture_of
from plan_strategies import GEOMETRY, LARGEST, OPERATIONS, example_of, parameters_of
from strip_sizes import cut, in_one

from imgedit_plugins.errors import ParameterError
from imgedit_plugins.operations import forms, imad, load_profile
from imgedit_plugins.pictures import Picture, to_8_bits
from imgedit_plugins.plan import EditPlan, PlannedOperation, parse_plan
from imgedit_plugins.render import render_plan

PROFILE = load_profile()
IMAD = {operation.name for operation in imad.OPERATIONS}
STILL = [name for name in OPERATIONS if name not in GEOMETRY]
WITH_PARAMETERS = [name for name, operation in OPERATIONS.items() if operation.parameters]
every = pytest.mark.parametrize("name", OPERATIONS)
still = pytest.mark.parametrize("name", STILL)

# Issue 3: I-MAD's operations, and the global ones of GIER and of every photo editor.
WANTED = {
    *("grayscale", "sepia", "summer", "winter", "hdr", "blur", "bright", "sharp", "contrast"),
    *("saturate", "gaussian", "invert", "rotate", "flip"),
    *("exposure", "gamma", "lightness", "hue", "tint", "temperature", "highlights", "shadows"),
    *("whites", "blacks", "vibrance", "clarity", "texture", "denoise", "dehaze", "vignette"),
    *("levels", "curves", "split-tone", "hsl", "grain", "crop", "straighten", "resize"),
    "perspective",
}


def one_step(name, parameters) -> EditPlan:
    return EditPlan(operations=(PlannedOperation(name=name, parameters=parameters),))


def render(picture, name, parameters, **how) -> Picture:
    return render_plan(picture, one_step(name, parameters), **how)


def form_of(name, parameters):
    operation = OPERATIONS[name]
    return operation.form(operation.check(parameters), PROFILE.of(name))


def neutral_of(name):
    """The parameters that change nothing; None where there are none."""
    parameters = OPERATIONS[name].parameters
    neutral = {p.name: p.neutral for p in parameters}
    return neutral if parameters and None not in neutral.values() else None


def edges_of(parameter):
    if parameter.points:
        low, high = parameter.minimum, parameter.maximum
        return [((low, y), (high, z)) for y, z in itertools.product((low, high), repeat=2)]
    if parameter.choices:
        return list(parameter.choices)
    return [parameter.minimum, min(parameter.maximum, LARGEST if parameter.unit == "px" else 1e99)]


# --- the declaration --------------------------------------------------------------------------


def test_the_vocabulary_is_what_people_ask_for():
    assert set(OPERATIONS) == WANTED


@every
def test_the_declaration_is_complete(name):
    operation = OPERATIONS[name]
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", name)
    assert operation.title
    assert operation.title[0].isupper()
    assert operation.summary.endswith(".")
    assert len(operation.source) > 10
    assert operation.form is not None, "mathematics for every depth"
    assert (operation.render is not None) == (name in IMAD)
    assert len(operation.compares) > 40 or name in IMAD
    assert len({p.name for p in operation.parameters}) == len(operation.parameters)
    for parameter in operation.parameters:
        assert parameter.name.isidentifier()
        assert parameter.title
        assert parameter.unit
        assert parameter.minimum < parameter.maximum
        assert parameter.describe_range()
        assert parameter.neutral is not None or not parameter.optional
        if parameter.neutral is not None:
            assert parameter.check(name, parameter.neutral) == parameter.neutral


@every
def test_the_kind_is_that_of_the_form(name):
    operation, example = OPERATIONS[name], example_of(OPERATIONS[name])
    form = form_of(name, example.parameters)
    kinds = {
        "pointwise": (forms.Curves, forms.Matrix, forms.Colour, forms.Positioned),
        "neighbourhood": (forms.Neighbourhood, forms.Measured, forms.Whole),
        "geometric": (forms.Geometry,),
    }
    assert isinstance(form, kinds[operation.kind])
    if isinstance(form, forms.Neighbourhood):
        assert form.reach == operation.reach(example.parameters) > 0
    elif operation.kind == "pointwise":
        assert operation.reach(example.parameters) == 0


@every
@given(data=st.data())
@settings(deadline=None, max_examples=6)
def test_it_is_told_in_words(name, data):
    operation = OPERATIONS[name]
    told = operation.describe(data.draw(parameters_of(operation)))
    assert re.match(r"[A-Za-z]", told)
    assert not re.search(r"[\n{}\[\]<>]|\bnan\b|\binf\b|None|\.$|  ", told), told
    assert len(told) < 1000


@every
@given(data=st.data())
@settings(deadline=None, max_examples=6)
def test_a_plan_of_it_survives_json(name, data):
    plan = one_step(name, data.draw(parameters_of(OPERATIONS[name])))
    assert parse_plan(plan.to_json()) == plan


# --- ranges -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WITH_PARAMETERS)
@given(data=st.data())
@settings(deadline=None, max_examples=12)
def test_values_out_of_range_are_refused(name, data):
    operation = OPERATIONS[name]
    good = dict(example_of(operation).parameters)
    parameter = data.draw(st.sampled_from(operation.parameters))
    low, high = parameter.minimum, parameter.maximum
    outside = st.one_of(
        st.floats(high, exclude_min=True),
        st.floats(max_value=low, exclude_max=True),
        st.just(math.nan),
        st.just(10**400),
    )
    if parameter.points:
        wrong = outside.map(lambda y: ((low, low), (high, y))) | outside
    else:
        wrong = outside
    wrong |= st.sampled_from([None, True, "5", [], {}, ((0, 0),)])
    with pytest.raises(ParameterError) as caught:
        operation.check(good | {parameter.name: data.draw(wrong)})
    assert (caught.value.operation, caught.value.parameter) == (name, parameter.name)
    assert repr(parameter.name) in str(caught.value)


@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_parameters_that_are_missing_or_unknown_are_refused(name):
    operation = OPERATIONS[name]
    good = dict(example_of(operation).parameters)
    with pytest.raises(ParameterError, match="no parameter 'speed'"):
        operation.check(good | {"speed": 1})
    for parameter in operation.parameters:
        rest = {n: v for n, v in good.items() if n != parameter.name}
        if not parameter.optional:
            with pytest.raises(ParameterError, match=f"needs {parameter.name!r}"):
                operation.check(rest)
        elif not operation.fault(rest | {parameter.name: parameter.neutral}):
            assert operation.check(rest)[parameter.name] == parameter.neutral


@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_the_edges_of_every_range_give_finite_values(name):
    """Also from black, from white and from a picture of one colour; nothing is divided by zero."""
    operation = OPERATIONS[name]
    photograph = picture_of(31, 22, "RGB", "float32")
    corners = [Picture(np.full((9, 7, 3), v, np.float32)) for v in (0, 1, 0.5)]
    for parameter in operation.parameters:
        for edge in edges_of(parameter):
            start = neutral_of(name) or dict(example_of(operation).parameters)
            for others in (start, dict(example_of(operation).parameters)):
                given = others | {parameter.name: edge}
                if operation.fault(given):
                    continue
                for picture in (photograph, *corners):
                    result = render(picture, name, given).pixels
                    assert np.isfinite(result).all()
                    assert 0 <= result.min() <= result.max() <= 1


# --- neutral ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in OPERATIONS if neutral_of(name)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_neutral_changes_nothing_bit_for_bit(name, dtype):
    neutral = neutral_of(name)
    assert OPERATIONS[name].is_neutral(OPERATIONS[name].check(neutral))
    for mode in MODES:
        picture = picture_of(26, 17, mode, dtype)
        for rounding in ("auto", "end"):
            result = render(picture, name, neutral, rounding=rounding)
            assert np.array_equal(result.pixels, picture.pixels)


@pytest.mark.parametrize("name", [name for name in OPERATIONS if neutral_of(name)])
def test_the_mathematics_itself_changes_nothing_at_neutral(name):
    """Not only because rendering leaves neutral steps out: next to neutral there is no jump."""
    neutral = neutral_of(name)
    form = form_of(name, neutral)
    for dtype in DTYPES:
        picture = picture_of(26, 17, "RGB", dtype)
        if isinstance(form, forms.Geometry):
            assert np.array_equal(form.function(picture.pixels), picture.pixels)
        else:
            values = (picture.pixels / WHITE[dtype]).astype(np.float32)
            assert forms.evaluate(form, values) == pytest.approx(values, abs=2e-6)


@pytest.mark.parametrize("name", [n for n in STILL if neutral_of(n)])
def test_a_little_off_neutral_is_a_little_different(name):
    operation, neutral = OPERATIONS[name], neutral_of(name)
    picture = picture_of(40, 30, "RGB", "float32")
    for parameter in operation.parameters:
        if parameter.points or parameter.integer or parameter.odd:
            continue
        for sign in (-1, 1):
            span = parameter.maximum - parameter.minimum
            value = parameter.neutral + sign * 1e-4 * span
            if parameter.minimum <= value <= parameter.maximum:
                result = render(picture, name, neutral | {parameter.name: value})
                assert np.abs(result.pixels - picture.pixels).max() < 0.02


@pytest.mark.parametrize(
    "name", [n for n in OPERATIONS if any(p.name == "amount" for p in OPERATIONS[n].parameters)]
)
@given(data=st.data())
@settings(deadline=None, max_examples=10)
def test_without_an_amount_the_other_parameters_do_nothing(name, data):
    given = data.draw(parameters_of(OPERATIONS[name])) | {"amount": 0.0}
    for dtype in DTYPES:
        picture = picture_of(26, 17, "RGB", dtype)
        result = render(picture, name, given).pixels
        if dtype == "float32":
            assert result == pytest.approx(picture.pixels, abs=2e-6)
        else:
            assert np.array_equal(result, picture.pixels)


# --- pictures ---------------------------------------------------------------------------------


@every
@given(data=st.data(), mode=st.sampled_from(MODES), dtype=st.sampled_from(DTYPES))
@settings(deadline=None, max_examples=12)
def test_type_shape_alpha_and_input_are_kept(name, data, mode, dtype):
    given = data.draw(parameters_of(OPERATIONS[name]))
    picture = picture_of(23, 16, mode, dtype)
    before = picture.pixels.copy()
    picture.pixels.flags.writeable = False
    result = render(picture, name, given)
    assert np.array_equal(picture.pixels, before), "the input was changed"
    assert result.pixels.dtype == dtype
    assert result.has_alpha == picture.has_alpha
    assert np.isfinite(result.pixels).all()
    assert result.pixels.min() >= 0
    assert result.pixels.max() <= WHITE[dtype]
    if name in STILL:
        assert result.pixels.shape[:2] == (16, 23)
        assert not picture.has_alpha or np.array_equal(result.alpha, picture.alpha)
    again = render(picture, name, given)
    assert np.array_equal(result.pixels, again.pixels), "not deterministic"


@every
@given(data=st.data(), dtype=st.sampled_from(DTYPES))
@settings(deadline=None, max_examples=6)
def test_tiles_are_the_whole(name, data, dtype):
    given = data.draw(parameters_of(OPERATIONS[name]))
    picture = picture_of(29, 37, "RGB", dtype)
    whole = in_one(picture, one_step(name, given))
    with cut(1):
        assert np.array_equal(render(picture, name, given).pixels, whole.pixels)


@every
@given(data=st.data())
@settings(deadline=None, max_examples=6)
def test_the_form_leaves_what_it_must_alone(name, data):
    """Whole-picture functions, geometry and surroundings may not write to their argument."""
    form = form_of(name, data.draw(parameters_of(OPERATIONS[name])))
    if isinstance(form, forms.Geometry):
        pixels = picture_of(23, 16, "RGBA", "float32").pixels
    else:
        pixels = picture_of(23, 16, "RGB", "float32").pixels
    kept = pixels.copy()
    match form:
        case forms.Neighbourhood() | forms.Geometry():
            form.function(pixels)
        case forms.Measured():
            form.measure(pixels)
        case forms.Whole():
            form.function(pixels, lambda: None)
        case forms.Curves():
            for curve in (form.red, form.green, form.blue):
                curve(pixels[:, :, 0])
    assert np.array_equal(pixels, kept)


POINTWISE = [
    name
    for name in STILL
    if isinstance(
        form_of(name, example_of(OPERATIONS[name]).parameters),
        forms.Curves | forms.Matrix | forms.Colour,
    )
]


@pytest.mark.parametrize("name", POINTWISE)
@given(data=st.data())
@settings(deadline=None, max_examples=6)
def test_pointwise_operations_see_one_pixel_at_a_time(name, data):
    given = data.draw(parameters_of(OPERATIONS[name]))
    picture = picture_of(30, 20, "RGB", "float32")
    order = np.random.default_rng(1).permutation(600)
    mixed = Picture(picture.pixels.reshape(-1, 3)[order].reshape(20, 30, 3))
    expected = render(picture, name, given).pixels.reshape(-1, 3)[order]
    assert render(mixed, name, given).pixels.reshape(-1, 3) == pytest.approx(expected, abs=1e-6)


@still
@given(data=st.data())
@settings(deadline=None, max_examples=6)
def test_8_bits_are_those_of_16(name, data):
    """Within a code, rounded at the end: the same mathematics on both."""
    given = data.draw(parameters_of(OPERATIONS[name]))
    eight = picture_of(26, 19)
    sixteen = Picture(eight.pixels.astype(np.uint16) * 257)
    ours = render(eight, name, given, rounding="end").pixels.astype(int)
    theirs = to_8_bits(render(sixteen, name, given).pixels)
    assert np.abs(ours - theirs).max() <= 1


# The data's 8-bit recipes against the unrounded mathematics, in codes. Saturation goes through
# hues of 180 steps; contrast and bright only round.
RECIPE_APART = dict.fromkeys(IMAD, 1) | {"saturate": 8, "hdr": 3}


@pytest.mark.parametrize("name", sorted(IMAD - set(GEOMETRY)))
def test_the_recipe_is_its_form_rounded(name):
    picture = picture_of(120, 90)
    for level in PROFILE.levels(name) or (None,):
        given = {p.name: level for p in OPERATIONS[name].parameters}
        recipe = render(picture, name, given, rounding="each-step").pixels.astype(int)
        rounded = render(picture, name, given, rounding="end").pixels
        apart = np.abs(recipe - rounded)
        assert apart.max() <= RECIPE_APART[name]
        assert apart.mean() <= 0.7


# --- inverses ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@every
def test_exact_inverses_undo_bit_for_bit(name, dtype):
    operation, example = OPERATIONS[name], example_of(OPERATIONS[name])
    inverse = operation.inverse(example.parameters)
    if inverse is None or not inverse.exact:
        return
    for mode in MODES:
        picture = picture_of(21, 14, mode, dtype)
        back = PlannedOperation(name=inverse.name, parameters=inverse.parameters)
        plan = EditPlan(operations=(example, back))
        result = render_plan(picture, plan).pixels
        tolerance = 1e-7 if dtype == "float32" and name == "invert" else 0
        assert np.abs(result.astype(np.float64) - picture.pixels).max() <= tolerance


@still
@given(data=st.data())
@settings(deadline=None, max_examples=12)
def test_inverses_undo_what_was_not_clipped(name, data):
    """Mid-tones of little colour, amounts up to a third of the range, in floats."""
    operation = OPERATIONS[name]
    given = _gentle(operation, data.draw(parameters_of(operation)))
    if operation.fault(given):
        return
    given = operation.check(given)
    inverse = operation.inverse(given)
    if inverse is None:
        return
    OPERATIONS[inverse.name].check(inverse.parameters)
    values = 0.4 + 0.2 * picture_of(20, 15, "RGB", "float32").pixels
    picture = Picture(values.astype(np.float32))
    edited = render(picture, name, given)
    undone = render(edited, inverse.name, inverse.parameters).pixels
    kept = ((edited.pixels > 0.01) & (edited.pixels < 0.99)).all(axis=2)
    assert np.abs(undone - picture.pixels)[kept].max(initial=0.0) <= 0.02


def _gentle(operation, given):
    """Parameters a third as far from neutral, where they have one."""
    neutral = {p.name: p.neutral for p in operation.parameters if not p.integer}
    return {name: _third(neutral.get(name), value) for name, value in given.items()}


def _third(neutral, value):
    if neutral is None:
        return value
    if isinstance(value, tuple):
        # Between the straight line and the curve, at the curve's places.
        return tuple((x, x + (y - x) / 3) for x, y in value)
    return neutral + (value - neutral) / 3


def test_what_can_be_undone_says_so():
    gentle = {n: _gentle(o, example_of(o).parameters) for n, o in OPERATIONS.items()}
    # A channel's own curve and the common one together cannot be turned round.
    gentle["curves"] = {"all": gentle["curves"]["all"]}
    undone = {n for n, o in OPERATIONS.items() if o.inverse(o.check(gentle[n])) is not None}
    lost = {
        *("grayscale", "sepia", "summer", "winter", "hdr", "blur", "sharp", "gaussian"),
        *("clarity", "texture", "denoise", "dehaze", "vignette", "grain", "hsl"),
        *("crop", "straighten", "resize", "perspective"),
    }
    assert undone == set(OPERATIONS) - lost


# --- monotone in the amount -------------------------------------------------------------------


def light(pixels):
    return float((pixels @ np.array([0.299, 0.587, 0.114], np.float32)).mean())


def chroma(pixels):
    return float(np.ptp(pixels, axis=2).mean())


def detail(pixels):
    """What a pixel differs from its neighbours."""
    return float(np.abs(np.diff(pixels, axis=0)).mean() + np.abs(np.diff(pixels, axis=1)).mean())


def spread(pixels):
    return float(pixels.std())


def warmth(pixels):
    return float((pixels[..., 0] - pixels[..., 2]).mean())


def magenta(pixels):
    return float((pixels[..., 0] + pixels[..., 2] - 2 * pixels[..., 1]).mean())


def corners(pixels):
    return float(pixels[[0, 0, -1, -1], [0, -1, 0, -1]].mean())


def area(pixels):
    return float(pixels.shape[0] * pixels.shape[1])


def longer(pixels):
    return float(max(pixels.shape[:2]))


def toned(pixels):
    """How far from grey, for a picture that was grey."""
    return chroma(pixels)


# (operation, parameter): (figure, whether it rises or falls, other parameters, lowest, highest).
# None: the parameter's own range.
RISES, FALLS = 1, -1
MONOTONE = {
    ("blur", "kernel"): (detail, FALLS, {}, None, 21),
    ("gaussian", "kernel"): (detail, FALLS, {}, None, 21),
    ("bright", "offset"): (light, RISES, {}, None, None),
    ("contrast", "gain"): (light, RISES, {}, None, None),
    ("saturate", "factor"): (chroma, RISES, {}, None, None),
    ("exposure", "stops"): (light, RISES, {}, None, None),
    ("gamma", "gamma"): (light, RISES, {}, None, None),
    ("lightness", "amount"): (light, RISES, {}, None, None),
    ("highlights", "amount"): (light, RISES, {}, None, None),
    ("shadows", "amount"): (light, RISES, {}, None, None),
    ("whites", "amount"): (light, RISES, {}, None, None),
    ("blacks", "amount"): (light, RISES, {}, None, None),
    ("levels", "in_black"): (light, FALLS, {}, None, 254),
    ("levels", "in_white"): (light, FALLS, {}, 1, None),
    ("levels", "gamma"): (light, RISES, {}, None, None),
    ("levels", "out_black"): (light, RISES, {}, None, None),
    ("levels", "out_white"): (light, RISES, {}, None, None),
    ("temperature", "shift"): (warmth, RISES, {}, None, None),
    ("tint", "shift"): (magenta, RISES, {}, None, None),
    ("vibrance", "amount"): (chroma, RISES, {}, None, None),
    ("split-tone", "shadow_saturation"): (toned, RISES, {"shadow_hue": 40.0}, None, None),
    ("split-tone", "highlight_saturation"): (toned, RISES, {"highlight_hue": 220.0}, None, None),
    ("clarity", "amount"): (spread, RISES, {}, None, None),
    ("texture", "amount"): (detail, RISES, {}, None, None),
    ("denoise", "luminance"): (detail, FALLS, {}, None, None),
    ("denoise", "chroma"): (detail, FALLS, {"luminance": 0.0}, None, None),
    ("dehaze", "amount"): (spread, RISES, {}, None, None),
    ("vignette", "amount"): (corners, RISES, {"midpoint": 0.0}, None, None),
    ("grain", "amount"): (detail, RISES, {}, None, None),
    ("crop", "left"): (area, FALLS, {}, None, 0.99),
    ("crop", "top"): (area, FALLS, {}, None, 0.99),
    ("crop", "right"): (area, FALLS, {}, None, 0.99),
    ("crop", "bottom"): (area, FALLS, {}, None, 0.99),
    ("straighten", "degrees"): (area, FALLS, {}, 0, None),
    ("resize", "long_side"): (longer, RISES, {}, None, LARGEST),
}
# Each band of `hsl`: more saturation is more chroma, more lightness is lighter.
MONOTONE |= {
    ("hsl", p.name): (chroma if p.name.endswith("saturation") else light, RISES, {}, None, None)
    for p in OPERATIONS["hsl"].parameters
    if not p.name.endswith("hue")
}
# Of these there is no more and less: angles, places, shapes, seeds, quarter turns, free curves.
NOT_ORDERED = {
    *(("hue", "degrees"), ("rotate", "degrees"), ("grain", "seed"), ("grain", "size")),
    *(("curves", channel) for channel in ("all", "red", "green", "blue")),
    *(("split-tone", name) for name in ("shadow_hue", "highlight_hue", "balance")),
    *(("vignette", name) for name in ("midpoint", "feather", "roundness")),
    *(("perspective", name) for name in ("vertical", "horizontal")),
    ("clarity", "radius"),
    *(("hsl", p.name) for p in OPERATIONS["hsl"].parameters if p.name.endswith("hue")),
}


def test_every_parameter_is_monotone_or_said_not_to_be():
    declared = {(n, p.name) for n, o in OPERATIONS.items() for p in o.parameters}
    assert set(MONOTONE) | NOT_ORDERED == declared
    assert not set(MONOTONE) & NOT_ORDERED


@pytest.mark.parametrize(("name", "parameter"), MONOTONE)
def test_more_is_more(name, parameter):
    figure, direction, others, low, high = MONOTONE[name, parameter]
    operation = OPERATIONS[name]
    declared = next(p for p in operation.parameters if p.name == parameter)
    low = declared.minimum if low is None else low
    high = declared.maximum if high is None else high
    amounts = [float(a) for a in np.linspace(low, high, 9)]
    if declared.odd or declared.integer:
        amounts = [int(a) // 2 * 2 + 1 if declared.odd else round(a) for a in amounts]
    picture = colourful() if figure is not toned else greys()
    given = (neutral_of(name) or {}) | others
    figures = [
        figure(render(picture, name, given | {parameter: a}).pixels)
        for a in sorted(set(amounts))
        if not operation.fault(given | {parameter: a})
    ]
    # Of rounding, where an amount has no effect any more; a row or column of pixels.
    slack = 1e-5 if figure is not area else 60
    for less, more in itertools.pairwise(figures):
        assert (more - less) * direction >= -slack
    assert (figures[-1] - figures[0]) * direction > 1e-3, "it does nothing"
    assert len(figures) >= 7


def colourful() -> Picture:
    """A photograph with all hues, mid-tones and noise, so that each operation finds its matter."""
    picture = picture_of(60, 44, "RGB", "float32")
    y, x = np.mgrid[0:44, 0:60] / 60
    hues = np.stack([np.cos(2 * np.pi * (x - k / 3)) for k in range(3)], axis=2) * 0.25
    noise = np.random.default_rng(0).normal(0, 0.01, picture.pixels.shape)
    values = 0.15 + 0.6 * y[:, :, None] + 0.3 * (picture.pixels - 0.5) + hues + noise
    return Picture(np.clip(values, 0.02, 0.98).astype(np.float32))


def greys() -> Picture:
    ramp = np.linspace(0.05, 0.95, 60, dtype=np.float32)
    return Picture(np.ascontiguousarray(np.broadcast_to(ramp[None, :, None], (12, 60, 3))))


def test_the_pictures_of_these_tests_have_what_they_need():
    pixels = colourful().pixels
    hue = np.arctan2(
        np.sqrt(3) * (pixels[..., 1] - pixels[..., 2]), (2 * pixels[..., 0] - pixels[..., 1])
    )
    assert len(np.histogram(hue, 8)[0].nonzero()[0]) == 8
    assert light(pixels) == pytest.approx(0.4, abs=0.15)
