"""`apply`: one picture, several, folders; and what it refuses."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from cli_plugin import (
    CODE,
    MANIFEST,
    PROGRAM,
    environment,
    install_tested,
    pixels,
    run,
    write_picture,
    write_plan,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_strategies import OPERATIONS, parameters_of

from imgedit_plugins.batch import JOURNAL
from imgedit_plugins.cli.op_syntax import format_operation, parse_operation
from imgedit_plugins.cli.operations import example
from imgedit_plugins.operations import default_vocabulary
from imgedit_plugins.picture_files import open_picture, plan_in_file, save_picture
from imgedit_plugins.pictures import Metadata, Picture
from imgedit_plugins.plan import EditPlan, step
from imgedit_plugins.render import render_plan


@pytest.fixture(autouse=True)
def site(tmp_path, monkeypatch):
    return install_tested(tmp_path, monkeypatch)


@pytest.fixture
def photo(tmp_path):
    return write_picture(tmp_path / "photo.png")


@pytest.fixture
def plan_file(tmp_path):
    return write_plan(tmp_path / "plan.json", step("bright", offset=50))


def results(folder):
    """What a run left in a folder, beside its journal."""
    found = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
    return sorted(name for name in found if name != JOURNAL)


# --- one picture ------------------------------------------------------------------------------


def test_apply_plan_from_file_stdin_and_operations(photo, plan_file, tmp_path):
    run("apply", photo, "--plan", plan_file, "-o", "a.png")
    run("apply", photo, "--plan", "-", "-o", "b.png", stdin=plan_file.read_text())
    run("apply", photo, "--op", "bright=50", "-o", "c.png")
    run("apply", photo, "--op", "bright=offset:50", "-o", "d.png")
    for name in "abcd":
        assert np.array_equal(pixels(f"{name}.png"), pixels(photo) + 50)


def test_apply_takes_operations_in_order(photo):
    run("apply", photo, "--op", "invert", "--op", "bright=50", "-o", "a.png")
    assert np.array_equal(pixels("a.png"), np.minimum(305 - pixels(photo), 255))


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        ("brigt=5", "Did you mean 'bright'"),
        ("bright", "needs 'offset'"),
        ("bright=much", "'much' is not a number"),
        ("bright=900", "between -255 and 255"),
        ("bright=amount:3", "no parameter 'amount'"),
        ("sepia=3", "its parameters are none"),
        ("rotate=45", "must be one of"),
    ],
)
def test_apply_explains_wrong_operations(photo, operation, said):
    assert said in run("apply", photo, "--op", operation, "-o", "a.png", code=2).stderr


def test_apply_mask_is_exact_outside(photo, tmp_path):
    mask = np.zeros((6, 8, 1), np.uint8)
    mask[2:4, 3:5] = 255
    save_picture(Picture(mask), tmp_path / "mask.png")
    run("apply", photo, "--op", "invert", "--mask", "mask.png", "-o", "a.png")
    changed = (pixels("a.png") != pixels(photo)).any(axis=2)
    assert np.array_equal(changed, mask[:, :, 0] == 255)


def test_apply_refuses_unfit_masks(photo, tmp_path):
    write_picture(tmp_path / "colours.png")
    save_picture(Picture(np.zeros((3, 8, 1), np.uint8)), tmp_path / "small.png")
    for mask, said in (("colours.png", "has colours"), ("small.png", "8 x 3")):
        result = run("apply", photo, "--op", "invert", "--mask", mask, "-o", "a.png", code=1)
        assert said in result.stderr
    assert not (tmp_path / "a.png").exists()


def test_apply_overwrites_only_when_told(photo, tmp_path):
    other = write_picture(tmp_path / "other.png", seed=1)
    before = other.read_bytes()
    for target in (other, photo):
        result = run("apply", photo, "--op", "invert", "-o", target, code=1)
        assert "exists already. Add --overwrite" in result.stderr
    assert other.read_bytes() == before
    run("apply", photo, "--op", "invert", "-o", other, "--overwrite")
    assert np.array_equal(pixels(other), 255 - pixels(photo))


def test_apply_several_goes_on_after_a_bad_one(photo, tmp_path):
    second = write_picture(tmp_path / "second.png", seed=1)
    bad = tmp_path / "bad.png"
    bad.write_bytes(photo.read_bytes()[:60])
    result = run("apply", photo, bad, second, "--op", "invert", "-o", "out", code=4)
    assert "1 of 3 failed:" in result.stderr
    assert f"  {bad}: " in result.stderr
    assert results(tmp_path / "out") == ["photo.png", "second.png"]


def test_apply_several_survives_a_bug_on_one(photo, tmp_path, monkeypatch):
    second = write_picture(tmp_path / "second.png", width=9)
    from imgedit_plugins.batch import edits

    real = edits.render_plan

    def buggy(picture, *args, **kwargs):
        if picture.width == 8:
            raise ZeroDivisionError("eight")
        return real(picture, *args, **kwargs)

    monkeypatch.setattr(edits, "render_plan", buggy)
    result = run("apply", photo, second, "--op", "invert", "-o", "out", code=4)
    assert "ZeroDivisionError: eight" in result.stderr
    assert results(tmp_path / "out") == ["second.png"]


def test_apply_several_all_bad_is_an_error(tmp_path):
    result = run("apply", "x.png", "y.png", "--op", "invert", "-o", "out", code=1)
    assert "2 of 2 failed" in result.stderr


def test_apply_tells_what_the_plugin_says_and_keeps_all_candidates(photo):
    told = run("apply", photo, "--instruction", "several", "-o", "a.png").stdout
    assert "The sky is darker." in told
    assert "bright" in told
    assert "Another candidate: a-2.png" in told
    assert [pixels(name).max() for name in ("a.png", "a-2.png", "a-3.png")] == [2, 3, 4]


def test_apply_says_once_what_the_plan_says_too(photo):
    told = run("apply", photo, "--instruction", "plan", "-o", "a.png").stdout
    assert told.count("Turned into a negative.") == 1
    assert "invert" in told


def test_apply_writes_no_candidate_over_a_file(photo):
    write_picture(Path("a-2.png"))
    before = Path("a-2.png").read_bytes()
    told = run("apply", photo, "--instruction", "several", "-o", "a.png").stdout
    assert "a-3.png" in told
    assert Path("a-2.png").read_bytes() == before
    assert [pixels(name).max() for name in ("a-3.png", "a-4.png")] == [3, 4]
    run("apply", photo, "--instruction", "several", "-o", "a.png", "--overwrite")
    assert pixels("a-2.png").max() == 3


def test_apply_tells_scripts_and_of_several_pictures_what_the_plugin_says(photo):
    write_picture(Path("other.png"))
    arguments = ("apply", photo, "other.png", "--instruction", "several", "-o", "out")
    told = run(*arguments).stdout
    assert "photo.png: The sky is darker." in told
    assert "other.png: another candidate: out/other-3.png" in told
    first, _ = json.loads(run(*arguments, "--overwrite", "--json").stdout)
    assert first["explanation"] == "The sky is darker."
    assert first["plan"]["operations"][0]["name"] == "bright"
    assert first["further"] == ["out/photo-2.png", "out/photo-3.png"]


def test_apply_json_tells_of_each(photo):
    result = run("apply", photo, "gone.png", "--op", "invert", "-o", "out", "--json", code=4)
    good, bad = json.loads(result.stdout)
    change = good.pop("change")
    assert change == pytest.approx(np.abs(255 - 2 * pixels(photo)).mean(), abs=1e-3)
    assert good == {
        "picture": str(photo),
        "out": "out/photo.png",
        "status": "done",
        "error": None,
        "warnings": [],
        "explanation": "",
        "plan": None,
        "further": [],
        "clipped": 0.0,
        "outlier": [],
    }
    assert (bad["out"], bad["status"], bad["clipped"]) == (None, "failed", None)
    assert "gone.png" in bad["error"]


def test_apply_refuses_name_clashes_before_it_starts(photo, tmp_path):
    (tmp_path / "sub").mkdir()
    shutil.copy(photo, tmp_path / "sub")
    result = run("apply", photo, "sub/photo.png", "--op", "invert", "-o", "out", code=2)
    assert "would both become out/photo.png" in result.stderr
    assert not (tmp_path / "out").exists()


def test_apply_several_refuses_existing_before_it_starts(photo, tmp_path):
    second = write_picture(tmp_path / "second.png")
    (tmp_path / "out").mkdir()
    shutil.copy(photo, tmp_path / "out" / "second.png")
    run("apply", photo, second, "--op", "invert", "-o", "out", code=1)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["second.png"]


def test_apply_one_picture_into_a_folder(photo, tmp_path):
    (tmp_path / "out").mkdir()
    run("apply", photo, "--op", "invert", "-o", "out")
    run("apply", photo, "--op", "invert", "-o", "made/by")
    assert np.array_equal(pixels("out/photo.png"), pixels("made/by/photo.png"))


def test_apply_makes_no_folder_for_a_file(photo, tmp_path):
    said = run("apply", photo, "--op", "invert", "-o", "no/such/a.png", code=1).stderr
    assert "its folder does not exist" in said
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Give one of --plan"),
        (["--op", "sepia", "--instruction", "x"], "Give one of --plan"),
        (["--op", "sepia", "--option", "a=1"], "add --plugin"),
        (["--op", "sepia", "--quality", "0"], "--quality"),
    ],
)
def test_apply_wrong_usage(photo, arguments, said):
    assert said in run("apply", photo, *arguments, "-o", "a.png", code=2).stderr


def test_apply_abstained_plan(photo, tmp_path):
    plan = write_plan(tmp_path / "none.json", abstained=True)
    assert "abstained" in run("apply", photo, "--plan", plan, "-o", "a.png", code=3).stderr
    run("apply", photo, "--instruction", "abstain", "-o", "a.png", code=3)


def test_apply_by_a_plugin(photo):
    result = run("apply", photo, "--instruction", "x", "--option", "amount=5", "-o", "a.png")
    assert (pixels("a.png") == 5).all()
    assert "Mind the gap." in result.stderr
    run("apply", photo, "--op", "sepia", "--plugin", "tested", "-o", "b.png")
    assert (pixels("b.png") == 2).all()
    run("apply", photo, "--instruction", "plan", "-o", "c.png")
    assert np.array_equal(pixels("c.png"), 255 - pixels(photo))


def test_apply_asks_plugins_one_picture_at_a_time(site, photo, tmp_path):
    (tmp_path / "several").mkdir()
    for number in range(4):
        write_picture(tmp_path / "several" / f"{number}.png")
    code = CODE.replace(
        'if request.instruction == "refuse":',
        """import pathlib, threading
    with pathlib.Path("calls.txt").open("a") as log:
        log.write(f"begin {threading.current_thread().name} ")
    time.sleep(0.02)
    with pathlib.Path("calls.txt").open("a") as log:
        log.write("end\\n")
    if request.instruction == "refuse":""",
    )
    site.install("broken", code=code, manifest=MANIFEST.replace('"tested"', '"broken"'))
    run("apply", "several", "--op", "invert", "--plugin", "broken", "-o", "out", "--jobs", 4)
    assert (tmp_path / "calls.txt").read_text() == "begin MainThread end\n" * 4


def test_apply_puts_a_partial_candidate_back(photo):
    run("apply", photo, "--instruction", "patch", "-o", "a.png")
    expected = pixels(photo)
    expected[2:4, 1:4] = 2
    assert np.array_equal(pixels("a.png"), expected)


def test_apply_quality_and_flatten(tmp_path):
    alpha = np.random.default_rng(0).integers(0, 255, (64, 64, 4), dtype=np.uint8)
    save_picture(Picture(alpha), tmp_path / "alpha.png")
    run("apply", "alpha.png", "--op", "invert", "-o", "a.jpg", code=1)
    for name, quality in (("a.jpg", 95), ("b.jpg", 20)):
        flat = ("--flatten", "#ffffff", "--quality", quality)
        run("apply", "alpha.png", "--op", "invert", "-o", name, *flat)
    assert (tmp_path / "b.jpg").stat().st_size < (tmp_path / "a.jpg").stat().st_size


# --- the options of a plan --------------------------------------------------------------------


def test_apply_strength(photo):
    run("apply", photo, "--op", "bright=40", "--strength", 50, "-o", "half.png")
    run("apply", photo, "--op", "bright=40", "--strength", 200, "-o", "double.png")
    run("apply", photo, "--op", "bright=40", "--strength", 0, "-o", "none.png")
    assert np.array_equal(pixels("half.png"), pixels(photo) + 20)
    assert np.array_equal(pixels("none.png"), pixels(photo))
    assert np.array_equal(pixels("double.png"), np.minimum(pixels(photo) + 80, 255))


def test_apply_rounding(photo):
    plan = EditPlan(operations=(step("contrast", gain=0.3), step("contrast", gain=3)))
    (photo.parent / "plan.json").write_text(plan.to_json())
    picture = open_picture(photo)
    made = []
    for rounding in ("auto", "each-step", "end"):
        run("apply", photo, "--plan", "plan.json", "--rounding", rounding, "-o", f"{rounding}.png")
        expected = render_plan(picture, plan, rounding=rounding).pixels
        assert np.array_equal(pixels(f"{rounding}.png"), expected)
        made.append(expected)
    assert not np.array_equal(made[1], made[2]), "or the option could be ignored"


def test_apply_embeds_the_plan(photo):
    run("apply", photo, "--op", "bright=40", "--embed-plan", "-o", "a.jpg")
    assert plan_in_file("a.jpg").operations == (step("bright", offset=40),)
    run("apply", photo, "--instruction", "plan", "--embed-plan", "-o", "b.png")
    assert plan_in_file("b.png").operations == (step("invert"),)
    result = run("apply", photo, "--instruction", "x", "--embed-plan", "-o", "c.png")
    assert "without a plan" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--op", "sepia", "--strength", "201", "-o", "a.png"], "--strength"),
        (["--instruction", "x", "--strength", "50", "-o", "a.png"], "leave out --plugin"),
        (["--op", "sepia", "--plugin", "tested", "--rounding", "end", "-o", "a.png"], "leave out"),
        (["--op", "sepia", "--embed-plan", "--strength", "50", "-o", "a.png"], "in full"),
        (["--op", "sepia", "--format", "png", "-o", "a.png"], "its extension says the format"),
        (["--op", "sepia", "--resume", "-o", "a.png"], "for results in a folder"),
        (["--op", "sepia", "--contact-sheet", "a.jpg", "-o", "a.png"], "name it .html"),
        (["--op", "sepia", "--jobs", "0", "-o", "a.png"], "--jobs"),
    ],
)
def test_apply_refuses_options_that_do_not_go_together(photo, arguments, said):
    assert said in run("apply", photo, *arguments, code=2).stderr


# --- operations in words ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("curves=all:0/0,0.5/0.6,1/1", {"all": ((0.0, 0.0), (0.5, 0.6), (1.0, 1.0))}),
        (
            "curves=all:0/0.1,1/1,red:0/0,1/0.9",
            {"all": ((0.0, 0.1), (1.0, 1.0)), "red": ((0.0, 0.0), (1.0, 0.9))},
        ),
        ("vignette=-40", {"amount": -40.0, "midpoint": 50.0}),
        ("vignette=-40,midpoint:30", {"amount": -40.0, "midpoint": 30.0}),
        ("vignette=midpoint:30, amount:-40", {"amount": -40.0, "midpoint": 30.0}),
        ("crop=left:0.1", {"left": 0.1, "right": 0.0}),
        ("rotate=90", {"degrees": 90}),
    ],
)
def test_op_takes_curves_and_leaves_out_what_is_optional(text, parameters):
    parsed = parse_operation(text, default_vocabulary()).parameters
    assert {name: parsed[name] for name in parameters} == parameters


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("curves=all:0/0,0.5,1/1", "'0.5' is no point; write X/Y"),
        ("curves=0/0,1/1", "its parameters are all and red and green and blue; write curves=all:"),
        ("curves=all:0/0", "2 to 64 points"),
        ("curves=all:1/0,0/1", "must rise in x"),
        ("curves=all:0/0,x/1", "'x' is not a number"),
        ("vignette=-40,30", "'30' has no name"),
        ("vignette=-40,amount:30", "'amount' is given twice"),
        ("crop=0.1", "its parameters are left and top"),
    ],
)
def test_op_explains_what_is_wrong_with_curves_and_lists(photo, text, said):
    assert said in run("apply", photo, "--op", text, "-o", "a.png", code=2).stderr


@pytest.mark.parametrize("operation", list(default_vocabulary()), ids=lambda op: op.name)
def test_the_example_of_an_operation_can_be_applied(operation):
    shown = run("operations", operation.name).stdout.splitlines()[-1]
    assert shown == f"For example: --op {example(operation)}"
    parsed = parse_operation(example(operation), default_vocabulary())
    picture = Picture(np.random.default_rng(0).integers(9, 200, (24, 32, 3), dtype=np.uint8))
    edited = render_plan(picture, EditPlan(operations=(parsed,)))
    assert not np.array_equal(edited.pixels, picture.pixels), "an example shows something"
    written = format_operation(operation, parsed.parameters)
    assert parse_operation(written, default_vocabulary()) == parsed


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(list(OPERATIONS.values())).flatmap(
    lambda operation: parameters_of(operation).map(lambda given: (operation, given))
))  # fmt: skip
def test_any_operation_can_be_written_and_read_again(drawn):
    operation, given = drawn
    checked = operation.check(given)
    text = format_operation(operation, checked)
    assert parse_operation(text, default_vocabulary()).parameters == checked
    assert not set(text) & set(" \t'\"$&;|<>()*?[]{}~#!\\"), "needs no quotes in a shell"


def test_operations_show_all_that_is_declared():
    table = run("operations").stdout
    assert "amount -100..100 %, [midpoint, feather, roundness]" in table
    assert "20 more]" in table
    one = run("operations", "curves").stdout
    assert "a straight line if left out" in one
    assert "compares  " in one
    vignette = json.loads(run("operations", "vignette", "--json").stdout)
    assert vignette["compares"] == default_vocabulary()["vignette"].compares
    assert [p["optional"] for p in vignette["parameters"]] == [False, True, True, True]
    curves = json.loads(run("operations", "curves", "--json").stdout)
    assert curves["parameters"][0]["neutral"] == [[0, 0], [1, 1]]
    assert curves["parameters"][0]["points"] is True
    assert curves["example"].startswith("curves=all:")


def test_plans_with_curves_are_shown(photo, tmp_path):
    curve = [[0.0, 0.0], [0.5, 0.625], [1.0, 1.0]]
    write_plan(tmp_path / "curved.json", step("curves", all=curve))
    assert "all 0/0,0.5/0.625,1/1" in run("plan", "show", "curved.json").stdout


# --- folders ----------------------------------------------------------------------------------


@pytest.fixture
def album(tmp_path):
    """Three pictures, one of them in a subfolder, and a text."""
    folder = tmp_path / "album"
    (folder / "beach").mkdir(parents=True)
    for number, name in enumerate(("a.png", "b.PNG", "beach/a.png")):
        write_picture(folder / name, seed=number)
    (folder / "notes.txt").write_text("Sunny.")
    return folder


INVERT = ("--op", "invert")


def test_apply_a_folder_keeps_names_and_says_what_it_left(album, tmp_path):
    result = run("apply", album, *INVERT, "-o", "out")
    assert results(tmp_path / "out") == ["a.png", "b.PNG"]
    assert np.array_equal(pixels("out/b.PNG"), 255 - pixels(album / "b.PNG"))
    assert "1 file was left alone:" in result.stderr
    assert "notes.txt' is not a picture" in result.stderr


def test_apply_recursive_keeps_subfolders_and_stays_out_of_its_own(album, tmp_path):
    run("apply", album, "-r", *INVERT, "-o", album / "edited")
    assert results(album / "edited") == ["a.png", "b.PNG", "beach/a.png"]
    run("apply", album, "-r", *INVERT, "-o", album / "edited", "--overwrite")
    assert results(album / "edited") == ["a.png", "b.PNG", "beach/a.png"]


def test_apply_folder_as_json_lists_the_skipped(album):
    entries = json.loads(run("apply", album, *INVERT, "-o", "out", "--json").stdout)
    assert [(Path(e["picture"]).name, e["status"]) for e in entries] == [
        ("a.png", "done"), ("b.PNG", "done"), ("notes.txt", "skipped"),
    ]  # fmt: skip
    assert len({tuple(entry) for entry in entries}) == 1, "all have the same fields"


def test_apply_folder_keeps_metadata(album, tmp_path):
    pixels = np.full((5, 6, 3), 90, np.uint8)
    kept = Metadata(xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>", resolution=(300.0, 300.0))
    save_picture(Picture(pixels, metadata=kept), album / "c.tif")
    run("apply", album, *INVERT, "-o", "out")
    assert open_picture("out/c.tif").metadata == open_picture(album / "c.tif").metadata


def test_apply_empty_folder(tmp_path):
    (tmp_path / "empty").mkdir()
    result = run("apply", "empty", *INVERT, "-o", "out", code=1)
    assert "no picture in empty. Add --recursive" in result.stderr
    assert not (tmp_path / "out").exists()


def test_apply_saves_in_another_format(album, tmp_path):
    (album / "beach").rename(album / "c")
    run("apply", album, *INVERT, "-o", "out", "--format", "tiff")
    assert results(tmp_path / "out") == ["a.tif", "b.tif"]
    assert np.array_equal(pixels("out/a.tif"), 255 - pixels(album / "a.png"))
    run("apply", album, *INVERT, "-o", "same", "--format", "png")
    assert results(tmp_path / "same") == ["a.png", "b.PNG"]


def test_apply_damaged_picture_in_a_folder_fails_and_the_rest_is_done(album, tmp_path):
    (album / "c.jpg").write_bytes(b"")
    assert "c.jpg' is empty" in run("apply", album, *INVERT, "-o", "out", code=4).stderr
    assert results(tmp_path / "out") == ["a.png", "b.PNG"]


@pytest.mark.parametrize("jobs", [1, 4])
def test_apply_jobs_change_nothing_but_time(album, jobs):
    run("apply", album, "-r", "--op", "clarity=40", "--jobs", jobs, "-o", "out")
    plan = EditPlan(operations=(step("clarity", amount=40),))
    for name in ("a.png", "b.PNG", "beach/a.png"):
        expected = render_plan(open_picture(album / name), plan).pixels
        assert np.array_equal(pixels(f"out/{name}"), expected)


# --- resume -----------------------------------------------------------------------------------


def _statuses(*arguments, code=0):
    listed = json.loads(run("apply", *arguments, "--json", code=code).stdout)
    return {Path(e["picture"]).name: e["status"] for e in listed if e["status"] != "skipped"}


def test_resume_does_what_is_missing(album, tmp_path):
    arguments = (album, *INVERT, "-o", "out", "--resume")
    run("apply", *arguments)
    before = (tmp_path / "out/a.png").stat().st_mtime_ns
    write_picture(album / "new.png", seed=9)
    assert _statuses(*arguments) == {"a.png": "kept", "b.PNG": "kept", "new.png": "done"}
    assert (tmp_path / "out/a.png").stat().st_mtime_ns == before
    assert "3 were done already." in run("apply", *arguments).stderr


def test_resume_does_again_what_changed(album, tmp_path):
    run("apply", album, *INVERT, "-o", "out")
    write_picture(album / "a.png", width=9, seed=5)
    assert _statuses(album, *INVERT, "-o", "out", "--resume") == {"a.png": "done", "b.PNG": "kept"}
    assert np.array_equal(pixels("out/a.png"), 255 - pixels(album / "a.png"))


@pytest.mark.parametrize(
    "other", [["--op", "sepia"], [*INVERT, "--strength", "50"], [*INVERT, "--embed-plan"]]
)
def test_resume_with_another_edit_starts_anew(album, other):
    run("apply", album, *INVERT, "-o", "out")
    assert set(_statuses(album, *other, "-o", "out", "--resume").values()) == {"done"}
    assert set(_statuses(album, *other, "-o", "out", "--resume").values()) == {"kept"}


def test_resume_asks_a_plugin_again_only_with_other_options(album):
    by_plugin = (album, "--instruction", "x", "-o", "out", "--resume", "-O")
    assert set(_statuses(*by_plugin, "amount=3").values()) == {"done"}
    assert set(_statuses(*by_plugin, "amount=3").values()) == {"kept"}
    assert set(_statuses(*by_plugin, "amount=4").values()) == {"done"}


def test_resume_spares_what_is_not_its_own(album, tmp_path):
    run("apply", album, *INVERT, "-o", "out")
    mine = write_picture(tmp_path / "out/a.png", seed=7).read_bytes()
    other = (album, "--op", "sepia", "-o", "out", "--resume")
    result = run("apply", *other, code=1)
    assert "out/a.png was made from another file, changed since" in result.stderr
    run("apply", album, *INVERT, "-o", "out", "--resume")  # the same edit: somebody went on from it
    assert (tmp_path / "out/a.png").read_bytes() == mine
    run("apply", *other, "--overwrite")
    assert (tmp_path / "out/a.png").read_bytes() != mine


def test_resume_refuses_results_that_replace_their_sources(album):
    run("apply", album, *INVERT, "-o", album, "--overwrite")
    result = run("apply", album, *INVERT, "-o", album, "--overwrite", "--resume", code=2)
    assert "nobody can tell whether it was edited already" in result.stderr


def _large_album(tmp_path):
    folder = tmp_path / "large"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (900, 1200, 3), dtype=np.uint8)
    for number in range(8):
        save_picture(Picture(np.roll(noise, number, axis=0)), folder / f"{number:02}.png")
    return folder


@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGINT] * 2, [signal.SIGKILL]])
def test_interrupted_run_leaves_whole_pictures_and_resumes(site, tmp_path, signals):
    album, out = _large_album(tmp_path), tmp_path / "out"
    arguments = [*PROGRAM, "apply", album, "--op", "invert", "-o", out]
    process = subprocess.Popen(arguments, env=environment(site.folder), stderr=subprocess.PIPE)
    end = time.monotonic() + 30
    while len(list(out.glob("[!.]*.png"))) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    started = time.monotonic()
    for number in signals:
        process.send_signal(number)
        time.sleep(0.01)
    _, said = process.communicate(timeout=20)
    took = time.monotonic() - started
    done = results(out)
    if signals == [signal.SIGKILL]:
        done = [name for name in done if not name.startswith(".")]
    else:
        assert process.returncode == 130
        assert b"--resume does the rest" in said
        assert b"Interrupted; nothing was left half written." in said
        assert b"Traceback" not in said
        assert took < 5
    assert 2 <= len(done) < 8
    for name in done:
        assert np.array_equal(pixels(out / name), 255 - pixels(album / name))
    statuses = _statuses(album, "--op", "invert", "-o", out, "--resume")
    assert set(statuses) == {f"{number:02}.png" for number in range(8)}
    assert sorted(name for name, status in statuses.items() if status == "kept") == done
    assert np.array_equal(pixels(out / "07.png"), 255 - pixels(album / "07.png"))


# --- outliers ---------------------------------------------------------------------------------


def _mixed_album(tmp_path):
    """Nine pictures of middle tones and one bright one, on which brightening clips."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(9):
        tones = rng.integers(40 + number, 150, (60, 80, 3), dtype=np.uint8)
        save_picture(Picture(tones), folder / f"{number}.png")
    bright = rng.integers(150, 250, (60, 80, 3), dtype=np.uint8)
    save_picture(Picture(bright), folder / "bright.png")
    return folder


