"""Sharded work: begun, gone on with, refused, and stopped when there is enough."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from imgedit_modelkit import folders
from imgedit_modelkit.scale import Cluster
from imgedit_modelkit.shards import running
from imgedit_modelkit.shards.running import alone, counts_there, make_missing, told_as_data_errors
from imgedit_modelkit.shards.work import (
    INDEX,
    LOCK,
    ROWS,
    SKIPPED,
    Kind,
    Work,
    begin,
    counts_of,
    read_record,
    refuse_occupied,
)
from imgedit_plugins.errors import DataError

KIND = Kind("test/1", "record.json", "data tested fill", "things")


@dataclass(frozen=True)
class Settings:
    shard_rows: int = 4
    seed: int = 0


class Maker:
    """Every other item becomes a row."""

    def __init__(self, work: Work) -> None:
        self.work = work

    def __call__(self, shard: int) -> dict[str, Any]:
        target = self.work.folder_of(shard)
        with folders.appearing(target) as folder:
            numbers = self.work.rows_of(shard)
            rows = [json.dumps({"id": n}) + "\n" for n in numbers if n % 2 == 0]
            (folder / ROWS).write_text("".join(rows))
            skipped = [{"id": n, "source": self.work.items[n], "reason": "odd", "kind": "odd"}
                       for n in numbers if n % 2]  # fmt: skip
            (folder / SKIPPED).write_text(json.dumps(skipped))
        return counts_of(target, KIND)


def work(tmp_path: Path, items: int = 18, **fields: Any) -> Work:
    return begin(tmp_path / "out", KIND, Settings(**fields), lambda: map(str, range(items)))


@pytest.fixture(autouse=True)
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_all_shards_are_made_once(tmp_path: Path) -> None:
    one = work(tmp_path)
    assert (one.shards, len(one.rows_of(4)), one.items[17]) == (5, 2, "17")
    told: list[int] = []
    counts = make_missing(
        one,
        counts_there(one),
        lambda: Maker(one),
        Cluster(),
        on_shard=lambda c: told.append(c["shard"]),
    )
    assert sorted(counts) == told == [0, 1, 2, 3, 4]
    assert counts[0] == {
        "shard": 0,
        "rows": 2,
        "skipped": 2,
        "first": "1: odd",
        "kinds": {"odd": 2},
    }
    again = work(tmp_path, items=99)  # the list is the one on the disk
    assert counts_there(again) == counts
    assert make_missing(again, counts, lambda: Maker(again), Cluster()) == counts


def test_it_stops_when_there_is_enough(tmp_path: Path) -> None:
    one = work(tmp_path)
    counts = make_missing(one, {}, lambda: Maker(one), Cluster(), wanted=5)
    assert sorted(counts) == [0, 1, 2]
    assert make_missing(one, counts, lambda: Maker(one), Cluster(), wanted=5) == counts
    assert len(make_missing(one, counts, lambda: Maker(one), Cluster(), wanted=99)) == 5


def test_a_cluster_gets_as_many_shards_as_will_be_needed(tmp_path: Path) -> None:
    one = work(tmp_path, items=400)
    cluster = Cluster("somewhere")

    def following(counts: dict[int, Any], wanted: int) -> list[int]:
        return running._next(one, counts, wanted, cluster)

    half = {"rows": 2, "skipped": 2}
    assert following({}, 10) == [0, 1, 2]
    assert following(dict.fromkeys(range(3), half), 10) == [3, 4]
    assert following({0: half, 2: half}, 10) == [1, 3, 4]
    assert following({0: half, 2: half}, 4) == [1], "rows before the gap alone are not enough"
    assert following(dict.fromkeys(range(5), half), 10) == []
    assert following({n: {"rows": 0, "skipped": 4} for n in range(3)}, 2) == [3, 4]
    assert len(following({}, 0)) == 100


def test_other_requests_and_other_things_are_refused(tmp_path: Path, out: Path) -> None:
    refuse_occupied(out, KIND)
    (out / LOCK).touch()
    (out / INDEX).touch()
    refuse_occupied(out, KIND)
    (out / "holiday.jpg").touch()
    refuse_occupied(out, KIND, "holiday.jpg")
    with pytest.raises(DataError, match=r"'holiday\.jpg' already, which no run of fill began"):
        refuse_occupied(out, KIND)
    work(tmp_path)
    refuse_occupied(out, KIND)
    with pytest.raises(DataError, match=r"another request \(seed: 0 there, 1 asked for\)"):
        work(tmp_path, seed=1)
    assert read_record(out / "record.json", KIND)["things"] == 18
    with pytest.raises(DataError, match="its schema is 'test/1'"):
        read_record(out / "record.json", Kind("test/2", "record.json", "data tested fill"))


def test_leftovers_are_removed_and_damage_is_told(tmp_path: Path, out: Path) -> None:
    one = work(tmp_path)
    (out / ".shard-00000.part").mkdir()
    work(tmp_path)
    assert not (out / ".shard-00000.part").exists()
    Maker(one)(0)
    (one.folder_of(0) / SKIPPED).write_text("{")
    with pytest.raises(DataError, match="not what fill writes") as told:
        counts_there(one)
    assert "Move it away" in told.value.hint


def test_one_process_at_a_time_and_errors_of_the_disk(out: Path) -> None:
    with alone(out):
        assert (out / LOCK).exists()
    with (
        pytest.raises(DataError, match=r"nowhere cannot be used: its folder does not exist"),
        told_as_data_errors(out),
    ):
        (out / "none" / "nowhere").open("w")
