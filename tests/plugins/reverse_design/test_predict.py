"""`predict_operations` as its callers see it: what is recovered, and the defined answers."""

from __future__ import annotations

import functools
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_pictures import Value, edit, picture, render, values
from numpy.typing import NDArray
from PIL import Image

import benchmarks.reference_edits as reference
from imgedit_plugins.errors import JobCancelledError, OptionError
from imgedit_plugins.jobs import Job
from imgedit_plugins.operations import load_profile
from imgedit_plugins.operations.profiles import __file__ as profiles_file
from imgedit_plugins.picture_files import open_picture, save_picture
from imgedit_plugins.pictures import RGB8, Picture
from imgedit_plugins.plan import EditPlan, parse_plan
from imgedit_plugins.plugins import PluginManager
from imgedit_plugins.render import mean_squared_error, psnr, render_plan
from imgedit_plugins.requests import EvaluateReport, EvaluateRequest, OptionValue, PredictRequest
from imgedit_reverse_design.align import TURNS, Turn
from imgedit_reverse_design.plugin import predict_operations

Moves = tuple[tuple[str, Value], ...]
Pixels = RGB8 | Picture

ON_OFF = ("grayscale", "sepia", "summer", "winter", "hdr", "sharp", "invert", "flip")
LEVELLED = ("blur", "bright", "contrast", "saturate", "gaussian", "rotate")
SINGLE = [(name, None) for name in ON_OFF] + [
    (name, level) for name in LEVELLED for level in load_profile().levels(name)
]
NEUTRAL = (("blur", 1), ("saturate", 1.0))

PLANS: tuple[Moves, ...] = (
    (("sepia", None), ("blur", 5), ("bright", 30.0)),
    (("hdr", None), ("contrast", 0.7)),
    (("gaussian", 13), ("invert", None), ("winter", None)),
    (("flip", None), ("summer", None), ("blur", 7), ("contrast", 1.3)),
    (("grayscale", None), ("winter", None)),
    (("bright", 50.0), ("saturate", 1.5)),
    (("contrast", 0.5), ("sepia", None), ("gaussian", 5)),
    (("hdr", None), ("invert", None), ("rotate", 180)),
    (("invert", None), ("sepia", None)),
    (("saturate", 0.5), ("contrast", 1.1), ("bright", 10.0)),
    (("sharp", None), ("gaussian", 9)),
    (("winter", None), ("hdr", None), ("bright", 10.0)),
    (("rotate", 90), ("saturate", 2.0), ("sharp", None), ("contrast", 0.7)),
)


def names(moves: Moves) -> str:
    return "+".join(name if value is None else f"{name}={value:g}" for name, value in moves)


def as_picture(pixels: Pixels) -> Picture:
    return pixels if isinstance(pixels, Picture) else Picture(pixels)


def predict(
    source: Pixels, edited: Pixels, job: Job | None = None, **options: OptionValue
) -> EditPlan:
    request = PredictRequest(
        source=as_picture(source),
        edited=as_picture(edited),
        options={name.replace("_", "-"): value for name, value in options.items()},
    )
    plan = predict_operations(request, job or Job())
    assert plan is not None
    check_form(plan)
    return plan


def check_form(plan: EditPlan) -> None:
    """What holds for every answer."""
    assert parse_plan(plan.to_json()) == plan
    assert all(0.0 <= s.confidence <= 1.0 for s in plan.operations)
    assert plan.explanation.endswith(".")
    assert plan.provenance is not None
    assert plan.provenance.plugin == "reverse_design"
    assert plan.abstained or plan.residual is not None
    assert not (plan.abstained and plan.operations)


def check_residual(source: RGB8, edited: RGB8, plan: EditPlan) -> None:
    """The figure of the plan is that of rendering it and comparing."""
    assert plan.residual is not None
    shown = psnr(mean_squared_error(render(source, plan), edited))
    if shown is None:
        assert plan.residual.psnr_db is None
        assert plan.residual.explained == 1.0
    else:
        assert plan.residual.psnr_db == pytest.approx(shown, abs=0.01)


