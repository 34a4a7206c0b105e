"""What the menu entries do, each in one undo step; a fault leaves the image as it was.

All work that can fail is done before the image is touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from imgedit_bridges.client import BridgeError
from imgedit_bridges.edits import Plan, describe, residual_line, title, write_plan
from imgedit_bridges.gimp import canvas, holdings, records, running, transfer
from imgedit_bridges.gimp.placing import Prepared, ground_of, prepare, put, undo_group
from imgedit_bridges.gimp.running import Told

_TURNED = (
    "The filters are not in the plan's order, so the edit looks different: GIMP turns them round "
    "when an edit is redone. Undo it and apply the plan again."
)


def apply_plan(
    image: Any, layers: Sequence[Any], plan: Plan, told: Told, *, strength: float = 1.0
) -> None:
    """Put a plan on layers: live filters where GIMP has them, else a rendered layer above.

    Raises:
        BridgeError: there is no layer, the plan moves pixels while something is selected, or the
            worker failed.
    """
    _apply_to([(image, layers)], plan, told, strength)


def copy_edit(image: Any, layer: Any, told: Told) -> int:
    """Put a layer's plan on the selected layers of all other open images, one undo step in each.

    Returns:
        How many images.

    Raises:
        BridgeError: the layer carries no plan, there is no other image, or as `apply_plan`;
            then no image is changed.
    """
    plan = layer_plan(layer)
    record = records.read_record(layer)
    others = canvas.other_images(image)
    if not others:
        raise BridgeError("No other image is open that could get the edit.")
    places = [(other, canvas.selected_layers(other)) for other in others]
    _apply_to(places, plan, told, record.strength if record is not None else 1.0)
    return len(others)


def _apply_to(
    places: Sequence[tuple[Any, Sequence[Any]]], plan: Plan, told: Told, strength: float
) -> None:
    """Prepare everything, and only then change the images."""
    client = running.new_client()  # live filters alone need no worker: it is not started here
    with transfer.jobs_of(client) as jobs:
        ready = _prepared(jobs, places, plan, told, strength)
        for image, selection, made in ready:
            with undo_group(image) as undo:
                for one in made:
                    put(client, one, undo, selection=selection, name=title(plan))


def _prepared(
    jobs: transfer.Jobs,
    places: Sequence[tuple[Any, Sequence[Any]]],
    plan: Plan,
    told: Told,
    strength: float,
) -> list[tuple[Any, str, list[Prepared]]]:
    """For each image its selection, and its layers' edits."""
    ready = []
    for image, layers in places:
        if not layers:
            raise BridgeError(
                f"No layer of “{canvas.name_of(image)}” is selected.",
                hint="Select a layer and try again.",
            )
        selection = canvas.selection_kind(image)
        refuse_moves(plan, selection)
        check_layers(image, layers)
        made = [
            prepare(
                jobs,
                one,
                plan,
                told,
                kept=canvas.plan_of(one),
                selection=selection,
                strength=strength,
            )
            for one in layers
        ]
        ready.append((image, selection, made))
    return ready


def check_layers(image: Any, layers: Sequence[Any]) -> None:
    """Refuse layers that cannot be edited.

    Raises:
        BridgeError: one floats, is indexed, or lies wholly outside the selection.
    """
    selected = canvas.selection_kind(image)
    for layer in layers:
        canvas.check_layer(layer)
        if selected and not layer.mask_intersect()[0]:
            raise BridgeError(
                f"The selection does not meet the layer “{layer.get_name()}”.",
                hint="Select a part of it, or nothing (Select > None), and try again.",
            )


def refuse_moves(plan: Plan, selection: str) -> None:
    """Refuse what a selection cannot limit.

    Raises:
        BridgeError: something is selected and the plan moves pixels.
    """
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
    write_plan(layer_plan(layer), path)


def explain(layer: Any) -> str:
    """A layer's edit in words: one line a fact.

    Raises:
        BridgeError: it carries neither a plan nor an explanation.
    """
    if canvas.plan_of(layer) is None and (told := canvas.explanation_of(layer)):
        return told
    plan = layer_plan(layer)
    ground = ground_of(layer)
    layout = ground.lay_out(plan)
    lines = [str(plan.get("explanation") or "")]
    for number, step in enumerate(plan["operations"], 1):
        how = (
            "live"
            if number > len(layout.rendered)
            else f"rendered{holdings.why(step, ground.hidden)}"
        )
        lines.append(f"{number}. {describe(step)}: {how}")
    lines.append(residual_line(plan))
    if canvas.is_turned_round(layer, [one.name for one in layout.filters]):
        lines.append(_TURNED)
    return "\n".join(line for line in lines if line) or "Nothing is changed."