def test_contact_sheet_shows_the_picture_that_clips(tmp_path):
    album = _mixed_album(tmp_path)
    edit = ("apply", album, "--op", "bright=70", "-o", "out")
    result = run(*edit, "--contact-sheet", "sheet.html", "--json")
    entries = {Path(e["picture"]).name: e for e in json.loads(result.stdout)}
    assert [name for name, e in entries.items() if e["outlier"]] == ["bright.png"]
    assert entries["bright.png"]["outlier"] == ["clipped"]
    assert entries["bright.png"]["clipped"] > 0.9
    assert entries["3.png"]["change"] == 70.0
    assert "1 of 10 pictures stands out: sheet.html" in result.stderr
    page = (tmp_path / "sheet.html").read_text()
    assert "bright.png" in page
    assert page.count("data:image/jpeg;base64,") == 4, "the outlier and an ordinary one"
    again = run(*edit, "--resume", "--contact-sheet", "again.html", "--json")
    kept = {Path(e["picture"]).name: e for e in json.loads(again.stdout)}
    assert kept["bright.png"]["outlier"] == ["clipped"], "figures of an earlier run count"
    assert (tmp_path / "again.html").read_text() == page


def test_geometry_does_not_count_as_change(tmp_path):
    album = _mixed_album(tmp_path)
    entries = json.loads(run("apply", album, "--op", "flip", "-o", "out", "--json").stdout)
    assert {e["change"] for e in entries} == {0.0}


def test_contact_sheet_is_refused_before_the_work(album, tmp_path):
    edit = ("apply", album, *INVERT, "--contact-sheet")
    assert "its folder does not exist" in run(*edit, "no/a.html", "-o", "out", code=1).stderr
    said = run(*edit, "a.html", "-o", album, "--overwrite", code=2).stderr
    assert "would be replaced, so that --contact-sheet could not show it" in said
    assert not (tmp_path / "out").exists()
    run(*edit, "out/a.html", "-o", "out")
