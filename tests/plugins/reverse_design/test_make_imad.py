"""make-imad: the published distribution, the same bytes however often it was killed, refusals."""

from __future__ import annotations

import ast
import csv
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgedit_modelkit.readers.imad import read_imad, tables_of
from imgedit_plugins.errors import DataError, JobCancelledError, OptionError, ProfileError
from imgedit_plugins.jobs import Job, Progress
from imgedit_plugins.operations import imad, load_profile
from imgedit_plugins.picture_files import open_picture, save_picture
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import parse_plan
from imgedit_plugins.render import render_plan
from imgedit_plugins.requests import DataReport, DataRequest, OptionValue
from imgedit_reverse_design import imad_sentences
from imgedit_reverse_design.imad_distribution import (
    LEVEL_COUNTS,
    OPERATION_COUNTS,
    OPERATION_NAMES,
    PUBLISHED_PICTURES,
    PUBLISHED_ROWS,
    VALUE_COUNTS,
    apportion,
    draw_rows,
)
from imgedit_reverse_design.make_imad import make_imad

# --- distribution -----------------------------------------------------------------------------


def test_our_split_adds_up_to_the_published_counts() -> None:
    assert sum(OPERATION_COUNTS) == PUBLISHED_ROWS
    assert set(OPERATION_NAMES) == {operation.name for operation in imad.OPERATIONS}
    profile, counts = load_profile(), Counter[float]()
    for name, levels in LEVEL_COUNTS.items():
        for level, count in zip(profile.levels(name) or (1,), levels, strict=True):
            parameters = profile.levels(name) and {"x": level}
            counts[round(profile.normalise(name, parameters or {}), 3)] += count
    assert counts == VALUE_COUNTS
    assert sum(VALUE_COUNTS.values()) == sum(k * n for k, n in enumerate(OPERATION_COUNTS, 1))


def test_the_full_data_set_has_the_published_distribution_exactly() -> None:
    rows = draw_rows(PUBLISHED_ROWS, PUBLISHED_PICTURES, seed=0)
    sizes = Counter(len(row.steps) for row in rows)
    assert tuple(sizes[k] for k in range(1, 6)) == OPERATION_COUNTS
    steps = Counter(step for row in rows for step in row.steps)
    for name, counts in LEVEL_COUNTS.items():
        assert tuple(steps[name, level] for level in range(len(counts))) == counts
    assert all(len({name for name, _ in row.steps}) == len(row.steps) for row in rows)
    # 4 or 5 rows for each picture, none with the same number of operations twice.
    per_picture = Counter(row.picture for row in rows)
    assert len(per_picture) == PUBLISHED_PICTURES
    assert set(per_picture.values()) == {4, 5}
    assert max(Counter((row.picture, len(row.steps)) for row in rows).values()) == 1


def test_operations_meet_each_other_as_often_as_chance_has_it() -> None:
    rows = draw_rows(PUBLISHED_ROWS, PUBLISHED_PICTURES, seed=1)
    pairs = Counter(
        frozenset((a, b)) for row in rows for a, _ in row.steps for b, _ in row.steps if a < b
    )
    totals = {name: sum(counts) for name, counts in LEVEL_COUNTS.items()}
    weights = {pair: np.prod([totals[name] for name in pair]) for pair in pairs}
    assert len(pairs) == 91
    scale = sum(pairs.values()) / sum(weights.values())
    expected = np.array([weights[pair] * scale for pair in pairs])
    found = np.array(list(pairs.values()))
    assert np.abs(found / expected - 1).max() < 0.15


