"""Benchmarks in the layouts of the recipes and of others, tiny encoders, and the hook."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import forked_commands
import numpy as np

from imgedit_plugins.cli import common
from imgedit_plugins.jobs import Job
from imgedit_plugins.picture_files import save_picture
from imgedit_plugins.pictures import Picture
from imgedit_plugins.requests import EvaluateReport, EvaluateRequest, Table

ROOT = Path(__file__).parents[4]
SOURCES = ("bridges", "core", "modelkit", "plugins/reason_edit", "plugins/mgie")
SIZE = 32
SMALL = {"steps": 1, "size": SIZE, "precision": "fp32", "device": "cpu"}
WORDS = ("turn", "the", "cat", "dog", "boat", "to", "a", "she", "likes", "on", "grass", "old")


def pair(number: int, size: tuple[int, int] = (36, 44)) -> tuple[Picture, Picture]:
    """A picture, and the same with a block in another colour."""
    draw = np.random.default_rng(number)
    small = draw.integers(0, 255, (6, 7, 3), np.uint8)
    source = np.kron(small, np.ones((8, 8, 1), np.uint8))[: size[0], : size[1]]
    goal = source.copy()
    goal[8:24, 10:30] = draw.integers(0, 255, 3)
    return Picture(np.ascontiguousarray(source)), Picture(np.ascontiguousarray(goal))


def save(folder: Path, number: int, *names: str) -> None:
    for name, picture in zip(names, pair(number), strict=False):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        save_picture(picture, folder / name)


def benchmark(folder: Path, rows: int = 3, *, record: str = "benchmark") -> Path:
    """As `data reason_edit benchmark` (or `make`) writes it."""
    shard = folder / "shard-00000"
    lines = []
    for number in range(rows):
        names = f"{number:07d}_input.png", f"{number:07d}_edited.png"
        save(shard, number, *names)
        lines.append(
            {
                "input_file_name": names[0],
                "edited_file_name": names[1],
                "id": number,
                "part": "III",
                "instruction": "she likes the dog",
                "direct_instruction": "turn the cat to a dog",
                "input_caption": "a cat on the grass",
                "edited_caption": f"a dog on the {'grass' if number % 2 else 'boat'}",
                "category": "cat",
                "target": "dog",
                "box": [10, 8, 30, 24],
                "source": f"n{number}/picture.jpg",
            }
        )
    (shard / "metadata.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    schema = {"benchmark": "imgedit-reason-edit-benchmark/1", "make": "imgedit-reason-edit-data/1"}
    (folder / f"{record}.json").write_text(
        json.dumps({"schema": schema[record], "request": {"count": rows}})
    )
    return folder


def magicbrush(folder: Path, rows: int = 2) -> Path:
    """The archive of its test split."""
    entries = []
    for number in range(rows):
        names = f"{100 + number}-input.png", f"{100 + number}-output1.png"
        save(folder / "test/images" / str(100 + number), number, *names)
        entries.append({"input": names[0], "output": names[1], "instruction": "turn the cat old"})
    (folder / "test/edit_turns.json").write_text(json.dumps(entries))
    return folder


def risebench(folder: Path) -> Path:
    """Three cases, of which one has a picture of its result, and one has two pictures."""
    data = folder / "data"
    save(data, 0, "temporal_reasoning_images/1.png")
    save(data, 1, "spatial_reasoning_images/1.png", "spatial_reasoning_images/1_ref.png")
    cases = [
        {"index": "temporal_reasoning_1", "category": "temporal_reasoning", "subtask": "Life",
         "instruction": "after a year", "image": "temporal_reasoning_images/1.png",
         "reference": "an old cat"},
        {"index": "spatial_reasoning_1", "category": "spatial_reasoning",
         "instruction": "turn the cat to the boat", "image": ["spatial_reasoning_images/1.png"],
         "reference_txt": "a cat on a boat",
         "reference_img": "spatial_reasoning_images/1_ref.png", "reasoning_img": "True"},
        {"index": "causal_reasoning_6", "category": "causal_reasoning",
         "instruction": "on the right pan", "image": ["a.png", "b.png"]},
    ]  # fmt: skip
    (folder / "datav2_total_w_subtask.json").write_text(json.dumps(cases))
    return folder


def unireditbench(folder: Path, *, lines: bool = False) -> Path:
    """A case of the real world and one of a game."""
    save(folder, 0, "original_image/a/1.png", "reference_image/a/1.png")
    save(folder, 1, "original_image/maze/2.png", "reference_image/maze/2.png")
    cases = [
        {"index": 0, "name": "a", "idx": 1, "original_image_path": "original_image/a/1.png",
         "reference_image_path": "reference_image/a/1.png", "instruction": "after a year",
         "reference_effect": "an old cat"},
        {"index": 1, "name": "maze", "idx": 2, "rules": "Walls are black.",
         "original_image_path": "original_image/maze/2.png",
         "reference_image_path": "reference_image/maze/2.png", "instruction": "Show the way."},
    ]  # fmt: skip
    text = "\n".join(map(json.dumps, cases)) if lines else json.dumps(cases)
    (folder / "data.json").write_text(text)
    return folder


# --- running it -------------------------------------------------------------------------------


def evaluated(
    data: Path, job: Job | None = None, *, baseline: bool = False, worst: int = 0, seed: int = 0,
    **options: Any,
) -> EvaluateReport:  # fmt: skip
    """What the hook returns; options as on the command line, with `_` for `-`."""
    from imgedit_reason_edit.plugin import evaluate

    given = {name.replace("_", "-"): str(value) for name, value in options.items()}
    settings = common.resolve_for(
        "evaluate", frozenset({"data"}), "reason_edit",
        {n: str(v) for n, v in SMALL.items()} | {"models": "copy"} | given,
    )  # fmt: skip
    request = EvaluateRequest(
        data=data, baseline=baseline, worst=worst, options=settings, seed=seed
    )
    report = evaluate(request, job or Job())
    assert report is not None
    return report


def table(report: EvaluateReport, begins: str) -> Table:
    return next(one for one in report.tables if one.title.startswith(begins))


def cells(found: Table, *row: object) -> dict[str, Any]:
    line = next(cells for cells in found.rows if cells[: len(row)] == row)
    return dict(zip(found.columns, line, strict=True))


def environment() -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(ROOT / source) for source in SOURCES),
        "IMGEDIT_PLUGINS": "reason_edit,mgie",
    }


def program(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run `imgedit-plugins` with an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "imgedit_plugins.cli", *map(str, arguments)],
        env=environment(), capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done


def forked(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run it in a process that begins at once."""
    done = forked_commands.run(arguments, environment())
    assert done.returncode == code, done.stderr
    return done


def given(**options: Any) -> list[str]:
    """Options of the hook for the command line."""
    named = {name.replace("_", "-"): value for name, value in options.items()}
    return [a for name, value in (SMALL | named).items() for a in ("-O", f"{name}={value}")]
