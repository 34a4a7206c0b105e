"""`evaluate mgie`: data, rows, encoders, figures, what is kept, what is left out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.torch

import tiny_evaluation as tiny  # noqa: E402
import tiny_mgie  # noqa: E402
import torch  # noqa: E402
from tiny_evaluation import cells, evaluated, table  # noqa: E402

from imgedit_mgie.evaluation.methods import methods_of  # noqa: E402
from imgedit_mgie.evaluation.subjects import SUBJECTS  # noqa: E402
from imgedit_mgie.plugin import train  # noqa: E402
from imgedit_modelkit.evaluation.bootstrap import mean  # noqa: E402
from imgedit_modelkit.fingerprints import seed_of  # noqa: E402
from imgedit_plugins.cli import common  # noqa: E402
from imgedit_plugins.errors import DataError, JobCancelledError, OptionError, WeightsError  # noqa: E402
from imgedit_plugins.jobs import Job, Progress  # noqa: E402
from imgedit_plugins.picture_files import open_picture, save_picture  # noqa: E402
from imgedit_plugins.pictures import Picture  # noqa: E402
from imgedit_plugins.requests import Table, TrainRequest  # noqa: E402

# --- data -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layout", "rows"), [("evr", 4), ("gier", 6), ("ma5k", 3), ("magicbrush", 3),
                         ("instructpix2pix", 3)],
)  # fmt: skip
def test_each_layout_is_told_by_its_files(layout, rows, tmp_path):
    data = tiny.LAYOUTS[layout](tmp_path)
    report = evaluated(data, models="copy")
    assert report.tables[0].title == f"Edited pictures: {layout}"
    assert cells(report.tables[0], "input itself")["n"] == rows
    assert report.details["data"] == layout
    by_name = evaluated(data, models="copy", set=layout, instructions="first")
    assert cells(by_name.tables[0], "input itself")["n"] == 3


def test_the_hub_s_parquet_and_prepared_data(tmp_path):
    report = evaluated(tiny.magicbrush_of_the_hub(tmp_path / "hub"), models="copy")
    assert report.details["data"] == "magicbrush"
    assert cells(report.tables[0], "input itself")["n"] == 3
    report = evaluated(tiny_mgie.data_set(tmp_path / "prepared", rows=4), models="copy")
    assert report.details["data"] == "prepared"


def test_splits_limits_and_several_instructions(tmp_path):
    data = tiny.evr(tmp_path, rows=6)
    report = evaluated(data, models="copy", split="test")
    samples = report.details["samples"]
    assert [(one["item"], one["instruction"]) for one in samples] == [
        ("req_1", "make it green"), ("req_1~2", "turn it green"),
        ("req_4", "make it green"), ("req_4~2", "turn it green"),
    ]  # fmt: skip
    assert [one["id"] for one in samples] == ["req/1", "req/1", "req/4", "req/4"]
    first = evaluated(data, models="copy", limit=2, seed=1).details["samples"]
    again = evaluated(data, models="copy", limit=2, seed=1).details["samples"]
    assert [s["item"] for s in first] == [s["item"] for s in again]
    assert len(first) == 2
    with pytest.raises(DataError, match=r"split 'validation' .* is empty"):
        evaluated(tiny.magicbrush(tmp_path / "m"), models="copy", split="validation")


def test_what_is_no_data_set(tmp_path):
    with pytest.raises(DataError, match="layout of none of evr, gier"):
        evaluated(tmp_path, models="copy")
    with pytest.raises(DataError, match=r"no file .*FiveK"):
        evaluated(tmp_path, models="copy", set="ma5k")


# --- figures ----------------------------------------------------------------------------------


def test_figures_are_those_of_second_implementations(tmp_path, clip, dino, alexnet, any_alexnet):
    """The input itself as a row: NumPy, scikit-image, bare models of transformers."""
    from skimage.metrics import structural_similarity
    from transformers import AutoTokenizer, CLIPModel, ViTConfig, ViTModel

    from imgedit_modelkit.metrics.encoders import Lpips

    data = tmp_path / "data"
    (data / "images").mkdir(parents=True)
    entries, squares = [], []
    for number in range(3):
        source, goal, colour = tiny.pair(number, (32, 46))
        names = f"{number:04d}O.png", f"{number:04d}A.png"
        save_picture(source, data / "images" / names[0])
        save_picture(goal, data / "images" / names[1])
        entries.append({"input": names[0], "output": names[1], "request": f"make it {colour}"})
        squares.append([one.pixels[:, 7:39] for one in (source, goal)])
    (data / "FiveK.json").write_text(json.dumps(entries))
    report = evaluated(data, models="copy", clip=clip, dino=dino, alexnet=alexnet)
    found = {s["item"]: s["figures"] for s in report.details["samples"]}

    model = CLIPModel.from_pretrained(clip).eval()
    words = AutoTokenizer.from_pretrained(clip)
    vit = ViTModel(ViTConfig.from_pretrained(dino), add_pooling_layer=False).eval()
    vit.load_state_dict(torch.load(dino / "pytorch_model.bin", weights_only=True))

    def seen_by_clip(square):  # 32 pixels already: neither scaled nor cropped
        mean = np.array([0.48145466, 0.4578275, 0.40821073])
        deviation = np.array([0.26862954, 0.26130258, 0.27577711])
        pixels = torch.from_numpy(((square / 255 - mean) / deviation).transpose(2, 0, 1)).float()
        with torch.no_grad():
            hidden = model.vision_model(pixels[None]).pooler_output
            return model.visual_projection(hidden)[0].numpy()

    def seen_by_dino(square):
        from PIL import Image

        small = Image.fromarray(square).resize((28, 28), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy((np.asarray(small) / 127.5 - 1).transpose(2, 0, 1)).float()
        with torch.no_grad():
            return vit(pixels[None]).last_hidden_state[0, 0].numpy()

    def cosine(a, b):
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    for number, (source, goal) in enumerate(squares):
        own = found[str(number)]
        a, b = source / 255, goal / 255
        assert own["L1"] == pytest.approx(abs(a - b).mean(), abs=1e-6)
        assert own["SSIM"] == pytest.approx(
            structural_similarity(a, b, data_range=1, channel_axis=-1, gaussian_weights=True,
                                  sigma=1.5, use_sample_covariance=False), abs=1e-5,
        )  # fmt: skip
        assert own["CVS"] == pytest.approx(
            cosine(seen_by_clip(source), seen_by_clip(goal)), abs=1e-4
        )
        assert own["DINO"] == pytest.approx(
            cosine(seen_by_dino(source), seen_by_dino(goal)), abs=2e-3
        )
        with torch.no_grad():
            tokens = words(f"A photo depicts {entries[number]['request']}", return_tensors="pt")
            text = model.text_projection(model.text_model(**tokens).pooler_output)[0].numpy()
        clip_s = 2.5 * max(0.0, cosine(seen_by_clip(source), text))
        assert clip_s > 0.1
        assert own["CLIP-S"] == pytest.approx(clip_s, abs=1e-4)
        pair = [torch.from_numpy(s.transpose(2, 0, 1)).float()[None] / 255 for s in (source, goal)]
        assert own["LPIPS"] == pytest.approx(float(Lpips(alexnet, "")(*pair)[0]), abs=1e-5)
        assert own["LPIPS"] > 0.001

    row = cells(report.tables[0], "input itself")
    for name, column, scale in (("L1", "L1", 1), ("DINO", "DINO %", 100), ("CVS", "CVS %", 100),
                                ("SSIM", "SSIM %", 100), ("LPIPS", "LPIPS", 1)):  # fmt: skip
        average = np.mean([figures[name] for figures in found.values()]) * scale
        assert row[column] == pytest.approx(average, abs=0.006 if scale == 100 else 6e-5)


def test_intervals_draw_pictures_and_differences_are_paired(kept):
    """Against a loop that draws pictures by itself."""
    _, report = kept
    samples = report.details["samples"]
    by_row = {title: {s["item"]: s["figures"]["L1"] for s in samples if s["row"] == title}
              for title in ("MGIE", "LGIE", "input itself")}  # fmt: skip
    figures = {one["row"]: one["figures"]["L1"] for one in report.details["figures"]}
    rng = np.random.default_rng(5)
    for title, values in by_row.items():
        numbers = np.array(list(values.values()))
        means = np.sort([rng.choice(numbers, len(numbers)).mean() for _ in range(4000)])
        spread = means[-1] - means[0]
        assert figures[title]["value"] == pytest.approx(numbers.mean())
        assert figures[title]["low"] == pytest.approx(np.quantile(means, 0.025), abs=spread / 6)
        assert figures[title]["high"] == pytest.approx(np.quantile(means, 0.975), abs=spread / 6)
    found = report.details["differences"]["input itself"]["L1"]
    expected = [by_row["input itself"][i] - by_row["MGIE"][i] for i in by_row["MGIE"]]
    assert found["value"] == pytest.approx(np.mean(expected))
    assert found["low"] < found["value"] < found["high"] < 0
    assert found["n"] == 4
    row = cells(table(report, "Difference from MGIE"), "input itself")
    shown = [f"{found[name]:+.4f}" for name in ("value", "low", "high")]
    assert row["L1"] == f"{shown[0]} ({shown[1]} … {shown[2]})"
    assert row["n"] == 4
    low, high = (f"{figures['MGIE'][name]:.4f}" for name in ("low", "high"))
    assert cells(table(report, "95 % intervals"), "MGIE")["L1"] == f"{low} … {high}"


def test_pictures_count_and_not_their_edits():
    """Ten edits of one picture are no ten pictures."""
    values = [0.0] * 10 + [1.0] * 10
    apart = mean(values, [str(n) for n in range(20)])
    together = mean(values, ["a"] * 10 + ["b"] * 10)
    assert apart.value == together.value == 0.5
    assert (together.low, together.high) == (0.0, 1.0)
    assert 0.2 < apart.low < apart.high < 0.8
    assert mean([], []).value is None


# --- rows -------------------------------------------------------------------------------------


def test_a_model_s_row_is_what_the_model_makes(ma5k, model_folder, kept):
    """Put together from the model's parts; nothing of the input is put back."""
    from imgedit_mgie.folders import part
    from imgedit_mgie.loading import load_head, load_llava
    from imgedit_mgie.writer import Writer
    from imgedit_modelkit.diffusion.editor import PictureEditor, Sampling
    from imgedit_modelkit.diffusion.guidance import Guidance
    from imgedit_modelkit.squares import square

    folder, report = kept
    llava = load_llava(model_folder)
    head, visual = load_head(model_folder)
    editor = PictureEditor.load(part(model_folder, "unet").parent)
    for title, sees in (("MGIE", True), ("LGIE", False)):
        writer = Writer(llava, head, visual, sees=sees).eval()
        for number in (0, 3):
            pixels = open_picture(ma5k / "images" / f"{number:04d}O.png").pixels[:, 4:40]
            seen = square(Picture(pixels), 32)
            text = f"make it {tiny.pair(number)[2]}"
            bytes_ = np.rint(seen * 255).astype(np.uint8)
            derived = writer.derive(bytes_, text, longest=16)
            made = editor.edit(
                torch.from_numpy(seen.transpose(2, 0, 1).copy())[None],
                writer.conditioning(derived.states), Sampling(1, Guidance(7.5, 1.5)),
                seeds=[seed_of("evaluate", 0, str(number))],
            )[0]  # fmt: skip
            expected = (made.permute(1, 2, 0) * 255).round().byte().numpy()
            saved = open_picture(folder / title / f"{number}.png").pixels
            assert np.abs(saved.astype(int) - expected).max() <= 1
            told = [s for s in report.details["samples"]
                    if (s["row"], s["item"]) == (title, str(number))]  # fmt: skip
            assert told[0]["expressive"] == derived.expressive