@given(st.integers(1, 300), st.integers(1, 40), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_any_number_of_rows_can_be_dealt(count: int, pictures: int, seed: int) -> None:
    rows = draw_rows(count, pictures, seed)
    assert rows == draw_rows(count, pictures, seed)
    assert all(len({name for name, _ in row.steps}) == len(row.steps) for row in rows)
    sizes = Counter(len(row.steps) for row in rows)
    assert [sizes[k] for k in range(1, 6)] == apportion(OPERATION_COUNTS, count)
    names = Counter(name for row in rows for name, _ in row.steps)
    share = [sum(counts) for counts in LEVEL_COUNTS.values()]
    assert [names[name] for name in OPERATION_NAMES] == apportion(share, sum(names.values()))
    per_picture = Counter(row.picture for row in rows)
    assert max(per_picture.values()) - min(per_picture[i] for i in range(pictures)) <= 1


@given(st.lists(st.integers(0, 50), min_size=1).filter(any), st.integers(0, 500))
def test_largest_remainders(weights: list[int], total: int) -> None:
    shares = apportion(weights, total)
    assert sum(shares) == total
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share - weight * total / sum(weights)) < 1
    assert apportion(weights, sum(weights)) == weights


def test_seeds_differ_and_rows_are_mixed() -> None:
    assert draw_rows(100, 10, 0) != draw_rows(100, 10, 1)
    sizes = [len(row.steps) for row in draw_rows(1000, 10, 0)]
    assert len(set(sizes[:20])) >= 4


# --- sentences --------------------------------------------------------------------------------


def test_commands() -> None:
    for name in OPERATION_NAMES:
        assert len(set(imad_sentences.patterns(name))) == 24
        assert all(text[0].isupper() and text[-1] in ".?" for text in imad_sentences.patterns(name))
    everything = [text for name in OPERATION_NAMES for text in imad_sentences.patterns(name)]
    assert len(set(everything)) == 24 * len(OPERATION_NAMES)
    rng = random.Random(0)
    drawn = {imad_sentences.command(["flip"], rng) for _ in range(500)}
    assert drawn == set(imad_sentences.patterns("flip"))
    idea = imad_sentences.command(["flip", "hdr", "sepia"], rng)
    assert idea.count(" and ") >= 1
    assert "," in idea


# --- pictures ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    (folder / "more").mkdir()
    for name, size in {"a.png": (24, 32), "b.jpg": (30, 20), "more/c.tif": (17, 40)}.items():
        pixels = rng.integers(0, 256, (*size, 3), np.uint8)
        save_picture(Picture(np.repeat(np.repeat(pixels, 2, 0), 2, 1)), folder / name)
    return folder


def request(images: Path, out: Path, seed: int = 0, **options: OptionValue) -> DataRequest:
    given: dict[str, OptionValue] = {
        "images": str(images),
        "count": 40,
        "shard-rows": 7,
        "format": "png",
    }
    given |= {name.replace("_", "-"): value for name, value in options.items()}
    return DataRequest(recipe="make-imad", out=out, options=given, seed=seed)


def make(images: Path, out: Path, seed: int = 0, **options: OptionValue) -> DataReport:
    return make_imad(request(images, out, seed, **options), Job())


