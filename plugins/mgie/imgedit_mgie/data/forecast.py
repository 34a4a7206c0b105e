"""What `data mgie prepare` would take: time, disk and weights, from a few pairs that it tries."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from imgedit_mgie.data.describing import Models
from imgedit_mgie.data.layout import KIND
from imgedit_mgie.data.settings import Manner, Settings, pairs_of
from imgedit_mgie.data.shards import ShardMaker
from imgedit_modelkit.devices import stored_bytes
from imgedit_modelkit.picture_answers import LocalModel
from imgedit_modelkit.shards.work import Work
from imgedit_plugins.jobs import Job


def forecast(settings: Settings, models: Models, manner: Manner, job: Job) -> dict[str, Any]:
    """Figures of the whole work, by their names for people; nothing of it is kept.

    Two batches of pairs, spread over the whole, go through the models on this machine; the second
    one is timed. A cluster's workers count as being as fast as this machine.

    Raises:
        DataError: there are no pairs.
        WeightsError, EndpointError: a model cannot be used.
    """
    pairs = pairs_of(settings, job)
    wanted = 2 * manner.batch_size
    step = max(1, len(pairs) // wanted)
    tried = pairs[::step][:wanted]
    began: list[float] = [time.perf_counter()]

    def mark(_: int) -> None:
        began.append(time.perf_counter())
        job.report("trying some pairs", min(len(tried), (len(began) - 1) * manner.batch_size))

    with tempfile.TemporaryDirectory() as folder:
        work = _Trial(Path(folder), settings, tried)
        maker = ShardMaker(work, models, manner.batch_size, on_rows=mark, check=job.check)
        made = maker(0)
        size = sum(path.stat().st_size for path in work.folder_of(0).iterdir())
    batches = len(began) - 1
    last = len(tried) - (batches - 1) * manner.batch_size
    seconds = (began[-1] - began[-2]) / last
    folders = [m.folder for m in (models.describer, models.summariser) if isinstance(m, LocalModel)]
    return {
        "pairs": len(pairs),
        "pairs tried": len(tried),
        "of them skipped": made["skipped"],
        "seconds a pair": round(seconds, 3),
        "hours": round(seconds * len(pairs) / manner.cluster.workers / 3600, 3),
        "disk, GB": round(size / len(tried) * len(pairs) / 1e9, 3),
        "weights on the disk, GB": round(sum(map(stored_bytes, folders)) / 1e9, 3),
    }


class _Trial(Work):
    """All pairs that are tried, as one shard."""

    def __init__(self, out: Path, settings: Settings, tried: tuple[str, ...]) -> None:
        super().__init__(out, KIND, settings)
        self.__dict__["items"] = tried  # in the place of the list on the disk

    def rows_of(self, shard: int) -> range:  # noqa: ARG002
        """All of them."""
        return range(len(self.items))
