"""Fixtures and assertions for the tests of plugins.

Use them with ``pytest_plugins = ["imgedit_plugins.testing"]`` in ``tests/conftest.py``.
The fixtures are `manager`, `photograph`, `job` and `cancelled_job`; the assertions are imported
by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from imgedit_plugins.authoring import contract, samples
from imgedit_plugins.jobs import Job
from imgedit_plugins.plugins import PluginManager

if TYPE_CHECKING:
    from imgedit_plugins.pictures import Picture
    from imgedit_plugins.requests import EditResult

__all__ = [
    "assert_deterministic",
    "assert_mask_honoured",
    "cancelled_job",
    "job",
    "manager",
    "photograph",
]


@pytest.fixture
def manager() -> PluginManager:
    """All installed plugins, yours among them; nothing is imported yet."""
    return PluginManager.discover()


@pytest.fixture
def photograph() -> Picture:
    """A generated 8-bit RGB picture, 96 x 64, the same every time."""
    return samples.photograph()


@pytest.fixture
def job() -> Job:
    """A job that nobody cancels; what the plugin warns about is in `job.warnings`."""
    return Job()


@pytest.fixture
def cancelled_job() -> Job:
    """A job that was cancelled before it began: hooks must raise `JobCancelledError`."""
    job = Job()
    job.cancel()
    return job


def assert_mask_honoured(
    manager: PluginManager, plugin: str, picture: Picture, **request: Any
) -> EditResult:
    """Call `apply_edit` with a mask: pixels where it is 0 must come back bit for bit.

    Args:
        manager: the fixture.
        plugin: its name.
        picture: what to edit.
        request: more of the `ApplyRequest`, such as ``instruction="make it warmer"``.

    Returns:
        What the plugin returned.

    Raises:
        AssertionError: pixels to be kept were changed, or nothing was changed at all.
    """
    mask = samples.mask_for(picture)
    result = _apply(manager, plugin, picture=picture, mask=mask, **request)
    try:
        fault = contract.mask_fault(picture, mask, result)
    except contract.NothingToCheckError as reason:
        raise AssertionError(str(reason)) from None
    assert not fault, fault
    return result


def assert_deterministic(
    manager: PluginManager, plugin: str, picture: Picture, **request: Any
) -> EditResult:
    """Call `apply_edit` twice with one seed: both results must be the same bit for bit.

    Arguments as for `assert_mask_honoured`.

    Returns:
        What the plugin returned.

    Raises:
        AssertionError: the results differ.
    """
    first = _apply(manager, plugin, picture=picture, **request)
    second = _apply(manager, plugin, picture=picture, **request)
    fault = contract.difference_between(first, second)
    assert not fault, fault
    return first


def _apply(manager: PluginManager, plugin: str, **fields: Any) -> EditResult:
    from imgedit_plugins.options import resolve_options
    from imgedit_plugins.requests import ApplyRequest

    specs = manager.options_for(manager.get(plugin), "apply_edit")
    fields["options"] = resolve_options(specs, fields.get("options", {}))
    result: EditResult = manager.call("apply_edit", ApplyRequest(**fields), Job(), plugin=plugin)
    return result