def test_the_family_in_one_table(ma5k, model_folder, pix2pix, clip):
    rows = (f"E2E=mgie:{model_folder},LGIE=lgie:{model_folder},FZ=fz:{model_folder},"
            f"instructpix2pix:{pix2pix},copy")  # fmt: skip
    report = evaluated(
        ma5k, models=rows, clip=clip, table="ablations", painter_weights=pix2pix, seeds=2, limit=2
    )
    first = report.tables[0]
    assert first.title == "FZ, FT and E2E (table 3): ma5k"
    assert [row[0] for row in first.rows] == ["E2E", "LGIE", "FZ", "InsPix2Pix", "input itself"]
    assert [cells(first, row[0])["n"] for row in first.rows] == [4, 4, 4, 4, 2]
    made = {
        title: {
            (s["item"], s["seed"]): s["figures"]["L1"]
            for s in report.details["samples"]
            if s["row"] == title
        }
        for title in ("E2E", "LGIE", "FZ", "InsPix2Pix")
    }
    assert len({tuple(values.values()) for values in made.values()}) == 4, "four different models"
    assert len(set(made["E2E"].values())) == 4, "each seed is another picture"
    assert cells(first, "FZ")["CLIP-S expressive"] is not None
    assert cells(first, "InsPix2Pix")["CLIP-S expressive"] is None
    assert cells(table(report, "Difference"), "input itself")["n"] == 2
    lineage = report.details["rows"][0]["folders"][0]["lineage"]
    assert {part["part"] for part in lineage} >= {"llava", "mllm", "unet"}
    assert all(part["sha256"] for part in lineage if part["part"] == "mllm")


