"""The recipes `make` and `benchmark`: ReasonPix2Pix's parts, and pictures to score on.

What is written stands in docs/reason_edit.md. A shard appears when it is complete; work that was
killed goes on with the first missing one, with the answers of the language model that it had.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from imgedit_modelkit import scale
from imgedit_modelkit.shards.running import (
    Counts,
    alone,
    counts_there,
    make_missing,
    told_as_data_errors,
)
from imgedit_modelkit.shards.work import Work, begin, refuse_occupied
from imgedit_plugins.errors import DataError
from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import DataReport, DataRequest
from imgedit_reason_edit.data.finishing import dropped, trim
from imgedit_reason_edit.data.forecast import forecast
from imgedit_reason_edit.data.ranking import threshold_of
from imgedit_reason_edit.data.records import Left, Row
from imgedit_reason_edit.data.settings import Manner, kind_of, manner_of, settings_of
from imgedit_reason_edit.data.shards import ShardMaker
from imgedit_reason_edit.data.sources import list_sources
from imgedit_reason_edit.data.tools import Tools, tools_of

_HOPELESS = 100
"""Pictures without a single row among them, after which the work is given up."""


def make(request: DataRequest, job: Job) -> DataReport:
    """Make the data, or go on with it; with the option 'dry-run' tell what it would take.

    Raises:
        OptionError: an option is missing or out of range.
        DataError: there are no pictures, none becomes a row, `request.out` holds something else
            (such as data of another request), is in use, or cannot be written.
        WeightsError, EndpointError: a model is missing or does not answer.
        PluginError: a package is missing, or there is no cluster.
        JobCancelledError: cancelled; the same request goes on from there.
    """
    tools, manner, kind = tools_of(request), manner_of(request), kind_of(request)
    job.report("hashing models")
    settings = settings_of(request, tools)
    if manner.dry_run:
        details = forecast(settings, tools, kind, manner, job)
        return DataReport(folder=request.out, rows=0, details=details)
    refuse_occupied(request.out, kind)
    with told_as_data_errors(request.out), alone(request.out):
        work = begin(request.out, kind, settings, lambda: list_sources(settings, job))
        threshold = threshold_of(work, manner.cluster, job)
        return _make(work, tools, threshold, manner, job)


def _make(work: Work, tools: Tools, threshold: float, manner: Manner, job: Job) -> DataReport:
    there = counts_there(work)
    steps = _Steps(work, there, manner, job)
    if manner.cluster.address:
        # Without the list of pictures, which each worker reads for itself.
        make: scale.Make = functools.partial(_maker, replace(work), tools, threshold, manner)
    else:
        make = functools.partial(
            ShardMaker, work, tools, threshold, manner.batch_size,
            on_batch=steps.add_batch, check=job.check,
        )  # fmt: skip
    counts = make_missing(
        work,
        there,
        make,
        manner.cluster,
        wanted=work.settings.count,
        on_shard=steps.add_shard,
    )
    return _report(work, trim(work, counts), sum(found["rows"] for found in there.values()), job)


def _maker(work: Work, tools: Tools, threshold: float, manner: Manner) -> ShardMaker:
    return ShardMaker(work, tools.fresh(), threshold, manner.batch_size)


class _Steps:
    """Rows done, reported as they come; ends work that leads to nothing."""

    def __init__(self, work: Work, there: dict[int, Counts], manner: Manner, job: Job) -> None:
        self._work, self._manner, self._job = work, manner, job
        self._rows = sum(found["rows"] for found in there.values())
        self._dropped = Counter(dropped(there))
        self._first = _first_of(there)
        self._report()

    def add_batch(self, made: Sequence[Row | Left]) -> None:
        """On this machine, where a shard may be so large that nobody would wait for its end."""
        left = [one for one in made if isinstance(one, Left)]
        self._first = self._first or next((f"{one.item.source}: {one.reason}" for one in left), "")
        self._add(len(made) - len(left), Counter(one.kind for one in left))

    def add_shard(self, found: Counts) -> None:
        """On a cluster, where nothing is heard of batches."""
        if self._manner.cluster.address:
            self._first = self._first or found["first"]
            self._add(found["rows"], Counter(found["kinds"]))

    def _add(self, rows: int, left: Counter[str]) -> None:
        self._rows += rows
        self._dropped += left
        self._report()
        if not self._rows and self._dropped.total() >= _HOPELESS:
            raise _nothing(self._work, dict(self._dropped), self._first)

    def _report(self) -> None:
        wanted = self._work.settings.count
        self._job.report("making rows", min(self._rows, wanted), wanted)


def _report(work: Work, counts: dict[int, Counts], resumed: int, job: Job) -> DataReport:
    rows = sum(found["rows"] for found in counts.values())
    left = dropped(counts)
    if not rows:
        raise _nothing(work, left, _first_of(counts))
    if rows < work.settings.count:
        job.warn(
            f"{work.out} has {rows} of {work.settings.count} rows: all {len(work.items)} pictures "
            "were used."
        )
    details = {"dropped": left, "shards": len(counts)}
    return DataReport(folder=work.out, rows=rows, resumed=min(resumed, rows), details=details)


def _first_of(counts: dict[int, Counts]) -> str:
    """The first picture that was left out, and why."""
    return next((counts[shard]["first"] for shard in sorted(counts) if counts[shard]["first"]), "")


def _nothing(work: Work, left: Mapping[str, int], first: str) -> DataError:
    told = "; ".join(f"{kind}: {left[kind]}" for kind in sorted(left))
    why = first.rstrip(".")
    return DataError(
        f"None of {sum(left.values())} pictures became a row ({told}). The first: {why}.",
        path=Path(work.settings.source),
        hint="skipped.json in each shard says why." if any(work.out.glob("shard-*")) else "",
    )
