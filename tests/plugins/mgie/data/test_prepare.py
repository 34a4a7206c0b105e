"""`data mgie prepare`: what it writes, whatever kills it, whatever is damaged."""

from __future__ import annotations

import errno
import hashlib
import json
import multiprocessing
import random
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.torch

from forked import PROCESSES  # noqa: E402
from tiny_models import write_pairs  # noqa: E402

from imgedit_mgie.data.prepare import prepare  # noqa: E402
from imgedit_mgie.data.prepared import read_prepared  # noqa: E402
from imgedit_mgie.expressive import LONG_QUESTION, SUMMARY_PROMPT, clean, question  # noqa: E402
from imgedit_modelkit import locks  # noqa: E402
from imgedit_modelkit.picture_answers import (  # noqa: E402
    LocalModel,
    PictureAnswers,
    TextRewriter,
)
from imgedit_plugins.errors import (  # noqa: E402
    DataError,
    JobCancelledError,
    OptionError,
    WeightsError,
)
from imgedit_plugins.jobs import Job, Progress  # noqa: E402
from imgedit_plugins.picture_files import open_picture  # noqa: E402
from imgedit_plugins.requests import DataReport, DataRequest, OptionValue  # noqa: E402

GOOD, ALL = 14, 18


def make(pairs: Path, out: Path, models: dict[str, str], job: Job | None = None,
         **options: OptionValue) -> DataReport:  # fmt: skip
    given: dict[str, OptionValue] = {
        "pairs": str(pairs), "shard-rows": 5, "batch-size": 2, "max-new-tokens": 12, **models,
    }  # fmt: skip
    given |= {name.replace("_", "-"): value for name, value in options.items()}
    return prepare(DataRequest(recipe="prepare", out=out, options=given), job or Job())


def content(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock"
    }


def records(folder: Path) -> list[dict[str, Any]]:
    files = sorted(folder.glob("shard-*/metadata.jsonl"))
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def made(
    pairs: Path, models: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, DataReport, Job]:
    out, job = tmp_path_factory.mktemp("made") / "data", Job()
    return out, make(pairs, out, models, job), job


# --- what is written --------------------------------------------------------------------------


def test_every_good_pair_is_a_row_and_every_damaged_one_is_counted(
    made: tuple[Path, DataReport, Job],
) -> None:
    out, report, job = made
    assert (report.rows, report.resumed, report.details) == (GOOD, 0, {"skipped": 4, "shards": 4})
    assert [path.name for path in sorted(out.glob("shard-*"))] == [
        f"shard-0000{n}" for n in range(4)
    ]
    found = records(out)
    skipped = [
        entry
        for path in sorted(out.glob("shard-*/skipped.json"))
        for entry in json.loads(path.read_text())
    ]
    assert sorted([r["id"] for r in found] + [s["id"] for s in skipped]) == list(range(ALL))
    reasons = {entry["source"]: entry["reason"] for entry in skipped}
    assert set(reasons) == {"0000003x/1", "0000004x/1", "0000005x/1", "0000006x/"}
    assert "no picture" in reasons["0000003x/1"]
    assert "cannot be read" in reasons["0000004x/1"]
    assert "_input.jpg" in reasons["0000005x/1"]
    assert ".part" not in reasons["0000005x/1"]
    assert "has no pictures" in reasons["0000006x/"]
    assert "4 of 18 pairs were skipped" in job.warnings[0]
    kept = {name for r in found for name in (r["input_file_name"], r["goal_file_name"])}
    assert {p.name for p in out.glob("shard-*/*.*g")} == kept


def test_rows_say_where_they_come_from(made: tuple[Path, DataReport, Job], pairs: Path) -> None:
    out, _, _ = made
    for shard in sorted(out.glob("shard-*")):
        for line in (shard / "metadata.jsonl").read_text().splitlines():
            row = json.loads(line)
            for what, which in (("input", 0), ("goal", 1)):
                source = (pairs / f"{row['source']}_{which}.jpg").read_bytes()
                assert (shard / row[f"{what}_file_name"]).read_bytes() == source
                assert row[f"{what}_sha256"] == hashlib.sha256(source).hexdigest()
            edit = json.loads((pairs / row["source"]).parent.joinpath("prompt.json").read_text())
            assert row["instruction"] == edit["edit"]
            assert row["question"] == LONG_QUESTION
            assert row["describer"].startswith("llava-tiny ")
            assert row["summariser"].startswith("flan-tiny ")
            assert {"torch", "transformers", "imgedit-plugins"} <= set(row["versions"])


