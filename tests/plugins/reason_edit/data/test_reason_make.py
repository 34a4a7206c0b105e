"""`data reason_edit make` end to end: real model classes at tiny size, a real HTTP server."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.torch

from making import content, left_out, names, records, run  # noqa: E402

from imgedit_modelkit.language.testing import Said, chat_server, text  # noqa: E402
from imgedit_plugins.errors import (  # noqa: E402
    DataError,
    JobCancelledError,
    OptionError,
    PluginError,
    WeightsError,
)
from imgedit_plugins.jobs import Job, Progress  # noqa: E402
from imgedit_plugins.picture_files import open_picture  # noqa: E402
from imgedit_plugins.requests import DataReport, DataRequest, OptionValue  # noqa: E402
from imgedit_reason_edit.data import ranking, replacing  # noqa: E402
from imgedit_reason_edit.data.difference import squared_distance  # noqa: E402
from imgedit_reason_edit.data.instructions import Usage  # noqa: E402
from imgedit_reason_edit.data.painting import Painter  # noqa: E402
from imgedit_reason_edit.data.reading import read_rows  # noqa: E402
from imgedit_reason_edit.data.records import Item  # noqa: E402
from imgedit_reason_edit.data.replacing import Replacing, _Scene  # noqa: E402
from imgedit_reason_edit.data.wording import is_direct, replaced  # noqa: E402

# --- Part I -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def part_one(pairs: Path, wise: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("one") / "data"
    report = run(out, part="I", pairs=str(pairs), endpoint=wise, count=100)
    assert report.rows == 18
    return out


def test_part_one_takes_the_pairs_as_they_are(part_one: Path, pairs: Path) -> None:
    for row in records(part_one):
        assert (row["part"], row["category"], row["target"]) == ("I", "", "")
        shard = next(p.parent for p in part_one.glob(f"shard-*/{row['input_file_name']}"))
        for which, what in enumerate(("input", "edited")):
            source = (pairs / f"{row['source']}_{which}.jpg").read_bytes()
            assert (shard / row[f"{what}_file_name"]).read_bytes() == source
            assert row[f"{what}_sha256"] == hashlib.sha256(source).hexdigest()
        told = json.loads((pairs / row["source"]).parent.joinpath("prompt.json").read_text())
        assert row["direct_instruction"] == told["edit"]
        assert (row["input_caption"], row["edited_caption"]) == (told["caption"], told["output"])
        assert row["box"] == [0, 0, 96, 80]
        assert row["instruction"] in row["candidates"]
        assert 1 <= len(row["candidates"]) <= 3
        assert not is_direct(row["instruction"], row["direct_instruction"])
        before, after = (
            open_picture(shard / row[f"{w}_file_name"]).rgb8() for w in ("input", "edited")
        )
        assert row["distance"] == pytest.approx(squared_distance(before, after), abs=0.001)


def test_every_picture_is_a_row_or_counted(part_one: Path) -> None:
    rows, left = records(part_one), left_out(part_one)
    numbers = [row["id"] for row in rows] + [entry["id"] for entry in left]
    assert sorted(numbers) == list(range(22))
    kinds = sorted(entry["kind"] for entry in left)
    # 2 of 20 readable pairs are the lowest 10 %.
    assert kinds == ["damaged", "damaged", "too alike", "too alike"]
    alike = {entry["source"] for entry in left if entry["kind"] == "too alike"}
    assert alike == {"0000000/100", "0000001/101"}
    kept = {name for row in rows for name in (row["input_file_name"], row["edited_file_name"])}
    assert names(part_one) == kept | {"metadata.jsonl", "skipped.json"}
    assert not [path for path in part_one.iterdir() if path.name.startswith(".")]


def test_rows_say_what_made_them(part_one: Path, wise: str) -> None:
    for row in records(part_one):
        idle = dict.fromkeys(("captioner", "nouns", "detector", "painter"), "")
        assert row["models"] == {"language": f"wise at {wise}", **idle}
        assert row["prompts"]["generate"].startswith("generate-1 ")
        assert row["prompts"]["select"].startswith("select-1 ")
        assert {"torch", "imgedit-plugins"} <= set(row["versions"])
        assert row["calls"] == 3 + (len(row["candidates"]) > 1)
        assert row["tokens_in"] == 7 * row["calls"]
        assert row["rejected"] == ""
        assert 0 <= row["seed"] < 2**63
    assert len({row["seed"] for row in records(part_one)}) == 18


def test_the_model_is_asked_as_the_paper_says(pairs: Path, tmp_path: Path) -> None:
    from talking import sensible

    with chat_server(lambda body, _: sensible(body)) as (address, asked):
        run(tmp_path / "out", part="I", pairs=str(pairs), endpoint=address, count=1, pool=4)
    (row,) = records(tmp_path / "out")
    about = [b for b in asked if row["direct_instruction"] in b["messages"][1]["content"]]
    generating = [b for b in about if "Candidates" not in b["messages"][1]["content"]]
    selecting = [b for b in about if "Candidates" in b["messages"][1]["content"]]
    assert len(generating) == 3
    assert len({body["seed"] for body in generating}) == 3
    assert {body["temperature"] for body in generating} == {1.0}
    for body in about:
        said = body["messages"][1]["content"]
        for caption in ("input_caption", "edited_caption"):
            assert row[caption] in said
        schema = body["response_format"]["json_schema"]["schema"]
        assert schema["additionalProperties"] is False
    (choice,) = selecting
    assert choice["temperature"] == 0.0
    for n, candidate in enumerate(row["candidates"], 1):
        assert f'{n}. "{candidate}"' in choice["messages"][1]["content"]


@pytest.mark.parametrize(("tau", "rows"), [("0", 20), ("50%", 10), ("1e9", 0), ("300", 18)])
def test_the_filter_by_value_and_by_rank(
    pairs: Path, wise: str, tmp_path: Path, tau: str, rows: int
) -> None:
    def go() -> DataReport:
        return run(tmp_path / "out", part="I", pairs=str(pairs), endpoint=wise, count=99, tau=tau,
                   candidates=1)  # fmt: skip

    if not rows:
        with pytest.raises(DataError, match=r"None of 22 pictures became a row .*too alike: 20"):
            go()
        return
    # Identical pairs are left out, whatever the threshold: the first pair is one.
    assert go().rows == rows - (tau == "0")
    distances = {row["source"]: row["distance"] for row in records(tmp_path / "out")}
    alike = [e["source"] for e in left_out(tmp_path / "out") if e["kind"] == "too alike"]
    assert len(alike) == 20 - len(distances)
    if tau == "50%":
        threshold = json.loads((tmp_path / "out" / "threshold.json").read_text())
        assert threshold["pairs"] == 20
        assert min(distances.values()) == pytest.approx(threshold["threshold"], abs=0.001)


def test_answers_that_stay_bad_leave_the_picture_out(pairs: Path, tmp_path: Path) -> None:
    """Candidates that only say the direct instruction again, and choices that are none."""
    from talking import sensible

    def answer(body: dict[str, Any], _: Any) -> Said:
        asked = body["messages"][1]["content"]
        if "sky 5" in asked:
            return text('{"instruction": "Make the sky 5"}')
        if "sky 7" in asked and "Which one" in asked:
            return text('{"best": 9}')
        return sensible(body)

    job = Job()
    with chat_server(answer) as (address, _):
        report = run(tmp_path / "out", job, part="I", pairs=str(pairs), endpoint=address, count=99)
    assert report.rows == 16
    assert report.details["dropped"] == {"damaged": 2, "no usable answer": 2, "too alike": 2}
    bad = {e["source"][:7]: e for e in left_out(tmp_path / "out") if "answer" in e["kind"]}
    assert "says directly what to change" in bad["0000005"]["reason"]
    assert bad["0000005"]["calls"] == 9
    assert "must be one of 1, 2, 3, not 9" in bad["0000007"]["reason"]
    assert "16 of 99 rows" in job.warnings[-1]


# --- Parts II and III -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def part_three(
    v3det: Path, models: dict[str, str], wise: str, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("three") / "data"
    report = run(out, part="III", v3det=str(v3det), endpoint=wise, format="png", **models)
    assert report.rows == 6
    return out


def test_part_three_replaces_a_thing_inside_its_box(part_three: Path, v3det: Path) -> None:
    rows = records(part_three)
    assert len({tuple(row["box"]) for row in rows}) == 6
    for row in rows:
        shard = next(p.parent for p in part_three.glob(f"shard-*/{row['input_file_name']}"))
        before, after = (
            open_picture(shard / row[f"{w}_file_name"]).rgb8() for w in ("input", "edited")
        )
        left, top, right, bottom = row["box"]
        changed = np.any(before != after, axis=2)
        assert changed[top:bottom, left:right].mean() > 0.5
        changed[top:bottom, left:right] = False
        assert not changed.any(), "outside of the box nothing is touched"
        assert (v3det / row["source"]).is_file()
        assert row["category"] in row["input_caption"]
        assert row["edited_caption"] == replaced(
            row["input_caption"], row["category"], row["target"]
        )
        assert row["target"] in row["edited_caption"]
        assert row["category"] in row["direct_instruction"]
        assert row["target"] in row["direct_instruction"]
        assert not is_direct(row["instruction"], row["direct_instruction"])
        source = (v3det / row["source"]).read_bytes()
        assert row["source_sha256"] == hashlib.sha256(source).hexdigest()
        assert (before.shape[0] % 16, before.shape[1] % 16) == (0, 0)


def test_all_models_are_named(part_three: Path) -> None:
    for row in records(part_three):
        found = row["models"]
        assert found["captioner"].startswith("blip2-tiny ")
        assert found["nouns"].startswith("spacy-tiny ")
        assert found["detector"].startswith("dino-tiny ")
        assert found["painter"].startswith("StableDiffusionGLIGENPipeline gligen-tiny ")
        assert row["prompts"]["replace"].startswith("replace-1 ")
        assert row["prompts"]["retry"].startswith("retry-1 ")


def test_part_two_takes_captions_from_the_pairs(
    pairs: Path, models: dict[str, str], inpainter: Path, wise: str, tmp_path: Path
) -> None:
    others = {**models, "painter": "StableDiffusionInpaintPipeline",
              "painter-weights": str(inpainter), "captioner": ""}  # fmt: skip
    report = run(tmp_path / "out", part="II", pairs=str(pairs), endpoint=wise, count=4, **others)
    assert report.rows == 4
    for row in records(tmp_path / "out"):
        told = json.loads((pairs / row["source"]).parent.joinpath("prompt.json").read_text())
        assert row["input_caption"] == told["caption"]
        assert row["category"] in told["caption"]
        assert row["models"]["captioner"] == ""
        assert row["models"]["painter"].startswith("StableDiffusionInpaintPipeline tiny ")


def test_the_benchmark_is_made_of_the_test_split(
    v3det: Path, models: dict[str, str], wise: str, tmp_path: Path
) -> None:
    report = run(tmp_path / "out", recipe="benchmark", v3det=str(v3det), endpoint=wise, count=3,
                 edited_captions="captioner", **models)  # fmt: skip
    assert report.rows == 3
    rows = read_rows(tmp_path / "out", Job())
    for row in rows:
        assert row.img_source.startswith("test/")
        assert all(row.captions)
        assert row.instruction
        assert row.direct_instruction
        assert row.instruction != row.direct_instruction
    assert any(row.target not in row.captions[1] for row in rows), "BLIP-2's own words"
    record = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    assert record["schema"] == "imgedit-reason-edit-benchmark/1"


def test_published_sizes_are_the_defaults(pairs: Path, wise: str) -> None:
    from imgedit_reason_edit.data.layout import BENCHMARK_SIZE, SIZES
    from imgedit_reason_edit.data.settings import settings_of
    from imgedit_reason_edit.data.tools import tools_of

    def count(recipe: str, **options: OptionValue) -> int:
        request = DataRequest(recipe=recipe, out=pairs, options={"endpoint": wise, **options,
                              "endpoint-model": "m"})  # fmt: skip
        return settings_of(request, tools_of(request)).count

    assert count("make", part="I", pairs=str(pairs)) == 8013
    assert SIZES == {"I": 8013, "II": 4141, "III": 28058}
    assert BENCHMARK_SIZE == 1000


def test_a_local_language_model(
    pairs: Path, models: dict[str, str], llama: Path, tmp_path: Path
) -> None:
    """A LLaMA with drawn weights writes nonsense of the right form."""
    options = {**models, "model": str(llama), "max-new-tokens": 200, "captioner": ""}
    first = run(tmp_path / "one", part="I", pairs=str(pairs), count=2, pool=6, candidates=2,
                **options)  # fmt: skip
    assert first.rows == 2
    for row in records(tmp_path / "one"):
        assert row["models"]["language"].startswith("llama-tiny ")
        assert row["instruction"]
    report = run(tmp_path / "two", part="II", pairs=str(pairs), count=1, attempts=10, **options)
    assert report.rows == 1
    (row,) = records(tmp_path / "two")
    assert row["category"] in row["input_caption"]


def test_a_change_that_is_lost_in_the_file_is_none(tmp_path: Path) -> None:
    """The coarsest JPEG has no fine checks."""
    shown = np.full((64, 64, 3), 128, np.uint8)
    checked = shown.copy()
    checked[::2, ::2], checked[1::2, 1::2] = 148, 108
    for quality, alike in ((95, False), (1, True)):
        settings: Any = SimpleNamespace(format="jpg", quality=quality)
        tools: Any = None
        threshold = squared_distance(shown, checked) / 2
        maker = Replacing(settings, tools, tools, threshold, lambda: None)
        scene = _Scene(Item(7, "a"), 0, [], shown, "", "", {}, Usage(), edited=checked)
        (why,) = maker._compare(tmp_path, [scene])
        assert (why == "both pictures are the same") == alike, why
        assert (scene.distance < threshold) == alike
        assert bool(why) == alike
        assert scene.files == ["0000007_edited.jpg"], "it is dropped with its row"


def test_a_full_disk_damages_no_picture(
    v3det: Path, models: dict[str, str], wise: str, tmp_path: Path, monkeypatch: Any
) -> None:
    def full(_: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device", "/tmp/picture")

    monkeypatch.setattr(replacing, "open_stored", full)
    with pytest.raises(DataError, match="/tmp/picture cannot be used"):
        run(tmp_path / "out", part="III", v3det=str(v3det), endpoint=wise, **models)
    assert not left_out(tmp_path / "out")


def test_a_painter_that_changes_nothing(
    v3det: Path, models: dict[str, str], wise: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(Painter, "__call__", lambda _, picture, *__: picture.copy())
    with pytest.raises(DataError, match=r"too alike: \d+.* both pictures are the same"):
        run(tmp_path / "out", part="III", v3det=str(v3det), endpoint=wise, **models)
    assert names(tmp_path / "out") == {"skipped.json"}


def test_a_cluster_is_not_sent_the_list_of_pictures(
    pairs: Path, wise: str, tmp_path: Path, monkeypatch: Any
) -> None:
    from imgedit_modelkit import scale

    sent: list[Any] = []

    def each(make: Any, items: Any, _: Any) -> Any:
        sent.append((make.args[0], "items" in vars(make.args[0])))
        return map(make(), items)

    monkeypatch.setattr(ranking.scale, "each", each)
    run(tmp_path / "out", part="I", pairs=str(pairs), endpoint=wise, count=2, pool=9)
    work, has_list = sent[0]
    assert has_list, "here it is read once"
    (tmp_path / "out" / "threshold.json").unlink()
    assert ranking.threshold_of(replace(work), scale.Cluster("a cluster"), Job()) > 0
    assert not sent[-1][1]


# --- going on, and what is in the way ---------------------------------------------------------


def test_the_same_request_makes_the_same_bytes(
    v3det: Path, models: dict[str, str], part_three: Path, wise: str, tmp_path: Path
) -> None:
    run(tmp_path / "out", part="III", v3det=str(v3det), endpoint=wise, format="png", **models)
    assert content(tmp_path / "out") == content(part_three)


def test_exactly_as_many_rows_as_wanted(
    part_one: Path, pairs: Path, wise: str, tmp_path: Path
) -> None:
    report = run(tmp_path / "out", part="I", pairs=str(pairs), endpoint=wise, count=7)
    assert report.rows == 7
    found, all_rows = records(tmp_path / "out"), records(part_one)
    assert found == all_rows[:7]
    kept = {name for row in found for name in (row["input_file_name"], row["edited_file_name"])}
    assert names(tmp_path / "out") == kept | {"metadata.jsonl", "skipped.json"}
    before = content(tmp_path / "out")
    again = run(tmp_path / "out", part="I", pairs=str(pairs), endpoint=wise, count=7)
    assert (again.rows, again.resumed) == (7, 7)
    assert content(tmp_path / "out") == before


def test_cancelled_it_goes_on(part_one: Path, pairs: Path, wise: str, tmp_path: Path) -> None:
    def cancel(told: Progress) -> None:
        if told.stage == "making rows" and told.done >= 7:
            job.cancel()

    job = Job(cancel)
    with pytest.raises(JobCancelledError):
        run(tmp_path / "out", job, part="I", pairs=str(pairs), endpoint=wise, count=100)
    report = run(tmp_path / "out", part="I", pairs=str(pairs), endpoint=wise, count=100)
    assert 0 < report.resumed < 18
    assert content(tmp_path / "out") == content(part_one)


def test_answers_are_not_paid_for_twice(pairs: Path, tmp_path: Path) -> None:
    from talking import sensible

    options: dict[str, Any] = {"part": "I", "pairs": str(pairs), "count": 4, "shard_rows": 50,
                               "batch_size": 1}  # fmt: skip
    job = Job(lambda told: job.cancel() if told.done == 3 else None)
    with chat_server(lambda body, _: sensible(body)) as (address, asked):
        with pytest.raises(JobCancelledError):
            run(tmp_path / "out", job, endpoint=address, **options)
        assert [p.name for p in (tmp_path / "out").glob("shard-*")] == []
        run(tmp_path / "out", endpoint=address, **options)
        bodies = [json.dumps(body, sort_keys=True) for body in asked]
    assert len(bodies) == len(set(bodies))
    assert not list((tmp_path / "out").glob(".answers*"))


def test_another_request_is_refused(part_one: Path, pairs: Path, wise: str) -> None:
    with pytest.raises(DataError, match=r"another request .*candidates: 3 there, 4 asked for"):
        run(part_one, part="I", pairs=str(pairs), endpoint=wise, count=100, candidates=4)


def test_a_server_that_is_gone_ends_the_work_and_keeps_the_rows(
    part_one: Path, pairs: Path, tmp_path: Path
) -> None:
    from talking import sensible

    from imgedit_modelkit.language.endpoint import EndpointError

    credit = [30]

    def answer(body: dict[str, Any], _: Any) -> Said:
        credit[0] -= 1
        return sensible(body) if credit[0] >= 0 else Said(b"no credit", 403)

    given: dict[str, Any] = {"part": "I", "pairs": str(pairs), "count": 100}
    with chat_server(answer) as (address, _):
        with pytest.raises(EndpointError, match="no credit"):
            run(tmp_path / "out", endpoint=address, **given)
        there = records(tmp_path / "out")
        assert 0 < len(there) < 18
        credit[0] = 10**6
        assert run(tmp_path / "out", endpoint=address, **given).rows == 18
    assert records(tmp_path / "out")[: len(there)] == there
    assert len(records(part_one)) == 18


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "needs the option 'part'"),
        ({"part": "I"}, "either the option 'endpoint'"),
        ({"part": "I", "endpoint": "http://x/v1", "model": "y"}, "either the option 'endpoint'"),
        ({"part": "I", "endpoint": "http://x/v1", "endpoint-model": ""}, "'endpoint-model'"),
        ({"part": "I", "endpoint": "http://x/v1"}, "needs the option 'pairs'"),
        ({"part": "II", "endpoint": "http://x/v1", "pairs": "p"}, "needs the option 'detector'"),
        ({"part": "III", "endpoint": "http://x/v1"}, "'captioner': the folder of BLIP-2"),
        ({"part": "I", "endpoint": "http://x/v1", "pairs": "p", "tau": "many"}, "'tau' must be"),
        ({"part": "I", "endpoint": "http://x/v1", "pairs": "p", "tau": "100%"}, "'tau' must be"),
        ({"part": "I", "endpoint": "http://x/v1", "pairs": "p", "tau": "-1"}, "'tau' must be"),
        ({"part": "I", "endpoint": "http://x/v1", "pairs": "p", "tau": "nan"}, "'tau' must be"),
        ({"part": "I", "endpoint": "http://x/v1", "pairs": "p", "tau": "inf"}, "'tau' must be"),
        ({"part": "I", "endpoint": "localhost/v1", "pairs": "p"}, "begins with http, not 'local"),
        ({"part": "I", "endpoint": "http://x/v1", "pairs": "p", "workers": 2}, "a Ray cluster"),
    ],
)
def test_bad_options(options: dict[str, OptionValue], told: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=told):
        run(tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_bad_options_of_the_painter(
    pairs: Path, models: dict[str, str], wise: str, tmp_path: Path
) -> None:
    given: dict[str, Any] = {**models, "part": "II", "pairs": str(pairs), "endpoint": wise}
    for name, told in {
        "NoSuchPipeline": "has no pipeline 'NoSuchPipeline'",
        "StableDiffusionPipeline": "takes no mask_image",
    }.items():
        with pytest.raises(OptionError, match=told):
            run(tmp_path / "out", **{**given, "painter": name})
    with pytest.raises(OptionError, match="'tau' as a squared distance"):
        run(tmp_path / "out", **{**given, "tau": "10%"})
    with pytest.raises(OptionError, match="must be below 'largest'"):
        run(tmp_path / "out", **{**given, "smallest": 0.95})
    with pytest.raises(PluginError, match="no spaCy model 'en_core_web_xx'") as error:
        run(tmp_path / "out", **{**given, "spacy": "en_core_web_xx"})
    assert "python -m spacy download en_core_web_sm" in error.value.hint
    with pytest.raises(WeightsError, match="no painter in"):
        run(tmp_path / "out", **{**given, "painter-weights": str(tmp_path)})


def test_a_gligen_that_cannot_paint_in_pictures(
    pairs: Path, models: dict[str, str], wise: str, tmp_path: Path
) -> None:
    import tiny_reason

    other = tiny_reason.painter(tmp_path / "generating", gligen=True, channels=4)
    with pytest.raises(WeightsError, match="takes 4 channels, not 9") as error:
        run(tmp_path / "out", part="II", pairs=str(pairs), endpoint=wise,
            **{**models, "painter-weights": str(other)})  # fmt: skip
    assert "inpainting-text-box" in error.value.hint


def test_a_model_that_tags_no_words(tmp_path: Path) -> None:
    import spacy

    from imgedit_reason_edit.data.nouns import NounFinder

    spacy.blank("en").to_disk(tmp_path / "blank")
    with pytest.raises(WeightsError, match="does not tag words"):
        NounFinder(str(tmp_path / "blank"))(["a cat"])


def test_work_that_leads_to_nothing_is_given_up(tmp_path: Path, monkeypatch: Any) -> None:
    import tiny_reason

    from imgedit_reason_edit.data import make as made

    monkeypatch.setattr(made, "_HOPELESS", 8)
    pairs = tiny_reason.write_pairs(tmp_path / "pairs", 20)
    with chat_server(lambda *_: text("no")) as (address, asked):
        with pytest.raises(DataError, match=r"None of 8 pictures .*no usable answer: 8"):
            run(tmp_path / "out", part="I", pairs=str(pairs), endpoint=address, tau="0")
        assert len(asked) == 8 * 3 * 3
        with pytest.raises(DataError, match=r"None of 9 pictures .*The first: 00\d+/\d+: there"):
            run(tmp_path / "large", part="I", pairs=str(pairs), endpoint=address, tau="0",
                shard_rows=50)  # fmt: skip
        assert len(asked) == (8 + 9) * 3 * 3, "a large shard is not waited for"


def test_a_folder_that_is_gone_is_no_damaged_picture(
    pairs: Path, wise: str, tmp_path: Path
) -> None:
    moved = tmp_path / "pairs"
    shutil.copytree(pairs, moved)
    job = Job(lambda told: moved.rename(tmp_path / "away") if told.done == 3 else None)
    with pytest.raises(DataError, match="not there any more"):
        run(tmp_path / "out", job, part="I", pairs=str(moved), endpoint=wise, tau="0")