def as_jpeg(pixels: RGB8, folder: Path, quality: int = 90) -> Picture:
    path = folder / f"{quality}.jpg"
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(path, quality=quality)
    return open_picture(path)


def halved(pixels: RGB8) -> RGB8:
    height, width = pixels.shape[:2]
    size = (width // 2, height // 2)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


# --- at the profile's levels ----------------------------------------------------------------------


@pytest.mark.parametrize("move", SINGLE, ids=lambda m: names((m,)))
def test_a_single_operation_is_recovered_exactly(photo: RGB8, move: tuple[str, Value]) -> None:
    edited = edit(photo, move)
    plan = predict(photo, edited)
    assert values(plan) == ([] if move in NEUTRAL else [move])
    assert not plan.abstained
    assert all(s.confidence > 0.9 for s in plan.operations)
    assert plan.residual is not None
    assert plan.residual.explained == 1.0
    check_residual(photo, edited, plan)


@pytest.mark.parametrize("moves", PLANS, ids=names)
def test_plans_are_recovered_exactly(photo: RGB8, moves: Moves) -> None:
    edited = edit(photo, *moves)
    plan = predict(photo, edited)
    assert values(plan) == list(moves)
    assert all(s.confidence > 0.5 for s in plan.operations)
    check_residual(photo, edited, plan)


def test_an_edit_of_another_implementation_is_recovered(other_photo: RGB8) -> None:
    wanted: Moves = (("winter", None), ("contrast", 1.3), ("gaussian", 9), ("saturate", 2.0))
    bgr = np.ascontiguousarray(other_photo[..., ::-1])
    steps = [reference.Edit(name, 1.0 if value is None else value) for name, value in wanted]
    edited = np.ascontiguousarray(reference.apply_edits(bgr, steps)[..., ::-1])
    assert values(predict(other_photo, edited)) == list(wanted)


@pytest.mark.parametrize("turn", TURNS, ids=str)
def test_each_turn_is_recovered_with_an_edit(photo: RGB8, turn: Turn) -> None:
    edited = turn.apply(edit(photo, ("sepia", None), ("contrast", 1.1)))
    plan = predict(photo, edited)
    wanted = [*((o.name, next(iter(o.parameters.values()), None)) for o in turn.operations()),
              ("sepia", None), ("contrast", 1.1)]  # fmt: skip
    assert values(plan) == wanted
    check_residual(photo, edited, plan)


@pytest.mark.parametrize("turn", TURNS[1:4], ids=str)
def test_a_turn_behind_a_detail_filter_is_told_from_one_before(photo: RGB8, turn: Turn) -> None:
    behind = predict(photo, turn.apply(edit(photo, ("hdr", None))))
    assert [s.name for s in behind.operations] == ["hdr", "rotate"]
    before = predict(photo, edit(turn.apply(photo), ("hdr", None)))
    assert [s.name for s in before.operations] == ["rotate", "hdr"]


def test_the_same_pair_gets_the_same_plan(photo: RGB8, other_photo: RGB8) -> None:
    for edited in (edit(photo, *PLANS[3]), edit(photo, ("contrast", 0.83)), other_photo[:90, :120]):
        source = photo[: edited.shape[0], : edited.shape[1]]
        assert predict(source, edited, effort="quick") == predict(source, edited, effort="quick")


def test_no_edited_picture_is_not_ours(photo: RGB8) -> None:
    request = PredictRequest(source=Picture(photo), instruction="make it brighter")
    assert predict_operations(request, Job()) is None


# --- between the levels ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "true", "off"),
    [
        ("bright", 37.0, 1.0),
        ("bright", -45.0, 1.0),
        ("contrast", 1.23, 0.02),
        ("contrast", 0.62, 0.02),
        ("gaussian", 7, 0),
        ("blur", 11, 0),
        ("saturate", 1.7, 0.05),
    ],
)
def test_a_parameter_between_the_levels_is_recovered(
    photo: RGB8, name: str, true: float, off: float
) -> None:
    edited = edit(photo, (name, true))
    plan = predict(photo, edited)
    ((found, value),) = values(plan)
    assert found == name
    assert value == pytest.approx(true, abs=off)
    check_residual(photo, edited, plan)