def content(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def provenance(folder: Path) -> list[dict[str, Any]]:
    files = sorted((folder / "rows").iterdir())
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def made(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "deep" / "data"
    report = make(images, out)
    assert (report.rows, report.resumed, report.folder) == (40, 0, out)
    return out


def test_the_authors_layout(made: Path) -> None:
    with (made / "imad_dense_data.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (made / "imad_dense_data_value_normalized.csv").open(newline="") as file:
        values = [ast.literal_eval(row["value_normalized"]) for row in csv.DictReader(file)]
    assert list(rows[0]) == ["img_source", "action", "textv2"]
    assert [len(ast.literal_eval(row["action"])) for row in rows] == list(map(len, values))
    assert {value for row in values for value in row} <= set(VALUE_COUNTS)
    assert {row["img_source"] for row in rows} == {"a.png", "b.jpg", "more/c.tif"}
    assert all(row["textv2"] for row in rows)
    for name in ("input_images", "output_images"):
        assert {p.name for p in (made / name).iterdir()} == {f"{i}.png" for i in range(40)}


def test_the_edition_names_the_tables_and_changes_nothing_else(
    made: Path, images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "pro"
    make(images, out, edition="pro")
    assert {p.name for p in out.glob("*.csv")} == set(tables_of("pro"))
    for dense, pro in zip(tables_of("dense"), tables_of("pro"), strict=True):
        assert (made / dense).read_bytes() == (out / pro).read_bytes()
    assert len(read_imad(out, Job())) == 40
    with pytest.raises(DataError, match="edition: 'pro' there, 'dense' asked for"):
        make(images, out)
    with pytest.raises(OptionError, match="must be dense or pro, not 'full'"):
        make(images, tmp_path / "x", edition="full")


def test_a_folder_from_before_there_were_editions_goes_on(
    made: Path, images: Path, tmp_path: Path
) -> None:
    older = shutil.copytree(made, tmp_path / "older")
    document = json.loads((older / "imad.json").read_text())
    del document["request"]["edition"]
    (older / "imad.json").write_text(json.dumps(document))
    assert make(images, older).resumed == 40


def test_provenance_says_how_each_picture_was_made(made: Path, images: Path) -> None:
    rows = provenance(made)
    assert [row["id"] for row in rows] == list(range(40))
    assert len(list((made / "rows").iterdir())) == 6
    for row in rows:
        source = images / row["source"]
        assert row["source_sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
        edited = made / "output_images" / f"{row['id']}.png"
        assert row["edited_sha256"] == hashlib.sha256(edited.read_bytes()).hexdigest()
        steps = [{"name": o["name"], "parameters": o["parameters"]} for o in row["operations"]]
        plan = parse_plan(
            {"schema": "imgedit-plan/1", "definitions": row["definitions"], "operations": steps}
        )
        before = open_picture(made / "input_images" / f"{row['id']}.png")
        assert np.array_equal(before.rgb8(), open_picture(source).rgb8())
        assert np.array_equal(render_plan(before, plan).rgb8(), open_picture(edited).rgb8())
        assert row["seed"] == 0
        assert {"imgedit-plugins", "opencv", "libvips"} <= set(row["versions"])


def test_our_reader_reads_it(made: Path) -> None:
    rows = read_imad(made, Job())
    assert len(rows) == 40
    for row, record in zip(rows, provenance(made), strict=True):
        assert row.command == record["command"]
        planned = [{"name": s.name, "parameters": s.parameters} for s in row.plan.operations]
        made_by = [{k: o[k] for k in ("name", "parameters")} for o in record["operations"]]
        assert planned == made_by


def test_the_same_request_gives_the_same_bytes_and_another_seed_does_not(
    made: Path, images: Path, tmp_path: Path
) -> None:
    make(images, tmp_path / "again", workers=1)
    assert content(tmp_path / "again") == content(made)
    make(images, tmp_path / "other", seed=1)
    assert provenance(tmp_path / "other") != provenance(made)


def test_a_finished_data_set_is_left_alone(images: Path, tmp_path: Path) -> None:
    make(images, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.png")}
    assert make(images, tmp_path / "out").resumed == 40
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_lost_pictures_are_made_again(made: Path, images: Path, tmp_path: Path) -> None:
    make(images, tmp_path / "out")
    (tmp_path / "out" / "output_images" / "8.png").unlink()
    assert make(images, tmp_path / "out").resumed == 33
    assert content(tmp_path / "out") == content(made)


def test_cancelled_and_resumed(made: Path, images: Path, tmp_path: Path) -> None:
    def stop_at_twenty(progress: Progress) -> None:
        if progress.stage == "making pairs" and progress.done == 20:
            job.cancel()

    job = Job(on_progress=stop_at_twenty)
    with pytest.raises(JobCancelledError):
        make_imad(request(images, tmp_path / "out"), job)
    assert not list((tmp_path / "out").glob("*.csv"))
    assert make(images, tmp_path / "out").resumed == 14
    assert content(tmp_path / "out") == content(made)


KILLED = """
import sys
from pathlib import Path
from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import DataRequest
from imgedit_reverse_design.make_imad import make_imad
images, out = sys.argv[1:]
options = {"images": images, "count": 40, "shard-rows": 7, "format": "png"}
job = Job(on_progress=lambda progress: print(progress, flush=True))
make_imad(DataRequest(recipe="make-imad", out=Path(out), options=options), job)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL on this system")
def test_killed_at_any_moment(made: Path, images: Path, tmp_path: Path) -> None:
    out, shards = tmp_path / "out", []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    # While pictures are looked at; within the first shard; after some; at the tables.
    for reports in (2, 7, 12, 17, 14):
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, str(images), str(out)],
            stdout=subprocess.PIPE,
            env=environment,
        ) as child:
            assert child.stdout is not None
            for _ in range(reports):
                child.stdout.readline()
            child.kill()
        shards.append(len(list(out.glob("rows/*.jsonl"))))
    assert shards[0] == 0
    assert 0 < shards[2] < 6
    assert shards == sorted(shards)
    make(images, out)
    assert content(out) == content(made)


def test_jpeg_has_the_asked_for_quality(images: Path, tmp_path: Path) -> None:
    make(images, tmp_path / "a", format="jpg", count=5, quality=60)
    make(images, tmp_path / "b", format="jpg", count=5, quality=95)
    (low, high) = (open_picture(tmp_path / n / "output_images" / "0.jpg").origin for n in "ab")
    assert low is not None
    assert high is not None
    assert low.jpeg is not None
    assert high.jpeg is not None
    assert low.jpeg.tables[0][0] > high.jpeg.tables[0][0]
    # The edit starts from the picture as it is in input_images.
    row = read_imad(tmp_path / "b", Job())[0]
    rendered = render_plan(open_picture(row.source), row.plan).rgb8().astype(int)
    assert np.abs(rendered - open_picture(row.edited).rgb8()).mean() < 12


def test_large_pictures_can_be_scaled_down(images: Path, tmp_path: Path) -> None:
    make(images, tmp_path, count=3, max_side=16)
    sizes = [open_picture(p) for p in (tmp_path / "input_images").iterdir()]
    assert {max(p.width, p.height) for p in sizes} == {16}


def test_unreadable_pictures_are_told_and_left_out(images: Path, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "good.png").write_bytes((images / "a.png").read_bytes())
    (folder / "cut.jpg").write_bytes((images / "b.jpg").read_bytes()[:300])
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").write_bytes(b"")
    job = Job()
    make_imad(request(folder, folder / "out", count=4), job)
    (warning,) = job.warnings
    assert warning.startswith("1 of 2 pictures cannot be read and are left out: cut.jpg")
    # What was written into the folder itself is no source when the work goes on.
    assert make(folder, folder / "out", count=4).resumed == 4
    assert {row["source"] for row in provenance(folder / "out")} == {"good.png"}


# --- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"count": 41}, "count: 40 there, 41 asked for"),
        ({"format": "jpg"}, "format: 'png' there"),
        ({"shard_rows": 8}, "shard_rows: 7 there"),
        ({"seed": 1}, "seed: 0 there, 1 asked for"),
    ],
)
def test_another_request_into_the_same_folder(
    made: Path, images: Path, change: dict[str, int], told: str
) -> None:
    before = content(made)
    with pytest.raises(DataError, match=told) as error:
        make(images, made, **change)
    assert "Choose another folder" in error.value.hint
    assert content(made) == before


def test_a_folder_with_other_data(images: Path, tmp_path: Path) -> None:
    (tmp_path / "imad_dense_data.csv").write_text("the authors'")
    with pytest.raises(DataError, match="no run of make-imad began"):
        make(images, tmp_path)
    assert (tmp_path / "imad_dense_data.csv").read_text() == "the authors'"


def test_a_source_that_changed_meanwhile(images: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "images", tmp_path / "out"
    folder.mkdir()
    (folder / "a.png").write_bytes((images / "a.png").read_bytes())
    make(folder, out)
    (folder / "a.png").write_bytes((images / "b.jpg").read_bytes())
    (out / "rows" / "rows-00002.jsonl").unlink()
    with pytest.raises(DataError, match=r"a\.png is not the picture any more"):
        make(folder, out)


def test_damaged_records(images: Path, tmp_path: Path) -> None:
    make(images, tmp_path)
    shard = tmp_path / "rows" / "rows-00001.jsonl"
    shard.write_text(shard.read_text().split("\n", 1)[1])
    with pytest.raises(DataError, match="does not hold the rows that belong there"):
        make(images, tmp_path)
    shard.write_text("{")
    with pytest.raises(DataError, match="is not what make-imad writes"):
        make(images, tmp_path)
    (tmp_path / "imad.json").write_text("[]")
    with pytest.raises(DataError, match=r"imad\.json is not what make-imad writes"):
        make(images, tmp_path)


@pytest.mark.parametrize(
    "options",
    [
        {"format": "bmp"},
        {"count": 0},
        {"count": True},
        {"quality": 101},
        {"shard_rows": 0},
    ],
)
def test_options_out_of_range(images: Path, tmp_path: Path, options: dict[str, int | str]) -> None:
    with pytest.raises(OptionError):
        make(images, tmp_path / "out", **options)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="needs the option 'images'"):
        make_imad(DataRequest(recipe="make-imad", out=tmp_path / "out"), Job())
    assert not (tmp_path / "out").exists()


def test_definitions_must_be_known_and_have_the_levels(images: Path, tmp_path: Path) -> None:
    with pytest.raises(ProfileError):
        make(images, tmp_path / "out", definitions="nobody/1")
    shipped = Path(sys.modules["imgedit_plugins.operations.profiles"].__file__ or "").parent
    text = (shipped / "opencv-photo-filters-1.toml").read_text()
    mine = tmp_path / "mine.toml"
    mine.write_text(text.replace("[90, 180, 270]", "[90, 180]"))
    with pytest.raises(DataError, match="have 2 levels of 'rotate'"):
        make(images, tmp_path / "out", definitions=str(mine))
    mine2 = tmp_path / "mine2.toml"
    mine2.write_text(text.replace("[10, 30, 50, 70, 90]", "[20, 40, 60, 80, 100]"))
    make(images, tmp_path / "out", definitions=str(mine2))
    offsets = {
        step.parameters["offset"]
        for row in read_imad(tmp_path / "out", Job())
        for step in row.plan.operations
        if step.name == "bright"
    }
    assert offsets
    assert offsets <= {20.0, 40.0, 60.0, 80.0, 100.0}


def test_no_pictures_no_folder_no_permission(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no folder"):
        make(tmp_path / "nowhere", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no readable picture"):
        make(tmp_path / "empty", tmp_path / "out2")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be used"):
        make(tmp_path / "empty", tmp_path / "file" / "out")


def test_the_manifest_offers_what_the_recipe_takes(images: Path, tmp_path: Path) -> None:
    from importlib.resources import files

    from imgedit_plugins import manifest
    from imgedit_plugins.options import resolve_options
    from imgedit_reverse_design import make_imad as module

    path = Path(str(files("imgedit_reverse_design"))) / manifest.FILE_NAME
    recipe = manifest.load(path).recipe("make-imad")
    assert recipe is not None
    options = resolve_options(recipe.options, {"images": str(images)})
    offered = DataRequest(recipe="make-imad", out=tmp_path, options=options)
    bare = DataRequest(recipe="make-imad", out=tmp_path, options={"images": str(images)})
    assert module._settings(offered) == module._settings(bare)
    assert set(options) == {
        "images", "count", "format", "quality", "shard-rows", "max-side", "definitions", "edition",
        "workers",
    }  # fmt: skip
