"""The detail enhancement of our own beside OpenCV's, and beside the paper's loops."""

import cv2
import numpy as np
import pytest

from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.errors import JobCancelledError
from imgedit_plugins.jobs import Job
from imgedit_plugins.operations import default_vocabulary, hdr, load_profile
from imgedit_plugins.operations.encoding import decode
from imgedit_plugins.operations.forms import Whole, evaluate
from imgedit_plugins.operations.hdr import detail_enhanced
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan, PlannedOperation
from imgedit_plugins.render import render_plan

HDR = EditPlan(operations=(PlannedOperation(name="hdr", parameters={}),))
SIGMAS = load_profile().of("hdr")


def opencv(rgb, sigma_s=SIGMAS["sigma_s"], sigma_r=SIGMAS["sigma_r"]):
    bgr = np.ascontiguousarray(rgb[:, :, ::-1])
    return cv2.detailEnhance(bgr, sigma_s=sigma_s, sigma_r=sigma_r)[:, :, ::-1]


def ours(rgb, sigma_s=SIGMAS["sigma_s"], sigma_r=SIGMAS["sigma_r"]):
    values = rgb.astype(np.float32) / np.float32(255)
    return evaluate(detail_enhanced(sigma_s, sigma_r), values) * 255


def pictures():
    noise = np.random.default_rng(0).integers(0, 256, (61, 47, 3), np.uint8)
    shapes = np.zeros((90, 130, 3), np.uint8)
    cv2.circle(shapes, (60, 40), 25, (250, 20, 90), -1)
    cv2.line(shapes, (0, 80), (129, 3), (5, 255, 200), 3)
    photographs = [photograph(321, 203, seed=seed).pixels for seed in range(3)]
    return [*photographs, photograph(70, 333).pixels, noise, shapes]


@pytest.fixture
def opencvs_lab(monkeypatch):
    """OpenCV's own way to Lab and back, through its table."""
    monkeypatch.setattr(hdr, "_lab", lambda rgb: cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab))
    monkeypatch.setattr(hdr, "_from_lab", lambda lab: cv2.cvtColor(lab, cv2.COLOR_Lab2RGB))


@pytest.mark.parametrize("picture", pictures(), ids=lambda p: "x".join(map(str, p.shape[:2])))
def test_it_is_opencvs_within_a_quarter_of_a_code(picture):
    apart = np.abs(np.rint(ours(picture)) - opencv(picture))
    assert apart.mean() < 0.3
    assert apart.max() <= 2


@pytest.mark.usefixtures("opencvs_lab")
@pytest.mark.parametrize("picture", pictures(), ids=lambda p: "x".join(map(str, p.shape[:2])))
def test_with_opencvs_lab_it_is_opencvs_within_a_thousandth_of_a_code(picture):
    # OpenCV rounds at the end; a value that is nearly a half may fall to either side.
    apart = np.abs(np.rint(ours(picture)) - opencv(picture))
    assert apart.mean() < 1e-3
    assert apart.max() <= 1


@pytest.mark.usefixtures("opencvs_lab")
@pytest.mark.parametrize(("sigma_s", "sigma_r"), [(2, 0.05), (10, 0.15), (60, 0.4), (200, 1)])
def test_the_sigmas_mean_what_opencvs_mean(sigma_s, sigma_r):
    picture = photograph(200, 150, seed=4).pixels
    apart = np.abs(np.rint(ours(picture, sigma_s, sigma_r)) - opencv(picture, sigma_s, sigma_r))
    assert apart.mean() < 1e-3
    assert apart.max() <= 1


def smoothed_along_rows(plane, guide, sigma_s, sigma_r, sigma):
    """Equations 11 and 21 of the paper, pixel by pixel in double precision."""
    a = np.exp(-np.sqrt(2) / sigma)
    plane = plane.copy()
    for line, edges in zip(plane, guide, strict=True):
        distance = 1 + sigma_s / sigma_r * np.abs(np.diff(edges))
        for n in range(1, len(line)):
            line[n] = (1 - a ** distance[n - 1]) * line[n] + a ** distance[n - 1] * line[n - 1]
        for n in range(len(line) - 2, -1, -1):
            line[n] = (1 - a ** distance[n]) * line[n] + a ** distance[n] * line[n + 1]
    return plane


