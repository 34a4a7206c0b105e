"""What editors read in the worker's last event: pictures, and one of them in layers."""

import pytest

from imgedit_bridges.errors import BridgeError
from imgedit_bridges.protocol import PictureRef
from imgedit_bridges.results import read_result

PICTURE = PictureRef("0" * 32, 4, 3, 4, "uint8").to_json()
PLAN = {"operations": [{"name": "invert"}]}


def test_pictures_and_layers_are_told_apart():
    told = read_result({
        "pictures": [{**PICTURE, "seed": 7}, {**PICTURE, "offset": [1, 2], "title": "Sky"},
                     {**PICTURE, "plan": PLAN}],
        "layers": 2, "explanation": "Two layers.", "plan": None, "warnings": ["mind"],
    })  # fmt: skip
    assert [one.seed for one in told.pictures] == [7]
    sky, last = told.layers
    assert (sky.title, sky.offset, sky.plan) == ("Sky", (1, 2), None)
    assert (last.title, last.offset, last.plan) == ("", (0, 0), PLAN)
    assert (told.explanation, told.warnings) == ("Two layers.", ("mind",))


def test_a_worker_that_knows_no_layers_tells_none():
    told = read_result({"pictures": [PICTURE, PICTURE]})
    assert len(told.pictures) == 2
    assert told.layers == ()


@pytest.mark.parametrize(
    "data",
    [None, [], {"pictures": {}}, {"pictures": [1]}, {"pictures": [{**PICTURE, "more": 1}]},
     {"pictures": [PICTURE], "layers": 2}, {"pictures": [PICTURE], "layers": -1},
     {"pictures": [PICTURE], "layers": "1"}],
)  # fmt: skip
def test_what_is_no_result_is_told(data):
    with pytest.raises(BridgeError):
        read_result(data)
