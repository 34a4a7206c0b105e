"""docs/operations.md: pictures and entries are what the command makes; every operation is there."""

import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgedit_plugins.operations import default_vocabulary

sys.path.append(str(Path(__file__).parents[2] / "scripts"))
import operation_pictures
from operation_pictures import GROUPS, HALF, LARGEST, PAGE, PICTURES, SHOWN

OPERATIONS = {operation.name: operation for operation in default_vocabulary()}
FORGOTTEN = "run python scripts/operation_pictures.py"


def decoded(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA")).astype(int)


@pytest.fixture(scope="module")
def pairs():
    return {name: operation_pictures.pair(shown) for name, shown in SHOWN.items()}


def definitions():
    """What the page's tables of definitions say, by operation."""
    text = PAGE.read_text(encoding="utf-8")
    tables = re.findall(
        r"^\| operation \| definition .*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE
    )
    rows = re.findall(r"^\| `([\w-]+)` \| (.+?) \|", "".join(tables), re.MULTILINE)
    assert len(rows) == len(dict(rows)), "one row each"
    return dict(rows)


def test_every_operation_is_shown_once():
    assert set(SHOWN) == set(OPERATIONS)
    grouped = [operation.name for operations in GROUPS.values() for operation in operations]
    assert sorted(grouped) == sorted(OPERATIONS)
    assert {path.name for path in PICTURES.iterdir()} == {f"{name}.webp" for name in OPERATIONS}


@pytest.mark.parametrize("name", OPERATIONS)
def test_pictures_are_what_the_command_makes(name, pairs):
    data = (PICTURES / f"{name}.webp").read_bytes()
    assert len(data) <= LARGEST
    shown = decoded(data)
    made = decoded(operation_pictures.encoded(pairs[name]))
    assert shown.shape == made.shape == (159, 480, 4), FORGOTTEN
    # Another release of libwebp or OpenCV may change a code here and there.
    assert np.abs(shown - made).mean() < 1.0, FORGOTTEN


@pytest.mark.parametrize("name", OPERATIONS)
def test_pictures_show_that_something_happens(name, pairs):
    before, after = (pairs[name][:, edge : edge + HALF[0]].astype(int) for edge in (0, 242))
    assert np.abs(before - after).mean() > 1.5


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_defined_and_shown_on_the_page(name):
    page = PAGE.read_text(encoding="utf-8")
    assert page.count(f"](operations/{name}.webp)") == 1, FORGOTTEN
    assert len(definitions().get(name, "")) > 10, f"say in {PAGE.name} what {name} does"


def test_entries_are_what_the_declarations_say():
    page = PAGE.read_text(encoding="utf-8")
    assert operation_pictures.with_entries(page) == page, FORGOTTEN
    for operation in OPERATIONS.values():
        assert operation.compares in page


def test_entries_follow_declarations(monkeypatch):
    changed = {**SHOWN, "bright": operation_pictures.Shown("bright=-20")}
    monkeypatch.setattr(operation_pictures, "SHOWN", changed)
    page = PAGE.read_text(encoding="utf-8")
    other = operation_pictures.with_entries(page)
    assert set(other.splitlines()) - set(page.splitlines()) == {
        "- Shown: `bright=-20`; undone by `bright=20`"
    }
    with pytest.raises(ValueError, match="0 places for the group 'tone'"):
        operation_pictures.with_entries(page.replace("<!-- made: tone -->", ""))


def test_pictures_that_stay_too_large_are_refused():
    noise = np.random.default_rng(0).integers(0, 256, (159, 480, 4), np.uint8)
    noise[:, :, 3] = 255
    with pytest.raises(ValueError, match="more than 15000"):
        operation_pictures.encoded(noise)
