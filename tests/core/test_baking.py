import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
from cli_plugin import write_picture
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from imgedit_plugins.cli import cli
from imgedit_plugins.errors import OptionError, PlanError
from imgedit_plugins.operations import Operation, default_vocabulary
from imgedit_plugins.operations.forms import Colour, Measured, Positioned, Whole
from imgedit_plugins.picture_files import open_picture
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan, step
from imgedit_plugins.render import lut, render_plan
from imgedit_plugins.render.baking import CURVE_ENTRIES, bake


def plan(*steps, **fields) -> EditPlan:
    return EditPlan(operations=steps, **fields)


LOOK = plan(step("contrast", gain=1.2), step("saturate", factor=0.7), step("summer"))
CURVES = plan(step("contrast", gain=1.2), step("winter"), step("invert"))
MIXED = plan(step("bright", offset=20), step("blur", kernel=5), step("rotate", degrees=90))
COLORS = np.random.default_rng(0).random((5000, 3)).astype(np.float32)


# --- readers of our files that know nothing of ours -------------------------------------------


def read_cube(path):
    """Sizes, title, comments and rows of a `.cube` file, by the words of Adobe's specification."""
    found = {"comments": [], "rows": []}
    for line in Path(path).read_bytes().decode("ascii").split("\n"):
        if line.startswith("#"):
            found["comments"].append(line[1:].strip())
        elif re.match(r"[A-Z]", line):
            word, value = line.split(" ", 1)
            found[word] = value
        elif line:
            found["rows"].append([float(number) for number in line.split()])
    return found


def look_up(rows, size, color):
    """Trilinear interpolation between rows of which red changes fastest."""
    place = [min(max(c, 0.0), 1.0) * (size - 1) for c in color]
    low = [min(int(p), size - 2) for p in place]
    total = np.zeros(3)
    for corner in itertools.product((0, 1), repeat=3):
        weight = 1.0
        index = 0
        for axis in range(3):
            share = place[axis] - low[axis]
            weight *= share if corner[axis] else 1 - share
            index += (low[axis] + corner[axis]) * size**axis
        total += weight * np.array(rows[index])
    return total


def rendered(edit, colors, **options):
    return render_plan(Picture(colors[None].copy()), edit, rounding="end", **options).pixels[0]


def run(*arguments):
    return CliRunner().invoke(cli, ["plan", "bake", *map(str, arguments)])


@pytest.fixture
def plan_file(tmp_path):
    def write(edit):
        path = tmp_path / "plan.json"
        path.write_text(edit.to_json())
        return path

    return write


# --- .cube ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [17, 33, 65])
def test_a_cube_is_the_plan_at_its_colours_and_near_it_between(size, tmp_path, plan_file):
    out = tmp_path / "look.cube"
    done = run(plan_file(LOOK), "-o", out, "--size", size)
    assert done.exit_code == 0, done.output
    cube = read_cube(out)
    assert cube["LUT_3D_SIZE"] == str(size)
    assert (cube["DOMAIN_MIN"], cube["DOMAIN_MAX"]) == ("0.0 0.0 0.0", "1.0 1.0 1.0")
    rows = np.array(cube["rows"])
    assert rows.shape == (size**3, 3)
    index = np.random.default_rng(1).integers(0, size, (300, 3))
    truth = rendered(LOOK, (index / (size - 1)).astype(np.float32))
    assert rows[index @ [1, size, size * size]] == pytest.approx(truth, abs=1e-5)
    between = np.array([look_up(cube["rows"], size, color) for color in COLORS[:1000]])
    apart = np.abs(between - rendered(LOOK, COLORS[:1000])) * 255
    said = next(c for c in cube["comments"] if "trilinear" in c)
    mean, most = (float(n) for n in re.findall(r"\d+\.\d+", said))
    assert apart.max() <= most + 0.01
    assert apart.mean() == pytest.approx(mean, rel=0.3)
    # What is written in the file is what was printed.
    assert f"mean {mean:.3f}, maximum {most:.2f}" in done.stdout


