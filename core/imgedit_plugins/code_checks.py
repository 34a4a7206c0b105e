"""What is checked of a plugin's code: its import, its hooks, the type of its results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from imgedit_plugins.plugin_info import PluginInfo, Slot
from imgedit_plugins.wording import all_of, article

if TYPE_CHECKING:
    import pluggy

_RESULTS = {
    "apply_edit": "EditResult",
    "train": "TrainReport",
    "evaluate": "EvaluateReport",
    "make_data": "DataReport",
    "import_weights": "WeightsReport",
    "export_parts": "ExportReport",
    "verify_bundle": "BundleReport",
}


def import_fault(slot: Slot, error: BaseException) -> str:
    """Why a plugin cannot be imported, with the extra to install where that is likely."""
    from imgedit_plugins import faults

    reason = f"it cannot be imported: {faults.one_line(error, slot.folder)}"
    extra = slot.info.manifest.extra if slot.info.manifest else ""
    if isinstance(error, ModuleNotFoundError) and extra:
        reason += f"; try `pip install '{slot.info.distribution}[{extra}]'`"
    return reason


def manifest_mismatch(info: PluginInfo, callers: Sequence[pluggy.HookCaller]) -> str:
    """What the code implements but the manifest does not list, or the other way; '' if equal."""
    implemented = {caller.name for caller in callers}
    listed: set[str] = set(info.manifest.hooks) if info.manifest else set()
    problems = []
    if listed - implemented:
        problems.append(
            f"its manifest lists {all_of(listed - implemented)}, its code has no such "
            "@hookimpl function"
        )
    if implemented - listed:
        problems.append(
            f"its code implements {all_of(implemented - listed)}, its manifest does not list that"
        )
    return "; ".join(problems)


def _result_type(hook: str) -> type[Any]:
    """What a hook returns, if not None."""
    if hook == "predict_operations":
        from imgedit_plugins.plan import EditPlan

        return EditPlan
    from imgedit_plugins import exporting, requests

    kinds = {**vars(requests), **vars(exporting)}
    return kinds[_RESULTS[hook]]  # type: ignore[no-any-return]


def check_result(slot: Slot, hook: str, result: object) -> None:
    """Set a plugin aside whose hook returned something of the wrong type.

    Raises:
        PluginQuarantinedError: it did.
    """
    expected = _result_type(hook)
    if result is None or isinstance(result, expected):
        return
    raise slot.set_aside(f"its {hook} returned {article(type(result))}, not {article(expected)}")
