"""What evaluations of plugins share: the journal, rows, data sets by their files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from imgedit_modelkit.evaluation.bootstrap import mean
from imgedit_modelkit.evaluation.journal import key_of, open_journal_file, stamp
from imgedit_modelkit.evaluation.rows import choice, drawn, whole
from imgedit_modelkit.readers.instructed import part_of, read_instructed, set_of
from imgedit_modelkit.readers.pairs import InstructedPair
from imgedit_plugins.errors import DataError, OptionError
from imgedit_plugins.jobs import Job

SCHEMA = "test/1"


# --- the journal ------------------------------------------------------------------------------


def test_lines_are_found_again_and_half_ones_passed_over(tmp_path):
    path = tmp_path / "j.jsonl"
    journal = open_journal_file(path, SCHEMA)
    journal.keep("a", {"value": 1})
    journal.keep("b", {"value": 2})
    journal.keep("a", {"value": 3})
    assert journal.lines["a"]["value"] == 3
    with path.open("a") as file:
        file.write('{"key": "c", "val')
    again = open_journal_file(path, SCHEMA)
    assert {key: line["value"] for key, line in again.lines.items()} == {"a": 3, "b": 2}
    again.keep("c", {"value": 4})
    assert open_journal_file(path, SCHEMA).lines["c"]["value"] == 4
    assert json.loads(path.read_text().splitlines()[0]) == {"schema": SCHEMA}


def test_other_files_are_no_journal(tmp_path):
    path = tmp_path / "thesis.txt"
    path.write_text("years of work\n")
    with pytest.raises(DataError, match="is no journal"):
        open_journal_file(path, SCHEMA)
    assert path.read_text() == "years of work\n"
    open_journal_file(tmp_path / "j", SCHEMA)
    with pytest.raises(DataError, match="is no journal"):
        open_journal_file(tmp_path / "j", "test/2")
    with pytest.raises(DataError, match="cannot be used: its folder does not exist"):
        open_journal_file(tmp_path / "no" / "j", SCHEMA)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="it is no text"):
        open_journal_file(path, SCHEMA)


def test_keys_hang_on_everything_told(tmp_path):
    assert key_of(1, ["a"]) == key_of(1, ["a"])
    assert len({key_of(1, ["a"]), key_of(1, ["b"]), key_of([1, "a"]), key_of(2, ["a"])}) == 4
    path = tmp_path / "x"
    assert stamp(path) is None
    path.write_text("a")
    before = stamp(path)
    path.write_text("ab")
    assert stamp(path) != before


# --- rows -------------------------------------------------------------------------------------


def test_rows_are_drawn_in_order():
    rows = list(range(100))
    found = drawn(rows, 10, 3)
    assert len(found) == 10
    assert list(found) == sorted(found)
    assert drawn(rows, 10, 3) == found != drawn(rows, 10, 4)
    assert set(drawn(rows, 10, 3)) <= set(drawn(rows, 20, 3)), "more rows are the same and others"
    assert drawn(rows, 0, 3) is rows
    assert drawn(rows, 100, 3) is rows


def test_options_of_a_kind():
    assert choice({}, "split", ("all", "test")) == "all"
    assert choice({"split": "test"}, "split", ("all", "test")) == "test"
    with pytest.raises(OptionError, match="one of all, test, not 'x'"):
        choice({"split": "x"}, "split", ("all", "test"))
    assert whole({"n": 4}, "n") == 4
    for wrong in (True, -1, 1.5, "4"):
        with pytest.raises(OptionError, match="whole number from 0"):
            whole({"n": wrong}, "n")


def test_means_of_one_picture_have_no_width():
    found = mean([0.2, 0.4], ["a", "a"])
    assert (found.value, found.low, found.high) == pytest.approx((0.3, 0.3, 0.3))
    assert mean([0.2, 0.4], ["a", "b"], draws=0).low is None
    assert mean([0.2, 0.4], ["a", "b"]) == mean([0.2, 0.4], ["a", "b"])


# --- data sets --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("GIER.json", "[]", "gier"),
        ("FiveK.json", "[]", "ma5k"),
        ("edit_turns.json", "[]", "magicbrush"),
        ("dev/edit_turns.json", "[]", "magicbrush"),
        ("valid.json", "[]", "evr"),
        ("0000001/prompt.json", "{}", "instructpix2pix"),
        ("shard-00/0000001/prompt.json", "{}", "instructpix2pix"),
    ],
)
def test_data_sets_are_told_by_their_files(name, content, expected, tmp_path):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    assert set_of(tmp_path) == expected


@pytest.mark.torch  # pyarrow
def test_parquet_is_told_by_its_columns(tmp_path):
    import pyarrow
    import pyarrow.parquet

    for name, columns in (
        ("magicbrush", {"img_id": ["1"], "turn_index": [1]}),
        ("instructpix2pix", {"edit_prompt": ["x"]}),
    ):
        folder = tmp_path / name / "data"
        folder.mkdir(parents=True)
        pyarrow.parquet.write_table(pyarrow.table(columns), folder / "train-0.parquet")
        assert set_of(folder.parent) == name


def test_folders_that_are_no_data_set(tmp_path):
    with pytest.raises(DataError, match="layout of none of evr, gier, ma5k"):
        set_of(tmp_path)
    with pytest.raises(DataError, match="There is no folder"):
        set_of(tmp_path / "none")
    with pytest.raises(DataError, match="There is no list of EVR"):
        read_instructed(tmp_path, "evr", Job())


def _pairs(*splits: str) -> tuple[InstructedPair, ...]:
    return tuple(
        InstructedPair(str(n), f"{n}.jpg", Path("a"), Path("b"), ("x",), split)
        for n, split in enumerate(splits)
    )


def test_published_splits_count_under_one_name():
    pairs = _pairs("train", "valid", "val", "dev", "test", "test")
    parts = {part: [p.id for p in part_of(pairs, part)] for part in ("train", "validation", "test")}
    assert parts == {"train": ["0"], "validation": ["1", "2", "3"], "test": ["4", "5"]}
    assert part_of(pairs, "all") is pairs


def test_without_a_published_split_pictures_are_split():
    pairs = _pairs(*[""] * 20)
    parts = [part_of(pairs, part) for part in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [16, 2, 2]
    assert sorted(p.id for part in parts for p in part) == sorted(p.id for p in pairs)
