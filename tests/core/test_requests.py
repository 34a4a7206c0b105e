from pathlib import Path

import numpy as np
import pydantic
import pytest

from imgedit_plugins import requests
from imgedit_plugins.authoring.samples import mask_for, photograph
from imgedit_plugins.plan import EditPlan
from imgedit_plugins.requests import (
    ApplyRequest,
    Candidate,
    DataRequest,
    EditLayer,
    EditResult,
    EvaluateRequest,
    ExportRequest,
    PredictRequest,
    Table,
    TrainRequest,
    WeightsRequest,
)

PICTURE = photograph(8, 6)
HERE = Path()


@pytest.mark.parametrize(
    ("request_", "inputs"),
    [
        (PredictRequest(source=PICTURE), {"source"}),
        (PredictRequest(source=PICTURE, edited=PICTURE), {"source", "edited"}),
        (PredictRequest(source=PICTURE, instruction=""), {"source", "instruction"}),
        (ApplyRequest(picture=PICTURE), {"picture"}),
        (ApplyRequest(picture=PICTURE, plan=EditPlan()), {"picture", "plan"}),
        (
            ApplyRequest(picture=PICTURE, instruction="x", mask=mask_for(PICTURE)),
            {"picture", "instruction", "mask"},
        ),
        (TrainRequest(data=HERE, out=HERE), {"data"}),
        (EvaluateRequest(data=HERE), {"data"}),
        (DataRequest(recipe="r", out=HERE), {"recipe"}),
        (WeightsRequest(weights="w", files={}, out=HERE), {"weights"}),
        (ExportRequest(), set()),
        (ExportRequest(model="m"), {"model"}),
    ],
)
def test_requests_name_the_inputs_that_are_there(request_, inputs):
    assert request_.inputs == inputs


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"source": PICTURE.pixels},
        {"source": "a.png"},
        {"source": PICTURE, "edited": "b.png"},
        {"source": PICTURE, "instruction": 5},
        {"source": PICTURE, "x": 1},
        {"source": PICTURE, "seed": -1},
        {"source": PICTURE, "seed": 2**63},
        {"source": PICTURE, "seed": 1.0},
        {"source": PICTURE, "seed": True},
        {"source": PICTURE, "seed": "1"},
        {"source": PICTURE, "options": {"a": None}},
        {"source": PICTURE, "options": {"a": [1]}},
        {"source": PICTURE, "options": {1: 1}},
    ],
)
def test_requests_refuse_what_does_not_fit(fields):
    with pytest.raises(pydantic.ValidationError):
        PredictRequest(**fields)


def test_options_keep_their_types():
    options = {"a": True, "b": 1, "c": 1.0, "d": "1"}
    kept = PredictRequest(source=PICTURE, options=options).options
    assert [type(v) for v in kept.values()] == [bool, int, float, str]
    assert PredictRequest(source=PICTURE, seed=2**63 - 1).seed == 2**63 - 1


@pytest.mark.parametrize(
    "mask",
    [
        np.zeros((8, 6), np.uint8),
        np.zeros((6, 8, 1), np.uint8),
        np.zeros((1, 1), np.uint8),
        np.zeros((6, 8), bool),
        np.zeros((6, 8), np.float32),
        [[0] * 8] * 6,
        "mask.png",
    ],
    ids=["turned", "channel", "pixel", "bool", "float", "list", "path"],
)
def test_masks_that_do_not_fit_are_refused(mask):
    with pytest.raises(pydantic.ValidationError, match="mask"):
        ApplyRequest(picture=PICTURE, mask=mask)


def test_a_mask_that_fits_is_taken_as_it_is():
    mask = mask_for(PICTURE)
    assert ApplyRequest(picture=PICTURE, mask=mask).mask is mask


def test_a_result_needs_something():
    with pytest.raises(pydantic.ValidationError, match="a candidate or a plan"):
        EditResult()
    with pytest.raises(pydantic.ValidationError, match="a candidate or a plan"):
        EditResult(explanation="nothing happened", warnings=("why",))
    assert EditResult(plan=EditPlan()).candidates == ()
    result = EditResult(candidates=(Candidate(picture=PICTURE, offset=(-3, 4), seed=7),))
    assert result.plan is None
    assert (result.candidates[0].offset, result.candidates[0].seed) == ((-3, 4), 7)


def test_layers_are_those_of_a_candidate():
    layer = EditLayer(picture=PICTURE, offset=(1, 2), title="Sky", plan=EditPlan())
    made = EditResult(candidates=(Candidate(picture=PICTURE),), layers=(layer,))
    assert (made.layers[0].title, made.layers[0].offset) == ("Sky", (1, 2))
    with pytest.raises(pydantic.ValidationError, match="layers are those of the first candidate"):
        EditResult(plan=EditPlan(), layers=(layer,))


@pytest.mark.parametrize("offset", [(1,), (1, 2, 3), (1.5, 2), [1, 2], None])
def test_an_offset_is_two_whole_numbers(offset):
    with pytest.raises(pydantic.ValidationError):
        Candidate(picture=PICTURE, offset=offset)


def test_tables_hold_text_numbers_and_nothing():
    assert Table(title="t", columns=("a",), rows=(("x",), (1,), (1.5,), (None,))).rows[3] == (None,)
    with pytest.raises(pydantic.ValidationError):
        Table(title="t", columns=("a",), rows=(([],),))


def test_everything_is_frozen_and_knows_its_fields():
    models = [
        m for m in vars(requests).values()
        if isinstance(m, type) and issubclass(m, pydantic.BaseModel) and m is not pydantic.BaseModel
    ]  # fmt: skip
    assert len(models) >= 14
    for model in models:
        assert model.model_config["frozen"], model
        assert model.model_config["extra"] == "forbid", model
        assert model.model_config["strict"], model
    request = PredictRequest(source=PICTURE)
    with pytest.raises(pydantic.ValidationError):
        request.seed = 1


def test_requests_do_not_share_their_defaults():
    first, second = PredictRequest(source=PICTURE), PredictRequest(source=PICTURE)
    first.options["a"] = 1
    assert second.options == {}
    assert PredictRequest(source=PICTURE).options == {}