def test_training_runs_are_rows(ma5k, model_folder, pix2pix, own_weights, tmp_path):
    """Fine-tuned instead of zero-shot: another folder is all."""
    shutil.copytree(model_folder, own_weights / "mgie" / "mgie")  # speaks for FT
    data = tiny_mgie.data_set(tmp_path / "data", rows=6)
    for kind, start in (("mgie", model_folder), ("ft", pix2pix), ("instructpix2pix", pix2pix)):
        given = {"model": kind, "weights": str(start), "steps": 2, "batch-size": 2, "size": 16,
                 "samples": 0, "max-length": 200, "precision": "fp32", "validate-every": 2,
                 "learning-rate": 1e-2}  # fmt: skip
        options = common.resolve_for(
            "train", frozenset({"data"}), "mgie", {name: str(v) for name, v in given.items()}
        )
        train(TrainRequest(data=data, out=tmp_path / kind, options=options), Job())
    rows = (f"before=mgie:{model_folder},MGIE=mgie:{tmp_path / 'mgie'},FT=ft:{tmp_path / 'ft'},"
            f"instructpix2pix:{tmp_path / 'instructpix2pix'}")  # fmt: skip
    report = evaluated(ma5k, models=rows, table="fine-tuned", limit=2)
    values = [tuple(row[2:]) for row in report.tables[0].rows]
    assert [row[0] for row in report.tables[0].rows] == ["before", "MGIE", "FT", "InsPix2Pix"]
    assert len(set(values)) == 4
    lineage = [row["folders"][-1]["lineage"] for row in report.details["rows"]]
    assert [any(part["part"] == "training" for part in parts) for parts in lineage] == [
        False, True, True, True,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("models", "told"),
    [
        ("mgei", "'mgei' is no row of this table; there are auto, mgie"),
        ("told:full", "'told' is no row"),
        ("mgie:a,mgie:b", "Two rows would be called 'MGIE'"),
        ("A=mgie:a,a=lgie:b", "would be called"),
        ("results", "'results' needs its folder"),
        ("copy:x", "has no folder"),
    ],
)
def test_rows_that_are_none(models, told):
    with pytest.raises(OptionError, match=told):
        methods_of(models, SUBJECTS["results"])