def test_curves_alone_fit_one_dimension(tmp_path, plan_file):
    out = tmp_path / "look.cube"
    done = run(plan_file(CURVES), "-o", out, "--size", "1d")
    assert done.exit_code == 0, done.output
    cube = read_cube(out)
    assert cube["LUT_1D_SIZE"] == str(CURVE_ENTRIES)
    assert "LUT_3D_SIZE" not in cube
    rows = np.array(cube["rows"])
    places = np.linspace(0, 1, CURVE_ENTRIES)
    found = np.stack([np.interp(COLORS[:, c], places, rows[:, c]) for c in range(3)], axis=1)
    assert found == pytest.approx(rendered(CURVES, COLORS), abs=0.1 / 255)
    refused = run(plan_file(LOOK), "-o", out, "--size", "1d")
    assert refused.exit_code == 1
    assert "'saturate' mixes the channels" in refused.stderr


def test_titles_and_comments_stay_ascii_on_one_line(tmp_path, plan_file):
    edit = plan(step("bright", offset=5), explanation='Größer "und"\nheller, ×2 – fertig')
    out = tmp_path / "x.cube"
    assert run(plan_file(edit), "-o", out, "--size", 17).exit_code == 0
    assert read_cube(out)["TITLE"] == "\"Gr??er 'und' heller, x2 - fertig\""
    assert "Holds: brightened by 5" in read_cube(out)["comments"]


# --- HaldCLUT ---------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [2, 3, 4])
def test_a_hald_that_changes_nothing_has_the_standard_layout(level):
    size, side = level**2, level**3
    picture = lut.hald(lut.identity(size))
    assert picture.shape == (side, side, 3)
    number = np.arange(side * side).reshape(side, side)
    for channel, weight in enumerate((1, size, size * size)):
        expected = number // weight % size / (size - 1)
        assert picture[:, :, channel] == pytest.approx(expected, abs=1e-6)


def test_a_hald_is_a_16_bit_picture_of_the_plan(tmp_path, plan_file):
    out = tmp_path / "look.png"
    done = run(plan_file(LOOK), "-o", out)
    assert done.exit_code == 0, done.output
    picture = open_picture(out)
    assert picture.pixels.shape == (512, 512, 3)
    assert picture.pixels.dtype == np.uint16
    colors = lut.hald(lut.identity(64)).reshape(-1, 3)
    truth = rendered(LOOK, colors) * 65535
    assert np.abs(picture.pixels.reshape(-1, 3) - truth).max() <= 0.51


# --- looking up -------------------------------------------------------------------------------


@given(st.integers(2, 9))
@settings(deadline=None, max_examples=8)
def test_both_ways_to_look_up_give_linear_functions_exactly(size):
    cube = lut.identity(size)
    mixed = (cube @ np.float32([[0.5, 0.2, 0], [0.3, 0.7, 0.1], [0, 0.1, 0.9]])).astype(np.float32)
    edges = np.float32(list(itertools.product((0, 0.5, 1), repeat=3)))
    for colors in (COLORS[:200], edges):
        truth = lut.trilinear(cube, colors) @ np.float32(
            [[0.5, 0.2, 0], [0.3, 0.7, 0.1], [0, 0.1, 0.9]]
        )
        assert lut.trilinear(cube, colors) == pytest.approx(colors, abs=1e-6)
        for way in (lut.trilinear, lut.tetrahedral):
            assert way(mixed, colors) == pytest.approx(truth, abs=1e-6)


def test_trilinear_is_what_another_writing_of_it_gives():
    cube = np.random.default_rng(2).random((4, 4, 4, 3)).astype(np.float32)
    rows = cube.transpose(2, 1, 0, 3).reshape(-1, 3)
    expected = np.array([look_up(rows, 4, color) for color in COLORS[:100]])
    assert lut.trilinear(cube, COLORS[:100]) == pytest.approx(expected, abs=1e-5)


