"""What the menu entries do, each in one undo step; a fault leaves the image as it was.

All work that can fail is done before the image is touched.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from imgedit_bridges.client import BridgeError
from imgedit_bridges.gimp import canvas, holdings, running
from imgedit_bridges.gimp.placing import Plan, layout_of, prepare, put, undo_group
from imgedit_bridges.gimp.running import Told
from imgedit_bridges.protocol import JobRequest


def recover(image: Any, layers: Sequence[Any], *, swap: bool, told: Told) -> Plan:
    """Find the edit between two layers and show it as live filters on a copy of the first.

    Args:
        image: that they are in.
        layers: two; the lower one is the picture before, unless `swap`.
        swap: whether the upper one is.
        told: told how it goes.

    Returns:
        The plan.

    Raises:
        BridgeError: there are not two layers, no plan explains the edit, or the worker failed.
    """
    before, after = _two(layers, swap=swap)
    client = running.new_client()
    with canvas.uploaded(client, [before, after]) as (source, edited):
        request = JobRequest("predict_operations", {"source": source, "edited": edited})
        job, result = running.run_job(client, request, told)
        client.forget(job)
    plan = result.plan
    if plan is None or plan.get("abstained"):
        why = result.explanation or "No edit was found that explains the difference."
        raise BridgeError(why if why.endswith(".") else f"{why}.")
    upper = after if _height_of(after) <= _height_of(before) else before
    prepared = prepare(client, before, plan, told)
    with undo_group(image) as undo:
        put(client, prepared, undo, selection="", above=upper, name=_title(plan, "Recovered"))
    return plan


def apply_plan(image: Any, layers: Sequence[Any], plan: Plan, told: Told) -> None:
    """Put a plan on layers: live filters where GIMP has them, else a rendered layer above.

    Raises:
        BridgeError: there is no layer, the plan moves pixels while something is selected, or the
            worker failed.
    """
    _apply_to([(image, layers)], plan, told)


def copy_edit(image: Any, layer: Any, told: Told) -> int:
    """Put a layer's plan on the selected layers of all other open images, one undo step in each.

    Returns:
        How many images.

    Raises:
        BridgeError: the layer carries no plan, there is no other image, or as `apply_plan`;
            then no image is changed.
    """
    plan = layer_plan(layer)
    others = canvas.other_images(image)
    if not others:
        raise BridgeError("No other RGB image is open.")
    _apply_to([(other, canvas.selected_layers(other)) for other in others], plan, told)
    return len(others)


def _apply_to(places: Sequence[tuple[Any, Sequence[Any]]], plan: Plan, told: Told) -> None:
    """Prepare everything, and only then change the images."""
    client = running.new_client()  # live filters alone need no worker: it is not started here
    ready = []
    for image, layers in places:
        if not layers:
            raise BridgeError(
                f"No layer of “{image.get_name()}” is selected.",
                hint="Select a layer and try again.",
            )
        selection = canvas.selection_kind(image)
        _refuse_moves(plan, selection)
        made = [prepare(client, one, plan, told, canvas.plan_of(one)) for one in layers]
        ready.append((image, selection, made))
    for image, selection, made in ready:
        with undo_group(image) as undo:
            for one in made:
                put(client, one, undo, selection=selection, name=_title(plan, ""))


def _refuse_moves(plan: Plan, selection: str) -> None:
    moving = [step["name"] for step in plan["operations"] if holdings.is_geometric(step)]
    if selection and moving:
        raise BridgeError(
            f"The plan moves pixels ({', '.join(moving)}), which a selection cannot limit.",
            hint="Select nothing (Select > None) and try again.",
        )


def layer_plan(layer: Any) -> Plan:
    """The plan that a layer carries.

    Raises:
        BridgeError: it carries none.
    """
    plan = canvas.plan_of(layer)
    if plan is None:
        raise BridgeError(
            f"The layer “{layer.get_name()}” carries no plan.",
            hint="Recover an edit or apply a plan first.",
        )
    return plan


def save_plan(layer: Any, path: Path) -> None:
    """Write a layer's plan as JSON; the file appears whole or not at all.

    Raises:
        BridgeError: the layer carries none, or the file cannot be written.
    """
    text = json.dumps(layer_plan(layer), indent=2) + "\n"
    temporary = path.with_name(f".{path.name[:40]}-{secrets.token_hex(4)}.part")
    try:
        temporary.write_text(text, "utf-8")
        os.replace(temporary, path)  # noqa: PTH105  # Path.replace says no other thing
    except OSError as error:
        temporary.unlink(missing_ok=True)
        why = (error.strerror or str(error)).rstrip(".")
        raise BridgeError(f"{path} cannot be written: {why}.") from error


def explain(layer: Any) -> str:
    """A layer's edit in words: one line a fact.

    Raises:
        BridgeError: it carries no plan.
    """
    plan = layer_plan(layer)
    layout = layout_of(layer, plan)
    lines = [str(plan.get("explanation") or "")]
    for number, step in enumerate(plan["operations"], 1):
        how = "live" if number > len(layout.rendered) else f"rendered{holdings.why(step)}"
        lines.append(f"{number}. {holdings.describe(step)}: {how}")
    residual = plan.get("residual") or {}
    if isinstance(residual.get("explained"), int | float):
        lines.append(f"It explains {100 * residual['explained']:.4g} % of the edit.")
    return "\n".join(line for line in lines if line) or "Nothing is changed."


# --- layers and names -------------------------------------------------------------------------


def _two(layers: Sequence[Any], *, swap: bool) -> tuple[Any, Any]:
    if len(layers) != 2:
        raise BridgeError(
            "Two layers are needed: the picture before the edit and the one after it.",
            hint="Select both in the list of layers (Ctrl+click) and try again.",
        )
    upper, lower = sorted(layers, key=_height_of)
    return (upper, lower) if swap else (lower, upper)


def _height_of(layer: Any) -> tuple[int, ...]:
    """Its place in the tree, from the top."""
    image, places = layer.get_image(), []
    item = layer
    while item is not None:
        places.append(image.get_item_position(item))
        item = item.get_parent()
    return tuple(reversed(places))


def _title(plan: Plan, prefix: str) -> str:
    told = str(plan.get("explanation") or "").rstrip(".")
    told = told or ", ".join(str(step["name"]) for step in plan["operations"]) or "no change"
    title = f"{prefix}: {told}" if prefix else told
    return title if len(title) <= 80 else f"{title[:79]}…"
