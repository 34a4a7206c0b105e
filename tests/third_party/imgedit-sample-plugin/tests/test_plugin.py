"""Tests of the sample plugin, with the fixtures that imgedit-plugins ships for authors."""

import numpy as np
import pytest

from imgedit_plugins.errors import JobCancelledError
from imgedit_plugins.requests import ApplyRequest, PredictRequest
from imgedit_plugins.testing import assert_deterministic, assert_mask_honoured


def posterise(manager, photograph, job, **more):
    request = ApplyRequest(picture=photograph, instruction="Posterise it", **more)
    return manager.call("apply_edit", request, job, plugin="sample")


def test_leaves_few_values(manager, photograph, job):
    result = posterise(manager, photograph, job, options={"levels": 3})
    assert set(np.unique(result.candidates[0].picture.pixels)) <= {0, 128, 255}


def test_finds_the_number_of_levels(manager, photograph, job):
    edited = posterise(manager, photograph, job, options={"levels": 5}).candidates[0].picture
    request = PredictRequest(source=photograph, edited=edited)
    plan = manager.call("predict_operations", request, job, plugin="sample")
    assert plan.operations[0].parameters == {"levels": 5}
    assert plan.explanation == "posterised to 5 levels"


def test_honours_the_mask(manager, photograph):
    assert_mask_honoured(manager, "sample", photograph, instruction="posterise")


def test_the_seed_decides(manager, photograph):
    assert_deterministic(
        manager, "sample", photograph, instruction="posterise", options={"dither": True}
    )


def test_stops_when_cancelled(manager, photograph, cancelled_job):
    with pytest.raises(JobCancelledError):
        posterise(manager, photograph, cancelled_job)
