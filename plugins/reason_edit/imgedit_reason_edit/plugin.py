"""The plugin: ReasonPix2Pix's data behind `make_data`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgedit_plugins import hookimpl

if TYPE_CHECKING:
    from imgedit_plugins.jobs import Job
    from imgedit_plugins.requests import DataReport, DataRequest


@hookimpl
def make_data(request: DataRequest, job: Job) -> DataReport | None:
    """Make a part of the data set, or the benchmark."""
    if request.recipe not in ("make", "benchmark"):
        return None
    from imgedit_reason_edit.requirements import memory_told, require_torch

    require_torch()
    from imgedit_reason_edit.data.make import make

    with memory_told():
        return make(request, job)