def test_rows_are_read_from_text():
    found = methods_of("Our model=mgie:/runs/a=b:c, results:made/x ,copy", SUBJECTS["results"])
    assert [(m.title, m.kind, m.given) for m in found] == [
        ("Our model", "mgie", "/runs/a=b:c"), ("x", "results", "made/x"),
        ("input itself", "copy", ""),
    ]  # fmt: skip
    assert [m.folder for m in found] == ["Our_model", "x", "input_itself"]
    asked = methods_of("instruction,mgie:a", SUBJECTS["prompts"])
    assert [(m.title, m.asked) for m in asked] == [
        ("instruction itself", ""), ("MGIE, how", "how"), ("MGIE, what", "what"),
    ]  # fmt: skip


def test_weights_that_are_missing_or_another_model_s(ma5k, model_folder, tmp_path):
    with pytest.raises(WeightsError, match="no MGIE model"):
        evaluated(ma5k, models=f"mgie:{tmp_path}")
    with pytest.raises(WeightsError, match="InstructPix2Pix is not in"):
        evaluated(ma5k, models=f"fz:{model_folder}")
    with pytest.raises(OptionError, match="is MGIE, not FT"):
        evaluated(ma5k, models=f"ft:{model_folder}")
    with pytest.raises(OptionError, match="must be a multiple of"):
        evaluated(ma5k, models=f"mgie:{model_folder}", size=33)


# --- results that are there already -----------------------------------------------------------


