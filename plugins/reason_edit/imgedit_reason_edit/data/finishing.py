"""The end of the work: exactly as many rows as are wanted, whichever way they were made."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from imgedit_modelkit import folders
from imgedit_modelkit.shards.running import Counts
from imgedit_modelkit.shards.work import ROWS, SKIPPED, Work, counts_of
from imgedit_reason_edit.data.shards import write_shard


def trim(work: Work, counts: Mapping[int, Counts]) -> dict[int, Counts]:
    """Take away the rows and shards past the last wanted row.

    On a cluster shards come in any order, and the last one is hardly ever needed whole; what is
    left is the same as from one machine. It may be interrupted and repeated.

    Args:
        work: what was made.
        counts: of the shards that are there.

    Returns:
        The counts of those that stay.
    """
    left, kept = work.settings.count, {}
    for shard in sorted(counts):
        folder = work.folder_of(shard)
        if left == 0:
            folders.remove(folder)
            continue
        if counts[shard]["rows"] >= left:
            _shorten(work, shard, left)
        kept[shard] = counts_of(folder, work.kind)
        left -= kept[shard]["rows"]
    for path in work.out.glob(".answers-*.jsonl"):
        path.unlink()
    return kept


def dropped(counts: Mapping[int, Counts]) -> dict[str, int]:
    """How many pictures became no row, by the reasons' names."""
    total: Counter[str] = Counter()
    for found in counts.values():
        total.update(found["kinds"])
    return dict(sorted(total.items()))


def _shorten(work: Work, shard: int, rows: int) -> None:
    folder = work.folder_of(shard)
    records: list[dict[str, Any]] = [
        json.loads(line) for line in (folder / ROWS).read_text("utf-8").splitlines()
    ]
    skipped = json.loads((folder / SKIPPED).read_text("utf-8"))
    last = records[rows - 1]["id"]
    before = [entry for entry in skipped if entry["id"] < last]
    write_shard(folder, records[:rows], before, work.settings.layout)