def test_tetrahedral_uses_four_corners_along_the_largest_share_first():
    cube = np.zeros((2, 2, 2, 3), np.float32)
    cube[1, 0, 0], cube[1, 1, 0], cube[1, 1, 1] = 1, 10, 100
    color = np.float32([[0.7, 0.4, 0.1]])
    assert lut.tetrahedral(cube, color)[0] == pytest.approx(0.3 * 1 + 0.3 * 10 + 0.1 * 100)
    assert lut.tetrahedral(cube, color[:, ::-1])[0] == pytest.approx(0.1 * 100)


# --- what a table cannot hold -----------------------------------------------------------------


def test_other_steps_are_left_out_and_named(tmp_path, plan_file):
    out = tmp_path / "look.cube"
    done = run(plan_file(MIXED), "-o", out, "--size", 17)
    assert done.exit_code == 0, done.output
    assert "'blur' was left out: it looks at neighbouring pixels." in done.stderr
    assert "'rotate' was left out: it moves pixels." in done.stderr
    cube = read_cube(out)
    assert "Left out: blur (it looks at neighbouring pixels)" in cube["comments"]
    truth = rendered(plan(step("bright", offset=20)), COLORS[:50])
    found = [look_up(cube["rows"], 17, color) for color in COLORS[:50]]
    assert np.array(found) == pytest.approx(truth, abs=0.02)


@pytest.mark.parametrize(("form", "why"), [
    (Positioned(lambda v, r: v), "it depends on the place in the picture"),
    (Measured(lambda v: Colour(lambda c: c)), "it measures the picture first"),
    (Whole(lambda v, c: v), "it looks at neighbouring pixels"),
])  # fmt: skip
def test_each_form_beyond_colour_says_why(form, why, monkeypatch):
    made = Operation("made", "Made", "pointwise", None, "here", "S.", form=lambda p, c: form)
    monkeypatch.setitem(default_vocabulary()._operations, "made", made)
    assert bake(plan(step("invert"), step("made")), 5).left_out == (("made", why),)


