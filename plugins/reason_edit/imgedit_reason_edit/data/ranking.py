"""The threshold of eq. 1 as a rank: the distances of all pairs of the pool, measured once."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from imgedit_modelkit import scale
from imgedit_modelkit.readers.stored import open_stored
from imgedit_modelkit.shards.work import Work
from imgedit_plugins.atomic import write_text_atomic
from imgedit_plugins.colour_profiles import to_srgb
from imgedit_plugins.errors import DataError, PictureReadError
from imgedit_plugins.jobs import Job
from imgedit_reason_edit.data.difference import share_of, squared_distance, threshold_at
from imgedit_reason_edit.data.settings import Settings
from imgedit_reason_edit.data.sources import read_source, refuse_vanished

THRESHOLD = "threshold.json"
"""Written when it is known: the threshold, the share and the number of pairs that it is from."""

_MEASURED = ".distances"
_CHUNK = 200


def threshold_of(work: Work, cluster: scale.Cluster, job: Job) -> float:
    """The threshold of a work; what was measured by an earlier run is not measured again.

    Raises:
        DataError: no pair can be read, or what is there is damaged.
        JobCancelledError: cancelled; the same request goes on from there.
    """
    share = share_of(work.settings.tau)
    if share is None:
        return float(work.settings.tau)
    path = work.out / THRESHOLD
    if not path.exists():
        distances = _measure_all(work, cluster, job)
        found = {"threshold": threshold_at(distances, share), "share": share}
        write_text_atomic(path, json.dumps({**found, "pairs": len(distances)}, indent=1) + "\n")
    if (work.out / _MEASURED).is_dir():
        shutil.rmtree(work.out / _MEASURED)
    try:
        return float(json.loads(path.read_text("utf-8"))["threshold"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} cannot be read: {error}.", path=path) from error


def distance_of(settings: Settings, name: str) -> float | None:
    """Eq. 1 of one pair; None where it cannot be read.

    Raises:
        DataError: the whole folder is gone.
    """
    try:
        source = read_source(settings, name)
        assert source.edited is not None
        before, after = (to_srgb(open_stored(s)).rgb8() for s in (source.picture, source.edited))
    except (DataError, PictureReadError):
        refuse_vanished(settings)
        return None
    return squared_distance(before, after)


def _measure_all(work: Work, cluster: scale.Cluster, job: Job) -> list[float]:
    folder = work.out / _MEASURED
    folder.mkdir(exist_ok=True)
    chunks = range(-(-len(work.items) // _CHUNK))
    missing = [chunk for chunk in chunks if not _path(folder, chunk).exists()]
    check = (lambda: None) if cluster.address else job.check
    done = len(chunks) - len(missing)
    # On a cluster without the list of pictures, which each worker reads for itself.
    told = replace(work) if cluster.address else work
    make: Callable[[], Callable[[int], dict[str, Any]]] = functools.partial(_Measurer, told, check)
    for number, _ in enumerate(scale.each(make, missing, cluster)):
        job.report("measuring pairs", min((done + number + 1) * _CHUNK, len(work.items)),
                   len(work.items))  # fmt: skip
    found: list[float | None] = []
    for chunk in chunks:
        found += json.loads(_path(folder, chunk).read_text("utf-8"))
    distances = [distance for distance in found if distance is not None]
    if not distances:
        raise DataError(
            f"No pair of {work.settings.source} could be read.", path=Path(work.settings.source)
        )
    return distances


def _path(folder: Path, chunk: int) -> Path:
    return folder / f"{chunk:05d}.json"


class _Measurer:
    """Measures chunks of pairs, here or on a cluster."""

    def __init__(self, work: Work, check: Callable[[], None]) -> None:
        self._work, self._check = work, check

    def __call__(self, chunk: int) -> dict[str, Any]:
        path = _path(self._work.out / _MEASURED, chunk)
        if not path.exists():
            found = []
            for name in self._work.items[chunk * _CHUNK : (chunk + 1) * _CHUNK]:
                self._check()
                found.append(distance_of(self._work.settings, name))
            write_text_atomic(path, json.dumps(found))
        return {"chunk": chunk}
