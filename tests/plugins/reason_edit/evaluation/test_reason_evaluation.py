"""`evaluate reason_edit`: data, rows, figures, what is kept, what is left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:__array__ impl")]

import tiny_reasoned_data as tiny  # noqa: E402
import torch  # noqa: E402
from tiny_reasoned_data import cells, evaluated, table  # noqa: E402

from imgedit_modelkit.squares import square  # noqa: E402
from imgedit_plugins.cli import common  # noqa: E402
from imgedit_plugins.errors import (  # noqa: E402
    DataError,
    JobCancelledError,
    OptionError,
    WeightsError,
)
from imgedit_plugins.jobs import Job, Progress  # noqa: E402
from imgedit_plugins.picture_files import open_picture, save_picture  # noqa: E402
from imgedit_plugins.pictures import Picture  # noqa: E402
from imgedit_plugins.requests import Table  # noqa: E402
from imgedit_reason_edit.evaluation.methods import methods_of  # noqa: E402
from imgedit_reason_edit.evaluation.published import published_figures  # noqa: E402
from imgedit_reason_edit.evaluation.subjects import SUBJECTS  # noqa: E402

DARKER = """
made = request.picture.with_pixels(request.picture.pixels // 2)
return EditResult(candidates=(Candidate(picture=made),), explanation="darker", warnings=("odd",))
"""


def samples(report: Any, row: str) -> dict[str, dict[str, float]]:
    return {s["item"]: s["figures"] for s in report.details["samples"] if s["row"] == row}


# --- data -------------------------------------------------------------------------------------


@pytest.mark.parametrize("record", ["benchmark", "make"])
def test_both_instructions_of_each_row(record, tmp_path):
    report = evaluated(tiny.benchmark(tmp_path, record=record))
    assert report.tables[0].title == "Direct and reasoning instructions (table 3): reason_edit"
    found = report.details["samples"]
    assert [(s["item"], s["instructions"], s["instruction"]) for s in found][:2] == [
        ("0-direct", "direct", "turn the cat to a dog"),
        ("0-reasoning", "reasoning", "she likes the dog"),
    ]
    row = cells(report.tables[0], "input itself")
    assert (row["direct: n"], row["reasoning: n"]) == (3, 3)
    only = evaluated(tmp_path, instructions="reasoning")
    assert {s["instructions"] for s in only.details["samples"]} == {"reasoning"}
    assert [c for c in only.tables[0].columns if c.startswith("direct")] == []


def test_a_limit_draws_rows_with_both_instructions(benchmark):
    drawn = [
        [s["item"] for s in evaluated(benchmark, limit=2, seed=n).details["samples"]]
        for n in range(5)
    ]
    for items in drawn:
        assert len(items) == 4
        assert items[0].removesuffix("-direct") == items[1].removesuffix("-reasoning")
    assert len(set(map(tuple, drawn))) > 1
    assert drawn[1] == [s["item"] for s in evaluated(benchmark, limit=2, seed=1).details["samples"]]


@pytest.mark.parametrize(
    ("layout", "group", "count"),
    [("magicbrush", "direct", 2), ("risebench", "reasoning", 1), ("unireditbench", "reasoning", 2)],
)
def test_other_data_sets_have_one_kind_of_instructions(layout, group, count, tmp_path):
    data = getattr(tiny, layout)(tmp_path)
    job = Job()
    report = evaluated(data, job)
    assert report.details["data"] == layout
    assert {s["instructions"] for s in report.details["samples"]} == {group}
    assert cells(report.tables[0], "input itself")[f"{group}: n"] == count
    told = " ".join(job.warnings)
    assert ("1 of 2 cases" in told and "judged, but not measured" in told) == (
        layout == "risebench"
    )
    other = {"direct": "reasoning", "reasoning": "direct"}[group]
    with pytest.raises(DataError, match=f"has no {other} instructions"):
        evaluated(data, instructions=other)


def test_what_is_no_data_and_empty_splits(tmp_path, benchmark):
    with pytest.raises(DataError, match=r"layout of none of evr, gier, .*unireditbench"):
        evaluated(tmp_path)
    with pytest.raises(DataError, match=r"split 'validation' .* is empty"):
        evaluated(tiny.magicbrush(tmp_path / "m"), split="validation")
    parts = [
        {s["id"].split("-")[0] for s in evaluated(benchmark, split=part).details["samples"]}
        for part in ("train",)
    ]
    assert parts == [{"0", "1", "2", "3"}], "four pictures leave none for the other parts"
    broken = tiny.benchmark(tmp_path / "b")
    (broken / "shard-00000/metadata.jsonl").write_text("{}\n")
    with pytest.raises(DataError, match="shard-00000 lacks"):
        evaluated(broken)


# --- figures ----------------------------------------------------------------------------------


def test_figures_are_those_computed_by_hand(tmp_path, clip, dino):
    """The input itself as a row: NumPy, and bare models of transformers."""
    from transformers import AutoTokenizer, CLIPModel, ViTConfig, ViTModel

    data = tiny.benchmark(tmp_path)
    captions = []
    for number in range(3):  # squares already, of the size that is scored
        names = (f"{number:07d}_{what}.png" for what in ("input", "edited"))
        for name, picture in zip(names, tiny.pair(number, (32, 32)), strict=True):
            save_picture(picture, data / "shard-00000" / name)
        captions.append(f"a dog on the {'grass' if number % 2 else 'boat'}")
    report = evaluated(data, clip=clip, dino=dino)
    found = samples(report, "input itself")

    model = CLIPModel.from_pretrained(clip).eval()
    words = AutoTokenizer.from_pretrained(clip)
    vit = ViTModel(ViTConfig.from_pretrained(dino), add_pooling_layer=False).eval()
    vit.load_state_dict(torch.load(dino / "pytorch_model.bin", weights_only=True))

    def seen_by_clip(pixels):
        mean = np.array([0.48145466, 0.4578275, 0.40821073])
        deviation = np.array([0.26862954, 0.26130258, 0.27577711])
        scaled = torch.from_numpy(((pixels / 255 - mean) / deviation).transpose(2, 0, 1)).float()
        with torch.no_grad():
            hidden = model.vision_model(scaled[None]).pooler_output
            return model.visual_projection(hidden)[0].numpy()

    def seen_by_dino(pixels):
        from PIL import Image

        small = Image.fromarray(pixels).resize((28, 28), Image.Resampling.BILINEAR)
        scaled = torch.from_numpy((np.asarray(small) / 127.5 - 1).transpose(2, 0, 1)).float()
        with torch.no_grad():
            return vit(scaled[None]).last_hidden_state[0, 0].numpy()

    def read(caption):
        with torch.no_grad():
            tokens = words(caption, return_tensors="pt")
            return model.text_projection(model.text_model(**tokens).pooler_output)[0].numpy()

    def cosine(a, b):
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    for number in range(3):
        before, after = (one.pixels for one in tiny.pair(number, (32, 32)))
        gap = (before.astype(float) - after) / 255
        wanted = {
            "L1": abs(gap).mean(),
            "L2": (gap**2).mean(),
            "CLIP-I": cosine(seen_by_clip(before), seen_by_clip(after)),
            "DINO": cosine(seen_by_dino(before), seen_by_dino(after)),
            "CLIP-T": cosine(seen_by_clip(before), read(captions[number])),
        }
        assert wanted["L1"] > 0.01
        assert abs(wanted["CLIP-T"]) > 0.001
        for group in ("direct", "reasoning"):
            own = found[f"{number}-{group}"]
            assert list(own) == ["L1", "L2", "CLIP-I", "CLIP-T", "DINO"]
            for name, value in wanted.items():
                assert own[name] == pytest.approx(value, abs=2e-3 if name == "DINO" else 1e-4)
    row = cells(report.tables[0], "input itself")
    for name in ("L1", "L2", "CLIP-I", "DINO", "CLIP-T"):
        average = np.mean([figures[name] for figures in found.values()])
        assert row[f"reasoning: {name}"] == pytest.approx(average, abs=6e-5)


def test_without_captions_and_encoders_columns_are_empty(tmp_path, clip):
    job = Job()
    report = evaluated(tiny.magicbrush(tmp_path), job, clip=clip)
    row = cells(report.tables[0], "input itself")
    assert row["direct: CLIP-T"] is None, "MagicBrush's archive has no captions"
    assert row["direct: DINO"] is None
    assert row["direct: CLIP-I"] is not None
    missing = table(report, "Not measured")
    assert [line[0] for line in missing.rows] == ["DINO"]
    assert "hf download facebook/dino-vits16" in missing.rows[0][2]
    assert any("DINO cannot be measured without -O dino" in warning for warning in job.warnings)
    assert any("cannot be compared" in warning for warning in job.warnings)
    with pytest.raises(WeightsError, match=r"Option 'dino': .* holds a 'clip'"):
        evaluated(tmp_path, dino=clip)


# --- rows -------------------------------------------------------------------------------------


def test_rows_of_all_kinds_and_paired_differences(benchmark, pix2pix, site, tmp_path, clip):
    site.install("darkroom", body=DARKER, rank=50)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for number in range(3):  # of four; of another size
        for group in ("direct", "reasoning"):
            save_picture(tiny.pair(number, (72, 88))[1], theirs / f"{number}-{group}.jpg")
    job = Job()
    report = evaluated(
        benchmark, job, clip=clip, models=f"darkroom,instructpix2pix:{pix2pix},Null-text=results:"
        f"{theirs}", worst=1,
    )  # fmt: skip
    first = report.tables[0]
    titles = ["darkroom", "InstructPix2Pix", "Null-text", "input itself"]
    assert [row[0] for row in first.rows] == titles, "the input is always a row"
    assert [cells(first, title)["direct: n"] for title in titles] == [4, 4, 3, 4]
    left = cells(table(report, "Left out"), "Null-text: no answer")
    assert (left["n"], "3-direct" in left["the first"]) == (2, True)
    assert any("Null-text has no answer to 2 of 8 rows" in told for told in job.warnings)
    assert table(report, "Warnings").rows == (("darkroom, 8 times: odd",),)
    for number in range(4):
        source, goal = (square(one, tiny.SIZE) for one in tiny.pair(number))
        seen = np.rint(source * 255).astype(np.uint8)
        expected = np.abs((seen // 2) / 255 - goal).mean()
        own = samples(report, "darkroom")[f"{number}-direct"]
        assert own["L1"] == pytest.approx(expected, abs=1e-5)
    assert report.details["samples"][0]["expressive"] == "darker"
    differences = table(report, "Difference from darkroom, on the same pictures")
    assert [(row[0], row[1]) for row in differences.rows] == [
        (f"{title}, {group}", 3 if title == "Null-text" else 4)
        for title in titles[1:] for group in ("direct", "reasoning")
    ]  # fmt: skip
    mine, other = (samples(report, title) for title in ("darkroom", "Null-text"))
    gap = np.mean([other[i]["L1"] - mine[i]["L1"] for i in other if "-direct" in i and other[i]])
    found = report.details["differences"]["Null-text, direct"]["L1"]
    assert found["value"] == pytest.approx(gap)
    assert found["low"] <= found["value"] <= found["high"]
    assert f"{found['value']:+.4f}" in cells(differences, "Null-text, direct")["L1"]
    assert len(report.cases) == 2 * (2 + 2 + 2), "worst and best of each row and kind"
    assert report.cases[0].title.startswith("darkroom, direct, worst by CLIP-I: ")


def test_a_pipeline_s_row_is_what_diffusers_makes(benchmark, pix2pix, tmp_path):
    from diffusers import StableDiffusionInstructPix2PixPipeline
    from PIL import Image

    from imgedit_modelkit.fingerprints import seed_of

    keep = tmp_path / "keep"
    evaluated(
        benchmark, models=f"InstructDiffusion=StableDiffusionInstructPix2PixPipeline:{pix2pix}",
        keep=keep, steps=2, guidance=5, image_guidance=2, limit=1, instructions="reasoning",
    )  # fmt: skip
    (made,) = (keep / "InstructDiffusion").glob("*.png")
    number = int(made.stem.split("-")[0])
    pipeline = StableDiffusionInstructPix2PixPipeline.from_pretrained(pix2pix)
    pipeline.set_progress_bar_config(disable=True)
    seen = np.rint(square(tiny.pair(number)[0], tiny.SIZE) * 255).astype(np.uint8)
    expected = pipeline(
        image=Image.fromarray(seen), prompt="she likes the dog", num_inference_steps=2,
        guidance_scale=5.0, image_guidance_scale=2.0, output_type="np",
        generator=torch.Generator().manual_seed(seed_of("evaluate", 0, made.stem)),
    ).images[0]  # fmt: skip
    saved = open_picture(made).pixels.astype(int)
    assert np.abs(saved - np.rint(expected * 255)).max() <= 1
    assert not np.array_equal(saved, seen)


def test_plans_of_a_plugin_are_rendered(benchmark, site, tmp_path):
    body = """
    from imgedit_plugins.plan import EditPlan, PlannedOperation
    step = PlannedOperation(name="bright", parameters={"offset": 20.0})
    return EditResult(plan=EditPlan(operations=(step,)))
    """
    site.install("planner", body=body, rank=50)
    report = evaluated(benchmark, models="planner", keep=tmp_path / "keep", limit=1)
    (first, *_) = sorted((tmp_path / "keep/planner").glob("*.png"))
    number = int(first.stem.split("-")[0])
    seen = np.rint(square(tiny.pair(number)[0], tiny.SIZE) * 255).astype(int)
    assert np.abs(open_picture(first).pixels - np.clip(seen + 20, 0, 255)).max() <= 1
    assert cells(report.tables[0], "planner")["direct: n"] == 1


def test_failures_of_a_plugin_are_no_answers(benchmark, site):
    body = """
    from imgedit_plugins.errors import DataError
    raise DataError("Nothing comes to mind.")
    """
    site.install("silent", body=body, rank=50)
    report = evaluated(benchmark, models="silent")
    assert cells(report.tables[0], "silent")["direct: n"] == 0
    assert cells(table(report, "Left out"), "silent: no answer")["the first"] == (
        "Nothing comes to mind."
    )
    assert cells(report.tables[0], "input itself")["direct: n"] == 4


def test_options_of_a_row_reach_its_plugin(benchmark, site):
    from plugin_factory import MANIFEST

    manifest = (
        MANIFEST.format(name="tuned", rank=0)
        + """
[[options]]
hook = "apply_edit"
name = "steps"
type = "integer"
default = 3
help = "How many."

[[options]]
hook = "apply_edit"
name = "weights"
type = "path"
default = ""
help = "Where they are."
"""
    )
    body = """
    made = request.picture.with_pixels(request.picture.pixels * 0 + request.options["steps"])
    told = request.options["weights"]
    return EditResult(candidates=(Candidate(picture=made),), explanation=told)
    """
    site.install("tuned", body=body, manifest=manifest)
    models = f"tuned,more=tuned:{benchmark}[steps=9]"
    report = evaluated(benchmark, models=models, steps=7, limit=1, instructions="direct")
    goal = {s["item"]: s for s in report.details["samples"]}
    (item,) = goal
    wanted = square(tiny.pair(int(item.split("-")[0]))[1], tiny.SIZE)
    for title, steps in (("tuned", 7), ("more", 9)):
        expected = np.abs(wanted - steps / 255).mean()
        assert samples(report, title)[item]["L1"] == pytest.approx(expected, abs=1e-5)
    told = {s["row"]: s["expressive"] for s in report.details["samples"]}
    assert told == {"tuned": "", "more": str(benchmark), "input itself": ""}
    with pytest.raises(OptionError, match=r"The row 'tuned': .*'stpes'"):
        evaluated(benchmark, models="tuned[stpes=9]")
    with pytest.raises(WeightsError, match="tuned: there is no folder none"):
        evaluated(benchmark, models="tuned:none")


@pytest.mark.parametrize(
    ("models", "told"),
    [
        ("mgei", "'mgei' is no row of this table; there are copy, results, reason_pix2pix"),
        ("copy:x", "'copy' has no folder"),
        ("results", "'results' needs its folder"),
        ("instructpix2pix", "'instructpix2pix' needs its folder"),
        ("plan[endpoint", "brackets that do not close"),
        ("plan[endpoint]", r"Options of a row are \[NAME=VALUE"),
        ("results:x[a=b]", "takes no options"),
        ("A=copy,a=results:x", "Two rows would be called"),
        ("null-text:x", "has no pipeline of Null-text inversion"),
        ("edict:x", "has no pipeline of EDICT"),
    ],
)
def test_rows_that_are_none(models, told):
    with pytest.raises(OptionError, match=told):
        methods_of(models, SUBJECTS["results"])


def test_rows_are_read_from_text():
    text = "All = mgie : /runs/a=b:c [steps=2 painter='x, y'], plan[endpoint=http://h:1/v1],copy"
    found = methods_of(text, SUBJECTS["results"])
    assert [(m.title, m.kind, m.given, m.asked) for m in found] == [
        ("All", "mgie", "/runs/a=b:c", "steps=2 painter='x, y'"),
        ("reasoned plan", "plan", "", "endpoint=http://h:1/v1"), ("input itself", "copy", "", ""),
    ]  # fmt: skip
    default = methods_of("", SUBJECTS["results"])
    assert [m.kind for m in default] == ["reason_pix2pix", "copy"]
    with pytest.raises(OptionError, match="must name the rows"):
        methods_of("", SUBJECTS["parts"])


def test_weights_that_are_missing_or_something_else(benchmark, pix2pix, tmp_path):
    with pytest.raises(WeightsError, match="there is no folder none"):
        evaluated(benchmark, models="magicbrush:none")
    with pytest.raises(WeightsError, match=r"holds no pipeline .* no model_index\.json"):
        evaluated(benchmark, models=f"magicbrush:{tmp_path}")
    with pytest.raises(OptionError, match="has no pipeline 'NoSuchPipeline'"):
        evaluated(benchmark, models=f"NoSuchPipeline:{pix2pix}")
    with pytest.raises(OptionError, match="does not edit a picture by an instruction"):
        evaluated(benchmark, models=f"StableDiffusionPipeline:{pix2pix}")


def test_the_trained_model_and_its_ablation_are_rows(benchmark, reasoner, tmp_path):
    """What `apply` makes of the square, with the same seed and options."""
    from imgedit_modelkit.fingerprints import seed_of
    from imgedit_plugins.requests import ApplyRequest

    keep = tmp_path / "keep"
    models = f"reason_pix2pix:{reasoner},blind=text:{reasoner}"
    report = evaluated(
        benchmark, models=models, keep=keep, limit=1, size=64, instructions="reasoning"
    )
    assert [row[0] for row in report.tables[0].rows] == ["ReasonPix2Pix", "blind", "input itself"]
    made = {title: next((keep / title).glob("*.png")) for title in ("ReasonPix2Pix", "blind")}
    name = made["blind"].stem
    seen = np.rint(square(tiny.pair(int(name.split("-")[0]))[0], 64) * 255).astype(np.uint8)
    given = {"model": "reason_pix2pix", "weights": str(reasoner), "steps": "1", "device": "cpu",
             "precision": "fp32", "resolution": "64", "exact": "off"}  # fmt: skip
    result = common.plugin_manager().call(
        "apply_edit",
        ApplyRequest(
            picture=Picture(seen), instruction="she likes the dog", options=given,
            seed=seed_of("evaluate", 0, name),
        ),
        Job(), "reason_edit",
    )  # fmt: skip
    expected = result.candidates[0].picture.pixels
    saved = open_picture(made["ReasonPix2Pix"]).pixels
    assert np.abs(saved.astype(int) - expected).max() <= 1
    assert not np.array_equal(saved, open_picture(made["blind"]).pixels), "one sees the picture"
    paths = report.details["rows"][0]["folders"]
    assert paths == [str(reasoner.resolve())]
    with pytest.raises(WeightsError, match="There is no"):
        evaluated(benchmark, models="reason_pix2pix")


def test_the_model_s_own_plan_as_a_row(benchmark):
    """The plugin asks a server, which answers with a document."""
    from imgedit_modelkit.language.testing import chat_server, text

    document = {"intent": "Brighter.", "layers": [
        {"title": "Light", "operations": [{"name": "bright", "parameters": {"offset": 20}}]}
    ]}  # fmt: skip

    with chat_server(lambda *_: text(json.dumps(document))) as (address, asked):
        report = evaluated(
            benchmark, models=f"plan[endpoint={address} criticism=no painter=none]", limit=1,
            instructions="reasoning",
        )  # fmt: skip
    assert asked
    row = next(s for s in report.details["samples"] if s["row"] == "reasoned plan")
    assert row["failure"] == "", row["failure"]
    assert row["expressive"] == "Brighter."
    number = int(row["item"].split("-")[0])
    seen, goal = (np.rint(square(p, tiny.SIZE) * 255) for p in tiny.pair(number))
    expected = np.abs(np.clip(seen + 20, 0, 255) - goal).mean() / 255
    assert row["figures"]["L1"] == pytest.approx(expected, abs=3e-3)


# --- what is kept -----------------------------------------------------------------------------


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in sorted(folder.glob("*.png"))}


def test_a_cancelled_evaluation_goes_on_and_makes_nothing_twice(
    benchmark, pix2pix, clip, dino, tmp_path
):
    def on_progress(progress: Progress) -> None:
        if progress.stage == "evaluating InstructPix2Pix" and progress.done == 3:
            job.cancel()

    job = Job(on_progress)
    keep = tmp_path / "keep"
    options = {"models": f"instructpix2pix:{pix2pix}", "keep": keep, "limit": 2}
    with pytest.raises(JobCancelledError):
        evaluated(benchmark, job, **options, clip=clip)
    before = times(keep / "InstructPix2Pix")
    assert len(before) == 3
    first = evaluated(benchmark, **options, clip=clip)
    after = times(keep / "InstructPix2Pix")
    assert len(after) == 4
    assert {name: after[name] for name in before} == before
    lines = (keep / "journal.jsonl").read_text().count("\n")
    again = evaluated(benchmark, **options, clip=clip)
    assert again.details["figures"] == first.details["figures"]
    assert (keep / "journal.jsonl").read_text().count("\n") == lines
    more = evaluated(benchmark, **options, clip=clip, dino=dino)
    assert times(keep / "InstructPix2Pix") == after, "scored, not edited again"
    assert cells(more.tables[0], "InstructPix2Pix")["direct: DINO"] is not None
    evaluated(benchmark, **options, steps=2)
    assert not set(times(keep / "InstructPix2Pix").values()) & set(after.values())
    scored = evaluated(benchmark, models=f"results:{keep / 'InstructPix2Pix'}", limit=2)
    assert cells(scored.tables[0], "InstructPix2Pix")["direct: n"] == 2
    with pytest.raises(DataError, match="another work"):
        evaluated(benchmark, **options, table="sentence", sentence="old")


def test_pictures_that_cannot_be_opened_are_left_out_of_all_rows(tmp_path):
    data = tiny.benchmark(tmp_path)
    (data / "shard-00000/0000001_edited.png").write_bytes(b"broken")
    job = Job()
    report = evaluated(data, job, models="copy,A=copy")
    assert [cells(report.tables[0], title)["direct: n"] for title in ("input itself", "A")] == [
        2, 2,
    ]  # fmt: skip
    assert list(report.details["unreadable"]) == ["1-direct", "1-reasoning"]
    assert any("2 of 6 rows are left out" in warning for warning in job.warnings)
    for path in (data / "shard-00000").glob("*_edited.png"):
        path.write_bytes(b"broken")
    with pytest.raises(DataError, match="No pair can be opened"):
        evaluated(data)


# --- tables and figures of the paper ----------------------------------------------------------


def is_marked(found: Table) -> bool:
    return any("not reproduced here, other test set" in column for column in found.columns)


def test_published_figures_are_those_of_table_3(benchmark, tmp_path):
    report = evaluated(benchmark, baseline=True)
    paper = table(report, "As the paper reports it")
    mark = "(published, not reproduced here, other test set)"
    assert cells(paper, "reasoning CLIP-I")[f"ReasonPix2Pix {mark}"] == 0.7824
    assert cells(paper, "direct L2")[f"EDICT {mark}"] == 0.0385
    assert len(paper.rows) == 10
    ours = cells(report.tables[0], "input itself")["reasoning: L1"]
    assert cells(paper, "reasoning L1")["input itself"] == ours
    assert "table 3" in table(report, "Who quotes").rows[0][1]
    job = Job()
    other = evaluated(tiny.magicbrush(tmp_path), job, baseline=True)
    assert not [one for one in other.tables if is_marked(one)]
    assert any("no figures for this table and magicbrush" in told for told in job.warnings)
    assert not [one for one in evaluated(benchmark).tables if is_marked(one)]
    models = {name for one in published_figures("results", "reason_edit") for name in one.values}
    assert len(models) == 6


@pytest.mark.parametrize(("name", "figure"), [("parts", "15a"), ("fine-tuning", "15b")])
def test_figure_15_and_its_sheets(name, figure, benchmark, pix2pix, site, clip):
    site.install("ours", body=DARKER)
    models = f"InstructPix2Pix=instructpix2pix:{pix2pix},Part I=ours,all=ours"
    report = evaluated(
        benchmark, table=name, models=models, clip=clip, worst=3, limit=2, baseline=True
    )
    (chart,) = report.charts
    assert chart.note == "Rows: 1 InstructPix2Pix, 2 Part I, 3 all"
    rows = [dict(zip(report.tables[0].columns, row, strict=True)) for row in report.tables[0].rows]
    for group in ("direct", "reasoning"):
        shown = [(x, round(y, 4)) for x, y in chart.lines[group]]
        assert shown == [(n, row[f"{group}: CLIP-I"]) for n, row in enumerate(rows[:3], 1)]
    (said,) = table(report, "What the paper says").rows
    assert figure in said[0]
    assert [case.title.rpartition("-")[2] for case in report.cases] == [
        "direct", "reasoning", "direct",
    ]  # fmt: skip
    pictures = [what for what, *_ in report.cases[0].pictures]
    assert pictures == ["Input", "InstructPix2Pix", "Part I", "all", "Goal"]
    assert "CLIP-I" in report.cases[0].pictures[1][1]
    with pytest.raises(OptionError, match="is measured with CLIP, which was not given"):
        evaluated(benchmark, table=name, models=models)


def test_one_sentence_for_all_pictures(tmp_path, site, clip, benchmark):
    """Figure 14: pictures alone, or those of a data set, each once."""
    site.install("darkroom", body=DARKER)
    pictures = tmp_path / "pictures"
    for number, name in enumerate(("apple.png", "statue.jpg", "woman.png")):
        tiny.save(pictures, number, name)
    (pictures / "notes.txt").write_text("no picture")
    asked = {"table": "sentence", "sentence": "make it 50 years later", "models": "darkroom"}
    report = evaluated(pictures, **asked, worst=9, clip=clip)
    assert report.tables[0].title == "One sentence for all pictures (figure 14): pictures"
    assert [s["item"] for s in report.details["samples"]][:3] == ["apple", "statue", "woman"]
    assert {s["instruction"] for s in report.details["samples"]} == {"make it 50 years later"}
    row = cells(report.tables[0], "darkroom")
    expected = [
        np.abs(np.rint(seen * 255) // 2 / 255 - seen).mean()
        for seen in (square(open_picture(pictures / name), tiny.SIZE)
                     for name in ("apple.png", "statue.jpg", "woman.png"))
    ]  # fmt: skip
    assert row["L1 to input"] == pytest.approx(np.mean(expected), abs=1e-3)
    assert cells(report.tables[0], "input itself")["CLIP-I to input"] == 1.0
    assert [case.title for case in report.cases] == ["apple", "statue", "woman"]
    assert [what for what, *_ in report.cases[0].pictures] == ["Input", "darkroom"]
    found = evaluated(benchmark, **asked)
    assert {s["item"] for s in found.details["samples"]} == {"0", "1", "2", "3"}
    with pytest.raises(OptionError, match="table=sentence needs a sentence"):
        evaluated(pictures, table="sentence")
    with pytest.raises(OptionError, match="table=results takes no sentence"):
        evaluated(pictures, sentence="old")
    with pytest.raises(DataError, match="layout of none"):
        evaluated(pictures)
    with pytest.raises(DataError, match="has pictures and no instructions"):
        evaluated(pictures, set="pictures")


def test_nothing_is_left_behind(benchmark, tmp_path, monkeypatch):
    import tempfile

    before = {path: path.stat().st_mtime_ns for path in benchmark.rglob("*")}
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    report = evaluated(benchmark)
    json.dumps(report.model_dump(mode="json"))
    assert not [path for path in tmp_path.iterdir() if path.name != "no-weights"]
    assert {path: path.stat().st_mtime_ns for path in benchmark.rglob("*")} == before