def lightness(values):
    """L of CIE Lab, white D65, in double precision."""
    light = decode(values.astype(np.float64)) @ np.array([0.2126, 0.7152, 0.0722])
    return np.where(light > 216 / 24389, 116 * np.cbrt(light) - 16, light * 24389 / 27)


def test_lightness_is_what_the_paper_says():
    values = photograph(40, 30, dtype="float32").pixels
    sigma_s, sigma_r = 8.0, 0.2
    light = lightness(values) / 255
    smooth = light
    for iteration in (1, 2, 3):
        sigma = sigma_s * np.sqrt(3) * 2 ** (3 - iteration) / np.sqrt(4**3 - 1)
        smooth = smoothed_along_rows(smooth, light, sigma_s, sigma_r, sigma)
        smooth = smoothed_along_rows(smooth.T, light.T, sigma_s, sigma_r, sigma).T
    expected = 255 * (smooth + 3 * (light - smooth))
    result = evaluate(detail_enhanced(sigma_s, sigma_r), values)
    inside = (result > 0.001).all(axis=2) & (result < 0.999).all(axis=2)
    assert inside.mean() > 0.5
    assert np.abs(lightness(result) - expected)[inside].max() < 0.02


def test_16_bits_and_floats_are_not_edited_in_8():
    deep = photograph(300, 200, dtype="uint16", seed=1)
    job = Job()
    result = render_plan(deep, HDR, job=job).pixels
    assert result.dtype == np.uint16
    assert not job.warnings
    assert len(np.unique(result[:, :, 1] & 0xFF)) > 200, "8-bit codes times 257 have equal bytes"
    exact = evaluate(default_vocabulary()["hdr"].form({}, SIGMAS), deep.pixels / np.float32(65535))
    assert np.abs(result - exact * 65535.0).max() < 0.6
    as_floats = render_plan(Picture((deep.pixels / np.float32(65535)).astype(np.float32)), HDR)
    assert np.abs(as_floats.pixels - exact).max() < 1e-6


def test_eight_bit_pictures_keep_opencvs_own():
    picture = photograph(120, 80)
    assert np.array_equal(render_plan(picture, HDR).pixels, opencv(picture.pixels))


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_grey_stays_grey(dtype):
    result = render_plan(photograph(150, 130, mode="L", dtype=dtype), HDR).pixels
    assert result.shape == (130, 150, 1)


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (30, 1), (2, 2), (65, 129)])
def test_pictures_of_any_size(size):
    values = photograph(*size, dtype="float32").pixels
    before = values.copy()
    result = evaluate(detail_enhanced(12, 0.15), values)
    assert result.shape == values.shape
    assert np.isfinite(result).all()
    assert np.array_equal(values, before)


def test_flat_pictures_stay_as_they_are():
    values = np.full((50, 60, 3), (0.2, 0.5, 0.9), np.float32)
    assert np.abs(evaluate(detail_enhanced(12, 0.15), values) - values).max() < 1e-4


def test_threads_do_not_change_the_result(monkeypatch):
    values = photograph(4300, 90, dtype="float32").pixels
    form = detail_enhanced(12, 0.15)
    results = []
    for cores in (1, 2, 4):
        monkeypatch.setattr("os.cpu_count", lambda cores=cores: cores)
        results.append(evaluate(form, values))
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


def test_it_can_be_cancelled_between_passes():
    form = default_vocabulary()["hdr"].form({}, SIGMAS)
    assert isinstance(form, Whole)
    calls = []

    def cancel():
        calls.append(1)
        if len(calls) == 4:
            raise JobCancelledError

    with pytest.raises(JobCancelledError):
        form.function(photograph(dtype="float32").pixels, cancel)
    assert len(calls) == 4
