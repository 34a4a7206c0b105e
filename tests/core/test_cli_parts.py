"""`apply --parts`: the plan of a painted edit and its layer, beside the result."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner
from exact_painter import install

from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.cli import cli
from imgedit_plugins.picture_files import open_picture, plan_in_file, save_picture
from imgedit_plugins.plan import EditPlan, read_plan, step
from imgedit_plugins.render import render_plan

PLAN = EditPlan(operations=(step("bright", offset=40.0),))


@pytest.fixture
def apply(tmp_path, monkeypatch):
    """Runs `apply --instruction` on a photograph that a plugin paints on."""
    monkeypatch.setenv("IMGEDIT_PLUGINS", "painter,reverse_design")
    install(tmp_path, monkeypatch)
    folder = tmp_path / "painted"
    folder.mkdir()

    def call(painted, *arguments, dtype="uint8", code=0, out="out.png"):
        np.save(folder / "0.npy", painted)
        save_picture(photograph(240, 160, dtype=dtype), tmp_path / "in.png", overwrite=True)
        line = ["apply", tmp_path / "in.png", "--plugin", "painter", "--instruction", folder]
        line += ["-o", tmp_path / out, *arguments]
        done = CliRunner().invoke(cli, list(map(str, line)))
        assert done.exit_code == code, done.output
        return done.output

    return call


def painted(dtype="uint8", thing=True):
    pixels = render_plan(photograph(240, 160, dtype=dtype), PLAN).pixels.copy()
    if thing:
        pixels[40:80, 60:120] = np.array([0.8, 0.1, 0.1]) * np.iinfo(dtype).max
    return pixels


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_plan_and_layer_together_are_the_result(apply, tmp_path, dtype):
    apply(painted(dtype), "--parts", tmp_path / "parts", dtype=dtype)
    parts = sorted(path.name for path in (tmp_path / "parts").iterdir())
    assert parts == ["in.png.layer.png", "in.png.plan.json"]
    plan = read_plan(tmp_path / "parts" / "in.png.plan.json")
    assert [one.name for one in plan.operations] == ["bright"]
    assert 0 < plan.residual.explained < 1
    layer = open_picture(tmp_path / "parts" / "in.png.layer.png").pixels.astype(float)
    assert layer.shape == (160, 240, 4)
    below = render_plan(open_picture(tmp_path / "in.png"), plan).pixels.astype(float)
    share = layer[..., 3:] / np.iinfo(dtype).max
    both = np.rint(below + share * (layer[..., :3] - below))
    assert np.array_equal(open_picture(tmp_path / "out.png").pixels, both)


def test_a_photographic_edit_has_a_plan_alone(apply, tmp_path):
    told = apply(painted(thing=False), "--parts", tmp_path / "parts", "--embed-plan")
    assert "Warning" not in told
    assert [path.name for path in (tmp_path / "parts").iterdir()] == ["in.png.plan.json"]
    result = open_picture(tmp_path / "out.png")
    assert np.array_equal(result.pixels, painted(thing=False))
    assert plan_in_file(tmp_path / "out.png").operations == PLAN.operations


def test_a_plan_of_a_part_is_not_embedded(apply, tmp_path):
    told = apply(painted(), "--embed-plan")
    assert "there is no plan of all of it to embed" in told
    assert (tmp_path / "out.png").is_file()


def test_a_painted_edit_has_no_parts(apply, tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (160, 240, 3), dtype=np.uint8)
    apply(noise, "--parts", tmp_path / "parts")
    assert not (tmp_path / "parts").exists()
    assert np.array_equal(open_picture(tmp_path / "out.png").pixels, noise)


def test_parts_need_a_plugin_and_a_folder(apply, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    assert "--parts needs a folder" in apply(painted(), "--parts", file, code=2)
    line = ["apply", str(tmp_path / "in.png"), "--op", "invert", "--parts", str(tmp_path / "p")]
    done = CliRunner().invoke(cli, [*line, "-o", str(tmp_path / "x.png")])
    assert done.exit_code == 2
    assert "--parts is for what plugins make" in done.output