# --- losses of the edited file --------------------------------------------------------------------


@pytest.mark.parametrize(
    "moves", [(("gaussian", 9),), PLANS[0], PLANS[1], PLANS[5], (("flip", None), *PLANS[4])],
    ids=names,
)  # fmt: skip
def test_jpeg_is_no_hindrance(photo: RGB8, tmp_path: Path, moves: Moves) -> None:
    opened = as_jpeg(edit(photo, *moves), tmp_path)
    plan = predict(photo, opened)
    assert values(plan) == list(moves)
    assert plan.residual is not None
    assert plan.residual.explained > 0.999
    # The file's losses are in the figure of the plan, though they are not held against it.
    check_residual(photo, opened.rgb8(), plan)


def test_a_grey_jpeg_of_a_coloured_source_is_grayscale(photo: RGB8, tmp_path: Path) -> None:
    for moves in ((("grayscale", None),), (("grayscale", None), ("contrast", 0.7))):
        opened = as_jpeg(np.ascontiguousarray(edit(photo, *moves)[..., :1]), tmp_path)
        assert opened.is_grey
        assert values(predict(photo, opened)) == list(moves)


@pytest.mark.parametrize("quality", [30, 75, 95])
def test_the_source_saved_again_is_an_empty_plan(photo: RGB8, tmp_path: Path, quality: int) -> None:
    plan = predict(photo, as_jpeg(photo, tmp_path, quality))
    assert not plan.abstained
    assert plan.operations == ()
    assert "is the source" in plan.explanation


@pytest.mark.parametrize(
    "moves",
    [(("saturate", 2.0), ("invert", None)), (("gaussian", 13), ("summer", None)),
     (("rotate", 90), ("sepia", None))],
    ids=names,
)  # fmt: skip
def test_half_size_is_no_hindrance(photo: RGB8, moves: Moves) -> None:
    plan = predict(photo, halved(edit(photo, *moves)))
    assert values(plan) == list(moves)
    assert "scaled" in plan.explanation
    assert plan.residual is not None
    assert plan.residual.explained > 0.999


def test_the_source_at_half_size_is_an_empty_plan(photo: RGB8) -> None:
    plan = predict(photo, halved(photo))
    assert not plan.abstained
    assert plan.operations == ()


# --- definitions and options ----------------------------------------------------------------------


@pytest.fixture
def other_profile(tmp_path: Path) -> Path:
    """Another sepia, another sharpening, other offsets."""
    shipped = Path(profiles_file).parent / "opencv-photo-filters-1.toml"
    text = shipped.read_text(encoding="utf-8")
    text = text.replace("0.393, 0.769, 0.189", "0.5, 0.6, 0.1")
    text = text.replace("centre = 9.5", "centre = 10.0")
    text = text.replace("[10, 30, 50, 70, 90]", "[15, 45]").replace(
        'id = "opencv-photo-filters/1"', 'id = "others/1"'
    )
    path = tmp_path / "others.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_profile_of_other_constants_is_used(photo: RGB8, other_profile: Path) -> None:
    profile = load_profile(str(other_profile))
    moves: Moves = (("sepia", None), ("sharp", None), ("bright", 45.0))
    shipped = edit(photo, *moves)
    plan = predict(photo, shipped)
    edited = render_plan(Picture(photo), plan, profile=profile).rgb8()
    assert not np.array_equal(edited, shipped)
    found = predict(photo, edited, definitions=str(other_profile))
    assert values(found) == list(moves)
    assert np.array_equal(render(photo, found), edited)


