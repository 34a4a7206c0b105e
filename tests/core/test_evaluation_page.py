"""The HTML page of `evaluate`: well formed, self-contained, safe; charts in its colours."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from imgedit_plugins.charts import svg, ticks
from imgedit_plugins.errors import ImgeditError
from imgedit_plugins.evaluation_page import write_evaluation
from imgedit_plugins.pictures import Picture
from imgedit_plugins.requests import Case, Chart, EvaluateReport, Table

EVIL = '<script>alert("x")</script>'
PICTURE = Picture(np.full((40, 60, 3), 200, np.uint8))
CHART = Chart(
    title="Curve",
    x="answered, %",
    y="accuracy, %",
    lines={"by a": ((10.0, 100.0), (100.0, 50.0)), "by b": ((50.0, 75.0),)},
    note="Left to right.",
)
REPORT = EvaluateReport(
    tables=(
        Table(title="Overall", columns=("method", "F1 %"), rows=(("ours", 97.5), (EVIL, None))),
    ),
    charts=(CHART,),
    cases=(Case(title=EVIL, told=(("Found", EVIL),), pictures=(("Source", "", PICTURE),)),),
)


class _Page(HTMLParser):
    """Collects tags and text; fails on tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "r.html"
    write_evaluation(path, REPORT, title="x on y", made_by=f"evaluate {EVIL}")
    return _Page(path.read_text(encoding="utf-8"))


def test_tables_charts_and_cases_are_there(page):
    text = " ".join(page.text.replace("\u00a0", " ").split())
    for told in ("x on y", "Overall", "F1 %", "97.5", "–", "Left to right.", "by b", "60 x 40"):
        assert told in text, told
    tags = [tag for tag, _ in page.tags]
    assert (tags.count("svg"), tags.count("img"), tags.count("table")) == (1, 1, 1)


def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing(page):
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.tags}
    for _, attrs in page.tags:
        for name in ("src", "href"):
            assert (attrs.get(name) or "#").startswith(("#", "data:image/"))
    assert page.text.count(EVIL) == 4, "command, table, heading, text: all as text"


def test_links_lead_somewhere(page):
    targets = {attrs["href"][1:] for tag, attrs in page.tags if tag == "a"}
    assert targets == {"table-1", "charts", "worst"}
    assert targets <= {attrs.get("id") for _, attrs in page.tags}


def test_pictures_are_no_part_of_the_json():
    dumped = REPORT.model_dump(mode="json")
    assert set(dumped) == {"tables", "details", "charts"}
    assert dumped["charts"][0]["lines"]["by b"] == [[50.0, 75.0]]


def test_an_unwritable_page_is_one_sentence(tmp_path):
    with pytest.raises(ImgeditError, match="cannot be written: its folder does not exist"):
        write_evaluation(tmp_path / "no" / "r.html", REPORT, title="", made_by="")


# --- charts -----------------------------------------------------------------------------------


def test_points_lie_where_they_belong():
    drawn = ElementTree.fromstring(svg(CHART))
    box = [float(part) for part in drawn.attrib["viewBox"].split()]
    (curve,) = (e for e in drawn if e.get("class") == "curve")
    numbers = [float(n) for n in re.findall(r"[\d.]+", curve.attrib["d"])]
    (x0, y0), (x1, y1) = zip(numbers[::2], numbers[1::2], strict=True)
    assert 0 < x0 < x1 < box[2], "10 % is left of 100 %"
    assert 0 < y0 < y1 < box[3], "100 % is above 50 %"
    labels = {e.text: e for e in drawn if e.tag == "text"}
    assert float(labels["100"].attrib["x"]) == pytest.approx(x1, abs=0.1)
    circles = [e for e in drawn if e.tag == "circle"]
    assert len(circles) == 2, "a line of one point is seen, too"
    middle = (y0 + y1) / 2
    assert float(circles[1].attrib["cy"]) == pytest.approx(middle, abs=0.1), "75 % is between"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 100.0], [0, 20, 40, 60, 80, 100]),
        ([95.2, 99.9], [95, 96, 97, 98, 99, 100]),
        ([0.1, 0.2], [0.1, 0.12, 0.14, 0.16, 0.18, 0.2]),
        ([7.0], [6.4, 6.6, 6.8, 7.0, 7.2, 7.4, 7.6]),
        ([], [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
    ],
)
def test_ticks_are_round_and_enclose(values, expected):
    found = ticks(values)
    assert found == pytest.approx(expected)
    assert all(found[0] <= value <= found[-1] for value in values)


def test_names_in_charts_are_escaped():
    chart = CHART.model_copy(update={"title": EVIL, "lines": {EVIL: ((1.0, 1.0),)}})
    assert "<script" not in svg(chart)


def test_points_are_marked_with_their_settings():
    marked = CHART.model_copy(update={"marks": {"by a": ("1.0", "2.2 & more")}})
    root = ElementTree.fromstring(svg(marked).replace("&nbsp;", " "))
    shown = [element.text for element in root.iter("text")]
    assert {"1.0", "2.2 & more"} <= set(shown)
    assert (
        len(list(root.iter("circle")))
        == len(list(ElementTree.fromstring(svg(CHART)).iter("circle"))) + 2
    )
    with pytest.raises(ValueError, match="as many marks"):
        Chart(title="", x="", y="", lines={"a": ((0.0, 1.0),)}, marks={"a": ("1", "2")})
