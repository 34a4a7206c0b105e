"""What the recipes write is read by datasets, by WebDataset and by our own reader."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.torch

from making import both, content, records, run  # noqa: E402

from imgedit_modelkit.readers.stored import TarPicture, open_stored  # noqa: E402
from imgedit_plugins.errors import DataError  # noqa: E402
from imgedit_plugins.jobs import Job  # noqa: E402
from imgedit_reason_edit.data.reading import read_rows  # noqa: E402


@pytest.fixture(scope="module")
def layouts(pairs: Path, wise: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same rows in folders and in tar files."""
    found = {}
    for layout in ("folders", "tar"):
        found[layout] = tmp_path_factory.mktemp("layouts") / layout
        run(found[layout], part="I", pairs=str(pairs), endpoint=wise, count=7, layout=layout)
    return found


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    return str(tmp_path / "cache")


def test_datasets_reads_the_folders(layouts: dict[str, Path], cache: str) -> None:
    import datasets

    folder = layouts["folders"]
    found = datasets.load_dataset(
        "imagefolder", data_dir=str(folder), split="train", cache_dir=cache
    )
    rows = records(folder)
    assert len(found) == 7
    for told, row in zip(sorted(found, key=lambda told: told["id"]), rows, strict=True):
        for name in ("instruction", "direct_instruction", "box", "candidates", "models", "seed"):
            assert told[name] == row[name]
        shard = next(p.parent for p in folder.glob(f"shard-*/{row['input_file_name']}"))
        for what, pixels in zip(("input", "edited"), both(shard, row), strict=True):
            assert np.array_equal(np.asarray(told[what].convert("RGB")), pixels)


def test_datasets_reads_the_lists_as_json(layouts: dict[str, Path], cache: str) -> None:
    import datasets

    files = [str(path) for path in sorted(layouts["tar"].glob("shard-*/metadata.jsonl"))]
    found = datasets.load_dataset("json", data_files=files, split="train", cache_dir=cache)
    assert [told["instruction"] for told in found] == [
        row["instruction"] for row in records(layouts["tar"])
    ]


def test_datasets_reads_the_tar_files_and_writes_parquet(
    layouts: dict[str, Path], cache: str, tmp_path: Path
) -> None:
    import datasets

    files = [str(path) for path in sorted(layouts["tar"].glob("shard-*/pairs.tar"))]
    found = datasets.load_dataset("webdataset", data_files=files, split="train", cache_dir=cache)
    assert len(found) == 7
    rows = {row["id"]: row for row in records(layouts["tar"])}
    for told in found:
        row = rows[int(told["__key__"].rpartition("/")[2])]
        assert told["json"]["instruction"] == row["instruction"]
        assert told["input.jpg"].size == (96, 80)
    found.to_parquet(str(tmp_path / "rows.parquet"))
    again = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "rows.parquet"), split="train", cache_dir=cache
    )
    assert [told["json"]["seed"] for told in again] == [told["json"]["seed"] for told in found]
    assert again[0]["edited.jpg"].size == (96, 80)


@pytest.mark.filterwarnings("ignore")
def test_webdataset_reads_the_tar_files(layouts: dict[str, Path]) -> None:
    import webdataset

    files = [str(path) for path in sorted(layouts["tar"].glob("shard-*/pairs.tar"))]
    found = list(webdataset.WebDataset(files, shardshuffle=False).decode("rgb8"))
    rows = records(layouts["tar"])
    assert [int(told["__key__"].rpartition("/")[2]) for told in found] == [r["id"] for r in rows]
    folder = layouts["folders"]
    for told, row, twin in zip(found, rows, records(folder), strict=True):
        assert told["json"] == row
        assert row["instruction"] == twin["instruction"]
        shard = next(p.parent for p in folder.glob(f"shard-*/{twin['input_file_name']}"))
        before, after = both(shard, twin)
        assert np.abs(told["input.jpg"].astype(int) - before).mean() < 1.0  # another JPEG decoder
        assert np.abs(told["edited.jpg"].astype(int) - after).mean() < 1.0


def test_our_reader_reads_both_alike(layouts: dict[str, Path]) -> None:
    job = Job()
    ours = {layout: read_rows(folder, job) for layout, folder in layouts.items()}
    assert not job.warnings
    for row, twin in zip(ours["folders"], ours["tar"], strict=True):
        assert isinstance(row.source, Path)
        assert isinstance(twin.source, TarPicture)
        for one, other in ((row.source, twin.source), (row.edited, twin.edited)):
            assert one.read_bytes() == other.read_bytes()
            assert np.array_equal(open_stored(one).rgb8(), open_stored(other).rgb8())
        assert (row.id, row.part, row.instruction, row.box) == (
            twin.id, twin.part, twin.instruction, twin.box,
        )  # fmt: skip
        assert row.captions == twin.captions
        assert row.provenance == twin.provenance
        assert row.img_source == row.provenance["source"]


