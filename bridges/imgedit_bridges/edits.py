"""Edits as both editors speak of them: names, plans one after the other, plans into files."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imgedit_bridges.client import Result
from imgedit_bridges.errors import BridgeError

Plan = Mapping[str, Any]
"""A plan as decoded JSON."""

Step = Mapping[str, Any]
"""One operation of a plan as decoded JSON: name and parameters."""

DEFINITIONS = "opencv-photo-filters/1"
"""The profile whose constants the editors' filters stand for."""


def title(plan: Plan, prefix: str = "") -> str:
    """What the edit is called in the editor."""
    told = str(plan.get("explanation") or "").rstrip(".")
    told = told or ", ".join(str(step["name"]) for step in plan["operations"]) or "no change"
    return shortened(f"{prefix}: {told}" if prefix else told)


def shortened(name: str) -> str:
    """A name of at most 80 characters."""
    return name if len(name) <= 80 else f"{name[:79]}…"


def is_plan(data: object) -> bool:
    """Whether data have the shape of a plan; what its steps are is not looked at."""
    steps = data.get("operations") if isinstance(data, dict) else None
    return isinstance(steps, list) and all(
        isinstance(one, dict)
        and isinstance(one.get("name"), str)
        and isinstance(one.get("parameters", {}), dict)
        for one in steps
    )


def describe(step: Step) -> str:
    """An operation and its parameters for people: 'bright (offset 50)'."""
    told = ", ".join(
        f"{name} {value:g}" if isinstance(value, int | float) else f"{name} …"
        for name, value in step.get("parameters", {}).items()
    )
    return f"{step['name']} ({told})" if told else str(step["name"])


def recovered(result: Result) -> Plan:
    """The plan that a prediction found.

    Raises:
        BridgeError: it found none.
    """
    plan = result.plan
    if plan is None or plan.get("abstained"):
        why = result.explanation or "No edit was found that explains the difference."
        raise BridgeError(why if why.endswith(".") else f"{why}.")
    return plan


def with_operations(plan: Plan, operations: list[Step]) -> dict[str, Any]:
    """Other operations under the same definitions."""
    kept = {name: plan[name] for name in ("schema", "definitions") if name in plan}
    return {**kept, "operations": operations}


def after(kept: Plan | None, plan: Plan) -> Plan:
    """The plan of a layer that carried one already: one after the other.

    Raises:
        BridgeError: they are defined by different profiles.
    """
    if kept is None:
        return plan
    if kept.get("definitions", DEFINITIONS) != plan.get("definitions", DEFINITIONS):
        raise BridgeError("The layer carries a plan that is defined by another profile.")
    told = [str(p.get("explanation") or "").rstrip(".") for p in (kept, plan)]
    explanation = f"{', then '.join(told)}." if all(told) else ""
    operations = [*kept["operations"], *plan["operations"]]
    return {**with_operations(plan, operations), "explanation": explanation}


def write_plan(plan: Plan, path: Path) -> None:
    """Write a plan as JSON; the file appears whole or not at all.

    Raises:
        BridgeError: the file cannot be written.
    """
    text = json.dumps(plan, indent=2) + "\n"
    temporary = path.with_name(f".{path.name[:40]}-{secrets.token_hex(4)}.part")
    try:
        temporary.write_text(text, "utf-8")
        os.replace(temporary, path)  # noqa: PTH105  # Path.replace says no other thing
    except OSError as error:
        temporary.unlink(missing_ok=True)
        why = (error.strerror or str(error)).rstrip(".")
        raise BridgeError(f"{path} cannot be written: {why}.") from error


def residual_line(plan: Plan) -> str:
    """How much of the edit the plan explains, as a sentence; empty where that is not known."""
    residual = plan.get("residual") or {}
    if isinstance(residual.get("explained"), int | float):
        return f"It explains {100 * residual['explained']:.4g} % of the edit."
    return ""


def progress(event: Mapping[str, Any]) -> tuple[str, float] | None:
    """What an event says is being done, and how much of it (0..1; below 0: not known)."""
    if event.get("event") == "progress":
        total = event.get("total") or 0
        share = min(1.0, (event.get("done") or 0) / total) if total else -1.0
        return str(event.get("stage") or ""), share
    if event.get("event") == "queued" and event.get("ahead"):
        return "Waiting for other work", -1.0
    return None
