"""Running the recipes with small numbers, and looking at what they wrote."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from imgedit_plugins.jobs import Job
from imgedit_plugins.picture_files import open_picture
from imgedit_plugins.pictures import RGB8
from imgedit_plugins.requests import DataReport, DataRequest, OptionValue
from imgedit_reason_edit.data.make import make

SMALL: dict[str, OptionValue] = {
    "shard-rows": 4,
    "batch-size": 3,
    "candidates": 3,
    "count": 6,
    "steps": 2,
    "box-threshold": 0.05,
    "smallest": 0.002,
    "largest": 0.9,
    "endpoint-model": "wise",
    "timeout": 20.0,
}  # fmt: skip


def run(
    out: Path,
    job: Job | None = None,
    *,
    seed: int = 0,
    recipe: str = "make",
    **options: OptionValue,
) -> DataReport:
    given = SMALL | {name.replace("_", "-"): value for name, value in options.items()}
    return make(DataRequest(recipe=recipe, out=out, options=given, seed=seed), job or Job())


def content(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock"
    }


def records(folder: Path) -> list[dict[str, Any]]:
    files = sorted(folder.glob("shard-*/metadata.jsonl"))
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


def left_out(folder: Path) -> list[dict[str, Any]]:
    files = sorted(folder.glob("shard-*/skipped.json"))
    return [entry for path in files for entry in json.loads(path.read_text())]


def names(folder: Path) -> set[str]:
    return {p.name for shard in folder.glob("shard-*") for p in shard.iterdir()}


def both(shard: Path, row: dict[str, Any]) -> tuple[RGB8, RGB8]:
    before, after = (open_picture(shard / row[f"{w}_file_name"]) for w in ("input", "edited"))
    return before.rgb8(), after.rgb8()