def test_kept_pictures_score_as_they_did(ma5k, kept, clip, tmp_path):
    folder, before = kept
    report = evaluated(ma5k, models=f"results:{folder / 'MGIE'}", clip=clip)
    names = [s["item"] for s in report.details["samples"]]
    assert names == ["0", "1", "2", "3"]
    mine = {s["item"]: s for s in before.details["samples"] if s["row"] == "MGIE"}
    for one in report.details["samples"]:
        assert one["figures"] == pytest.approx(mine[one["item"]]["figures"], abs=1e-6)
        assert one["expressive"] == mine[one["item"]]["expressive"]


def test_foreign_pictures_of_another_size_count_with_what_is_there(ma5k, tmp_path):
    results = tmp_path / "theirs"
    results.mkdir()
    for number in (0, 2):
        save_picture(tiny.pair(number, (72, 88))[1], results / f"{number}.jpg")
    (results / "3.png").write_bytes(b"no picture")
    job = Job()
    report = evaluated(ma5k, job, models=f"copy,results:{results}")
    row = cells(report.tables[0], "theirs")
    assert row["n"] == 2
    assert row["L1"] < 0.2
    left = cells(table(report, "Left out"), "theirs: no answer")
    assert left["n"] == 2
    assert "no picture" in left["the first"]
    assert any("no answer to 2 of 4 rows" in warning for warning in job.warnings)
    assert cells(table(report, "Difference"), "theirs")["n"] == 2
    for path in results.iterdir():
        path.unlink()
    with pytest.raises(DataError, match="theirs has no answer to any of 4 rows"):
        evaluated(ma5k, models=f"results:{results}")
    beside = evaluated(ma5k, models=f"results:{results},copy")
    assert cells(beside.tables[0], "theirs")["n"] == 0, "the work of other rows is not lost"
    assert cells(beside.tables[0], "input itself")["L1"] > 0
    with pytest.raises(DataError, match=r"no folder .* of results"):
        evaluated(ma5k, models=f"results:{tmp_path / 'none'}")


def test_pictures_that_cannot_be_opened_are_left_out_of_all_rows(tmp_path):
    data = tiny.ma5k(tmp_path)
    (data / "images/0001A.png").write_bytes(b"broken")
    job = Job()
    report = evaluated(data, job, models="copy,A=copy")
    assert [row[1] for row in report.tables[0].rows] == [2, 2]
    assert cells(table(report, "Left out"))["n"] == 1
    assert list(report.details["unreadable"]) == ["1"]
    assert any("1 of 3 rows are left out" in warning for warning in job.warnings)
    for path in (data / "images").glob("*A.png"):
        path.write_bytes(b"broken")
    with pytest.raises(DataError, match="No pair can be opened, the first"):
        evaluated(data, models="copy")


# --- encoders ---------------------------------------------------------------------------------


def test_a_missing_encoder_is_told_with_the_way_to_get_it(ma5k, dino):
    job = Job()
    report = evaluated(ma5k, job, models="copy", dino=dino)
    row = cells(report.tables[0], "input itself")
    assert row["CVS %"] is None, "the column stays"
    assert row["LPIPS"] is None
    assert row["DINO %"] is not None
    missing = table(report, "Not measured")
    assert {line[0] for line in missing.rows} == {
        "CVS, CLIP-S, edit and input consistency", "LPIPS",
    }  # fmt: skip
    assert "hf download openai/clip-vit-base-patch32" in missing.rows[0][2]
    assert report.details["missing_encoders"] == ["clip", "alexnet"]
    assert any("cannot be measured without -O clip" in warning for warning in job.warnings)
    named = cells(table(report, "Encoders"), "DINO")
    assert named["kind"] == "DINO ViT-16/14"
    assert named["as in published figures"] == "no"
    assert named["SHA-256"] == report.details["encoders"]["dino"]["sha256"]
    assert len(named["SHA-256"]) == 64
    assert any("cannot be compared" in warning for warning in job.warnings)


def test_what_is_no_such_encoder(ma5k, clip, dino, alexnet, tmp_path):
    for options, told in (
        ({"clip": dino}, "Option 'clip': .* holds a 'vit', not clip"),
        ({"dino": clip}, "Option 'dino': .* holds a 'clip', not vit or"),
        ({"clip": tmp_path}, "holds no model of transformers"),
        ({"alexnet": tmp_path / "none.pth"}, "cannot be read"),
        ({"alexnet": alexnet}, "has the SHA-256 .*, not 7be5be79"),
    ):
        with pytest.raises(WeightsError, match=told):
            evaluated(ma5k, models="copy", **options)
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "config.json").write_bytes((dino / "config.json").read_bytes())
    with pytest.raises(WeightsError, match=r"has no preprocessor_config\.json"):
        evaluated(ma5k, models="copy", dino=bare)
    name = "preprocessor_config.json"
    (bare / name).write_bytes((dino / name).read_bytes())
    with pytest.raises(WeightsError, match=r"no safetensors files and no pytorch_model\.bin"):
        evaluated(ma5k, models="copy", dino=bare)


