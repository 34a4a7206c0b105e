"""What the entries of installed plugins do: predict an edit and put it, or have pictures made.

As everywhere, what can fail is done before the image is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from imgedit_bridges.client import BridgeError, Client, Result
from imgedit_bridges.edits import Plan, recovered, shortened, title
from imgedit_bridges.gimp import actions, canvas, running, transfer
from imgedit_bridges.gimp.catalogue import Action
from imgedit_bridges.gimp.placing import (
    Prepared,
    Undo,
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

    def request(
        self, action: Action, inputs: Mapping[str, PictureRef], *, layers: bool = False
    ) -> JobRequest:
        """The job that an action asks for; `layers`: see `JobRequest`."""
        return JobRequest(
            action.hook,
            inputs,
            plugin=action.plugin,
            instruction=self.instruction or None,
            options={**self.options, **action.fixed},
            seed=self.seed,
            layers=layers,
        )


@dataclass(frozen=True)
class Review:
    """The user looks at what was found before it is put; both raise `JobCancelledError`.

    Attributes:
        plan: layer, plan -> the plan as it was accepted, and its strength (0..2).
        pictures: client, layer, result -> the opacity of the new layer (0..1).
    """

    plan: Callable[[Any, Plan], tuple[Plan, float]]
    pictures: Callable[[Client, Any, Result], float]


# --- predict_operations -----------------------------------------------------------------------


def predict(
    image: Any,
    layers: Sequence[Any],
    action: Action,
    given: Given,
    told: Told,
    review: Review | None = None,
) -> Plan:
    """Find an edit and put it: between two layers on a copy of the first, else on the layer.

    Returns:
        The plan that was put.

    Raises:
        BridgeError: the layers are not what the action needs, no plan was found, or the worker
            failed.
    """
    if "second_picture" in action.inputs:
        return _between(image, layers, action, given, told, review)
    _check_instruction(action, given)
    layer = _one(layers)
    actions.check_layers(image, [layer])

    def request(source: PictureRef) -> JobRequest:
        return given.request(action, {"source": source})

    plan = _predicted(running.new_client(), [layer], request, told)
    plan, strength = review.plan(layer, plan) if review is not None else (plan, 1.0)
    actions.apply_plan(image, [layer], plan, told, strength=strength)
    return plan


def _between(
    image: Any,
    layers: Sequence[Any],
    action: Action,
    given: Given,
    told: Told,
    review: Review | None,
) -> Plan:
    before, after = _two(layers, swap=given.swap)
    for layer in (before, after):
        canvas.check_layer(layer)
    client = running.new_client()

    def request(source: PictureRef, edited: PictureRef) -> JobRequest:
        return given.request(action, {"source": source, "edited": edited})

    plan = _predicted(client, [before, after], request, told)
    plan, strength = review.plan(before, plan) if review is not None else (plan, 1.0)
    upper = after if _height_of(after) <= _height_of(before) else before
    name = title(plan, "Recovered")
    with transfer.jobs_of(client) as jobs:
        prepared = prepare(jobs, before, plan, told, copied=True, strength=strength)
        with undo_group(image) as undo, canvas.nothing_selected(image):
            put(client, prepared, undo, selection="", above=upper, name=name)
    return plan


def _predicted(client: Client, layers: Sequence[Any], request: Any, told: Told) -> Plan:
    job, result = transfer.run_on(client, layers, request, told)
    transfer.forget(client, job)
    canvas.warn(result.warnings)
    try:
        return recovered(result)
    except BridgeError as error:
        raise BridgeError(error.message, hint=error.hint or _LOOK[len(layers) > 1]) from error


_LOOK = {
    True: "Check that both layers show the same picture, and which of them is before the edit.",
    False: "Say the edit in other words, or choose another layer.",
}
"""What to do where no plan was found: between two layers, and for one."""


# --- apply_edit -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Made:
    """What a plugin made of one layer.

    Attributes:
        layer: the user's.
        result: of the job.
        selection: that what is put still has to be limited to; see `canvas.selection_kind`.
        prepared: the plan, where there are no pictures, or where they lie above it.
    """

    layer: Any
    result: Result
    selection: str
    prepared: Prepared | None


def edit(
    image: Any,
    layers: Sequence[Any],
    action: Action,
    given: Given,
    told: Told,
    review: Review | None = None,
) -> str:
    """Have a plugin edit layers: its pictures become new layers, a plan live filters.

    Where it says that its pictures lie above the plan, they do. Of several pictures the first one
    is seen, the others are hidden above it.

    Returns:
        What the plugin said.

    Raises:
        BridgeError: a layer cannot be edited, the instruction is missing, or the worker failed; the
            image is as it was then.
    """
    if not layers:
        raise BridgeError("No layer is selected.", hint="Select a layer and try again.")
    _check_instruction(action, given)
    actions.check_layers(image, layers)
    client = running.new_client()
    with transfer.jobs_of(client) as jobs:
        made = [_edited(jobs, layer, action, given, told, review) for layer in layers]
        seen = [one for one in made if one.result.pictures]
        opacity = 1.0
        if review is not None and seen:
            opacity = review.pictures(client, seen[0].layer, seen[0].result)
        with undo_group(image) as undo:
            for one in made:
                _put(client, one, action, undo, opacity)
    canvas.warn([warning for one in made for warning in one.result.warnings])
    return "\n".join(dict.fromkeys(one.result.explanation for one in made)).strip()


def _edited(
    jobs: transfer.Jobs,
    layer: Any,
    action: Action,
    given: Given,
    told: Told,
    review: Review | None,
) -> _Made:
    selection = canvas.selection_kind(layer.get_image())
    masked = bool(selection) and "selection" in action.inputs
    layers = canvas.is_plain(layer) and (masked or not selection)

    def request(picture: PictureRef, *mask: PictureRef) -> JobRequest:
        return given.request(action, pictures(picture, *mask), layers=layers)

    job, result = transfer.run_on(jobs.client, [layer], request, told, selection=masked)
    jobs.done.append(job)
    for one in result.pictures:
        check_colours(layer, one)
    if result.pictures and not result.layered:
        return _Made(layer, result, "" if masked else selection, None)
    plan, strength = recovered(result), 1.0
    if review is not None and not result.pictures:
        plan, strength = review.plan(layer, plan)
    actions.refuse_moves(plan, selection)
    kept = canvas.plan_of(layer)
    prepared = prepare(jobs, layer, plan, told, kept=kept, selection=selection, strength=strength)
    return _Made(layer, result, selection, prepared)


def _put(client: Client, made: _Made, action: Action, undo: Undo, opacity: float) -> None:
    above = made.layer
    if (one := made.prepared) is not None:
        above = put(client, one, undo, selection=made.selection, name=title(one.plan))
    if made.result.layered:
        _put_layers(client, made, action, undo, above)
    elif made.result.pictures:
        _put_pictures(client, made, action, undo, opacity)


def _put_layers(client: Client, made: _Made, action: Action, undo: Undo, above: Any) -> None:
    """Pictures that show what was painted, above the layer with the plan, which stays selected."""
    edited = above
    for number, picture in enumerate(made.result.pictures, 1):
        name = _name(action, made.result, number)
        above = put_picture(client, made.layer, picture, undo, above, name)
        canvas.mix_encoded(above)
        above.set_visible(number == 1)
        if made.result.explanation:
            canvas.attach_explanation(above, made.result.explanation)
    edited.get_image().set_selected_layers([edited])


def _put_pictures(client: Client, made: _Made, action: Action, undo: Undo, opacity: float) -> None:
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
        if opacity < 1 and canvas.is_plain(layer):
            above.set_opacity(100.0 * opacity)
            canvas.mix_encoded(above)
        above.set_visible(number == 1)
        if result.explanation:
            canvas.attach_explanation(above, result.explanation)
        targets.append(above)
    if hides:
        hide_below(layer, targets[0], undo)
    if result.plan is not None and result.plan.get("operations"):
        canvas.attach_plan(targets[0], result.plan)
    image.set_selected_layers([targets[0]])


def _name(action: Action, result: Result, number: int) -> str:
    told = result.explanation.rstrip(".") or action.label.rstrip("….")
    several = f" ({number}/{len(result.pictures)})" if len(result.pictures) > 1 else ""
    return shortened(told) + several


def _check_instruction(action: Action, given: Given) -> None:
    if "instruction" in action.inputs and not given.instruction.strip():
        raise BridgeError("An instruction is needed.", hint="Say in words what to do.")


# --- layers -----------------------------------------------------------------------------------


def check_number(layers: Sequence[Any], action: Action) -> None:
    """Refuse another number of layers than the action needs, before the user is asked anything.

    Raises:
        BridgeError: there are more or less.
    """
    if "second_picture" in action.inputs:
        _two(layers, swap=False)
    elif action.hook == "predict_operations":
        _one(layers)
    elif not layers:
        raise BridgeError("No layer is selected.", hint="Select a layer and try again.")


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
