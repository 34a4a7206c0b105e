"""The reader of GIER's layout: what it gives, what it refuses, masks as COCO writes them."""

import copy
import json
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgedit_modelkit.readers.gier import GierOperation, read_gier, read_masks
from imgedit_modelkit.readers.splits import split_by_image
from imgedit_plugins.errors import DataError
from imgedit_plugins.jobs import Job
from imgedit_plugins.picture_files import save_picture
from imgedit_plugins.pictures import Picture

PAIRS = [
    {
        "input": "aB3_aB3.jpg",
        "output": "aB3_xyz.jpg",
        "operator": {
            "brightness": {"local": False, "ids": []},
            "tint": {"local": True, "ids": [0, 2]},
        },
        "request": " Two focus points ",
        "expert_summary": ["make it brighter ", "tint the wall"],
        "amateur_summary": [],
        "workerId": "nobody",
    },
    {
        "input": "aB3_aB3.jpg",
        "output": "aB3_q.jpg",
        "operator": {"crop": {"local": False, "ids": []}},
        "expert_summary": [],
        "amateur_summary": ["cut it"],
    },
    {
        "input": "c9_c9.jpg",
        "output": "c9_d.jpg",
        "operator": {},
        "expert_summary": ["restore"],
        "amateur_summary": [],
    },
]
# Rows 3 to 29 and columns 10 to 44 of 40 x 50, without rows 10 and 11; by pycocotools 2.0.11.
COCO = "c<72" + ";;EE" * 34 + ";`6"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path, PAIRS)


def write(folder: Path, pairs: object) -> Path:
    for name in ("images", "masks", "features"):
        (folder / name).mkdir(exist_ok=True)
    for name in ("aB3_aB3", "aB3_xyz", "aB3_q", "c9_c9", "c9_d"):
        save_picture(Picture(np.zeros((4, 6, 3), np.uint8)), folder / "images" / f"{name}.jpg")
    masks = [{"size": [40, 50], "counts": COCO}, {"size": [2, 3], "counts": [1, 2, 3]}]
    (folder / "masks" / "aB3_aB3_mask.json").write_text(json.dumps(masks))
    (folder / "GIER.json").write_text(json.dumps(pairs))
    return folder


def test_rows(folder):
    first, second, third = read_gier(folder, Job())
    assert (first.id, first.img_source, first.source.name) == (0, "aB3", "aB3_aB3.jpg")
    assert first.edited == folder / "images" / "aB3_xyz.jpg"
    assert first.operations == (
        GierOperation("brightness", local=False, mask_ids=()),
        GierOperation("tint", local=True, mask_ids=(0, 2)),
    )
    assert first.expert == ("make it brighter", "tint the wall")
    assert (first.amateur, first.request) == ((), "Two focus points")
    assert (second.amateur, second.request) == (("cut it",), "")
    assert first.masks == second.masks == folder / "masks" / "aB3_aB3_mask.json"
    assert third.masks is None
    assert third.operations == ()


def test_a_picture_is_never_in_two_parts(folder):
    rows = read_gier(folder, Job())
    for seed in range(20):
        parts = split_by_image(rows, seed=seed, fractions=(0.5, 0.5, 0.0))
        pictures = [{row.img_source for row in part} for part in parts.values()]
        assert not pictures[0] & pictures[1]
        assert sum(map(len, parts.values())) == 3


def test_pairs_without_pictures_are_left_out_and_told(folder):
    (folder / "images" / "aB3_q.jpg").unlink()
    job = Job()
    assert [row.id for row in read_gier(folder, job)] == [0, 2]
    assert job.warnings == [f"1 of 3 pairs of {folder} lack a picture (1); they are left out."]
    for path in (folder / "images").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"3 of 3 pairs .* \(0, 1, 2\); none is left"):
        read_gier(folder, Job())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"input": "../secret.jpg"}, "pair 0: 'input' must be the name of a file, not '../secret"),
        ({"output": None}, "pair 0: 'output' must be"),
        ({"expert_summary": "one"}, "'expert_summary' must be a list of sentences, not 'one'"),
        ({"operator": ["crop"]}, "'operator' must be an object"),
        ({"operator": {"crop": {"local": 1, "ids": []}}}, "'crop' must say 'local'"),
        ({"operator": {"crop": {"local": True, "ids": [-1]}}}, "'crop' must say 'local'"),
        ({"operator": {"crop": None}}, "'crop' must say 'local'"),
    ],
)
def test_malformed_pairs_are_named(tmp_path, change, told):
    pairs = copy.deepcopy(PAIRS)
    pairs[0] |= change
    with pytest.raises(DataError) as caught:
        read_gier(write(tmp_path, pairs), Job())
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"), [("{", "cannot be read"), ("{}", "a list of pairs"), ("[1]", "pair 0: it is")]
)
def test_malformed_files(folder, text, told):
    (folder / "GIER.json").write_text(text)
    with pytest.raises(DataError, match=told):
        read_gier(folder, Job())


def test_a_missing_file_is_told_with_the_layout(tmp_path):
    with pytest.raises(DataError, match=r"There is no file .* GIER holds GIER.json, images and"):
        read_gier(tmp_path, Job())


# --- masks ------------------------------------------------------------------------------------


def test_masks_as_coco_writes_them(folder):
    row = read_gier(folder, Job())[0]
    assert row.masks
    wall, small = read_masks(row.masks)
    expected = np.zeros((40, 50), bool)
    expected[3:30, 10:45] = True
    expected[10:12] = False
    assert np.array_equal(wall, expected)
    assert np.array_equal(small, [[False, True, False], [True, False, False]])


def packed(runs: list[int]) -> str:
    """COCO's letters, written from the format's description."""
    text = ""
    for place, run in enumerate(runs):
        number, more = run - (runs[place - 2] if place > 2 else 0), True
        while more:
            bits, number = number & 31, number >> 5
            more = number != (-1 if bits & 16 else 0)
            text += chr(bits + (32 if more else 0) + 48)
    return text


@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_any_mask(tmp_path_factory, height, width, data):
    flat = data.draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
    runs = [len(list(group)) for _, group in groupby(flat)]
    runs = [0, *runs] if flat[0] else runs
    path = tmp_path_factory.getbasetemp() / "any_mask.json"
    path.write_text(json.dumps([{"size": [height, width], "counts": packed(runs)}]))
    assert np.array_equal(read_masks(path)[0], np.array(flat).reshape(width, height).T)


@pytest.mark.parametrize("counts", ["c<", "c<7o", "\x01", [3, 2], [-1, 7], 5, None])
def test_malformed_masks_are_told(tmp_path, counts):
    path = tmp_path / "mask.json"
    path.write_text(json.dumps([{"size": [2, 3], "counts": counts}]))
    with pytest.raises(DataError, match="a mask that is no COCO mask"):
        read_masks(path)