def test_unknown_definitions_are_told(photo: RGB8) -> None:
    with pytest.raises(Exception, match="definition profile"):
        predict(photo, edit(photo, ("invert", None)), definitions="nobody/7")


def test_max_operations_has_an_effect(photo: RGB8) -> None:
    edited = edit(photo, *PLANS[0])
    assert len(predict(photo, edited, max_operations=3).operations) == 3
    plan = predict(photo, edited, max_operations=1, min_explained=0.0, effort="quick")
    assert len(plan.operations) <= 1


def test_min_explained_has_an_effect(photo: RGB8) -> None:
    edited = edit(photo, ("bright", 30.0)).copy()
    edited[80:110, 100:130] = picture(30, 30, seed=9)
    found = predict(photo, edited, effort="quick", min_explained=0.2)
    assert not found.abstained
    assert found.residual is not None
    check_residual(photo, edited, found)
    strict = predict(
        photo, edited, effort="quick", min_explained=min(1.0, found.residual.explained + 0.01)
    )
    assert strict.abstained
    assert strict.residual == found.residual


def test_effort_has_an_effect() -> None:
    source, other = picture(24, 32, seed=1), picture(24, 32, seed=2)
    spent = {}
    for effort in ("quick", "normal"):
        start = time.process_time()
        predict(source, other, effort=effort)
        spent[effort] = time.process_time() - start
    assert spent["normal"] > 1.3 * spent["quick"]


@pytest.mark.parametrize(
    "options", [{"effort": "huge"}, {"max-operations": 0}, {"min-explained": 2.0}, {"depth": 3}]
)
def test_the_manager_refuses_other_options(
    reverse_design: PluginManager, photo: RGB8, options: dict[str, OptionValue]
) -> None:
    request = PredictRequest(source=Picture(photo), edited=Picture(photo), options=options)
    with pytest.raises(OptionError):
        reverse_design.call("predict_operations", request, Job())


def test_the_manager_routes_pairs_here(reverse_design: PluginManager, photo: RGB8) -> None:
    request = PredictRequest(
        source=Picture(photo), edited=Picture(edit(photo, ("summer", None))), instruction="warmer"
    )
    plan = reverse_design.call("predict_operations", request, Job())
    assert values(plan) == [("summer", None)]


# --- defined answers ------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(200, 320), (320, 200), (240, 300), (50, 320)])
def test_another_aspect_ratio_abstains_and_says_so(photo: RGB8, shape: tuple[int, int]) -> None:
    plan = predict(photo, picture(*shape))
    assert plan.abstained
    assert "aspect ratio" in plan.explanation
    assert "320x240" in plan.explanation
    assert f"{shape[1]}x{shape[0]}" in plan.explanation


def test_unrelated_pictures_abstain(photo: RGB8, other_photo: RGB8) -> None:
    part = np.ascontiguousarray(photo[:100, :140])
    for edited in (other_photo[100:200, 60:200], edit(other_photo, ("invert", None))[:100, :140]):
        plan = predict(part, edited, effort="quick")
        assert plan.abstained
        assert "No plan explains" in plan.explanation
        assert plan.residual is not None
        assert plan.residual.explained < 0.9


@pytest.mark.slow
def test_abstaining_takes_bounded_time() -> None:
    start = time.process_time()
    plan = predict(picture(180, 240, seed=1), picture(180, 240, seed=2))
    assert plan.abstained
    assert time.process_time() - start < 20


def test_identical_pictures_are_an_empty_plan(photo: RGB8) -> None:
    plan = predict(photo, photo.copy())
    assert plan.operations == ()
    assert not plan.abstained
    assert plan.residual is not None
    assert plan.residual.psnr_db is None
    assert plan.residual.explained == 1.0


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (7, 9)])
def test_a_few_pixels_abstain_unless_identical(shape: tuple[int, int]) -> None:
    pixels = picture(*shape)
    same = predict(pixels, pixels.copy())
    assert same.operations == ()
    assert not same.abstained
    other = predict(pixels, edit(pixels, ("invert", None)))
    assert other.abstained
    assert str(shape[0] * shape[1]) in other.explanation


