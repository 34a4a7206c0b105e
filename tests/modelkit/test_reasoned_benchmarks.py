"""Readers of RISEBench and UniREditBench: made samples with the published fields."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from imgedit_modelkit.readers.instructed import read_instructed, set_of
from imgedit_modelkit.readers.risebench import read_cases, read_risebench
from imgedit_modelkit.readers.unireditbench import read_unireditbench
from imgedit_plugins.errors import DataError
from imgedit_plugins.jobs import Job


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (12, 9), (10, 100, 200)).save(folder / name)


def rise(number: int = 1, **fields: Any) -> dict[str, Any]:
    return {
        "index": f"spatial_reasoning_{number}", "category": "spatial_reasoning",
        "instruction": "Pair them.", "image": f"spatial_reasoning_images/{number}.png", **fields,
    }  # fmt: skip


def unired(**fields: Any) -> dict[str, Any]:
    return {
        "index": 0, "name": "temporal", "idx": 3, "original_image_path": "original_image/t/3.png",
        "reference_image_path": "reference_image/t/3.png", "instruction": " After a year. ",
        "reference_effect": "Old.", **fields,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["datav2_total_w_subtask.json", "data/data_total.json"])
def test_risebench_in_the_hub_s_and_the_repository_s_layout(name, tmp_path):
    put(tmp_path / "data/spatial_reasoning_images", "1.png", "2.png", "2_ref.png")
    cases = [
        rise(1, reference="In pairs.", reasoning_img="True"),
        rise(2, reference_img="spatial_reasoning_images/2_ref.png", consistency_free="True"),
    ]
    (tmp_path / name).write_text(json.dumps(cases))
    assert set_of(tmp_path) == "risebench"
    first, second = read_cases(tmp_path, Job())
    assert (first.reference, first.reference_picture, first.keeps) == ("In pairs.", None, True)
    assert not second.keeps
    assert first.source.is_file()
    job = Job()
    (pair,) = read_instructed(tmp_path, "risebench", job)
    assert (pair.id, pair.img_source) == ("spatial_reasoning_2", "2.png")
    assert pair.edited == tmp_path / "data/spatial_reasoning_images/2_ref.png"
    assert pair.instructions == ("Pair them.",)
    assert "1 of 2 cases" in job.warnings[0]


def test_cases_of_several_pictures_are_left_out(tmp_path):
    put(tmp_path, "spatial_reasoning_images/1.png")
    cases = [rise(1, image=["spatial_reasoning_images/1.png"], reference_txt="So."),
             rise(2, image=["a.png", "b.png"])]  # fmt: skip
    (tmp_path / "overall_data.json").write_text(json.dumps(cases))
    job = Job()
    (case,) = read_cases(tmp_path, job)
    assert case.reference == "So."
    assert "1 of 2 cases" in job.warnings[0]
    with pytest.raises(DataError, match="none is left"):
        read_risebench(tmp_path, Job())
    (tmp_path / "overall_data.json").write_text(json.dumps(cases[1:]))
    with pytest.raises(DataError, match="no case of one picture"):
        read_cases(tmp_path, Job())


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"category": "moral_reasoning"}, "case 0 .*'category' must be one of temporal_reasoning"),
        ({"instruction": " "}, "'instruction' must be a text"),
        ({"image": "../../etc/passwd.png"}, "must be a path below the folder"),
        ({"image": "/etc/passwd.png"}, "must be a path below the folder"),
        ({"index": None}, "'index' must be a text"),
    ],
)
def test_malformed_cases_are_named(fields, told, tmp_path):
    (tmp_path / "data_total.json").write_text(json.dumps([rise(1, **fields)]))
    with pytest.raises(DataError, match=told):
        read_cases(tmp_path, Job())


def test_folders_without_risebench(tmp_path):
    with pytest.raises(DataError, match="There is no RISEBench"):
        read_cases(tmp_path, Job())
    (tmp_path / "data_total.json").write_text("{}")
    with pytest.raises(DataError, match="must hold a list"):
        read_cases(tmp_path, Job())


@pytest.mark.parametrize("lines", [False, True])
def test_unireditbench_as_a_list_or_in_lines(lines, tmp_path):
    names = ("t/3.png", "maze/2.png")
    put(tmp_path, *(f"{which}_image/{n}" for n in names for which in ("original", "reference")))
    game = unired(name="maze", idx="2", rules="Walls are black.", instruction="Show the way.",
                  original_image_path="original_image/maze/2.png",
                  reference_image_path="reference_image/maze/2.png",
                  reference_effect=None)  # fmt: skip
    cases = [unired(), game, unired(idx=4, original_image_path="original_image/none.png")]
    text = "\n".join(map(json.dumps, cases)) + "\n" if lines else json.dumps(cases)
    (tmp_path / "data.json").write_text(text)
    assert set_of(tmp_path) == "unireditbench"
    job = Job()
    first, second = read_unireditbench(tmp_path, job)
    assert (first.id, first.instructions) == ("temporal/3", ("After a year.",))
    assert first.captions == ("", "Old.")
    assert second.id == "maze/2"
    assert second.instructions == ("Walls are black. Show the way.",)
    assert second.edited == tmp_path / "reference_image/maze/2.png"
    assert "1 of 3 pairs" in job.warnings[0]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (json.dumps([unired(idx=None)]), "case 0: 'idx' must be a number"),
        (json.dumps([unired(reference_image_path="a/../../b")]), "a path below the folder"),
        ("[1]", "must hold a list of JSON objects"),
        ('{"a": 1}\n{', "cannot be read"),
        ("1\n", "must hold JSON objects"),
    ],
)
def test_malformed_unireditbench(content, told, tmp_path):
    (tmp_path / "data.json").write_text(content)
    with pytest.raises(DataError, match=told):
        read_unireditbench(tmp_path, Job())


def test_another_data_json_is_no_unireditbench(tmp_path):
    (tmp_path / "data.json").write_text('[{"edit": "x"}]')
    with pytest.raises(DataError, match="layout of none of"):
        set_of(tmp_path)
    with pytest.raises(DataError, match="There is no UniREditBench"):
        read_unireditbench(tmp_path / "none", Job())
