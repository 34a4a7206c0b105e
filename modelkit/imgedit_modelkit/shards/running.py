"""The shards that are missing, made one after another or on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from imgedit_modelkit import locks, scale
from imgedit_modelkit.shards.work import LOCK, Work, counts_of
from imgedit_plugins.atomic import write_failure
from imgedit_plugins.errors import DataError

Counts = dict[str, Any]
"""Of one shard, as `counts_of` has them."""


def counts_there(work: Work) -> dict[int, Counts]:
    """The counts of the shards that are complete; raises as `counts_of`."""
    there = (shard for shard in range(work.shards) if work.folder_of(shard).exists())
    return {shard: counts_of(work.folder_of(shard), work.kind) for shard in there}


def make_missing(
    work: Work,
    counts: Mapping[int, Counts],
    make: scale.Make,
    cluster: scale.Cluster,
    *,
    wanted: int = 0,
    on_shard: Callable[[Counts], None] = lambda _: None,
) -> dict[int, Counts]:
    """Make what is missing, in order; on a cluster some shards at a time.

    Args:
        work: what is made.
        counts: of the shards that are there.
        make: makes the function that makes one shard and gives its counts.
        cluster: where.
        wanted: stop when the first shards together have so many rows; 0 makes all.
        on_shard: told about each shard.

    Returns:
        The counts of all shards that are there then.

    Raises:
        PluginError: there is no cluster.
    """
    counts = dict(counts)
    with scale.connected(cluster):
        while missing := _next(work, counts, wanted, cluster):
            for found in scale.each(make, missing, cluster):
                counts[found["shard"]] = found
                on_shard(found)
                if not cluster.address and _is_enough(counts, wanted):
                    break
    return counts


def _next(
    work: Work, counts: Mapping[int, Counts], wanted: int, cluster: scale.Cluster
) -> list[int]:
    missing = [shard for shard in range(work.shards) if shard not in counts]
    if not wanted:
        return missing
    if _is_enough(counts, wanted):
        return []
    if not cluster.address:
        return missing
    # As many as will do if the next ones are like the ones before, so that few are made in vain.
    rows = sum(found["rows"] for found in counts.values())
    seen = sum(found["rows"] + found["skipped"] for found in counts.values())
    rate = max(rows / seen, 1 / work.settings.shard_rows) if seen else 1.0
    needed = max(1, wanted - rows) / (rate * work.settings.shard_rows)
    return missing[: max(1, -int(-needed // 1))]


def _is_enough(counts: Mapping[int, Counts], wanted: int) -> bool:
    rows, shard = 0, 0
    while wanted and shard in counts:
        rows += counts[shard]["rows"]
        shard += 1
    return bool(wanted) and rows >= wanted


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Nobody else works on the folder during the block; it is made where there is none.

    Raises:
        DataError: somebody does.
    """
    out.mkdir(parents=True, exist_ok=True)
    with locks.hold(out / LOCK) as held:
        if not held:
            raise DataError(f"Another process works on {out}.", path=out)
        yield


@contextmanager
def told_as_data_errors(out: Path) -> Iterator[None]:
    """Turn what a disk refuses into a sentence that names the file."""
    try:
        yield
    except OSError as error:
        where = Path(error.filename) if isinstance(error.filename, str) else out
        raise DataError(f"{where} cannot be used: {write_failure(error)}.", path=where) from error