@pytest.mark.parametrize("deep", ["source", "edited", "both"])
def test_16_bits_work_with_a_warning(photo: RGB8, deep: str) -> None:
    def widened(pixels: RGB8, which: str) -> Picture:
        wide = deep in (which, "both")
        return Picture(pixels.astype(np.uint16) * 257 if wide else pixels)

    job = Job()
    edited = edit(photo, ("bright", 30.0))
    plan = predict(widened(photo, "source"), widened(edited, "edited"), job)
    assert values(plan) == [("bright", 30.0)]
    assert any("8 bits" in warning for warning in job.warnings)
    assert any("depths" in warning for warning in job.warnings) == (deep != "both")


def with_alpha(pixels: RGB8, alpha: NDArray[np.uint8] | None = None) -> Picture:
    full = np.full(pixels.shape[:2], 255, np.uint8) if alpha is None else alpha
    return Picture(np.concatenate([pixels, full[..., None]], axis=2))


@pytest.mark.parametrize("which", ["source", "edited"])
def test_alpha_against_none_works_with_a_warning(photo: RGB8, which: str) -> None:
    job = Job()
    edited = edit(photo, ("invert", None))
    plan = predict(
        with_alpha(photo) if which == "source" else photo,
        with_alpha(edited) if which == "edited" else edited,
        job,
    )
    assert values(plan) == [("invert", None)]
    assert any("alpha" in warning for warning in job.warnings)


def test_alpha_in_both_needs_no_warning(photo: RGB8) -> None:
    job = Job()
    plan = predict(with_alpha(photo), with_alpha(edit(photo, ("sepia", None))), job)
    assert values(plan) == [("sepia", None)]
    assert job.warnings == []


def test_transparent_parts_are_not_compared(photo: RGB8) -> None:
    edited = edit(photo, ("invert", None), ("gaussian", 9))
    edited[:, :160] = 0
    alpha = np.full(photo.shape[:2], 255, np.uint8)
    alpha[:, :160] = 0
    plan = predict(photo, with_alpha(edited, alpha), effort="quick")
    assert sorted(s.name for s in plan.operations) == ["gaussian", "invert"]


def test_a_grey_source_against_rgb(photo: RGB8) -> None:
    grey = edit(photo, ("grayscale", None))
    source = Picture(np.ascontiguousarray(grey[..., :1]))
    assert values(predict(source, edit(grey, ("summer", None)))) == [("summer", None)]
    assert values(predict(photo, source)) == [("grayscale", None)]
    assert predict(source, grey).operations == ()


def test_a_huge_picture_takes_no_longer_than_a_small_one() -> None:
    source = np.tile(picture(500, 750, seed=5), (8, 8, 1))
    edited = edit(source, ("summer", None), ("gaussian", 9))
    assert source.shape == (4000, 6000, 3)
    start = time.process_time()
    plan = predict(source, edited)
    assert time.process_time() - start < 6
    assert values(plan) == [("summer", None), ("gaussian", 9)]


def test_a_huge_picture_of_something_else_abstains_in_bounded_time() -> None:
    source = np.tile(picture(500, 750, seed=5), (4, 4, 1))
    other = np.tile(picture(500, 750, seed=6), (4, 4, 1))
    start = time.process_time()
    assert predict(source, other, effort="quick").abstained
    assert time.process_time() - start < 12


def test_a_big_patch_that_no_plan_explains_abstains(photo: RGB8) -> None:
    patched = photo.copy()
    patched[40:200, 60:260] = picture(160, 200, seed=9)
    both = edit(photo, ("bright", 30.0)).copy()
    both[40:200, 60:260] = patched[40:200, 60:260]
    for edited in (patched, both):
        plan = predict(photo, edited, effort="quick")
        assert plan.abstained
        assert "No plan explains" in plan.explanation


