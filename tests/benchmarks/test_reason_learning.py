"""The pieces of ReasonPix2Pix's learning benchmark, at a size that learns nothing but runs all."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.torch

import torch  # noqa: E402

from benchmarks.documents import END  # noqa: E402
from benchmarks.loaded_sources import changed  # noqa: E402
from benchmarks.reason_learning import (  # noqa: E402
    captions,
    clip,
    data,
    knowing,
    llava,
    pages,
    puzzles,
    report,
    scoring,
    work,
)
from benchmarks.reason_learning.finetuning import SEES, TEXT, Run, Training, all_runs  # noqa: E402
from benchmarks.reason_learning.scoring import Painting  # noqa: E402
from benchmarks.reason_learning.sizes import Sizes  # noqa: E402
from benchmarks.tiny_editing import figures, scenes, vae  # noqa: E402
from benchmarks.tiny_editing.captions import Said  # noqa: E402
from benchmarks.tiny_editing.edits import NEW_KINDS  # noqa: E402
from benchmarks.tiny_editing.scoring import within  # noqa: E402
from benchmarks.tiny_editing.stages import SCORES  # noqa: E402
from imgedit_modelkit.runs import RunFolder  # noqa: E402
from imgedit_plugins.jobs import Job  # noqa: E402
from imgedit_plugins.picture_files import open_picture  # noqa: E402
from imgedit_reason_edit.data.records import Item, Row, Usage  # noqa: E402

TINY = Sizes(
    vae_channels=(8, 8, 8),
    vae_steps=2,
    vae_batch=2,
    vision_width=16,
    vision_layers=2,
    width=16,
    layers=1,
    clip_steps=2,
    clip_batch=2,
    llava_steps=2,
    llava_batch=4,
    unet_channels=(8, 16),
    attended=16,
    unet_steps=2,
    unet_batch=2,
    rows=12,
    tests=2,
)
BRIEF = Training(steps=2, batch=2, validation=0.2, validate_every=2, seeds=(0,))
COARSE = Painting(steps=2)


@pytest.fixture(autouse=True)
def _fewer_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the intervals: theirs are seconds for each table."""
    monkeypatch.setattr(figures, "DRAWS", 200)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All stages, the model and its twin with one seed."""
    made = tmp_path_factory.mktemp("learning")
    for stage in (*work.APART, *work.IN_TURN):
        work.prepare(made, stage, TINY)
    for run in all_runs(BRIEF):
        work.work_on(made, run.name, BRIEF, COARSE)
    return made


def drawn(family: str, count: int = 60) -> list[puzzles.Puzzle]:
    return [puzzles.draw_puzzle(family, np.random.default_rng(seed)) for seed in range(count)]


def colour_of(picture: np.ndarray, thing: scenes.Thing) -> str:
    """The nearest colour of those there are, where a thing is."""
    mean = picture[scenes.mask_of(thing) > 0.99].mean(0)
    return min(scenes.COLOURS, key=lambda name: np.abs(mean - scenes.COLOURS[name]).sum())


# --- puzzles ----------------------------------------------------------------------------------


@pytest.mark.parametrize("family", puzzles.FAMILIES)
def test_one_thing_changes_as_the_direct_instruction_says(family):
    for puzzle in drawn(family):
        before, after = puzzle.pictures
        thing = puzzle.scene.things[puzzle.number]
        assert colour_of(before, thing) == thing.colour != puzzle.colour
        assert colour_of(after, thing) == puzzle.colour
        outside = scenes.mask_of(thing) == 0
        assert np.array_equal(before[outside], after[outside])
        two = len(puzzle.scene.things) == 2
        where = f"{scenes.PLACES[puzzle.number]} " if two else ""
        assert puzzle.direct == f"make the {where}{thing.kind} {puzzle.colour}"
        told = f" on the {where.strip()}" if two else ""
        assert puzzle.comes_to == f"The {thing.kind}{told} is {puzzle.colour} now."


@pytest.mark.parametrize("family", puzzles.NEED_THE_PICTURE)
def test_the_same_sentence_asks_for_different_edits(family):
    meant: dict[str, set[str]] = defaultdict(set)
    for puzzle in drawn(family, 1000):
        assert not set(puzzle.instruction.split()) & set(scenes.KINDS)
        place = scenes.PLACES[puzzle.number] if len(puzzle.scene.things) == 2 else ""
        meant[puzzle.instruction].add(f"{place} {puzzle.colour}")
    assert all(len(edits) > 1 for edits in meant.values())


def test_what_is_said_in_full_asks_for_one_edit():
    for puzzle in drawn(puzzles.SAID):
        assert puzzle.instruction == puzzle.direct


def test_each_family_asks_for_what_it_is_called():
    for family in (puzzles.NATURE, puzzles.NATURE_NEW):
        for puzzle in drawn(family):
            kind = puzzle.scene.things[0].kind
            assert puzzle.colour == scenes.NATURAL[kind]
            assert (kind in NEW_KINDS) == (family == puzzles.NATURE_NEW)
    for puzzle in drawn(puzzles.NEIGHBOUR):
        assert puzzle.colour == puzzle.scene.things[1 - puzzle.number].colour
        assert f"the {scenes.PLACES[puzzle.number]} one" in puzzle.instruction
    for family in (puzzles.PICK, puzzles.PICK_NEW):
        for puzzle in drawn(family):
            form = puzzle.instruction.replace(puzzle.colour, "{colour}")
            group = next(kinds for kinds, forms in puzzles.GROUPS.items() if form in forms)
            chosen = [thing.kind in group for thing in puzzle.scene.things]
            assert chosen == [puzzle.number == 0, puzzle.number == 1]
            meant = puzzle.scene.things[puzzle.number].kind
            assert (meant in NEW_KINDS) == (family == puzzles.PICK_NEW)
            assert puzzle.colour not in {thing.colour for thing in puzzle.scene.things}


def test_new_kinds_are_asked_for_in_tests_alone():
    learnt = list(data.puzzles_to_learn(400))
    assert {one.family for one in learnt} == set(data.LEARNT)
    for one in learnt:
        if one.family in (puzzles.NATURE, puzzles.PICK):
            assert not {thing.kind for thing in one.scene.things} & set(NEW_KINDS)
    tested = list(data.puzzles_to_test(4))
    assert [one.family for one in tested] == [f for f in puzzles.FAMILIES for _ in range(4)]
    asked = {one.instruction for one in learnt}
    new = [one for one in data.puzzles_to_test(30) if one.family == puzzles.NATURE_NEW]
    assert {one.instruction for one in new} <= asked  # known sentences, new kinds


def test_stages_and_tests_have_pictures_of_their_own():
    tested = {one.pictures[0].tobytes() for one in data.puzzles_to_test(8)}
    assert len(tested) == 8 * len(puzzles.FAMILIES)
    rng = np.random.default_rng(0)
    learnt = {one.pictures[0].tobytes() for one in data.puzzles_to_learn(100)}
    learnt |= {vae.picture(seed).tobytes() for seed in range(50)}
    learnt |= {captions.about_a_picture(rng).picture.tobytes() for _ in range(100)}
    assert not tested & learnt


def test_rows_have_the_fields_of_the_recipe(folder, tmp_path):
    shard = folder / "pairs" / "shard-00000"
    lines = (shard / "metadata.jsonl").read_text("utf-8").splitlines()
    written = json.loads(lines[0])
    picture = written["input_file_name"]
    row = Row(
        Item(0, "x"), (picture, picture), "", "", "", ("", ""), "", "", (0, 0, 1, 1), (), 0.0, 0,
        Usage(),
    )  # fmt: skip
    fields = row.record(shard, SimpleNamespace(part="I", models={}, prompts={}))
    assert list(fields) == [name for name in written if name != "family"]
    for name in written:
        assert name == "family" or type(written[name]) is type(fields[name])
    rows = data.read_pairs(folder / "pairs")
    assert len(rows) == TINY.rows
    made = list(data.puzzles_to_learn(TINY.rows))
    assert [one.instruction for one in rows] == [one.instruction for one in made]
    assert [one.direct_instruction for one in rows] == [one.direct for one in made]
    assert np.array_equal(open_picture(rows[3].source).rgb8(), made[3].pictures[0])
    assert np.array_equal(open_picture(rows[3].edited).rgb8(), made[3].pictures[1])


# --- the language model -----------------------------------------------------------------------


def test_llava_sees_no_edited_picture_and_is_told_what_sentences_come_to():
    rng = np.random.default_rng(0)
    said = [captions.about_a_picture(rng) for _ in range(200)]
    for one in said:
        assert np.array_equal(one.picture, scenes.drawn(one.scene))
    asked = {one.asked for one in said}
    assert {"make it as nature has it", "describe this image"} <= asked
    assert all(captions.in_words(rng).picture is None for _ in range(50))


def test_the_saved_model_reads_prompts_as_it_was_taught(folder):
    from PIL import Image
    from transformers import AutoModelForImageTextToText, AutoProcessor

    processor: Any = AutoProcessor.from_pretrained(folder / "mllm", backend="pil")
    model: Any = AutoModelForImageTextToText.from_pretrained(folder / "mllm").eval()
    picture = scenes.drawn(scenes.draw_scene(np.random.default_rng(3), 2))
    asked = "it should look real"
    content = [{"type": "image"}, {"type": "text", "text": asked}]
    text = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True
    )
    assert text == llava.prompt(asked, pictures=1)
    read = processor(text=[text], images=[Image.fromarray(picture)], return_tensors="pt")

    task = llava.TalkingTask(TINY, clip.train_clip(folder / "clip", TINY, Job()))
    mine = task.written([Said(asked, "x", picture)])
    end = int(mine["ends"][0])
    assert read.input_ids[0].tolist() == mine["ids"][0, :end].tolist()
    pixels = task.processor.image_processor([picture], return_tensors="pt").pixel_values
    assert torch.equal(read.pixel_values, pixels)
    taught = task.build().eval()
    taught.llava.load_state_dict(model.state_dict())
    with torch.no_grad():
        states = taught.read(mine, taught.patches(pixels))[:, :end]
        wanted = model(**read, output_hidden_states=True).hidden_states[-1]
    assert wanted.abs().mean() > 0.1
    assert torch.allclose(states, wanted, atol=1e-5)


def test_what_the_language_model_knows_is_a_share_of_the_pairs(folder, monkeypatch):
    assert set(knowing.known(folder, TINY, 2)) == set(puzzles.FAMILIES)

    def told(self, batch, seen):  # states of a model that knows all of the first pair
        states = torch.zeros(*batch["ids"].shape, TINY.width)
        states[0, batch["ends"][0] - 1] = 1
        self.words.weight.data[:] = batch["words"][0, :, None]
        self.words.bias.data[:] = -0.5
        return states

    monkeypatch.setattr(llava.Talking, "read", told)
    found = knowing.known(folder, TINY, 2)
    assert all(share == 0.5 for share in found.values())


# --- figures ----------------------------------------------------------------------------------


def test_a_picture_is_compared_where_something_changes(folder):
    row = data.read_pairs(folder / work.TEST)[0]
    before, goal = (open_picture(one).rgb8() for one in (row.source, row.edited))
    region = (before != goal).any(2)
    assert 0 < region.sum() < region.size / 2
    made = before.copy()
    made[region] = goal[region]
    made[~region] ^= 1  # off by one code
    found = scoring.compared(row, "x", made)
    assert found.changed == 0
    assert found.error == pytest.approx((~region).mean() / 255, rel=1e-5)
    copied = scoring.compared(row, "x", before)
    assert copied.error == copied.copied > 0
    assert (
        copied.changed
        == copied.unchanged
        == pytest.approx(np.abs(before[region].astype(int) - goal[region]).mean() / 255, rel=1e-5)
    )
    assert copied.copied == pytest.approx(copied.unchanged * region.mean(), rel=1e-4)


def test_a_region_has_pixels():
    black, white = (np.full((2, 2, 3), value, np.uint8) for value in (0, 255))
    assert within(black, white, np.eye(2, dtype=bool)) == 1.0
    with pytest.raises(ValueError, match="no pixel"):
        within(black, white, np.zeros((2, 2), bool))


def scores(ours: float, twin: float, mixed: float) -> dict[Run, dict[str, Any]]:
    """Two seeds with four pictures of each family, all with these errors."""

    def rows(changed: float) -> list[dict[str, Any]]:
        return [
            {"family": family, "error": changed / 4, "copied": 0.1, "changed": changed + n / 1e4,
             "unchanged": 0.4}
            for family in puzzles.FAMILIES for n in range(4)
        ]  # fmt: skip

    found: dict[Run, dict[str, Any]] = {}
    for seed in (0, 1):
        sees = {work.OWN: rows(ours), work.SHUFFLED: rows(mixed)}
        found[Run(SEES, seed)] = {"scores": sees}
        found[Run(TEXT, seed)] = {"scores": {work.OWN: rows(twin)}}
    return found


def told(found: dict[str, Any]) -> dict[str, Any]:
    return {"missing": [], "changed": [], "changed_before": [], **found}


def test_the_model_is_ahead_where_its_whole_interval_is():
    found = report.figures_of(scores(0.1, 0.3, 0.5), outdated=False)
    assert found["passed"]
    value = found["changed_region"]["model"]["by nature"]["value"]
    assert value == pytest.approx(10 + 0.015)
    assert found["errors"]["model"]["overall"]["value"] == pytest.approx(2.5)
    assert found["changed_region"][report.COPY]["overall"]["value"] == pytest.approx(40)
    assert found["ahead"][report.TWIN]["like its neighbour"]["value"] == pytest.approx(20)
    assert found["reached"]["model"]["overall"]["value"] == 1
    assert found["reached"][report.TWIN]["overall"]["value"] == 0
    said = pages.verdict(told(found))
    assert "ahead of the input, copied in every family" in said
    assert f"ahead of text twin in {', '.join(puzzles.NEED_THE_PICTURE)}" in said
    assert not report.figures_of(scores(0.1, 0.3, 0.5), outdated=True)["passed"]


def test_a_model_that_is_as_good_as_its_twin_is_not_ahead():
    found = report.figures_of(scores(0.1, 0.1, 0.5), outdated=False)
    assert not found["passed"]
    assert "NOT ahead of text twin in by nature, " in pages.verdict(told(found))
    assert "ahead of model, instructions shuffled in every family" in pages.verdict(told(found))


# --- all of it --------------------------------------------------------------------------------


def test_every_stage_is_there_and_is_not_done_again(folder):
    for stage in ("vae", "clip", "llava", "unet", "runs/reason_pix2pix-seed0", "runs/text-seed0"):
        assert RunFolder.open(folder / stage).state["status"] == "finished"
    path = folder / "runs" / "text-seed0" / SCORES
    before = path.stat().st_mtime_ns
    work.prepare(folder, "unet", TINY)
    work.work_on(folder, "text-seed0", BRIEF)
    assert path.stat().st_mtime_ns == before


def test_scores_are_of_the_pictures_that_were_made(folder):
    out = folder / "runs" / "reason_pix2pix-seed0"
    found = json.loads((out / SCORES).read_text("utf-8"))
    rows = data.read_pairs(folder / work.TEST)
    for what in (work.OWN, work.SHUFFLED):
        for one, row in zip(found["scores"][what], rows, strict=True):
            made = open_picture(out / what / f"{row.id}.png").rgb8()
            goal = open_picture(row.edited).rgb8().astype(float)
            assert one["error"] == pytest.approx(np.abs(made - goal).mean() / 255, abs=1e-6)
            assert (one["instruction"] == row.instruction) == (what == work.OWN)
    assert set(found["parameters"]) == {"mllm", "projection", "unet", "vae"}
    assert all(count > 0 for count in found["parameters"].values())
    assert "plugins/reason_edit/imgedit_reason_edit/model/task.py" in found["sources"]
    assert "benchmarks/tiny_editing/scenes.py" in found["sources"]
    assert "benchmarks/reason_learning/report.py" not in found["sources"]
    assert changed(found["sources"]) == []


def test_a_report_of_models_that_learnt_nothing_fails(folder, tmp_path, capsys):
    docs = tmp_path / "docs"
    docs.mkdir()
    page = docs / "reason_edit.md"
    page.write_text(f"before\n{pages.BEGIN}\noutdated\n{END}\nafter\n", "utf-8")
    out = tmp_path / "build" / "figures.json"
    code = report.report(
        folder, ["report"], out, write_docs=True, sizes=TINY, training=BRIEF, docs=docs
    )
    assert code == 1
    results = json.loads(out.read_text("utf-8"))
    assert results["missing"] == results["changed"] == []
    assert not results["passed"]
    assert set(results["errors"]) == {report.COPY, "model", report.TWIN, report.MIXED}
    assert "NOT ahead of the input, copied" in capsys.readouterr().out
    written = page.read_text("utf-8")
    assert written.startswith("before\n")
    assert written.endswith("after\n")
    assert "outdated" not in written
    assert "model ahead of text twin" in written
    from PIL import Image

    with Image.open(docs / pages.SHEET) as opened:
        assert opened.height > 12 * 96


def test_a_report_names_missing_runs_and_changed_sources(folder):
    more = replace(BRIEF, seeds=(0, 1))
    results = report.collected(folder, TINY, more, COARSE)
    assert results["missing"] == ["reason_pix2pix-seed1", "text-seed1"]
    assert not results["passed"]
    path = folder / "runs" / "text-seed0" / SCORES
    whole = path.read_text("utf-8")
    found = json.loads(whole)
    found["sources"]["modelkit/imgedit_modelkit/loop.py"] = "0" * 64
    path.write_text(json.dumps(found), "utf-8")
    try:
        results = report.collected(folder, TINY, BRIEF, COARSE)
    finally:
        path.write_text(whole, "utf-8")
    assert results["changed"] == ["modelkit/imgedit_modelkit/loop.py"]
    assert "Changed since: modelkit" in pages.verdict(results)
