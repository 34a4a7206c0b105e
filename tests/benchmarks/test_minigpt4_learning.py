"""The pieces of the learning benchmark, at a size that learns nothing but runs everything."""

from __future__ import annotations

import json
import random
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

pytestmark = pytest.mark.torch

import torch  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from benchmarks import documents, loaded_sources  # noqa: E402
from benchmarks.minigpt4_learning import (  # noqa: E402
    captions,
    curves,
    encoder,
    pages,
    report,
    scenes,
    scoring,
    work,
)
from benchmarks.minigpt4_learning.data import exchanged  # noqa: E402
from benchmarks.minigpt4_learning.finetuning import Features, all_runs  # noqa: E402
from benchmarks.minigpt4_learning.sizes import Sizes  # noqa: E402
from imgedit_modelkit import fingerprints  # noqa: E402
from imgedit_modelkit.readers.imad import read_imad  # noqa: E402
from imgedit_modelkit.readers.splits import split_by_image  # noqa: E402
from imgedit_modelkit.runs import RunFolder  # noqa: E402
from imgedit_plugins.jobs import Job  # noqa: E402
from imgedit_reverse_design.minigpt4.model import load_model  # noqa: E402
from imgedit_reverse_design.minigpt4.parsing import parse_answer  # noqa: E402
from imgedit_reverse_design.scores import Sample  # noqa: E402

