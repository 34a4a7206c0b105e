"""Figures 3, 4, 9, 10 and 11 of the paper: the trade-off curve, and CLIP-S of instructions."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.torch

import tiny_evaluation as tiny  # noqa: E402
import tiny_mgie  # noqa: E402
import torch  # noqa: E402
from tiny_evaluation import cells, evaluated, table  # noqa: E402

from imgedit_modelkit.metrics.encoders import Encoder, clip_s  # noqa: E402
from imgedit_modelkit.squares import square  # noqa: E402
from imgedit_plugins.errors import OptionError  # noqa: E402
from imgedit_plugins.picture_files import open_picture  # noqa: E402


def seen(picture) -> torch.Tensor:
    return torch.from_numpy(square(picture, tiny.SIZE).transpose(2, 0, 1).copy())[None]


def test_the_trade_off_curve(ma5k, model_folder, clip, tmp_path):
    """Each point against CLIP by hand, from the pictures that were kept."""
    keep = tmp_path / "keep"
    report = evaluated(
        ma5k, models=f"mgie:{model_folder},lgie:{model_folder}", clip=clip, table="trade-off",
        image_guidances="2.2,1.0,1.6", keep=keep, limit=3, worst=1,
    )  # fmt: skip
    first = report.tables[0]
    assert first.title.startswith("Edit against input consistency (figure 3)")
    assert [row[:3] for row in first.rows] == [
        (title, at, 3) for title in ("MGIE", "LGIE") for at in (1.0, 1.6, 2.2)
    ]
    model = Encoder(clip)

    def embedded(pixels: torch.Tensor) -> np.ndarray:
        with torch.no_grad():
            found = model.model.get_image_features(pixel_values=model.pixels(pixels))
        vector = found.pooler_output[0].double().numpy()
        return vector / np.linalg.norm(vector)

    names = sorted({s["item"] for s in report.details["samples"]})
    for title, at, _, edit, kept, *_ in first.rows:
        edits, keeps = [], []
        for name in names:
            source, goal, _ = tiny.pair(int(name))
            made = open_picture(keep / title / f"{name}@{at:g}.png").pixels / 255
            made = torch.from_numpy(made.transpose(2, 0, 1)).float()[None]
            before, after, wanted = embedded(seen(source)), embedded(made), embedded(seen(goal))
            ways = after - before, wanted - before
            edits.append(ways[0] @ ways[1] / np.linalg.norm(ways[0]) / np.linalg.norm(ways[1]))
            keeps.append(after @ before)
        assert edit == pytest.approx(np.mean(edits), abs=1e-3)
        assert kept == pytest.approx(np.mean(keeps), abs=1e-3)
    (chart,) = report.charts
    assert set(chart.lines) == {"MGIE", "LGIE"}
    for title, line in chart.lines.items():
        assert [x for x, _ in line] == sorted(x for x, _ in line)
        points = {(round(x, 4), round(y, 4), mark)
                  for (x, y), mark in zip(line, chart.marks[title], strict=True)}  # fmt: skip
        assert points == {(row[3], row[4], f"{row[1]:g}") for row in first.rows if row[0] == title}
    pictures = {path.name: path.read_bytes() for path in (keep / "MGIE").glob("*.png")}
    assert len(set(pictures.values())) == 9, "each guidance makes another picture"
    assert {case.title.split(",")[1].strip() for case in report.cases} == {
        "\u03b1_V 1", "\u03b1_V 2.2",
    }  # fmt: skip


def test_curves_need_clip_and_guidances(ma5k, model_folder, clip):
    with pytest.raises(OptionError, match=r"measured with CLIP, .* hf download openai/clip"):
        evaluated(ma5k, models=f"mgie:{model_folder}", table="trade-off")
    for wrong in ("", "1,x", "0.5", "9"):
        with pytest.raises(OptionError, match="'image-guidances' must be numbers from 1 to 5"):
            evaluated(ma5k, models=f"mgie:{model_folder}", clip=clip, table="trade-off",
                      image_guidances=wrong)  # fmt: skip
    with pytest.raises(OptionError, match="'copy' is no row of this table"):
        evaluated(ma5k, models="copy", clip=clip, table="trade-off")


def test_clip_s_of_instructions_and_pictures(ma5k, model_folder, clip):
    """The brief instruction, LGIE's and MGIE's, against input and goal."""
    report = evaluated(
        ma5k, models=f"instruction,lgie:{model_folder},mgie:{model_folder}", clip=clip,
        table="instructions",
    )  # fmt: skip
    first = report.tables[0]
    assert [row[0] for row in first.rows] == ["instruction itself", "LGIE", "MGIE"]
    encoder = Encoder(clip)
    texts: dict[str, set[str]] = {}
    for one in report.details["samples"]:
        source, goal, colour = tiny.pair(int(one["item"]))
        text = one["expressive"]
        texts.setdefault(one["row"], set()).add(text)
        if one["row"] == "instruction itself":
            assert text == f"make it {colour}"
        scores = [float(clip_s(encoder, seen(p), [text])) for p in (source, goal)]
        assert one["figures"]["CLIP-S input"] == pytest.approx(scores[0], abs=1e-4)
        assert one["figures"]["CLIP-S goal"] == pytest.approx(scores[1], abs=1e-4)
        assert one["figures"]["words"] == len(text.split())
    assert texts["MGIE"] != texts["LGIE"], "one sees the picture"
    assert cells(first, "instruction itself")["words"] == 3
    assert cells(first, "instruction itself")["CLIP-S goal"] > 0.1
    with pytest.raises(OptionError, match="is measured with CLIP"):
        evaluated(ma5k, models="instruction", table="instructions")
    with pytest.raises(OptionError, match="'copy' is no row"):
        evaluated(ma5k, models="copy", clip=clip, table="instructions")


def test_forms_of_the_data_s_instructions_need_no_model(clip, tmp_path, ma5k):
    data = tiny_mgie.data_set(tmp_path / "data", rows=4)
    report = evaluated(data, clip=clip, table="forms")
    first = report.tables[0]
    assert [row[:2] for row in first.rows] == [("full", 4), ("short", 4), ("summarised", 4)]
    words = [cells(first, form)["words"] for form in ("full", "short", "summarised")]
    assert words == [13, 10, 4]
    from imgedit_plugins.errors import DataError

    with pytest.raises(DataError, match=r"full has no answer .* The data has no full instruction"):
        evaluated(ma5k, clip=clip, table="forms")


def test_how_and_what_are_asked_of_one_model(ma5k, model_folder, clip):
    from imgedit_mgie.loading import load_llava
    from imgedit_mgie.writer import Writer

    report = evaluated(ma5k, models=f"mgie:{model_folder}", clip=clip, table="prompts")
    assert [row[0] for row in report.tables[0].rows] == ["MGIE, how", "MGIE, what"]
    llava = load_llava(model_folder)
    for one in report.details["samples"]:
        writer = Writer(llava, asked=one["row"].partition(", ")[2]).eval()
        picture = np.rint(square(tiny.pair(int(one["item"]))[0], tiny.SIZE) * 255).astype(np.uint8)
        derived = writer.derive(picture, one["instruction"], longest=16)
        assert one["expressive"] == (derived.expressive or one["instruction"])
    rows = {title: [s["expressive"] for s in report.details["samples"] if s["row"] == title]
            for title in ("MGIE, how", "MGIE, what")}  # fmt: skip
    assert rows["MGIE, how"] != rows["MGIE, what"]


def test_sizes_of_models(ma5k, model_folder, clip):
    """Any list of folders; the parameters are those of the files."""
    from safetensors import safe_open

    report = evaluated(
        ma5k, models=f"small=mgie:{model_folder},again=mgie:{model_folder}", clip=clip,
        table="sizes",
    )  # fmt: skip
    files = [
        *(model_folder / "language_model").glob("*.safetensors"),
        model_folder / "tower.safetensors",
        model_folder / "projector.safetensors",
    ]
    count = 0
    for path in files:
        with safe_open(path, "pt") as file:
            count += sum(file.get_tensor(name).numel() for name in file.keys())  # noqa: SIM118
    for title in ("small", "again"):
        assert cells(report.tables[0], title)["parameters, million"] == round(count / 1e6, 2)
    assert report.details["rows"][0]["parameters"] == count
    assert "CLIP-S by size" in table(report, "CLIP-S by size").title
