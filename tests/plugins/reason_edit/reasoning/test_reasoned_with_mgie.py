"""The rest is painted by a real diffusion model: MGIE's classes at tiny size, drawn weights."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = [
    pytest.mark.torch,
    # diffusers' Euler schedulers convert arrays in a way that NumPy 2 warns of.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

sys.path.append(str(Path(__file__).parents[2] / "mgie"))
import tiny_mgie  # noqa: E402
from reasoned_answers import BIRDS, WARM, Model, plan, serving  # noqa: E402

from imgedit_plugins.jobs import Job  # noqa: E402
from imgedit_plugins.plan import EditPlan, step  # noqa: E402
from imgedit_plugins.plugins import PluginManager  # noqa: E402
from imgedit_plugins.render import render_plan  # noqa: E402
from imgedit_plugins.requests import ApplyRequest, EditResult  # noqa: E402


def test_operations_below_and_what_mgie_painted_above(tmp_path: Path) -> None:
    tiny_mgie.imported(tiny_mgie.published(tmp_path / "published"), tmp_path / "model")
    options: dict[str, Any] = {
        "painter-options": f"weights='{tmp_path / 'model'}' steps=2 resolution=64 max-tokens=16 "
        "precision=fp32 device=cpu",
    }
    picture = tiny_mgie.picture()
    stages: list[str] = []
    with serving(Model([plan(WARM, BIRDS)])) as address:
        request = ApplyRequest(
            picture=picture, instruction="x", options={"endpoint": address, **options}, seed=4
        )
        job = Job(on_progress=lambda told: stages.append(told.stage))
        result: EditResult = PluginManager.discover().call(
            "apply_edit", request, job, "reason_edit"
        )
    assert not result.warnings
    assert result.plan is not None
    assert [one.name for one in result.plan.operations] == ["temperature"]
    assert result.candidates[0].layer is not None
    warm = render_plan(picture, EditPlan(operations=(step("temperature", shift=40),))).pixels
    made = result.candidates[0].picture.pixels
    changed = (made != warm).any(2)
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    height, width = changed.shape
    left, top, right, bottom = BIRDS["region"]["box"]
    assert rows[0] >= top * height - 1
    assert rows[-1] <= bottom * height + 1
    assert columns[0] >= left * width - 1
    assert columns[-1] <= right * width + 1
    assert changed[rows[0] + 2 : rows[-1] - 1, columns[0] + 2 : columns[-1] - 1].mean() > 0.9
    assert "writing the expressive instruction" in stages, "the painter's progress is seen"
