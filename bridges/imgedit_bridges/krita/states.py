"""Plans as states of the docker's list of steps; knows neither Krita nor Qt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imgedit_bridges.edits import DEFINITIONS


def state_of(plan: Mapping[str, Any], strength: float = 1.0) -> dict[str, Any]:
    """What `StepList.restore` takes, for a plan that no pane has changed: all steps are on."""
    steps = [
        {
            "name": step["name"],
            "parameters": step.get("parameters") or {},
            "confidence": step.get("confidence", 1.0),
            "on": True,
        }
        for step in plan["operations"]
    ]
    return {"plan": plan, "steps": steps, "strength": strength}


def first_plan(operation: Mapping[str, Any]) -> dict[str, Any]:
    """A plan of one operation, with parameters with which it visibly does something.

    Args:
        operation: as `Client.operations` gives it.
    """
    step = {
        "name": operation["name"],
        "parameters": dict(operation.get("start") or {}),
        "confidence": 1.0,
    }
    return {
        "schema": "imgedit-plan/1",
        "definitions": DEFINITIONS,
        "operations": [step],
        "explanation": str(operation.get("title") or operation["name"]),
    }