def test_texts_are_the_models_own(
    made: tuple[Path, DataReport, Job], models: dict[str, str], pairs: Path
) -> None:
    found = records(made[0])
    answers = PictureAnswers(LocalModel(Path(models["model"])), max_new_tokens=12)
    summaries = TextRewriter(LocalModel(Path(models["summariser"])))
    for row in found[:3]:
        picture = open_picture(pairs / f"{row['source']}_0.jpg").rgb8()
        asked = question(row["instruction"], LONG_QUESTION)
        assert row["answer"] == answers([picture], [asked])[0]
        assert row["expressive"] == clean(row["answer"])
        prompt = SUMMARY_PROMPT.replace("{paragraph}", row["expressive"])
        assert row["summarised"] == summaries([prompt])[0]
    assert len({row["answer"] for row in found}) > GOOD // 2
    assert all(row["summarised"] for row in found)


def test_the_answer_depends_on_the_picture(models: dict[str, str]) -> None:
    answers = PictureAnswers(LocalModel(Path(models["model"])), max_new_tokens=12)
    black, white = (np.full((32, 40, 3), value, np.uint8) for value in (0, 255))
    found = answers([black, white, black], ["make the sky red"] * 3)
    assert found[0] == found[2] != found[1]


def test_our_reader(made: tuple[Path, DataReport, Job]) -> None:
    job = Job()
    rows = read_prepared(made[0], job)
    assert [row.id for row in rows] == [r["id"] for r in records(made[0])]
    assert job.warnings == []
    row, record = rows[7], records(made[0])[7]
    assert (row.instruction, row.summarised) == (record["instruction"], record["summarised"])
    assert row.provenance["goal_sha256"] == hashlib.sha256(row.edited.read_bytes()).hexdigest()
    assert row.source.name == record["input_file_name"]