def test_noise_is_no_plan(photo: RGB8) -> None:
    noise = np.random.default_rng(0).normal(0, 4, photo.shape)
    edited = np.clip(np.rint(photo + noise), 0, 255).astype(np.uint8)
    plan = predict(photo, edited, effort="quick")
    assert plan.abstained


def test_constant_colours() -> None:
    def plain(*codes: int) -> RGB8:
        return np.full((20, 24, 3), codes, np.uint8)

    quick = functools.partial(predict, effort="quick")
    assert quick(plain(9, 9, 9), plain(9, 9, 9)).operations == ()
    # A hundred plans lead from one colour to another; none of them is known to be the edit.
    brighter = quick(plain(79, 80, 81), plain(109, 110, 111))
    assert brighter.abstained
    assert "one colour" in brighter.explanation
    # A picture does not become one colour, nor the other way round, by any of our operations
    # but extreme ones; whatever is said must hold.
    for source, edited in (
        (picture(20, 24), plain(100, 100, 100)),
        (plain(100, 100, 100), picture(20, 24)),
        (plain(250, 0, 0), plain(0, 0, 250)),
    ):
        plan = quick(source, edited)
        if not plan.abstained:
            check_residual(source, edited, plan)
    assert quick(plain(100, 100, 100), picture(20, 24)).abstained


@pytest.mark.parametrize("shape", [(16, 16), (12, 200), (200, 12), (90, 1000)])
def test_small_and_narrow_pictures(shape: tuple[int, int]) -> None:
    source = picture(*shape, seed=7)
    edited = edit(source, ("summer", None), ("contrast", 0.7))
    plan = predict(source, edited)
    assert np.array_equal(render(source, plan), edited)


# --- jobs -----------------------------------------------------------------------------------------


def test_a_cancelled_job_does_not_begin(photo: RGB8, other_photo: RGB8) -> None:
    job = Job()
    job.cancel()
    with pytest.raises(JobCancelledError):
        predict(photo, other_photo, job)


@pytest.mark.parametrize("delay", [0.1, 0.4, 0.8])
def test_a_cancelled_job_stops_within_a_second(
    photo: RGB8, other_photo: RGB8, delay: float
) -> None:
    job = Job()
    when = []

    def stop() -> None:
        when.append(time.process_time())
        job.cancel()

    timer = threading.Timer(delay, stop)
    timer.start()
    with pytest.raises(JobCancelledError):
        predict(photo, other_photo, job, effort="thorough")
    timer.join()
    # Processor time: the machine may be busy with other tests.
    assert time.process_time() - when[0] < 1.0


def test_progress_is_reported(photo: RGB8) -> None:
    stages: list[str] = []
    job = Job(on_progress=lambda p: stages.append(p.stage))
    predict(photo, edit(photo, ("gaussian", 9)), job)
    assert stages[0] == "aligning"
    assert "searching" in stages


# --- a data set, end to end -----------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_data_set_of_the_second_implementation_scores_full_marks(
    reverse_design: PluginManager, tmp_path: Path
) -> None:
    folder, out = tmp_path / "photographs", tmp_path / "data"
    folder.mkdir()
    for seed in (11, 12):
        save_picture(Picture(picture(200, 260, seed=seed)), folder / f"{seed}.png")
    arguments = ["--photographs", folder, "--out", out, "--count", 6, "--seed", 4]
    assert reference.main([str(a) for a in arguments]) == 0
    request = EvaluateRequest(data=out, options={"workers": 1})
    report = reverse_design.call("evaluate", request, Job())
    assert isinstance(report, EvaluateReport)
    main = report.tables[0]
    figures = dict(zip(main.columns, main.rows[0], strict=True))
    assert figures["n"] == 6
    assert figures["F1 %"] == figures["equivalent %"] == figures["identical %"] == 100
    assert figures["abstained %"] == 0
