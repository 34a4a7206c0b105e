"""The captioner, the noun finder, the detector and the painters, each alone."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.torch

import torch  # noqa: E402
from tiny_reason import NOUNS, OTHERS, picture  # noqa: E402

from imgedit_modelkit.picture_answers import LocalModel  # noqa: E402
from imgedit_plugins.errors import ImgeditError, JobCancelledError, WeightsError  # noqa: E402
from imgedit_plugins.jobs import Job  # noqa: E402
from imgedit_plugins.pictures import RGB8  # noqa: E402
from imgedit_reason_edit.data.captions import Captioner  # noqa: E402
from imgedit_reason_edit.data.detection import Detector, Limits  # noqa: E402
from imgedit_reason_edit.data.nouns import NounFinder, _nouns  # noqa: E402
from imgedit_reason_edit.data.painting import GLIGEN, Painter, Wish  # noqa: E402

INPAINT = "StableDiffusionInpaintPipeline"


def pictures(count: int, width: int = 96, height: int = 80) -> list[RGB8]:
    rng = np.random.default_rng(5)
    return [np.asarray(picture(rng, width, height)) for _ in range(count)]


def cancelled() -> Job:
    job = Job()
    job.cancel()
    return job


def test_captions_hang_on_the_picture(models: dict[str, str]) -> None:
    caption = Captioner(LocalModel(Path(models["captioner"]), "cpu"), beams=2, max_new_tokens=12)
    shown = pictures(4)
    found = caption(shown)
    assert len(set(found)) > 1
    assert caption(shown[1:2]) == found[1:2]
    assert all(text and set(text.split()) <= {*NOUNS, *OTHERS} for text in found)
    with pytest.raises(JobCancelledError):
        caption(shown, cancelled().check)


def test_nouns_in_a_row_are_one_thing(models: dict[str, str]) -> None:
    finder = NounFinder(models["spacy"])
    assert finder(["a small butterfly beside the old flower", "a butterfly on a butterfly"]) == [
        ("butterfly", "flower"), ("butterfly",),
    ]  # fmt: skip
    assert finder(["the red car house is old", "the old on the red", ""]) == [
        ("car house",),
        (),
        (),
    ]
    assert finder.identity.startswith("spacy-tiny ")


def test_what_is_found_stands_so_in_the_caption() -> None:
    def nouns(*words: str) -> tuple[str, ...]:
        return _nouns([SimpleNamespace(text=w, pos_="NOUN", is_alpha=True) for w in words])

    assert nouns("front", "door") == ("door",)
    assert nouns("Night", "light", "lamp") == ("light lamp",)
    assert nouns("apple", "piece", "basket") == ("apple piece basket",)
    assert nouns("door", "front") == ()


def test_a_box_without_area_is_none() -> None:
    detector = Detector(LocalModel(Path("none")), Limits(0.1, 0.0, 0.9))
    (shown,) = pictures(1)
    boxes = torch.tensor([[10.2, 5.0, 10.4, 40.0], [10.0, 5.0, 30.0, 40.0]])
    told = {"scores": torch.tensor([0.9, 0.5]), "boxes": boxes}
    assert detector._best(told, shown) == (10, 5, 30, 40)
    assert detector._best({name: values[:1] for name, values in told.items()}, shown) is None


def test_boxes_hang_on_picture_and_category(models: dict[str, str]) -> None:
    source = LocalModel(Path(models["detector"]), "cpu")
    shown = pictures(3)
    asked = [["cat", "flower", "dog"], ["cat"], []]
    found = Detector(source, Limits(0.02, 0.0005, 0.9))(shown, asked)
    assert all(set(boxes) <= set(names) for boxes, names in zip(found, asked, strict=True))
    assert found[2] == {}
    boxes = [box for one in found for box in one.values()]
    assert len(set(boxes)) > 1
    for left, top, right, bottom in boxes:
        assert 0 <= left < right <= 96
        assert 0 <= top < bottom <= 80
    large = Detector(source, Limits(0.02, 0.02, 0.9))(shown, asked)
    for one in large:
        for left, top, right, bottom in one.values():
            assert 0.02 <= (right - left) * (bottom - top) / (96 * 80) <= 0.9
    assert Detector(source, Limits(1.0, 0.0005, 0.9))(shown, asked) == [{}, {}, {}]
    with pytest.raises(JobCancelledError):
        Detector(source)(shown, asked, cancelled().check)


@pytest.fixture(params=[GLIGEN, INPAINT])
def painter(request: pytest.FixtureRequest, models: dict[str, str], inpainter: Path) -> Painter:
    folder = models["painter-weights"] if request.param == GLIGEN else inpainter
    return Painter(request.param, Path(folder), steps=2, guidance=3.0, device="cpu")


def wish(**fields: Any) -> Wish:
    return Wish(**{"box": (16, 24, 72, 64), "target": "bee", "prompt": "a bee", "seed": 1} | fields)


def test_painters_hang_on_all_they_are_told(painter: Painter) -> None:
    (shown,) = pictures(1)
    made = painter(shown, wish())
    assert made is not None
    changed = np.any(made != shown, axis=2)
    assert changed[24:64, 16:72].mean() > 0.9
    changed[24:64, 16:72] = False
    assert not changed.any()
    assert np.array_equal(made, painter(shown, wish()))
    others = [wish(seed=2), wish(prompt="an old lamp", target="lamp"), wish(box=(16, 24, 72, 72))]
    for other in others:
        assert not np.array_equal(made, painter(shown, other))


def test_painters_leave_the_machine_s_own_dice_alone(painter: Painter) -> None:
    (shown,) = pictures(1)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    painter(shown, wish())
    assert torch.equal(torch.rand(2), expected)


def test_a_box_wider_than_the_picture_is_high(painter: Painter) -> None:
    (shown,) = pictures(1, 160, 64)
    made = painter(shown, wish(box=(4, 8, 156, 56)))
    assert made is not None
    assert made.shape == shown.shape
    assert np.any(made != shown, axis=2)[12:52, 10:150].mean() > 0.9


def test_long_words_are_cut_to_what_the_painter_reads(painter: Painter) -> None:
    (shown,) = pictures(1)
    long = "a very old lantern " * 40
    assert painter(shown, wish(prompt=long, target=long)) is not None


def test_painting_can_be_cancelled(painter: Painter) -> None:
    (shown,) = pictures(1)
    with pytest.raises(JobCancelledError):
        painter(shown, wish(), cancelled().check)


def test_what_the_safety_checker_blacks_out_is_no_picture(painter: Painter) -> None:
    (shown,) = pictures(1)
    pipeline = painter._load()

    def refuse(image: Any, *_: Any) -> tuple[Any, list[bool]]:
        return image * 0, [True]

    pipeline.run_safety_checker = refuse
    assert painter(shown, wish()) is None


def test_what_a_pipeline_raises_is_told(painter: Painter) -> None:
    (shown,) = pictures(1)
    painter._load().text_encoder = None
    with pytest.raises(ImgeditError, match=f"{painter.pipeline} could not paint a box"):
        painter(shown, wish())


def test_the_folder_of_another_pipeline(models: dict[str, str], tmp_path: Path) -> None:
    (shown,) = pictures(1)
    (tmp_path / "a.safetensors").write_bytes(b"")
    with pytest.raises(WeightsError, match=f"holds no {INPAINT}"):
        Painter(INPAINT, tmp_path, steps=1)(shown, wish())


def test_pickles_are_not_read_and_the_way_out_is_told(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no painter in") as told:
        _ = Painter(GLIGEN, tmp_path).identity
    assert "model_index.json" in told.value.hint
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"")
    with pytest.raises(WeightsError) as told:
        _ = Painter(GLIGEN, tmp_path).identity
    assert (
        f"from diffusers import {GLIGEN} as P; P.from_pretrained('{tmp_path}')" in told.value.hint
    )
