"""Pairs to learn from and to be tested on, as `data reason_edit make` lays them out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reason_learning import puzzles
from benchmarks.reason_learning.puzzles import Puzzle
from benchmarks.tiny_editing import scenes
from benchmarks.tiny_editing.captions import described
from benchmarks.tiny_editing.scoring import FAMILY
from benchmarks.tiny_editing.vae import VALIDATION
from imgedit_modelkit import fingerprints
from imgedit_modelkit.folders import appearing
from imgedit_modelkit.shards.work import ROWS
from imgedit_plugins.jobs import Job
from imgedit_plugins.picture_files import save_picture
from imgedit_plugins.pictures import Picture
from imgedit_reason_edit.data.difference import squared_distance
from imgedit_reason_edit.data.layout import EDITED, INPUT, MADE
from imgedit_reason_edit.data.reading import ReasonRow, read_rows

_FIRST_SEED = 2 * VALIDATION
_TEST_SEED = 8 * VALIDATION
"""No picture of another stage, and none to learn from, has such a seed."""

_MAKER = "benchmarks.reason_learning"

LEARNT = {puzzles.NATURE: 0.25, puzzles.NEIGHBOUR: 0.25, puzzles.PICK: 0.3, puzzles.SAID: 0.2}
"""Shares of the pairs to learn from. New kinds are for tests alone."""


def puzzles_to_learn(count: int) -> Iterator[Puzzle]:
    """Pairs to learn from, in any order of families."""
    for number in range(count):
        rng = np.random.default_rng(_FIRST_SEED + number)
        yield puzzles.draw_puzzle(str(rng.choice(list(LEARNT), p=list(LEARNT.values()))), rng)


def puzzles_to_test(each: int) -> Iterator[Puzzle]:
    """So many pairs of each family."""
    for place, family in enumerate(puzzles.FAMILIES):
        for number in range(each):
            seed = _TEST_SEED + 1_000_000 * place + number
            yield puzzles.draw_puzzle(family, np.random.default_rng(seed))


def make_pairs(folder: Path, drawn: Iterator[Puzzle]) -> Path:
    """Write a folder of pairs in one shard; made once."""
    if folder.exists():
        return folder
    with appearing(folder) as part:
        shard = part / "shard-00000"
        shard.mkdir()
        rows = [json.dumps(_row(shard, number, one)) + "\n" for number, one in enumerate(drawn)]
        (shard / ROWS).write_text("".join(rows), "utf-8")
        record = {
            "schema": MADE.schema,
            MADE.items: len(rows),
            "request": {"count": len(rows), "shard_rows": len(rows)},
        }
        (part / MADE.record).write_text(json.dumps(record) + "\n", "utf-8")
    return folder


def _row(shard: Path, number: int, puzzle: Puzzle) -> dict[str, Any]:
    """The fields of Part I, whose pairs were there before, and the family."""
    names = [f"{number:07d}_{side}.png" for side in (INPUT, EDITED)]
    before, after = puzzle.pictures
    for name, pixels in zip(names, (before, after), strict=True):
        save_picture(Picture(pixels), shard / name)
    hashes = [fingerprints.of_file(shard / name) for name in names]
    return {
        f"{INPUT}_file_name": names[0],
        f"{EDITED}_file_name": names[1],
        "id": number,
        "part": "I",
        "instruction": puzzle.instruction,
        "direct_instruction": puzzle.direct,
        "input_caption": described(puzzle.scene),
        "edited_caption": described(puzzle.goal),
        "category": "",
        "target": "",
        "box": [0, 0, scenes.SIDE, scenes.SIDE],
        "candidates": [puzzle.instruction],
        "distance": round(squared_distance(before, after), 3),
        "source": f"generated/{names[0]}",
        "source_sha256": hashes[0],
        "input_sha256": hashes[0],
        "edited_sha256": hashes[1],
        "seed": number,
        "models": {"generate": _MAKER, "select": _MAKER},
        "prompts": {"generate": "", "select": "", "replace": ""},
        "calls": 0,
        "tokens_in": 0,
        "tokens_out": 0,
        "rejected": "",
        "versions": fingerprints.versions(),
        FAMILY: puzzle.family,
    }


def read_pairs(folder: Path) -> tuple[ReasonRow, ...]:
    """The rows of such a folder, by the plugin's reader."""
    return read_rows(folder, Job())
