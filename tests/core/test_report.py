"""The HTML report: well formed, self-contained, safe, honest."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from imgedit_plugins.errors import ImgeditError
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan, Residual, step
from imgedit_plugins.render import render_plan
from imgedit_plugins.report import data_uri, report_entry, residual_picture, write_report

VOID = {"meta", "img", "br", "link", "input", "hr"}


class _Checker(HTMLParser):
    """Collects tags and text; fails on tags that are not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open, self.tags, self.text = [], [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def _checked(path) -> _Checker:
    checker = _Checker()
    checker.feed(path.read_text(encoding="utf-8"))
    checker.close()
    assert checker.open == []
    return checker


@pytest.fixture
def before():
    pixels = np.random.default_rng(0).integers(0, 150, (60, 90, 3), dtype=np.uint8)
    return Picture(pixels)


@pytest.fixture
def plan():
    steps = (step("bright", 0.975, offset=50), step("flip", 0.5))
    residual = Residual(psnr_db=43.14, explained=0.99996)
    return EditPlan(operations=steps, residual=residual, explanation="brightened & mirrored")


def test_report_shows_plan_and_four_pictures(tmp_path, before, plan):
    after = render_plan(before, plan)
    write_report(tmp_path / "r.html", [report_entry("a.jpg", before, after, plan, seconds=0.123)])
    page = _checked(tmp_path / "r.html")
    text = " ".join(page.text.split())
    for told in (
        "brightened & mirrored",
        "98 %",
        "50 %",
        "43.1 dB",
        "99.99 %",
        "0.12 s",
        "90 x 60",
    ):
        assert told in text, told
    images = [attrs for tag, attrs in page.tags if tag == "img"]
    assert [a["alt"].split(":")[0] for a in images] == [
        "Before",
        "After",
        "Re-rendered",
        "Residual",
    ]


def test_report_is_self_contained(tmp_path, before, plan):
    write_report(tmp_path / "r.html", [report_entry("a", before, before, plan)])
    page = _checked(tmp_path / "r.html")
    for tag, attrs in page.tags:
        assert tag not in ("link", "script", "iframe")
        for name in ("src", "href"):
            assert attrs.get(name, "#").startswith(("#", "data:image/"))
    assert "url(" not in (tmp_path / "r.html").read_text()


def test_report_escapes_names_and_explanations(tmp_path, before):
    evil = '<script>alert("x")</script>'
    plan = EditPlan(explanation=evil)
    write_report(tmp_path / "r.html", [report_entry(evil, before, None, plan)], title=evil)
    page = _checked(tmp_path / "r.html")
    assert "script" not in {tag for tag, _ in page.tags}
    assert evil in page.text


def test_report_of_an_abstention_and_of_several(tmp_path, before, plan):
    none = report_entry("none", before, before, EditPlan(abstained=True))
    assert none.rendered is None
    write_report(tmp_path / "r.html", [none, report_entry("one", before, None, plan)])
    page = _checked(tmp_path / "r.html")
    assert "Abstained: no plan explains this edit." in page.text
    assert "2 edits" in page.text
    targets = {attrs["href"][1:] for tag, attrs in page.tags if tag == "a"}
    assert targets <= {attrs.get("id") for _, attrs in page.tags}


def test_residual_is_black_for_equal_pictures(before):
    residual, gain = residual_picture(before, before)
    assert not residual.pixels.any()
    assert gain == 32


@pytest.mark.parametrize(("difference", "gain"), [(1, 32), (10, 8), (90, 1), (200, 1)])
def test_residual_is_amplified_as_it_says(difference, gain):
    dark = Picture(np.zeros((8, 8, 3), np.uint8))
    light = Picture(np.full((8, 8, 3), difference, np.uint8))
    residual, told = residual_picture(dark, light)
    assert told == gain
    assert (residual.pixels == min(difference * gain, 255)).all()


def test_residual_of_a_scaled_edit_has_the_edits_size(before):
    smaller = Picture(np.ascontiguousarray(before.pixels[::2, ::2]))
    residual, _ = residual_picture(before, smaller)
    assert (residual.width, residual.height) == (smaller.width, smaller.height)


@pytest.mark.parametrize(("channels", "kind"), [(1, "JPEG"), (3, "JPEG"), (2, "PNG"), (4, "PNG")])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_thumbnails(channels, kind, dtype):
    top = 1 if dtype == np.float32 else np.iinfo(dtype).max
    picture = Picture(np.full((100, 300, channels), top, dtype))
    uri = data_uri(picture, side=150)
    data = re.fullmatch(r"data:image/(jpeg|png);base64,(.*)", uri)[2]
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert (image.format, image.size) == (kind, (150, 50))
    assert image.convert("RGB").getpixel((75, 25)) == (255, 255, 255)


def test_unwritable_report_is_one_sentence(tmp_path, before, plan):
    entry = report_entry("a", before, None, plan)
    with pytest.raises(ImgeditError, match="cannot be written: its folder does not exist"):
        write_report(tmp_path / "no" / "r.html", [entry])


def test_report_of_curves_and_of_what_was_left_out(tmp_path, before):
    steps = (
        step("curves", all=((0.0, 0.0), (0.5, 0.625), (1.0, 1.0))),
        step("vignette", amount=-40),
    )
    write_report(tmp_path / "r.html", [report_entry("x", before, None, EditPlan(operations=steps))])
    text = " ".join(_checked(tmp_path / "r.html").text.split())
    assert "All channels 0/0,0.5/0.625,1/1" in text
    assert "Amount -40%" in text
    assert "Feather" not in text
