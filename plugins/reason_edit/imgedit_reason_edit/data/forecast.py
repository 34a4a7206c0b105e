"""What the work would take: time, tokens, disk and weights, from a few pictures that it tries."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from imgedit_modelkit.devices import stored_bytes
from imgedit_modelkit.shards.work import Kind, Work
from imgedit_plugins.errors import DataError
from imgedit_plugins.jobs import Job
from imgedit_reason_edit.data.difference import share_of, threshold_at
from imgedit_reason_edit.data.ranking import distance_of
from imgedit_reason_edit.data.records import Left, Row
from imgedit_reason_edit.data.settings import Manner, Settings
from imgedit_reason_edit.data.shards import ShardMaker
from imgedit_reason_edit.data.sources import list_sources
from imgedit_reason_edit.data.tools import Tools

_RANKED = 100
"""Pairs whose distances stand for those of all."""


def forecast(
    settings: Settings, tools: Tools, kind: Kind, manner: Manner, job: Job
) -> dict[str, Any]:
    """Figures of the whole work, by their names for people; nothing of it is kept.

    Three batches of pictures, the first of the drawn order, go through the models on this machine;
    the last two are timed. A cluster's workers count as being as fast as this machine.

    Raises:
        DataError: there are no pictures, or none of those tried became a row.
        WeightsError, EndpointError: a model cannot be used.
    """
    items = list_sources(settings, job)
    tried = items[: 3 * manner.batch_size]
    threshold, ranking = _threshold(settings, items, job)
    times: list[float] = [time.perf_counter()]
    made: list[Row | Left] = []

    def mark(some: Sequence[Row | Left]) -> None:
        times.append(time.perf_counter())
        made.extend(some)
        job.report("trying some pictures", len(made), len(tried))

    with tempfile.TemporaryDirectory() as folder:
        work = _Trial(Path(folder), kind, settings, tried)
        maker = ShardMaker(
            work, tools, threshold, manner.batch_size, on_batch=mark, check=job.check
        )
        maker(0)
        size = sum(path.stat().st_size for path in work.folder_of(0).iterdir())
    rows = sum(isinstance(one, Row) for one in made)
    if not rows:
        reasons = "; ".join(f"{left}: {n}" for left, n in _dropped(made).items())
        raise DataError(
            f"None of {len(made)} pictures that were tried became a row ({reasons}).",
            path=Path(settings.source),
        )
    needed = min(len(items), round(settings.count * len(made) / rows))
    calls, tokens_in, tokens_out = (
        sum(getattr(one.usage, what) for one in made) / len(made) * needed
        for what in ("calls", "tokens_in", "tokens_out")
    )
    seconds = _seconds(times, len(made), manner.batch_size)
    return {
        "rows wanted": settings.count,
        "pictures there": len(items),
        "pictures tried": len(made),
        "of them rows": rows,
        **{f"of them dropped, {left}": n for left, n in _dropped(made).items()},
        "pictures needed, about": needed,
        "rows to expect, about": min(settings.count, round(needed * rows / len(made))),
        "seconds a picture": round(seconds, 3),
        "hours": round((seconds * needed + ranking) / manner.cluster.workers / 3600, 3),
        "calls of the language model": round(calls),
        "tokens in": round(tokens_in),
        "tokens out": round(tokens_out),
        "disk, GB": round(size / len(made) * needed / 1e9, 3),
        "weights on the disk, GB": round(sum(map(stored_bytes, tools.folders)) / 1e9, 3),
    }


def _threshold(settings: Settings, items: Sequence[str], job: Job) -> tuple[float, float]:
    """The threshold as far as some pairs tell, and the seconds that measuring all will take."""
    share = share_of(settings.tau)
    if share is None:
        return float(settings.tau), 0.0
    began, found = time.perf_counter(), []
    for number, name in enumerate(items[:_RANKED]):
        job.report("measuring some pairs", number, min(_RANKED, len(items)))
        found.append(distance_of(settings, name))
    seconds = (time.perf_counter() - began) / max(1, len(found)) * len(items)
    return threshold_at([distance for distance in found if distance is not None], share), seconds


def _dropped(made: Sequence[Row | Left]) -> dict[str, int]:
    return dict(sorted(Counter(one.kind for one in made if isinstance(one, Left)).items()))


def _seconds(times: Sequence[float], pictures: int, batch: int) -> float:
    """For one picture, without the first batch, which loads the models, where there are others."""
    if len(times) == 2:
        return (times[1] - times[0]) / pictures
    return (times[-1] - times[1]) / (pictures - batch)


class _Trial(Work):
    """All pictures that are tried, as one shard."""

    def __init__(self, out: Path, kind: Kind, settings: Settings, tried: tuple[str, ...]) -> None:
        super().__init__(out, kind, settings)
        self.__dict__["items"] = tried  # in the place of the list on the disk

    def rows_of(self, shard: int) -> range:  # noqa: ARG002
        """All of them."""
        return range(len(self.items))
