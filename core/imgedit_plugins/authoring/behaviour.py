"""Calling a plugin on small pictures, to see whether it keeps the contract of its hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from imgedit_plugins.authoring import contract, samples
from imgedit_plugins.authoring.verdicts import (
    Check,
    FailedCheckError,
    NotApplicableError,
    run_check,
)
from imgedit_plugins.errors import ImgeditError, NoPluginError, PluginQuarantinedError
from imgedit_plugins.jobs import Job
from imgedit_plugins.manifest import Manifest
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan, step
from imgedit_plugins.plugins import PluginInfo, PluginManager
from imgedit_plugins.render import render_plan
from imgedit_plugins.requests import ApplyRequest, EditResult, PredictRequest

COMMON_INSTRUCTIONS = ("make it warmer", "make it brighter", "turn it black and white")
UNTRIED_HOOKS = (
    "train",
    "evaluate",
    "make_data",
    "import_weights",
    "export_parts",
    "verify_bundle",
)
_LARGE = (1600, 1200)
"""Large enough that most edits take long enough to be cancelled on the way."""

_STOPPED = f"JobCancelledError within {contract.PATIENCE_S:g} s"

_BRIGHTER = EditPlan(operations=(step("bright", offset=40),))


class _Edit:
    """`apply_edit` of one plugin, with whatever input it was found to take."""

    def __init__(self, manager: PluginManager, info: PluginInfo, fields: dict[str, Any]) -> None:
        self._manager = manager
        self._name = info.name
        self._fields = fields

    def __call__(self, picture: Picture, job: Job | None = None, **more: Any) -> EditResult:
        request = ApplyRequest(picture=picture, **(self._fields | more))
        result: EditResult = self._manager.call(
            "apply_edit", request, job or Job(), plugin=self._name
        )
        return result


class _Prediction:
    """`predict_operations` of one plugin, on a picture and its brightened version."""

    def __init__(self, manager: PluginManager, info: PluginInfo, manifest: Manifest) -> None:
        self._manager = manager
        self._name = info.name
        self._inputs = _first_inputs(manifest, "predict_operations")

    def __call__(self, picture: Picture, job: Job | None = None) -> EditPlan:
        fields: dict[str, Any] = {"source": picture}
        if "edited" in self._inputs:
            fields["edited"] = render_plan(picture, _BRIGHTER)
        if "instruction" in self._inputs:
            fields["instruction"] = COMMON_INSTRUCTIONS[1]
        request = PredictRequest(**fields)
        plan: EditPlan = self._manager.call(
            "predict_operations", request, job or Job(), plugin=self._name
        )
        return plan


def behaviour_checks(
    manager: PluginManager, info: PluginInfo, instruction: str | None
) -> Iterator[Check]:
    """All checks that call the plugin; hooks that need a data set or weights are not called."""
    manifest = info.manifest
    assert manifest is not None, "only plugins with a manifest are called"
    if "apply_edit" in manifest.hooks:
        yield from _apply_checks(manager, info, manifest, instruction)
    if "predict_operations" in manifest.hooks:
        yield from _predict_checks(manager, info, manifest)
    for hook in UNTRIED_HOOKS:
        if hook in manifest.hooks:
            yield run_check(info.name, hook, _untried)


def _apply_checks(
    manager: PluginManager, info: PluginInfo, manifest: Manifest, instruction: str | None
) -> Iterator[Check]:
    found: list[_Edit] = []

    def answers() -> str:
        fields = _taken_fields(manager, info, manifest, instruction)
        found.append(_Edit(manager, info, fields))
        return f"takes {fields['instruction']!r}" if "instruction" in fields else "takes a picture"

    yield _guarded(info.name, "apply_edit answers", answers)
    if not found:
        return
    edit = found[0]
    photograph = samples.photograph()
    large = samples.photograph(*_LARGE)
    points: dict[str, Callable[[], str]] = {
        "apply_edit: cancelled before": lambda: _verdict(
            contract.cancelled_before_fault, lambda job: edit(photograph, job), good=_STOPPED
        ),
        "apply_edit: cancelled midway": lambda: _verdict(
            contract.cancelled_midway_fault, lambda job: edit(large, job), good=_STOPPED
        ),
        "apply_edit: mask honoured": lambda: _mask_honoured(edit, manifest),
        "apply_edit: same seed, same result": lambda: _verdict(
            contract.difference_between,
            edit(photograph, seed=7),
            edit(photograph, seed=7),
            good="twice the same",
        ),
        "apply_edit: size, depth, alpha, profile kept": lambda: _form_kept(edit),
    }
    for name, check in points.items():
        yield _guarded(info.name, name, check)


def _predict_checks(
    manager: PluginManager, info: PluginInfo, manifest: Manifest
) -> Iterator[Check]:
    predict = _Prediction(manager, info, manifest)
    photograph = samples.photograph(256, 192)
    large = samples.photograph(*_LARGE)

    def answers() -> str:
        plan = predict(photograph)
        names = [operation.name for operation in plan.operations]
        return "abstained" if plan.abstained else f"plan: {', '.join(names) or 'nothing'}"

    def repeats() -> str:
        if predict(photograph) != predict(photograph):
            raise FailedCheckError("the plans differ")
        return "twice the same"

    answered = _guarded(info.name, "predict_operations answers", answers)
    yield answered
    if answered.verdict != "pass":
        return
    points: dict[str, Callable[[], str]] = {
        "predict_operations: cancelled before": lambda: _verdict(
            contract.cancelled_before_fault, lambda job: predict(photograph, job), good=_STOPPED
        ),
        "predict_operations: cancelled midway": lambda: _verdict(
            contract.cancelled_midway_fault, lambda job: predict(large, job), good=_STOPPED
        ),
        "predict_operations: same seed, same plan": repeats,
    }
    for name, check in points.items():
        yield _guarded(info.name, name, check)


# --- single checks ----------------------------------------------------------------------------


def _mask_honoured(edit: _Edit, manifest: Manifest) -> str:
    if not any(
        a.hook == "apply_edit" and "mask" in a.inputs + a.optional for a in manifest.accepts
    ):
        raise NotApplicableError("it accepts no mask")
    for kind in _KINDS:
        picture = samples.photograph(**kind)
        mask = samples.mask_for(picture)
        _verdict(contract.mask_fault, picture, mask, edit(picture, mask=mask))
    return f"bit for bit where it is 0, in {_KINDS_IN_WORDS}"


def _form_kept(edit: _Edit) -> str:
    for kind in _KINDS:
        picture = samples.with_profile(samples.photograph(**kind))
        _verdict(contract.form_fault, picture, edit(picture))
    return f"for {_KINDS_IN_WORDS}"


_KINDS: tuple[dict[str, Any], ...] = (
    {},
    {"mode": "RGBA", "dtype": "uint16"},
    {"mode": "RGB", "dtype": "float32"},
    {"mode": "L"},
)
_KINDS_IN_WORDS = "8-bit RGB, 16-bit RGBA, float RGB and grey"


# --- helpers ----------------------------------------------------------------------------------


def _taken_fields(
    manager: PluginManager, info: PluginInfo, manifest: Manifest, instruction: str | None
) -> dict[str, Any]:
    """The first inputs that `apply_edit` does not decline.

    Raises:
        NotApplicableError: it declines all.
    """
    photograph = samples.photograph()
    for fields in _offers(manifest, instruction):
        try:
            _Edit(manager, info, fields)(photograph)
        except NoPluginError:
            continue
        return fields
    raise NotApplicableError(
        "it declined every request tried; say what it takes with --instruction TEXT"
    )


def _offers(manifest: Manifest, instruction: str | None) -> Iterator[dict[str, Any]]:
    labels = [action.label.rstrip(" ….") for action in manifest.actions]
    words = [instruction] if instruction else [*labels, manifest.title, *COMMON_INSTRUCTIONS]
    values: dict[str, list[Any]] = {"instruction": words, "plan": [_BRIGHTER]}
    for names in ((), ("instruction",), ("plan",), ("instruction", "plan")):
        if manifest.rank("apply_edit", frozenset({"picture", *names})) is None:
            continue
        if instruction and "instruction" not in names:
            continue
        rows = max((len(values[name]) for name in names), default=1)
        for row in range(rows):
            yield {name: values[name][row % len(values[name])] for name in names}


def _first_inputs(manifest: Manifest, hook: str) -> tuple[str, ...]:
    return next(a.inputs for a in manifest.accepts if a.hook == hook)


def _verdict(check: Callable[..., str], *arguments: Any, good: str = "") -> str:
    """What is `good` if the check finds no fault."""
    try:
        fault = check(*arguments)
    except contract.NothingToCheckError as reason:
        raise NotApplicableError(str(reason)) from None
    if fault:
        raise FailedCheckError(fault)
    return good


def _guarded(plugin: str, name: str, check: Callable[[], str]) -> Check:
    """Run a check; what the plugin raises meanwhile is a verdict too."""

    def run() -> str:
        try:
            return check()
        except PluginQuarantinedError as error:
            raise FailedCheckError(error.reason) from None
        except NoPluginError as error:
            raise NotApplicableError(error.message) from None
        except ImgeditError as error:
            raise FailedCheckError(f"it refused: {error}") from None

    return run_check(plugin, name, run)


def _untried() -> str:
    raise NotApplicableError("not called here: it needs data or weights; test it yourself")
