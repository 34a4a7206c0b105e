"""The pieces of MGIE's learning benchmark, at a size that learns nothing but runs everything."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.torch


from benchmarks.documents import END  # noqa: E402
from benchmarks.loaded_sources import changed, sha256_of  # noqa: E402
from benchmarks.mgie_learning import (  # noqa: E402
    captions,
    data,
    export,
    pages,
    report,
    scoring,
    work,
)
from benchmarks.mgie_learning.__main__ import main  # noqa: E402
from benchmarks.mgie_learning.finetuning import Training, all_runs  # noqa: E402
from benchmarks.mgie_learning.scoring import Painting  # noqa: E402
from benchmarks.mgie_learning.sizes import Sizes  # noqa: E402
from benchmarks.tiny_editing import edits, figures, scenes, vae, words  # noqa: E402
from benchmarks.tiny_editing.scoring import chosen, family_of, others  # noqa: E402
from benchmarks.tiny_editing.stages import SCORES  # noqa: E402
from imgedit_mgie.folders import read_config  # noqa: E402
from imgedit_modelkit.runs import RunFolder  # noqa: E402
from imgedit_plugins.errors import DataError  # noqa: E402
from imgedit_plugins.picture_files import open_picture  # noqa: E402

TINY = Sizes(
    vae_channels=(8, 8, 8),
    vae_steps=2,
    vae_batch=2,
    vision_width=16,
    vision_layers=2,
    width=16,
    layers=1,
    llava_steps=2,
    llava_batch=4,
    unet_channels=(8, 16),
    attended=16,
    unet_steps=2,
    unet_batch=2,
    head=16,
    head_layers=1,
    queries=3,
    said_rows=8,
    rows=12,
    tests=2,
)
BRIEF = Training(
    first_steps=1, steps=2, batch=2, validation=0.2, validate_every=2, seeds=(0,)
)  # fmt: skip
COARSE = Painting(steps=2)


@pytest.fixture(autouse=True)
def _fewer_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the intervals: theirs are seconds for each table."""
    monkeypatch.setattr(figures, "DRAWS", 200)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All stages, MGIE and LGIE with one seed."""
    made = tmp_path_factory.mktemp("learning")
    for stage in (*work.APART, *work.IN_TURN):
        work.prepare(made, stage, TINY, BRIEF)
    for run in all_runs(BRIEF):
        work.work_on(made, run.name, BRIEF, COARSE)
    return made


def drawn(family: str, count: int = 60) -> list[edits.Edit]:
    return [edits.draw_edit(family, np.random.default_rng(seed)) for seed in range(count)]


def colour_of(picture: np.ndarray, thing: scenes.Thing) -> str:
    """The nearest colour of those there are, where a thing is."""
    inside = scenes.mask_of(thing) > 0.99
    mean = picture[inside].mean(0)
    return min(scenes.COLOURS, key=lambda name: np.abs(mean - scenes.COLOURS[name]).sum())


# --- pictures and texts -----------------------------------------------------------------------


def test_a_scene_shows_its_things_in_their_colours():
    for seed in range(60):
        scene = scenes.draw_scene(np.random.default_rng(seed), 1 + seed % 2)
        picture = scenes.drawn(scene)
        assert picture.shape == (scenes.SIDE, scenes.SIDE, 3)
        assert [colour_of(picture, one) for one in scene.things] == [
            one.colour for one in scene.things
        ]
        masks = [scenes.mask_of(one) > 0 for one in scene.things]
        assert np.sum(masks, axis=0).max() == 1  # no thing hides another
        for mask in masks:
            assert not np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]]).any()
        assert len(scene.things) == 1 or scene.things[0].x < scene.things[1].x


def test_every_kind_has_a_shape_of_its_own():
    shapes = [
        scenes.mask_of(scenes.Thing(kind, "red", 32, 32, 20)).ravel() for kind in scenes.KINDS
    ]
    alike = np.corrcoef(np.stack(shapes)) - np.eye(len(shapes))
    assert alike.max() < 0.85


@pytest.mark.parametrize("family", edits.FAMILIES)
def test_what_is_said_is_what_the_goal_shows(family):
    for edit in drawn(family):
        assert np.array_equal(edit.before, scenes.drawn(edit.scene))
        assert not np.array_equal(edit.before, edit.after)
        if family == edits.ADJUST:
            continue
        told = re.fullmatch(r"The (\w+)(?: on the (\w+))? is (\w+) now\.", edit.expressive)
        kind, place, colour = told.groups()
        number = scenes.PLACES.index(place) if place else 0
        thing = edit.scene.things[number]
        assert thing.kind == kind
        assert colour_of(edit.before, thing) == thing.colour != colour
        assert colour_of(edit.after, thing) == colour
        outside = scenes.mask_of(thing) == 0
        assert np.array_equal(edit.before[outside], edit.after[outside])


def test_the_brief_instruction_hides_what_only_the_picture_tells():
    words = {*scenes.KINDS, *scenes.COLOURS}
    for family in edits.NEED_THE_PICTURE:
        for edit in drawn(family):
            assert not words & set(edit.instruction.split())
    for edit in drawn(edits.RECOLOUR):
        assert edit.expressive.split()[-2] in edit.instruction.split()


def test_natural_colours_and_those_of_the_other():
    for family in (edits.NATURAL_KNOWN, edits.NATURAL_NEW):
        for edit in drawn(family):
            kind = edit.scene.things[0].kind
            assert f" {scenes.NATURAL[kind]} " in edit.expressive
            assert (kind in edits.NEW_KINDS) == (family == edits.NATURAL_NEW)
    for edit in drawn(edits.MATCH):
        place = scenes.PLACES[int("right one the" in edit.instruction
                                  or "the right one like" in edit.instruction)]  # fmt: skip
        other = edit.scene.things[1 - scenes.PLACES.index(place)]
        assert f"on the {place} is {other.colour} now" in edit.expressive


def test_adjustments_do_what_they_are_called():
    seen = {}
    for edit in drawn(edits.ADJUST, 120):
        before, after = (one.astype(float).mean((0, 1)) for one in (edit.before, edit.after))
        seen[edit.expressive] = name = edit.expressive.split()[4]
        change = after - before
        holds = {
            "brighter": change.min() > 5,
            "darker": change.max() < -5,
            "warmer": change[0] - change[2] > 10,
            "cooler": change[2] - change[0] > 10,
            "gray": np.ptp(edit.after.astype(int), axis=2).max() == 0,
        }
        assert holds[name], name
    assert len(seen) == len(edits.ADJUSTMENTS)


def test_no_training_shows_new_kinds_getting_their_natural_colour():
    for edit in data.edits_to_learn(400):
        assert edit.family != edits.NATURAL_NEW
        if edit.family == edits.NATURAL_KNOWN:
            assert edit.scene.things[0].kind not in edits.NEW_KINDS


def test_llava_sees_no_edited_picture_and_its_answers_are_true():
    rng = np.random.default_rng(0)
    for _ in range(200):
        said = captions.about_a_picture(rng)
        assert np.array_equal(said.picture, scenes.drawn(said.scene))
        if said.answer.startswith("There is"):
            for thing in said.scene.things:
                assert f"a {thing.colour} {thing.kind}" in said.answer
        if said.answer.endswith("by nature."):
            kind = said.scene.things[0].kind
            assert said.answer == f"The {kind} is {scenes.NATURAL[kind]} by nature."
        spoken = captions.in_words(rng)
        assert spoken.picture is None
        named = [kind for kind in scenes.KINDS if kind in spoken.answer]
        assert all(kind in spoken.asked for kind in named)


def test_what_is_said_in_full_needs_no_picture():
    known = set(words.vocabulary())
    for edit in data.edits_said_in_full(100):
        assert {word.strip(".").lower() for word in edit.expressive.split()} <= known
        if edit.family != edits.ADJUST:
            told = re.fullmatch(r"make the (?:(\w+) )?(\w+) (\w+)", edit.instruction)
            place, kind, colour = told.groups()
            where = f" on the {place}" if place else ""
            assert edit.expressive == f"The {kind}{where} is {colour} now."


def test_stages_and_tests_have_pictures_of_their_own():
    tested = {edit.before.tobytes() for edit in data.edits_to_test(4)}
    assert len(tested) == 4 * len(edits.FAMILIES)
    learnt = {edit.before.tobytes() for edit in data.edits_to_learn(50)}
    learnt |= {vae.picture(seed).tobytes() for seed in range(50)}
    learnt |= {edit.before.tobytes() for edit in data.edits_said_in_full(50)}
    assert not tested & learnt


# --- figures ----------------------------------------------------------------------------------

NAMES = ("a", "a", "a", "a", "b", "b")


def seeds_of(values: Any) -> list[list[dict[str, float]]]:
    return [[{"error": v, "copied": 0.1, "right": v < 0.05} for v in row] for row in values]


def test_figures_are_means_and_their_intervals_hold_them():
    seeds = seeds_of([[0.01, 0.02, 0.03, 0.04, 0.08, 0.08], [0.03, 0.02, 0.03, 0.04, 0.06, 0.06]])
    found = figures.by_family(figures.errors(seeds), NAMES)
    assert found["a"].value == pytest.approx(2.75)
    assert found["b"].value == pytest.approx(7.0)
    assert found["overall"].value == pytest.approx((4 * 2.75 + 2 * 7) / 6)
    for one in found.values():
        assert one.low < one.value < one.high
    assert (found["b"].low, found["b"].high) == (pytest.approx(6.0), pytest.approx(8.0))
    assert figures.by_family(figures.reached(seeds), NAMES)["a"].value == 1.0
    assert figures.by_family(figures.said_right(seeds), NAMES)["b"].value == 0.0


def test_ahead_knows_a_difference_from_none():
    rng = np.random.default_rng(1)
    hard = rng.uniform(1, 9, 40)  # pictures differ much more than methods do
    names = ["a", "b"] * 20
    ours = hard + rng.normal(0, 0.2, (3, 40))
    theirs = hard + 0.4 + rng.normal(0, 0.2, (3, 40))
    found = figures.ahead(ours, theirs, names)
    for one in found.values():
        assert 0 < one.low < one.value < one.high
        assert one.value == pytest.approx(0.4, abs=0.12)
    same = figures.ahead(ours, hard + rng.normal(0, 0.2, (3, 40)), names)
    assert same["overall"].low < 0 < same["overall"].high
    one_sided = figures.ahead(ours, hard[None] + 0.4, names)  # such as the copied input
    assert one_sided["overall"].low > 0


def test_shuffled_instructions_are_those_of_other_rows(folder):
    rows = data.read_pairs(folder / work.TEST)
    for seed in range(5):
        told = others(rows, seed)
        assert sorted(told) == sorted(row.instruction for row in rows)
        assert all(one != row.instruction for one, row in zip(told, rows, strict=True))
    with pytest.raises(ValueError, match="more than half"):
        others(rows[:1], 0)


# --- all of it --------------------------------------------------------------------------------


def test_so_many_of_each_family_are_tested(folder):
    rows = data.read_pairs(folder / work.TEST)
    found = chosen(rows, 1)
    assert [family_of(row) for row in found] == list(edits.FAMILIES)
    assert chosen(rows, 100) == list(rows)


def test_every_stage_is_there_and_is_not_done_again(folder):
    for stage in ("vae", "llava", "unet", "first", "runs/mgie-seed0", "runs/lgie-seed0"):
        assert RunFolder.open(folder / stage).state["status"] == "finished"
    config = read_config(folder / "base")
    assert [part.part for part in config.lineage] == ["vae", "llava", "unet"]
    path = folder / "runs" / "mgie-seed0" / SCORES
    before = path.stat().st_mtime_ns
    work.prepare(folder, "unet", TINY)
    work.work_on(folder, "mgie-seed0", BRIEF)
    assert path.stat().st_mtime_ns == before


def test_scores_are_of_the_pictures_that_were_made(folder):
    out = folder / "runs" / "lgie-seed0"
    found = json.loads((out / SCORES).read_text("utf-8"))
    rows = data.read_pairs(folder / work.TEST)
    for one, row in zip(found["scores"][work.OWN], rows, strict=True):
        made = open_picture(out / work.EDITED / f"{row.id}.png").rgb8()
        goal = open_picture(row.edited).rgb8().astype(float)
        assert one["error"] == pytest.approx(np.abs(made - goal).mean() / 255, abs=1e-6)
        assert one["copied"] > 0
    assert "plugins/mgie/imgedit_mgie/task.py" in found["sources"]
    assert "benchmarks/mgie_learning/scoring.py" in found["sources"]
    assert "benchmarks/mgie_learning/pages.py" not in found["sources"]
    assert changed(found["sources"]) == []


def test_a_report_of_models_that_learnt_nothing_fails(folder, tmp_path, capsys):
    docs = tmp_path / "docs"
    docs.mkdir()
    page = docs / "mgie.md"
    page.write_text(f"before\n{pages.BEGIN}\noutdated\n{END}\nafter\n", "utf-8")
    out = tmp_path / "build" / "figures.json"
    code = report.report(
        folder, ["report"], out, write_docs=True, sizes=TINY, training=BRIEF, docs=docs
    )
    assert code == 1
    results = json.loads(out.read_text("utf-8"))
    assert results["missing"] == results["changed"] == []
    assert not results["passed"]
    assert set(results["errors"]) == {report.COPY, "MGIE", "LGIE", report.MIXED}
    assert set(results["ahead"]) == {report.COPY, "LGIE", report.MIXED}
    scores = json.loads((folder / "runs/mgie-seed0" / SCORES).read_text("utf-8"))
    assert results["sources_sha256"]["mgie-seed0"] == sha256_of(scores["sources"])
    assert "NOT ahead of the input, copied" in capsys.readouterr().out
    written = page.read_text("utf-8")
    assert written.startswith("before\n")
    assert written.endswith("after\n")
    assert "outdated" not in written
    assert "MGIE ahead of LGIE" in written
    from PIL import Image

    with Image.open(docs / pages.SHEET) as opened:
        assert opened.height > 10 * 96


def test_a_report_names_missing_runs_and_changed_sources(folder):
    more = replace(BRIEF, seeds=(0, 1))
    results = report.collected(folder, TINY, more, COARSE)
    assert results["missing"] == ["mgie-seed1", "lgie-seed1"]
    assert not results["passed"]
    path = folder / "runs" / "lgie-seed0" / SCORES
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


def test_the_best_model_is_copied_with_all_it_needs(folder, tmp_path):
    out = tmp_path / "model"
    assert "MB" in export.copy_best(folder, out, BRIEF)
    assert read_config(out).base == ""
    row = data.read_pairs(folder / work.TEST)[0]
    made, said = scoring.edited(out, row.source, row.instruction, 3, COARSE)
    there, told = scoring.edited(
        folder / "runs" / "mgie-seed0", row.source, row.instruction, 3, COARSE
    )
    assert np.array_equal(made, there)
    assert said == told
    with pytest.raises(DataError, match="is there already"):
        export.copy_best(folder, out, BRIEF)
    with pytest.raises(DataError, match="no trained MGIE"):
        export.copy_best(tmp_path, tmp_path / "other", BRIEF)


def test_out_belongs_to_the_model_step(capsys):
    for given in (["model"], ["report", "--out", "x"]):
        with pytest.raises(SystemExit):
            main(given)
    assert "--out" in capsys.readouterr().err
