"""Readers of EVR, MA5k, MagicBrush, InstructPix2Pix: made samples in the published layouts."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imgedit_modelkit.readers import gier, stored
from imgedit_modelkit.readers.evr import read_evr
from imgedit_modelkit.readers.instruct_pix2pix import list_pairs, read_instruct_pix2pix, read_pair
from imgedit_modelkit.readers.ma5k import read_ma5k
from imgedit_modelkit.readers.magicbrush import read_magicbrush
from imgedit_modelkit.readers.pairs import InstructedPair
from imgedit_modelkit.readers.splits import split_by_image
from imgedit_modelkit.readers.stored import ParquetPicture, open_stored
from imgedit_plugins.errors import DataError, PictureReadError, PluginError
from imgedit_plugins.jobs import Job

pytestmark = pytest.mark.torch  # pyarrow

Read = Callable[[Path, Job], tuple[InstructedPair, ...]]


def encoded(shade: int, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (12, 9), (shade, 100, 200)).save(buffer, kind)
    return buffer.getvalue()


def put(path: Path, shade: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(shade, "JPEG" if path.suffix == ".jpg" else "PNG"))


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), "utf-8")


def parquet(path: Path, rows: list[dict[str, Any]], group: int = 2) -> None:
    import pyarrow
    import pyarrow.parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=group)


def cell(shade: int) -> dict[str, Any]:
    return {"bytes": encoded(shade), "path": f"{shade}.png"}


def shade_of(picture: stored.Stored) -> int:
    return int(np.median(open_stored(picture).rgb8()[..., 0]))


# --- EVR --------------------------------------------------------------------------------------


@pytest.fixture
def evr(tmp_path: Path) -> Path:
    pair = {"img0": "Zhopped.com_a_a.jpg", "img1": "Zhopped.com_a_b.jpg", "uid": "Zhopped_2"}
    write_json(tmp_path / "train.json", [{**pair, "sents": ["make it darker "]}])
    other = {"img0": "dataset/adobe/images/c.jpg", "img1": "d.jpg", "sents": ["one", "two", ""]}
    write_json(tmp_path / "valid.json", [{**other, "uid": "x"}])
    names = ("Zhopped.com_a_a", "Zhopped.com_a_b", "c", "d")
    for shade, name in enumerate(names):
        put(tmp_path / "images" / f"{name}.jpg", 40 * shade)
    return tmp_path


def test_evr(evr: Path) -> None:
    first, second = read_evr(evr, Job())
    assert (first.id, first.split, first.instructions) == (
        "Zhopped_2", "train", ("make it darker",),
    )  # fmt: skip
    assert (second.split, second.instructions) == ("valid", ("one", "two"))
    assert first.img_source == "Zhopped.com_a_a.jpg"
    assert [shade_of(p) for p in (first.source, first.edited)] == pytest.approx([0, 40], abs=3)
    assert second.source == evr / "images" / "c.jpg"


def test_evr_with_pictures_beside_the_lists(evr: Path) -> None:
    (evr / "images").rename(evr / "elsewhere")
    for path in (evr / "elsewhere").iterdir():
        path.rename(evr / path.name)
    assert len(read_evr(evr, Job())) == 2


# --- MA5k -------------------------------------------------------------------------------------


@pytest.fixture
def ma5k(tmp_path: Path) -> Path:
    entries = [
        {"input": "0001O.jpg", "output": "0001A.jpg", "request": "make it softer"},
        {"input": "0001O.jpg", "output": "0001A.jpg", "request": "sharpen it "},
        {"input": "0002O.jpg", "output": "0002C.jpg", "request": "brighter"},
    ]
    write_json(tmp_path / "FiveK.json", entries)
    write_json(tmp_path / "annotations/train_sess_1.json", [{**entries[0], "request_idx": [1, 2]}])
    write_json(tmp_path / "splits/test_sess_1.json", [entries[2]])
    for name in ("0001O", "0001A", "0002O", "0002C"):
        put(tmp_path / "images" / f"{name}.jpg", 10)
    return tmp_path


def test_ma5k(ma5k: Path) -> None:
    rows = read_ma5k(ma5k, Job())
    assert [row.instructions for row in rows] == [
        ("make it softer",), ("sharpen it",), ("brighter",),
    ]  # fmt: skip
    assert [row.split for row in rows] == ["train", "train", "test"]
    assert [row.img_source for row in rows] == ["0001O.jpg", "0001O.jpg", "0002O.jpg"]
    parts = split_by_image(rows, fractions=(0.5, 0.0, 0.5))
    assert sorted(len(part) for part in parts.values()) == [0, 1, 2]


# --- MagicBrush -------------------------------------------------------------------------------

TURN = {"input": "139306-input.png", "mask": "139306-mask1.png", "output": "139306-output1.png",
        "instruction": "let the dog wear a hat"}  # fmt: skip


@pytest.fixture
def magicbrush(tmp_path: Path) -> Path:
    second = {"input": "139306-output1.png", "mask": "139306-mask2.png",
              "output": "139306-output2.png", "instruction": "make it rain"}  # fmt: skip
    folder = tmp_path / "test"
    write_json(folder / "edit_turns.json", [TURN, second])
    names = ("input", "mask1", "output1", "output2")
    for shade, name in enumerate(names):
        put(folder / "images/139306" / f"139306-{name}.png", 20 * shade)
    rows = [
        {"img_id": str(7 + n // 2), "turn_index": 1 + n % 2, "source_img": cell(n),
         "mask_img": cell(100 + n), "instruction": f"edit {n}", "target_img": cell(50 + n)}
        for n in range(5)
    ]  # fmt: skip
    parquet(tmp_path / "data/train-00000-of-00002-1a.parquet", rows[:3])
    parquet(tmp_path / "data/dev-00000-of-00001-2b.parquet", rows[3:])
    return tmp_path


def test_magicbrush_in_both_layouts(magicbrush: Path) -> None:
    rows = read_magicbrush(magicbrush, Job())
    assert [row.split for row in rows] == ["dev"] * 2 + ["train"] * 3 + ["test"] * 2
    assert [row.id for row in rows[2:]] == ["7-1", "7-2", "8-1", "139306-1", "139306-2"]
    for row, n in zip(rows[:5], (3, 4, 0, 1, 2), strict=True):
        assert row.instructions == (f"edit {n}",)
        assert row.mask is not None
        found = [shade_of(picture) for picture in (row.source, row.mask, row.edited)]
        assert found == [n, 100 + n, 50 + n]
    first, second = rows[5:]
    assert second.source == first.edited
    assert (first.img_source, first.mask is None, second.mask is None) == ("139306", False, True)
    assert [shade_of(p) for p in (first.source, first.edited, second.edited)] == [0, 40, 60]


def test_magicbrush_from_the_split_s_own_folder(magicbrush: Path) -> None:
    assert [row.split for row in read_magicbrush(magicbrush / "test", Job())] == ["test"] * 2


# --- InstructPix2Pix --------------------------------------------------------------------------


@pytest.fixture
def pix2pix(tmp_path: Path) -> Path:
    for edit, seeds in {"shard-00/0000001": (5, 12), "0000002": (7,)}.items():
        write_json(tmp_path / edit / "prompt.json", {"edit": f"edit {edit[-1]}", "input": "a"})
        for seed in seeds:
            put(tmp_path / edit / f"{seed}_0.jpg", seed)
            put(tmp_path / edit / f"{seed}_1.jpg", 100 + seed)
    write_json(tmp_path / "seeds.json", [["0000002", ["7"]]])
    return tmp_path


def test_folders_of_instruct_pix2pix(pix2pix: Path) -> None:
    rows = read_instruct_pix2pix(pix2pix, Job())
    assert [row.id for row in rows] == ["0000002/7", "shard-00/0000001/12", "shard-00/0000001/5"]
    assert [row.instructions for row in rows] == [("edit 2",), ("edit 1",), ("edit 1",)]
    for row, seed in zip(rows, (7, 12, 5), strict=True):
        assert shade_of(row.source) == pytest.approx(seed, abs=3)
        assert shade_of(row.edited) == pytest.approx(100 + seed, abs=3)


def test_damaged_folders_are_listed_and_told(pix2pix: Path) -> None:
    (pix2pix / "0000002" / "7_1.jpg").unlink()
    (pix2pix / "0000003").mkdir()
    (pix2pix / "0000003" / "prompt.json").write_text("{")
    for seed, content in (("0000004", "{"), ("0000005", '{"edit": 3}'), ("0000006", "[]")):
        put(pix2pix / seed / "1_0.jpg", 1)
        put(pix2pix / seed / "1_1.jpg", 1)
        (pix2pix / seed / "prompt.json").write_text(content)
    put(pix2pix / "0000007" / "1_0.jpg", 1)
    assert len(list_pairs(pix2pix, Job())) == 8
    for pair, told in {
        "0000002/7": r"no picture .*7_1\.jpg",
        "0000003/": "has no pictures",
        "0000004/1": "cannot be read",
        "0000005/1": "'edit' must be a text, not 3",
        "0000006/1": "must hold a JSON object",
        "0000007/1": "no file",
    }.items():
        with pytest.raises(DataError, match=told):
            read_pair(pix2pix, pair)
    job = Job()
    assert len(read_instruct_pix2pix(pix2pix, job)) == 2
    assert "6 of 8 pairs" in job.warnings[0]


def test_parquet_of_instruct_pix2pix(tmp_path: Path) -> None:
    rows = [
        {"original_prompt": "", "original_image": cell(n), "edit_prompt": f"edit {n}",
         "edited_prompt": "", "edited_image": cell(50 + n)}
        for n in range(5)
    ]  # fmt: skip
    parquet(tmp_path / "data/train-00000-of-00002-3c.parquet", rows[:3])
    parquet(
        tmp_path / "data/train-00001-of-00002-4d.parquet",
        [rows[3], {**rows[4], "edit_prompt": " "}],
    )
    job = Job()
    found = read_instruct_pix2pix(tmp_path, job)
    assert [row.instructions[0] for row in found] == [f"edit {n}" for n in range(4)]
    assert [shade_of(row.source) for row in found] == [0, 1, 2, 3]
    assert [shade_of(row.edited) for row in found] == [50, 51, 52, 53]
    assert found[3].id == "data/train-00001-of-00002-4d.parquet#0"
    assert "1 of 5 pairs" in job.warnings[0]


def test_parquet_with_the_other_names(tmp_path: Path) -> None:
    row = {"input_image": cell(3), "edit_prompt": "red", "edited_image": cell(4)}
    parquet(tmp_path / "train.parquet", [row])
    assert shade_of(read_pair(tmp_path, "train.parquet#0").source) == 3
    with pytest.raises(DataError, match="has 1 rows and no row 1"):
        read_pair(tmp_path, "train.parquet#1")
    parquet(tmp_path / "other.parquet", [{"image": cell(3)}])
    with pytest.raises(DataError, match="no column 'original_image'"):
        read_pair(tmp_path, "other.parquet#0")


def test_captions_where_there_are_any(pix2pix: Path, tmp_path: Path) -> None:
    assert read_pair(pix2pix, "0000002/7").captions == ("a", "")
    told = {"edit": "e", "caption": " a cat ", "input": 3, "output": "a dog"}
    write_json(pix2pix / "0000002" / "prompt.json", told)
    assert read_pair(pix2pix, "0000002/7").captions == ("a cat", "a dog")
    row = {"input_image": cell(3), "edit_prompt": "red", "edited_image": cell(4)}
    named = {**row, "original_prompt": "a cat", "edited_prompt": None}
    parquet(tmp_path / "hub" / "a.parquet", [named])
    assert read_pair(tmp_path / "hub", "a.parquet#0").captions == ("a cat", "")


# --- what all have in common ------------------------------------------------------------------


def test_missing_pictures_are_told(evr: Path, ma5k: Path) -> None:
    (evr / "images" / "d.jpg").unlink()
    job = Job()
    assert [row.id for row in read_evr(evr, job)] == ["Zhopped_2"]
    assert "1 of 2 pairs" in job.warnings[0]
    assert "(x)" in job.warnings[0]
    for path in (ma5k / "images").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="none is left"):
        read_ma5k(ma5k, Job())


@pytest.mark.parametrize("read", [read_evr, read_ma5k, read_magicbrush, read_instruct_pix2pix])
def test_empty_folders_are_refused(read: Read, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"There (is|are) no"):
        read(tmp_path, Job())


@pytest.mark.parametrize(
    ("read", "name", "content", "told"),
    [
        (read_evr, "train.json", "[", "cannot be read"),
        (read_evr, "train.json", "[[]]", "list of JSON objects"),
        (read_evr, "train.json", '[{"img0": "a", "img1": 4}]', "pair 0: 'img1' must be a text"),
        (read_evr, "train.json", '[{"img0": "a", "img1": "b"}]', "'sents' must be a list"),
        (read_evr, "train.json", '[{"img0": "a", "img1": "b", "sents": []}]', "'sents' is empty"),
        (read_ma5k, "FiveK.json", "{}", "list of JSON objects"),
        (read_ma5k, "FiveK.json", '[{"input": "../a", "output": "b"}]', "the name of a file"),
        (read_ma5k, "FiveK.json", '[{"input": "a", "output": "b"}]', "'request' must be a text"),
        (read_magicbrush, "edit_turns.json", '[{"input": "a/b"}]', "turn 0: .*name of a file"),
        (read_magicbrush, "edit_turns.json", "[" * 100_000, "cannot be read"),
    ],
)
def test_malformed_lists_are_refused_with_their_place(
    read: Read, name: str, content: str, told: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=told):
        read(tmp_path, Job())


def test_damaged_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "train.parquet").write_bytes(b"PAR1 is not all")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        read_instruct_pix2pix(tmp_path, Job())
    row = {
        "input_image": cell(3),
        "edit_prompt": "red",
        "edited_image": {"bytes": None, "path": ""},
    }
    path = tmp_path / "x" / "train.parquet"
    parquet(path, [row, {**row, "edited_image": {"bytes": b"no picture", "path": ""}}])
    with pytest.raises(DataError, match="'edited_image' holds no picture"):
        open_stored(ParquetPicture(path, "edited_image", 0))
    with pytest.raises(PictureReadError):
        open_stored(ParquetPicture(path, "edited_image", 1))
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    stored._open.cache_clear()
    with pytest.raises(PluginError, match="needs the package pyarrow"):
        list_pairs(tmp_path / "x", Job())


def test_gier_as_pairs(tmp_path: Path) -> None:
    base = {"input": "a_a.jpg", "output": "a_b.jpg", "operator": {}, "amateur_summary": ["", "two"]}
    write_json(
        tmp_path / "GIER.json",
        [
            {**base, "expert_summary": ["one"]},
            {**base, "expert_summary": [], "amateur_summary": []},
        ],
    )
    for name in ("a_a", "a_b"):
        put(tmp_path / "images" / f"{name}.jpg", 9)
    (pair,) = gier.as_pairs(gier.read_gier(tmp_path, Job()))
    assert (pair.id, pair.img_source, pair.instructions) == ("0", "a", ("one", "two"))