def test_a_plugin_s_8_bit_operation_is_held():
    made = Operation("made", "Made", "pointwise", lambda rgb, p, c: rgb // 2, "here", "S.")
    vocabulary = default_vocabulary()
    vocabulary._operations["made"] = made
    try:
        baked = bake(plan(step("made")), 5)
    finally:
        del vocabulary._operations["made"]
    assert not baked.left_out
    assert baked.table[4, 4, 4] == pytest.approx(127 / 255)


def test_steps_that_change_nothing_are_not_called_left_out():
    assert bake(plan(step("invert"), step("blur", kernel=1)), 5).left_out == ()


def test_nothing_is_written_when_nothing_remains(tmp_path, plan_file):
    out = tmp_path / "look.cube"
    for edit, said in (
        (plan(step("flip"), step("sharp")), "holds nothing of this plan ('flip': it moves pixels"),
        (EditPlan(), "has no operations"),
    ):
        done = run(plan_file(edit), "-o", out)
        assert done.exit_code == 1
        assert said in done.stderr
        assert not out.exists()
        with pytest.raises(PlanError):
            bake(edit)


def test_strict_refuses(tmp_path, plan_file):
    out = tmp_path / "look.cube"
    done = run(plan_file(MIXED), "-o", out, "--strict")
    assert done.exit_code == 1
    assert "'blur': it looks at neighbouring pixels" in done.stderr
    assert not out.exists()
    assert run(plan_file(LOOK), "-o", out, "--strict", "--size", 17).exit_code == 0
    assert out.exists()


# --- the command ------------------------------------------------------------------------------


def test_strength_is_that_of_rendering(tmp_path, plan_file):
    out = tmp_path / "half.cube"
    assert run(plan_file(LOOK), "-o", out, "--size", 17, "--strength", 50).exit_code == 0
    rows = read_cube(out)["rows"]
    corner = rendered(LOOK, np.float32([[1, 0, 0]]), strength=0.5)[0]
    assert rows[16] == pytest.approx(corner, abs=1e-6)
    assert corner != pytest.approx(rendered(LOOK, np.float32([[1, 0, 0]]))[0], abs=0.01)
    assert bake(LOOK, 5, strength=0).table == pytest.approx(lut.identity(5), abs=1e-6)
    with pytest.raises(OptionError):
        bake(LOOK, 5, strength=3)


@pytest.mark.parametrize(("edit", "name", "size", "said"), [
    (plan(step("contrast", gain=3)), "x.cube", "17", "No step mixes channels: --size 1d"),
    (plan(step("contrast", gain=3)), "x.cube", "1d", ""),
    (plan(step("saturate", factor=3)), "x.cube", "17", "A larger table comes nearer: --size 65"),
    (plan(step("saturate", factor=3)), "x.cube", "65", ""),
    (plan(step("contrast", gain=2.3)), "x.png", "8", "A larger table comes nearer: --size 16"),
    (plan(step("invert")), "x.cube", "17", ""),
])  # fmt: skip
def test_what_comes_nearer_is_suggested(edit, name, size, said, tmp_path, plan_file):
    done = run(plan_file(edit), "-o", tmp_path / name, "--size", size)
    assert ("comes nearer" in done.stdout) == bool(said)
    assert said in done.stdout


def test_json_says_all_of_it(tmp_path, plan_file):
    out = tmp_path / "look.png"
    done = run(plan_file(MIXED), "-o", out, "--json")
    said = json.loads(done.stdout)
    assert (said["out"], said["size"], said["operations"]) == (str(out), 64, ["bright"])
    assert [part["name"] for part in said["left_out"]] == ["blur", "rotate"]
    for apart in said["deviation"].values():
        assert 0 <= apart["mean"] <= apart["maximum"] < 2


@pytest.mark.parametrize("arguments", [
    ("-o", "look.txt"), ("-o", "look"), ("-o", "look.cube", "--size", "8"),
    ("-o", "look.png", "--size", "33"), ("-o", "look.cube", "--size", "20"),
    ("-o", "look.cube", "--strength", "201"), (),
])  # fmt: skip
def test_wrong_usage(arguments, plan_file, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert run(plan_file(LOOK), *arguments).exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]


def test_an_input_is_never_the_output(tmp_path):
    path = tmp_path / "plan.cube"
    path.write_text(LOOK.to_json())
    assert run(path, "-o", path).exit_code == 2
    assert path.read_text() == LOOK.to_json()


def test_a_file_that_cannot_be_written_is_said(tmp_path, plan_file):
    for name in ("look.cube", "look.png"):
        done = run(plan_file(LOOK), "-o", tmp_path / "nowhere" / name, "--size",
                   "17" if name.endswith("cube") else "8")  # fmt: skip
        assert done.exit_code == 1
        assert "cannot be written" in done.stderr or "nowhere" in done.stderr


def test_a_hald_edits_a_picture_as_the_plan_does(tmp_path, plan_file):
    """The whole way: bake, read the file again, look up every pixel of a picture."""
    out = tmp_path / "look.png"
    assert run(plan_file(LOOK), "-o", out).exit_code == 0
    table = open_picture(out).pixels.reshape(64, 64, 64, 3).transpose(2, 1, 0, 3) / 65535
    photo = open_picture(write_picture(tmp_path / "photo.png"))
    colors = photo.rgb8().reshape(-1, 3) / np.float32(255)
    found = lut.trilinear(table.astype(np.float32), colors.astype(np.float32)) * 255
    truth = render_plan(photo, LOOK, rounding="end").rgb8().reshape(-1, 3)
    assert np.abs(found - truth).max() <= 2