def test_tar_files_hold_nothing_that_changes(layouts: dict[str, Path], pairs: Path, wise: str,
                                             tmp_path: Path) -> None:  # fmt: skip
    run(tmp_path / "tar", part="I", pairs=str(pairs), endpoint=wise, count=7, layout="tar")
    assert content(tmp_path / "tar") == content(layouts["tar"])
    with tarfile.open(next(layouts["tar"].glob("shard-*/pairs.tar"))) as tar:
        for member in tar.getmembers():
            assert (member.mtime, member.uid, member.uname) == (0, 0, "")


def test_damaged_data_are_told(layouts: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file .*make\.json") as told:
        read_rows(tmp_path, Job())
    assert "data reason_edit make" in told.value.hint
    folder = shutil.copytree(layouts["folders"], tmp_path / "folders")
    shard = next(iter(sorted(folder.glob("shard-*"))))
    (row, *_) = records(folder)
    (shard / row["edited_file_name"]).unlink()
    with pytest.raises(DataError, match=rf"lacks '{row['edited_file_name']}'"):
        read_rows(folder, Job())
    for damaged in ("{", '"a text"', "[]", "7"):
        (shard / "metadata.jsonl").write_text(damaged)
        with pytest.raises(DataError, match="not what make writes"):
            read_rows(folder, Job())
    shutil.rmtree(shard)  # of tmp_path
    job = Job()
    assert len(read_rows(folder, job)) < 7
    assert "of 7 rows" in job.warnings[0]
    record = json.loads((folder / "make.json").read_text())
    del record["request"]["count"]
    (folder / "make.json").write_text(json.dumps(record))
    with pytest.raises(DataError, match="does not say how many rows"):
        read_rows(folder, Job())
    tar = shutil.copytree(layouts["tar"], tmp_path / "tar")
    path = next(tar.glob("shard-*/pairs.tar"))
    rows = read_rows(tar, Job())
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match="ends within"):
        rows[0].source.read_bytes()
    path.write_bytes(b"no tar file")
    with pytest.raises(DataError, match="cannot be read"):
        read_rows(tar, Job())


def test_a_dry_run_tells_and_writes_nothing(
    v3det: Path, models: dict[str, str], wise: str, tmp_path: Path
) -> None:
    report = run(tmp_path / "out", part="III", v3det=str(v3det), endpoint=wise, count=1000,
                 batch_size=2, dry_run=True, **models)  # fmt: skip
    assert not (tmp_path / "out").exists()
    assert report.rows == 0
    told = report.details
    assert (told["rows wanted"], told["pictures there"], told["pictures tried"]) == (1000, 16, 6)
    assert 1 <= told["of them rows"] <= 6
    assert told["pictures needed, about"] == 16, "there are no more"
    assert told["rows to expect, about"] <= 16
    assert told["calls of the language model"] > 0
    assert told["tokens in"] == pytest.approx(7 * told["calls of the language model"], abs=7)
    assert told["seconds a picture"] > 0
    assert told["weights on the disk, GB"] >= 0


def test_a_dry_run_of_part_one_ranks_some_pairs(pairs: Path, wise: str, tmp_path: Path) -> None:
    told = run(tmp_path / "out", part="I", pairs=str(pairs), endpoint=wise, count=8,
               dry_run=True).details  # fmt: skip
    tried = told["pictures tried"]
    assert tried == 9
    dropped = sum(n for name, n in told.items() if name.startswith("of them dropped"))
    assert told["of them rows"] + dropped == tried
    assert told["pictures needed, about"] == min(22, round(8 * tried / told["of them rows"]))


def test_a_dry_run_without_a_row_says_why(pairs: Path, wise: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"None of 9 pictures .*too alike"):
        run(tmp_path / "out", part="I", pairs=str(pairs), endpoint=wise, tau="1e9", dry_run=True)


def test_from_the_command_line(pairs: Path, wise: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "imgedit_plugins.cli", "data", "reason_edit", "make",
               "--part", "I", "--pairs", str(pairs), "--endpoint", wise, "--endpoint-model", "m",
               "--count", "2", "--candidates", "2", "--out", str(tmp_path / "out"),
               "--json"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["rows"] == 2
    assert told["details"]["shards"] == 1
