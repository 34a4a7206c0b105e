"""The recipe `prepare`: expressive instructions for InstructPix2Pix's pairs.

What is written (docs/data.md describes it):

* ``prepare.json``: the request, with hashes of the models. ``index.jsonl``: the list of pairs.
* ``shard-00000/`` ...: pictures, ``metadata.jsonl`` with one object a row, and ``skipped.json``
  with the damaged pairs. A shard appears when it is complete, so the shards that are there say
  how far the work got; work that was killed goes on with the first missing one.

One process at a time may work on a folder; on a cluster that is the one that hands out the work.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

from imgedit_mgie.data.describing import Models
from imgedit_mgie.data.forecast import forecast
from imgedit_mgie.data.layout import KIND
from imgedit_mgie.data.settings import Manner, manner_of, models_of, pairs_of, settings_of
from imgedit_mgie.data.shards import ShardMaker
from imgedit_modelkit import scale
from imgedit_modelkit.shards.running import (
    alone,
    counts_there,
    make_missing,
    told_as_data_errors,
)
from imgedit_modelkit.shards.work import Work, begin, refuse_occupied
from imgedit_plugins.errors import DataError
from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import DataReport, DataRequest


def prepare(request: DataRequest, job: Job) -> DataReport:
    """Make the data, or go on with it; with the option 'dry-run' tell what it would take.

    Raises:
        OptionError: an option is missing or out of range.
        DataError: there are no pairs, none is whole, `request.out` holds something else (such as
            data of another request), is in use, or cannot be written.
        WeightsError, EndpointError: a model is missing or does not answer.
        PluginError: a package is missing, or there is no cluster.
        JobCancelledError: cancelled; the same request goes on from there.
    """
    models, manner = models_of(request), manner_of(request)
    job.report("hashing models")
    settings = settings_of(request, models)
    if manner.dry_run:
        details = forecast(settings, models, manner, job)
        return DataReport(folder=request.out, rows=0, details=details)
    refuse_occupied(request.out, KIND)
    with told_as_data_errors(request.out), alone(request.out):
        work = begin(request.out, KIND, settings, lambda: pairs_of(settings, job))
        return _make(work, models, manner, job)


def _make(work: Work, models: Models, manner: Manner, job: Job) -> DataReport:
    there = counts_there(work)
    steps = _Steps(job, sum(len(work.rows_of(shard)) for shard in there), work)
    if manner.cluster.address:
        # Without the list of pairs, which each worker reads for itself.
        make: scale.Make = functools.partial(_maker, replace(work), models, manner)
    else:
        make = functools.partial(
            ShardMaker,
            work,
            models,
            manner.batch_size,
            link=manner.link,
            on_rows=steps.add,
            check=job.check,
        )

    def done(found: dict[str, Any]) -> None:
        steps.add(found["rows"] + found["skipped"] if manner.cluster.address else 0)

    counts = make_missing(work, there, make, manner.cluster, on_shard=done)
    resumed = sum(found["rows"] for found in there.values())
    return _report(work, [counts[shard] for shard in sorted(counts)], resumed, job)


def _maker(work: Work, models: Models, manner: Manner) -> ShardMaker:
    # Copies know no hash yet: what lies at the same path on this node is hashed anew.
    own = replace(
        models, describer=replace(models.describer), summariser=replace(models.summariser)
    )
    return ShardMaker(work, own, manner.batch_size, link=manner.link)


class _Steps:
    """Rows done, reported as they come."""

    def __init__(self, job: Job, done: int, work: Work) -> None:
        self._job, self._done, self._total = job, done, len(work.items)
        self.add(0)

    def add(self, rows: int) -> None:
        self._done += rows
        self._job.report("describing pairs", self._done, self._total)


def _report(work: Work, counts: list[dict[str, Any]], resumed: int, job: Job) -> DataReport:
    rows, skipped = (sum(found[what] for found in counts) for what in ("rows", "skipped"))
    first = next((found["first"] for found in counts if found["first"]), "")
    if skipped:
        job.warn(
            f"{skipped} of {rows + skipped} pairs were skipped (the first: {first.rstrip('.')}); "
            "skipped.json in each shard says why."
        )
    if not rows:
        raise DataError(
            f"No pair of {work.settings.pairs} could be used.", path=Path(work.settings.pairs)
        )
    details = {"skipped": skipped, "shards": work.shards}
    return DataReport(folder=work.out, rows=rows, resumed=resumed, details=details)