TINY = Sizes(
    width=16,
    layers=1,
    language_width=16,
    language_layers=1,
    encoder_steps=4,
    encoder_until=2,
    encoder_batch=4,
    gallery=6,
    pretraining_steps=2,
    pretraining_batch=4,
    pictures=20,
    rows=24,
    steps=2,
    batch=2,
    warmup=0,
    validate_every=1,
    answers=2,
    test_rows=2,
    verified_rows=1,
    seeds=(0,),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """After pre-training, one run and its twin."""
    made = tmp_path_factory.mktemp("learning")
    work.prepare(made, TINY)
    for name in ("1-seed0", "1-seed0-shuffled"):
        work.work_on(made, name, TINY)
    work.verify(made, "1-seed0", TINY)
    work.search(made, work.SEARCHED, TINY)
    return made


# --- pictures and texts -----------------------------------------------------------------------


def test_scenes_and_looks_hang_on_their_seed_alone():
    one, again = (scenes.scene(np.random.default_rng(3)) for _ in range(2))
    assert one.shape == (64, 64, 3)
    assert np.array_equal(one, again)
    assert not np.array_equal(one, scenes.scene(np.random.default_rng(4)))


@pytest.mark.parametrize("look", scenes.LOOKS)
def test_every_look_can_be_seen(look):
    plain = scenes.scene(np.random.default_rng(1)).astype(int)
    seen = scenes.with_looks(plain.astype(np.uint8), {look: 2 / 3}).astype(int)
    assert np.abs(seen - plain).mean() > 1.0


def test_measures_say_what_they_are_called():
    plain = scenes.scene(np.random.default_rng(2))
    before = scenes.measures(plain)
    assert scenes.measures(scenes.with_looks(plain, {"bright": 0.8}))["light"] > before["light"]
    assert scenes.measures(scenes.with_looks(plain, {"grayscale": 1.0}))["colour"] == 0
    assert scenes.measures(scenes.with_looks(plain, {"summer": 1.0}))["warmth"] > before["warmth"]
    for name in ("blur", "gaussian"):
        after = scenes.measures(scenes.with_looks(plain, {name: 0.8}))
        assert after["sharpness"] < before["sharpness"]
    local = scenes.local_measures(plain, 8)
    assert local.shape == (64, 7)
    assert local[0, :3] == pytest.approx(plain[:8, :8].mean((0, 1)) / 255, abs=1e-3)


def test_no_text_of_an_edit_has_a_picture_and_no_caption_an_edit():
    rng = random.Random(0)
    for _ in range(200):
        prompt, _ = captions.text_only(rng)
        assert all(isinstance(piece, str) for piece in prompt)
    asked = captions.question_of_looks(1, rng)
    assert [piece for piece in asked if isinstance(piece, int)] == [0, 1]
    said = captions.caption_of_looks({"blur": 0.5, "flip": 1.0}, rng)
    assert {(one.name, one.value) for one in parse_answer(said)} == {("blur", 0.5), ("flip", 1.0)}


def test_validation_pictures_are_not_those_of_the_training():
    trained = {encoder.looking(seed)[0].tobytes() for seed in range(8)}
    assert encoder.looking(encoder.VALIDATION)[0].tobytes() not in trained


# --- data -------------------------------------------------------------------------------------


def test_the_twin_has_the_pictures_and_other_answers(folder):
    ours = read_imad(folder / "pairs", Job())
    twins = read_imad(folder / "shuffled", Job())
    parts = split_by_image(ours)
    tested = {row.id for row in parts["test"]}
    assert tested
    assert [row.source.read_bytes() for row in ours] == [row.source.read_bytes() for row in twins]
    assert [row.command for row in ours] == [row.command for row in twins]
    for one, twin in zip(ours, twins, strict=True):
        if one.id in tested:
            assert one.operations == twin.operations
    trained = [(a.operations, b.operations) for a, b in zip(ours, twins, strict=True)
               if a.id not in tested]  # fmt: skip
    assert sum(a != b for a, b in trained) > 0.8 * len(trained)
    assert sorted(a for a, _ in trained) == sorted(b for _, b in trained)
    takes = exchanged(parts["train"])
    assert sorted(takes) == sorted(takes.values())
    assert all(number != other for number, other in takes.items())


def test_cached_features_are_what_the_tower_makes(folder):
    from imgedit_modelkit.vision_towers import to_pixels
    from imgedit_plugins.picture_files import open_picture

    rows = work.test_rows(folder, TINY)
    features = Features(folder / "features", folder / "base")
    tower = load_model(folder / "base").tower
    pictures = [open_picture(path).rgb8() for row in rows for path in (row.source, row.edited)]
    made = tower(to_pixels(pictures, tower.image_size))
    assert torch.allclose(features.of(rows).flatten(0, 1), made, atol=2e-3, rtol=2e-3)


# --- trainings --------------------------------------------------------------------------------


def test_the_encoder_is_ended_early_and_the_rest_is_frozen(folder):
    assert [c.step for c in RunFolder.open(folder / "encoder").checkpoints()][-1] == 2
    frozen = (folder / "base" / "tower.safetensors").read_bytes()
    run = RunFolder.open(folder / "runs" / "1-seed0")
    assert run.state["status"] == "finished"
    assert "language" in run.best().record["frozen"]
    assert set(load_file(run.best().weights)) == {"projection.weight", "projection.bias"}
    work.prepare(folder, TINY)  # nothing is left to do
    assert (folder / "base" / "tower.safetensors").read_bytes() == frozen


def test_a_finished_run_is_not_done_again(folder):
    path = folder / "runs" / "1-seed0" / work.SCORES
    before = path.stat().st_mtime_ns
    work.work_on(folder, "1-seed0", TINY)
    assert path.stat().st_mtime_ns == before


# --- scores -----------------------------------------------------------------------------------


def samples(right: float, count: int = 200, seed: int = 0) -> list[Sample]:
    """Pairs of two operations, a share of which is answered."""
    rng = random.Random(seed)
    truth = {"blur": 0.5, "flip": 1.0}
    return [
        Sample(truth, truth if rng.random() < right else {"sepia": 1.0}, f"{n // 2}")
        for n in range(count)
    ]


def test_ahead_knows_a_difference_from_none():
    better = [samples(0.6, seed=s) for s in (1, 2, 3)]
    worse = [samples(0.3, seed=s) for s in (4, 5, 6)]
    found = scoring.ahead(better, worse)
    for figure in ("accuracy", "f1", "mse"):
        assert found[figure].low > 0, figure
        assert found[figure].low < found[figure].value < found[figure].high
    assert found["accuracy"].value == pytest.approx(0.3, abs=0.08)
    same = scoring.ahead(better, [samples(0.6, seed=s) for s in (7, 8, 9)])
    assert same["accuracy"].low < 0 < same["accuracy"].high


def test_a_report_names_what_is_missing_and_fails(folder, tmp_path, capsys):
    docs = tmp_path / "docs"
    docs.mkdir()
    page = docs / "reverse-design.md"
    page.write_text(f"before\n{pages.BEGIN}\noutdated\n{pages.END}\nafter\n", "utf-8")
    out = tmp_path / "build" / "figures.json"
    code = report.report(folder, ["report"], out, write_docs=True, sizes=TINY, docs=docs)
    assert code == 1
    results = json.loads(out.read_text("utf-8"))
    runs = {run.name for run in all_runs(TINY)}
    assert set(results["missing"]) == runs - {"1-seed0", "1-seed0-shuffled"}
    assert not results["passed"]
    recorded = results["sources"]
    assert {"modelkit/imgedit_modelkit/loop.py", "benchmarks/minigpt4_learning/sizes.py"} <= set(
        recorded
    )
    assert not any(name.endswith("/report.py") for name in recorded)
    assert loaded_sources.changed(recorded) == []
    assert "4-seed0" in capsys.readouterr().out
    assert set(results["experiments"]) == {"1"}
    learnt = folder / "runs" / "1-seed0" / "model" / "projection.safetensors"
    assert results["projections"] == {"1-seed0": fingerprints.of_file(learnt)}
    ahead = results["experiments"]["1"]["ahead"]
    assert set(ahead) == {report.MEAN, report.TWIN, work.DRAWN, work.CAPTIONING}
    written = page.read_text("utf-8")
    assert written.startswith("before\n")
    assert written.endswith("after\n")
    assert "outdated" not in written
    assert "model + verification" in written
    assert "search alone, no model" in written
    assert "NOT ahead of always the mean" in written
    drawing = ElementTree.parse(docs / curves.FILE).getroot()
    lines = drawing.findall("{http://www.w3.org/2000/svg}polyline")
    assert lines


def test_a_page_without_markers_is_refused(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("nothing\n", "utf-8")
    with pytest.raises(ValueError, match="needs one line"):
        documents.put_between(page, pages.BEGIN, "a table")
    assert page.read_text("utf-8") == "nothing\n"


def test_curves_stand_where_their_values_are():
    """A figure that doubles between two steps rises on the page; ticks are round numbers."""
    lines = [
        {"kind": kind, "step": step, figure: value}
        for kind, figure in (("train", "language"), ("validation", "f1_with_command"))
        for step, value in ((100, 0.2), (200, 0.4))
    ]
    drawing = ElementTree.fromstring(curves.drawn({"1": [lines], "1, shuffled": [lines]}))
    space = "{http://www.w3.org/2000/svg}"
    drawn = [line.attrib["points"].split() for line in drawing.findall(f"{space}polyline")]
    assert len(drawn) == 2 * 2 * 2  # figures, curves, a seed and the mean of each
    for (x0, y0), (x1, y1) in ([map(float, p.split(",")) for p in one] for one in drawn):
        assert x0 < x1
        assert y0 > y1
    told = {text.text for text in drawing.findall(f"{space}text")}
    assert {"0.2", "0.3", "0.4", "100", "200", "experiment 1, shuffled"} <= told
