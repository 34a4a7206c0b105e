"""What the entries of installed plugins do: predict an edit and put it, or have pictures made.

As everywhere, what can fail is done before the image is touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from imgedit_bridges.client import BridgeError, Client, Result
from imgedit_bridges.edits import Plan, recovered, shortened, title
from imgedit_bridges.gimp import actions, canvas, running, transfer
from imgedit_bridges.gimp.catalogue import Action
from imgedit_bridges.gimp.placing import (
    Prepared,
    check_colours,
    hide_below,
    pictures,
    prepare,
    put,
    put_picture,
    undo_group,
)
from imgedit_bridges.gimp.running import Told
from imgedit_bridges.protocol import JobRequest, PictureRef


@dataclass(frozen=True)
class Given:
    """What the user chose.

    Attributes:
        options: of the plugin.
        instruction: the edit in words; may be empty.
        swap: whether the upper one of two layers is the picture before the edit.
        seed: for anything random.
    """

    options: Mapping[str, bool | int | float | str] = field(default_factory=dict)
    instruction: str = ""
    swap: bool = False
    seed: int = 0

    def request(self, action: Action, inputs: Mapping[str, PictureRef]) -> JobRequest:
        """The job that an action asks for."""
        return JobRequest(
            action.hook,
            inputs,
            plugin=action.plugin,
            instruction=self.instruction or None,
            options=self.options,
            seed=self.seed,
        )


# --- predict_operations -----------------------------------------------------------------------


def predict(image: Any, layers: Sequence[Any], action: Action, given: Given, told: Told) -> Plan:
    """Find an edit and put it: between two layers on a copy of the first, else on the layer.

    Returns:
        The plan.

    Raises:
        BridgeError: the layers are not what the action needs, no plan was found, or the worker
            failed.
    """
    if "second_picture" in action.inputs:
        return _between(image, layers, action, given, told)
    layer = _one(layers)
    actions.check_layers(image, [layer])

    def request(source: PictureRef) -> JobRequest:
        return given.request(action, {"source": source})

    plan = _predicted(running.new_client(), [layer], request, told)
    actions.apply_plan(image, [layer], plan, told)
    return plan


def _between(image: Any, layers: Sequence[Any], action: Action, given: Given, told: Told) -> Plan:
    before, after = _two(layers, swap=given.swap)
    for layer in (before, after):
        canvas.check_layer(layer)
    client = running.new_client()

    def request(source: PictureRef, edited: PictureRef) -> JobRequest:
        return given.request(action, {"source": source, "edited": edited})

    plan = _predicted(client, [before, after], request, told)
    upper = after if _height_of(after) <= _height_of(before) else before
    prepared = prepare(client, before, plan, told, copied=True)
    name = title(plan, "Recovered")
    with undo_group(image) as undo, canvas.nothing_selected(image):
        put(client, prepared, undo, selection="", above=upper, name=name)
    return plan


def _predicted(client: Client, layers: Sequence[Any], request: Any, told: Told) -> Plan:
    job, result = transfer.run_on(client, layers, request, told)
    client.forget(job)
    canvas.warn(result.warnings)
    return recovered(result)


# --- apply_edit -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Made:
    """What a plugin made of one layer.

    Attributes:
        layer: the user's.
        job: has the pictures.
        result: of the job.
        selection: that the pictures still have to be limited to; see `canvas.selection_kind`.
        prepared: the plan, where there are no pictures.
    """

    layer: Any
    job: str
    result: Result
    selection: str
    prepared: Prepared | None


def edit(image: Any, layers: Sequence[Any], action: Action, given: Given, told: Told) -> str:
    """Have a plugin edit layers: its pictures become new layers, a plan live filters.

    Of several pictures the first one is seen, the others are hidden above it.

    Returns:
        What the plugin said.

    Raises:
        BridgeError: a layer cannot be edited, or the worker failed; the image is as it was then.
    """
    if not layers:
        raise BridgeError("No layer is selected.", hint="Select a layer and try again.")
    actions.check_layers(image, layers)
    client = running.new_client()
    made = [_edited(client, layer, action, given, told) for layer in layers]
    with undo_group(image) as undo:
        for one in made:
            if one.prepared is None:
                _put_pictures(client, one, action, undo)
            else:
                name = title(one.prepared.plan)
                put(client, one.prepared, undo, selection=one.selection, name=name)
    canvas.warn([warning for one in made for warning in one.result.warnings])
    return "\n".join(dict.fromkeys(one.result.explanation for one in made)).strip()


def _edited(client: Client, layer: Any, action: Action, given: Given, told: Told) -> _Made:
    selection = canvas.selection_kind(layer.get_image())
    masked = bool(selection) and "selection" in action.inputs

    def request(picture: PictureRef, *mask: PictureRef) -> JobRequest:
        return given.request(action, pictures(picture, *mask))

    job, result = transfer.run_on(client, [layer], request, told, selection=masked)
    for one in result.pictures:
        check_colours(layer, one)
    if result.pictures:
        return _Made(layer, job, result, "" if masked else selection, None)
    client.forget(job)
    plan = recovered(result)
    actions.refuse_moves(plan, selection)
    kept = canvas.plan_of(layer)
    prepared = prepare(client, layer, plan, told, kept=kept, selection=selection)
    return _Made(layer, job, result, selection, prepared)


def _put_pictures(client: Client, made: _Made, action: Action, undo: Any) -> None:
    layer, result = made.layer, made.result
    image = layer.get_image()
    hides = not (canvas.is_plain(layer) or made.selection)
    above, targets = layer, []
    for number, picture in enumerate(result.pictures, 1):
        name = _name(action, result, number)
        above = put_picture(client, layer, picture, undo, above, name)
        if made.selection:
            canvas.add_mask(above)
            canvas.mix_encoded(above)
        above.set_visible(number == 1)
        if result.explanation:
            canvas.attach_explanation(above, result.explanation)
        targets.append(above)
    if hides:
        hide_below(layer, targets[0], undo)
    if result.plan is not None and result.plan.get("operations"):
        canvas.attach_plan(targets[0], result.plan)
    client.forget(made.job)
    image.set_selected_layers([targets[0]])


def _name(action: Action, result: Result, number: int) -> str:
    told = result.explanation.rstrip(".") or action.label.rstrip("….")
    several = f" ({number}/{len(result.pictures)})" if len(result.pictures) > 1 else ""
    return shortened(told) + several


# --- layers -----------------------------------------------------------------------------------


def _one(layers: Sequence[Any]) -> Any:
    if len(layers) != 1:
        raise BridgeError("One layer is needed.", hint="Select one layer and try again.")
    return layers[0]


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