# --- what is kept -----------------------------------------------------------------------------


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in sorted(folder.glob("*.png"))}


def test_nothing_is_made_twice_and_new_encoders_score_what_is_there(
    ma5k, model_folder, clip, dino, tmp_path
):
    keep = tmp_path / "keep"
    options = {"models": f"mgie:{model_folder},copy", "keep": keep}
    first = evaluated(ma5k, **options, clip=clip)
    before = times(keep / "MGIE")
    assert list(before) == ["0.png", "1.png", "2.png", "3.png"]
    lines = (keep / "journal.jsonl").read_text().count("\n")
    again = evaluated(ma5k, **options, clip=clip)
    assert again.details["figures"] == first.details["figures"]
    assert [s["seconds"] for s in again.details["samples"]] == [
        s["seconds"] for s in first.details["samples"]
    ]
    assert (keep / "journal.jsonl").read_text().count("\n") == lines
    more = evaluated(ma5k, **options, clip=clip, dino=dino)
    assert times(keep / "MGIE") == before
    assert cells(more.tables[0], "MGIE")["DINO %"] is not None
    fresh = evaluated(ma5k, models=f"mgie:{model_folder}", clip=clip, dino=dino)
    assert cells(fresh.tables[0], "MGIE") == cells(more.tables[0], "MGIE")
    # another setting, a picture that was changed, and a model that was trained on, are made anew
    evaluated(ma5k, **options, clip=clip, steps=2)
    assert not set(times(keep / "MGIE").values()) & set(before.values())
    before = times(keep / "MGIE")
    save_picture(tiny.pair(1)[0], keep / "MGIE/1.png")
    evaluated(ma5k, **options, clip=clip, steps=2)
    after = times(keep / "MGIE")
    assert [name for name in after if after[name] != before[name]] == ["1.png"]
    assert np.array_equal(open_picture(keep / "MGIE/1.png").pixels.shape, (tiny.SIZE, tiny.SIZE, 3))


def test_a_folder_of_other_data_is_refused(kept, tmp_path, ma5k, model_folder):
    folder, _ = kept
    before = sorted(folder.rglob("*"))
    with pytest.raises(DataError, match="keeps an evaluation of another data"):
        evaluated(tiny.gier(tmp_path / "g"), models="copy", keep=folder)
    with pytest.raises(DataError, match="another size"):
        evaluated(ma5k, models="copy", keep=folder, size=48)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="is not empty and holds no evaluation"):
        evaluated(ma5k, models="copy", keep=mine)
    assert [path.name for path in mine.iterdir() if path.name[0] != "."] == ["thesis.txt"]
    assert sorted(folder.rglob("*")) == before


def test_two_evaluations_in_one_folder_are_refused(ma5k, tmp_path):
    import subprocess
    import sys
    import time

    keep = tmp_path / "keep"
    keep.mkdir()
    code = ("import sys, time; from pathlib import Path; from imgedit_modelkit import locks\n"
            "with locks.hold(Path(sys.argv[1]) / '.lock') as held:\n"
            "    print(held, flush=True); time.sleep(60)")  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-c", code, str(keep)], stdout=subprocess.PIPE, text=True,
        env=tiny.environment(tmp_path),
    ) as other:  # fmt: skip
        assert other.stdout is not None
        assert other.stdout.readline().strip() == "True"
        with pytest.raises(DataError, match="Another evaluation is at work"):
            evaluated(ma5k, models="copy", keep=keep)
        other.kill()
        other.wait()
    for _ in range(50):
        try:
            evaluated(ma5k, models="copy", keep=keep)
            break
        except DataError:
            time.sleep(0.1)
    else:
        pytest.fail("the lock of an ended process stays")


