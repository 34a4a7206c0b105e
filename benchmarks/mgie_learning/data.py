"""Pairs to learn from and pairs to be tested on, as `data mgie prepare` lays them out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.tiny_editing import edits
from benchmarks.tiny_editing.edits import Edit
from benchmarks.tiny_editing.scoring import FAMILY
from benchmarks.tiny_editing.vae import VALIDATION
from imgedit_mgie.data.layout import KIND
from imgedit_mgie.data.prepared import PreparedRow, read_prepared
from imgedit_modelkit.folders import appearing
from imgedit_modelkit.shards.work import ROWS
from imgedit_plugins.jobs import Job
from imgedit_plugins.picture_files import save_picture
from imgedit_plugins.pictures import Picture

_FIRST_SEED = 2 * VALIDATION
_TEST_SEED = 7 * VALIDATION
_SAID_SEED = 4 * VALIDATION
"""No picture of another stage, and none to learn from, has such a seed."""

LEARNT = {
    edits.NATURAL_KNOWN: 0.25, edits.MATCH: 0.25, edits.RECOLOUR: 0.3, edits.ADJUST: 0.2,
}  # fmt: skip
"""Shares of the pairs to learn from. `NATURAL_NEW` is for tests alone."""


def edits_to_learn(count: int) -> Iterator[Edit]:
    """Pairs to learn from, in any order of families."""
    for number in range(count):
        rng = np.random.default_rng(_FIRST_SEED + number)
        yield edits.draw_edit(str(rng.choice(list(LEARNT), p=list(LEARNT.values()))), rng)


def edits_said_in_full(count: int) -> Iterator[Edit]:
    """Pairs of the first training, which needs no picture to know what is meant."""
    for number in range(count):
        yield edits.said_edit(np.random.default_rng(_SAID_SEED + number))


def edits_to_test(each: int) -> Iterator[Edit]:
    """So many pairs of each family."""
    for place, family in enumerate(edits.FAMILIES):
        for number in range(each):
            seed = _TEST_SEED + 1_000_000 * place + number
            yield edits.draw_edit(family, np.random.default_rng(seed))


def make_pairs(folder: Path, drawn: Iterator[Edit]) -> Path:
    """Write a folder of pairs in one shard; made once."""
    if folder.exists():
        return folder
    with appearing(folder) as part:
        shard = part / "shard-00000"
        shard.mkdir()
        rows = [_row(shard, number, edit) for number, edit in enumerate(drawn)]
        (shard / ROWS).write_text("".join(rows), "utf-8")
        record = {
            "schema": KIND.schema,
            KIND.items: len(rows),
            "request": {"shard_rows": len(rows)},
        }
        (part / KIND.record).write_text(json.dumps(record) + "\n", "utf-8")
    return folder


def _row(shard: Path, number: int, edit: Edit) -> str:
    names = [f"{number:08d}_{side}.png" for side in ("input", "goal")]
    for name, pixels in zip(names, (edit.before, edit.after), strict=True):
        save_picture(Picture(pixels), shard / name)
    row = {
        "id": number,
        "source": names[0],
        "input_file_name": names[0],
        "goal_file_name": names[1],
        "instruction": edit.instruction,
        "expressive": edit.expressive,
        "summarised": edit.expressive,
        "answer": edit.expressive,
        FAMILY: edit.family,
    }
    return json.dumps(row) + "\n"


def read_pairs(folder: Path) -> tuple[PreparedRow, ...]:
    """The rows of such a folder, by the plugin's reader."""
    return read_prepared(folder, Job())
