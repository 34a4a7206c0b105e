"""The plugin: ReasonPix2Pix's data behind `make_data`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgedit_plugins import hookimpl

if TYPE_CHECKING:
    from imgedit_plugins.jobs import Job
    from imgedit_plugins.requests import DataReport, DataRequest


@hookimpl
def make_data(request: DataRequest, job: Job) -> DataReport | None:  # noqa: ARG001
    """Make a part of the data set."""
    return None