def test_datasets_reads_it(
    made: tuple[Path, DataReport, Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    found = datasets.load_dataset(
        "imagefolder", data_dir=str(made[0]), split="train", cache_dir=str(tmp_path)
    )
    wanted = {row["id"]: row for row in records(made[0])}
    assert len(found) == GOOD
    for row in found:
        assert row["input"].size == row["goal"].size == (40, 32)
        for name in ("instruction", "expressive", "summarised", "source", "goal_sha256"):
            assert row[name] == wanted[row["id"]][name]
        shard = made[0] / f"shard-{row['id'] // 5:05d}"
        before = open_picture(shard / wanted[row["id"]]["input_file_name"]).rgb8()
        assert np.abs(np.asarray(row["input"], int) - before).max() <= 3


def test_parquet_gives_the_same_rows(
    pairs: Path, models: dict[str, str], made: tuple[Path, DataReport, Job], tmp_path: Path
) -> None:
    import pyarrow
    import pyarrow.parquet

    (tmp_path / "hub" / "data").mkdir(parents=True)
    rows = [
        {"original_prompt": "", "edit_prompt": row["instruction"], "edited_prompt": ""}
        | {
            column: {"bytes": (pairs / f"{row['source']}_{which}.jpg").read_bytes(), "path": None}
            for column, which in (("original_image", 0), ("edited_image", 1))
        }
        for row in records(made[0])
    ]
    rows[3]["edited_image"] = {"bytes": rows[3]["edited_image"]["bytes"][:200], "path": None}
    path = tmp_path / "hub" / "data" / "train-00000-of-00001.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=4)
    report = make(tmp_path / "hub", tmp_path / "out", models, batch_size=1)
    assert (report.rows, report.details["skipped"]) == (GOOD - 1, 1)
    same = [row for number, row in enumerate(records(made[0])) if number != 3]
    for row, other in zip(records(tmp_path / "out"), same, strict=True):
        for name in ("instruction", "expressive", "summarised", "input_sha256", "goal_sha256"):
            assert row[name] == other[name]
        assert row["source"].startswith("data/train-00000-of-00001.parquet#")


def test_links_in_the_place_of_copies(
    pairs: Path, models: dict[str, str], made: tuple[Path, DataReport, Job], tmp_path: Path
) -> None:
    make(pairs, tmp_path / "out", models, pictures="link")
    assert content(tmp_path / "out") == content(made[0])
    row = read_prepared(tmp_path / "out", Job())[0]
    assert row.source.samefile(pairs / f"{row.img_source}_0.jpg")


# --- stopping and going on --------------------------------------------------------------------


def _until(seconds: float, arguments: Any) -> None:
    """In a child: make the data, and die by the alarm as by SIGKILL, wherever that is."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    make(*arguments)


def test_killed_at_random_moments_it_ends_with_the_same_bytes(
    pairs: Path, models: dict[str, str], made: tuple[Path, DataReport, Job], tmp_path: Path
) -> None:
    rng, out = random.Random(5), tmp_path / "out"
    began = time.perf_counter()
    make(pairs, tmp_path / "whole", models)
    whole = time.perf_counter() - began
    killed, progressed = 0, 0
    for attempt in range(100):
        # Shards are a quarter of the work: most of these times end within one.
        seconds = rng.uniform(0.02, 0.6 + 0.05 * attempt) * whole
        # Not forked from here: libvips has threads in this process, and a fork waits for them.
        child = PROCESSES.Process(target=_until, args=(seconds, (pairs, out, models)))
        child.start()
        child.join()
        if child.exitcode == 0:
            assert content(out) == content(made[0])
            if killed >= 3:
                break
            out = tmp_path / f"out-{attempt}"  # too quick: once more from the beginning
            continue
        assert child.exitcode == -signal.SIGALRM
        killed += 1
        there = list(out.glob("shard-*"))
        progressed += bool(there)
        ids = [row["id"] for row in records(out)]
        assert len(ids) == len(set(ids))
    assert child.exitcode == 0
    assert killed >= 3
    assert content(out) == content(made[0])
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_cancelled_it_goes_on(
    pairs: Path, models: dict[str, str], made: tuple[Path, DataReport, Job], tmp_path: Path
) -> None:
    def stop(progress: Progress) -> None:
        if progress.stage == "describing pairs" and progress.done >= 7:
            job.cancel()

    job = Job(on_progress=stop)
    with pytest.raises(JobCancelledError):
        make(pairs, tmp_path / "out", models, job)
    assert [path.name for path in (tmp_path / "out").glob("shard-*")] == ["shard-00000"]
    job = Job()
    rows = read_prepared(tmp_path / "out", job)
    assert len(rows) == 5
    assert "1 of 4 shards" in job.warnings[0]
    seen: list[Progress] = []
    report = make(pairs, tmp_path / "out", models, Job(on_progress=seen.append), batch_size=3)
    assert (report.rows, report.resumed) == (GOOD, 5)
    described = [p for p in seen if p.stage == "describing pairs"]
    assert (described[0].done, described[-1].done, described[-1].total) == (5, ALL, ALL)
    assert content(tmp_path / "out") == content(made[0])
    assert make(pairs, tmp_path / "out", models).resumed == GOOD


def test_a_full_disk_is_no_damaged_pair(
    pairs: Path,
    models: dict[str, str],
    made: tuple[Path, DataReport, Job],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if path.name.startswith("0000007"):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DataError, match="the disk is full"):
        make(pairs, tmp_path / "out", models)
    assert [path.name for path in (tmp_path / "out").glob("shard-*")] == ["shard-00000"]
    monkeypatch.undo()
    make(pairs, tmp_path / "out", models)
    assert content(tmp_path / "out") == content(made[0])


def test_a_disk_that_is_gone_damages_no_pair(models: dict[str, str], tmp_path: Path) -> None:
    pairs = write_pairs(tmp_path / "pairs", 6)

    def pull(progress: Progress) -> None:
        if progress.stage == "describing pairs" and progress.done == 4 and pairs.exists():
            pairs.rename(tmp_path / "elsewhere")

    with pytest.raises(DataError, match="are not there any more"):
        make(pairs, tmp_path / "out", models, Job(on_progress=pull), shard_rows=2)
    (tmp_path / "elsewhere").rename(pairs)
    report = make(pairs, tmp_path / "out", models, shard_rows=2)
    assert (report.rows, report.resumed, report.details["skipped"]) == (6, 4, 0)


# --- refusals ---------------------------------------------------------------------------------


def test_another_request_is_refused(
    pairs: Path, models: dict[str, str], made: tuple[Path, DataReport, Job], tmp_path: Path
) -> None:
    before = content(made[0])
    with pytest.raises(DataError, match="shard_rows: 5 there, 6 asked for"):
        make(pairs, made[0], models, shard_rows=6)
    with pytest.raises(DataError, match="question"):
        make(pairs, made[0], models, question="how? {instruction}")
    assert content(made[0]) == before
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"holds 'notes\.txt' already"):
        make(pairs, tmp_path, models)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_one_process_at_a_time(pairs: Path, models: dict[str, str], tmp_path: Path) -> None:
    forked = multiprocessing.get_context("fork")
    held = forked.Event()

    def hold() -> None:
        with locks.hold(tmp_path / "lock"):
            held.set()
            time.sleep(60)

    other = forked.Process(target=hold)
    other.start()
    try:
        assert held.wait(30)
        with pytest.raises(DataError, match="Another process works on"):
            make(pairs, tmp_path, models)
    finally:
        other.kill()
        other.join()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"pairs": ""}, "needs the option 'pairs'"),
        ({"model": ""}, "either the option 'model'"),
        ({"endpoint": "http://x/v1"}, "either the option 'model'"),
        ({"model": "", "endpoint": "http://x/v1"}, "needs 'endpoint-model'"),
        ({"summariser": ""}, "needs the option 'summariser'"),
        ({"question": "what?"}, r"must have \{instruction\}"),
        ({"shard-rows": 0}, "'shard-rows' must be a whole number"),
        ({"pictures": "move"}, "must be copy or link"),
        ({"workers": 2}, "are for a Ray cluster"),
    ],
)
def test_bad_options(
    options: dict[str, OptionValue], told: str, pairs: Path, models: dict[str, str], tmp_path: Path
) -> None:
    given: dict[str, OptionValue] = {"pairs": str(pairs), **models, **options}
    request = DataRequest(recipe="prepare", out=tmp_path / "out", options=given)
    with pytest.raises(OptionError, match=told):
        prepare(request, Job())
    assert not (tmp_path / "out").exists()


def test_what_is_missing_is_told(pairs: Path, models: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="There is no model in"):
        make(pairs, tmp_path / "out", models | {"model": str(tmp_path)})
    with pytest.raises(DataError, match="There is no folder"):
        make(tmp_path / "nowhere", tmp_path / "out", models)
    only_damaged = tmp_path / "pairs"
    (only_damaged / "0000001").mkdir(parents=True)
    (only_damaged / "0000001" / "prompt.json").write_text("{}")
    with pytest.raises(DataError, match=r"No pair of .* could be used"):
        make(only_damaged, tmp_path / "damaged", models)


def test_damaged_shards_are_told(
    made: tuple[Path, DataReport, Job], pairs: Path, models: dict[str, str], tmp_path: Path
) -> None:
    pairs = write_pairs(tmp_path / "pairs", 2)
    make(pairs, tmp_path / "out", models)
    shard = tmp_path / "out" / "shard-00000"
    (shard / "0000001_goal.jpg").unlink()
    with pytest.raises(DataError, match="lacks a picture"):
        read_prepared(tmp_path / "out", Job())
    (shard / "skipped.json").unlink()
    with pytest.raises(DataError, match="is not what prepare writes"):
        make(pairs, tmp_path / "out", models)


# --- dry run ----------------------------------------------------------------------------------


def test_dry_run_tells_and_writes_nothing(
    pairs: Path, models: dict[str, str], made: tuple[Path, DataReport, Job], tmp_path: Path
) -> None:
    report = make(pairs, tmp_path / "out", models, dry_run=True, batch_size=4)
    assert report.rows == 0
    assert not (tmp_path / "out").exists()
    told = report.details
    assert (told["pairs"], told["pairs tried"]) == (ALL, 8)
    assert told["hours"] == pytest.approx(ALL * told["seconds a pair"] / 3600, abs=2e-3)
    written = sum(path.stat().st_size for path in made[0].rglob("*.*g"))
    assert 0 < told["seconds a pair"] < 60
    assert told["of them skipped"] <= 4
    assert told["disk, GB"] == pytest.approx(written / 1e9, abs=1e-3)