def test_progress_and_cancellation(ma5k, model_folder, tmp_path):
    seen: list[Progress] = []

    def on_progress(progress: Progress) -> None:
        seen.append(progress)
        if progress.stage == "evaluating MGIE" and progress.done == 2:
            job.cancel()

    job = Job(on_progress)
    keep = tmp_path / "keep"
    with pytest.raises(JobCancelledError):
        evaluated(ma5k, job, models=f"mgie:{model_folder},copy", keep=keep)
    assert [p.total for p in seen if p.stage.startswith("evaluating")] == [8, 8, 8]
    assert len(times(keep / "MGIE")) == 2
    before = times(keep / "MGIE")
    evaluated(ma5k, models=f"mgie:{model_folder},copy", keep=keep)
    after = times(keep / "MGIE")
    assert len(after) == 4
    assert {name: after[name] for name in before} == before


# --- published --------------------------------------------------------------------------------


def test_published_figures_stand_beside_marked_with_who_quotes_them(kept, ma5k):
    _, report = kept
    paper = table(report, "As the paper reports it")
    mark = "published, not reproduced here"
    assert paper.columns == (
        "figure", "MGIE", "LGIE", "input itself", f"InsPix2Pix ({mark})", f"LGIE ({mark})",
        f"MGIE ({mark})", "quoted by",
    )  # fmt: skip
    assert cells(paper, "LPIPS")["MGIE"] is None, "AlexNet was not given"
    assert cells(paper, "SSIM %")["MGIE"] == cells(report.tables[0], "MGIE")["SSIM %"]
    quoted = table(report, "Who quotes")
    assert {row[0] for row in quoted.rows} == {row[-1] for row in paper.rows}
    job = Job()
    plain = evaluated(ma5k, job, models="copy", baseline=True)
    assert not [one for one in plain.tables if is_marked(one)]
    assert any("No published figures are known here" in warning for warning in job.warnings)
    without = evaluated(ma5k, models="copy", table="zero-shot")
    assert not [one for one in without.tables if is_marked(one)]


def is_marked(found: Table) -> bool:
    return any("published, not" in column for column in found.columns)


def test_every_published_figure_has_a_source_and_a_place():
    import tomllib

    from imgedit_mgie.evaluation import published
    from imgedit_mgie.evaluation.figures import FIGURES
    from imgedit_modelkit.readers.instructed import SETS

    content = tomllib.loads(Path(published.__file__).with_name("published.toml").read_text())
    for one in content["figures"]:
        assert content["sources"][one["source"]]["told"]
        assert one["table"] in SUBJECTS
        assert one["set"] in SETS
        assert one["figure"] in FIGURES["edits"]
    (magicbrush,) = [f for f in published.published_figures("fine-tuned", "magicbrush")
                     if f.figure == "CVS"]  # fmt: skip
    assert magicbrush.values == {"InsPix2Pix": 93.8, "MGIE": 95.3}, "as our summary has them"


# --- cases ------------------------------------------------------------------------------------


def test_the_worst_and_the_best_as_pictures(kept):
    _, report = kept
    titles = [case.title for case in report.cases]
    assert len(titles) == 6, "two of the worst and one of the best, of each model"
    assert not [title for title in titles if "input itself" in title]
    figures = {(s["row"], s["item"]): s["figures"]["CVS"] for s in report.details["samples"]}
    mine = [t.rpartition(": ")[2] for t in titles if t.startswith("MGIE, worst by CVS")]
    ranked = sorted("0123", key=lambda item: figures["MGIE", item])
    assert mine == ranked[:2]
    assert [t.rpartition(": ")[2] for t in titles if t.startswith("MGIE, best")] == ranked[-1:]
    case = report.cases[0]
    assert [what for what, *_ in case.pictures] == ["Input", "Edited", "Goal"]
    told = dict(case.told)
    assert told["Instruction"].startswith("make it")
    assert "L1 " in told["Figures"]
    assert "CVS" in told["Figures"]
    assert "cases" not in report.model_dump(mode="json")
    json.dumps(report.model_dump(mode="json"))


def test_nothing_is_left_behind(ma5k, tmp_path, monkeypatch):
    """Nothing is written into the data, and temporary pictures are gone."""
    import tempfile

    before = {path: path.stat().st_mtime_ns for path in ma5k.rglob("*")}
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    evaluated(ma5k, models="copy")
    assert not list(tmp_path.iterdir())
    assert {path: path.stat().st_mtime_ns for path in ma5k.rglob("*")} == before
