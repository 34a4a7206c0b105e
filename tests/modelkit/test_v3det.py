"""V3Det's lists of pictures, in the layouts that people have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from imgedit_modelkit.readers.v3det import list_v3det
from imgedit_plugins.errors import DataError


def coco(*names: str) -> dict[str, Any]:
    images = [{"id": n, "file_name": name, "height": 1, "width": 1} for n, name in enumerate(names)]
    boxes = [{"id": 1, "image_id": 0, "category_id": 3, "bbox": [0.0, 0.0, 1.0, 1.0]}]
    return {"images": images, "annotations": boxes, "categories": [{"id": 3, "name": "bee"}]}


@pytest.fixture
def v3det(tmp_path: Path) -> Path:
    for name in ("images/n02206856/b.jpg", "images/a00000066/a.jpg", "test/n02206856/c.JPG"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "test" / "read.me").write_text("")
    (tmp_path / "annotations").mkdir()
    whole = json.dumps(coco("images/n02206856/b.jpg", "images/a00000066/a.jpg"))
    (tmp_path / "annotations" / "v3det_2023_v1_train.json").write_text(whole)
    (tmp_path / "v3det_2023_v1_val.json").write_text(json.dumps(coco("a00000066/a.jpg")))
    return tmp_path


def test_the_splits(v3det: Path) -> None:
    train = ("images/a00000066/a.jpg", "images/n02206856/b.jpg")
    assert list_v3det(v3det, "train") == train
    assert list_v3det(v3det, "val") == ("images/a00000066/a.jpg",)
    assert list_v3det(v3det, "test") == ("test/n02206856/c.JPG",)


def test_what_is_missing_is_told(v3det: Path, tmp_path: Path) -> None:
    (v3det / "v3det_2023_v1_val.json").unlink()
    with pytest.raises(DataError, match=r"no v3det_2023_v1_val\.json") as told:
        list_v3det(v3det, "val")
    assert "annotations/v3det_2023_v1_SPLIT.json" in told.value.hint
    with pytest.raises(DataError, match="no pictures of V3Det's test split"):
        list_v3det(tmp_path / "annotations", "test")
    (v3det / "v3det_2023_v1_val.json").write_text(json.dumps(coco()))
    with pytest.raises(DataError, match="no pictures of V3Det's val split"):
        list_v3det(v3det, "val")


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"images": 3}', '{"images": [{"id": 3}]}', '{"images": [3]}']
)
def test_malformed_lists_are_told(v3det: Path, content: str) -> None:
    (v3det / "v3det_2023_v1_val.json").write_text(content)
    with pytest.raises(DataError, match="cannot be read"):
        list_v3det(v3det, "val")


@pytest.mark.parametrize("name", ["../b.jpg", "/etc/passwd", "a/../../b.jpg", "..\\b.jpg", ""])
def test_no_list_leads_out_of_the_folder(v3det: Path, name: str) -> None:
    (v3det / "v3det_2023_v1_val.json").write_text(json.dumps(coco("images/a.jpg", name)))
    with pytest.raises(DataError, match="outside of the data set"):
        list_v3det(v3det, "val")
