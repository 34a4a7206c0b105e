"""Small made samples in the published layouts, tiny encoders, and the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import forked_commands
import tiny_mgie
import torch

from imgedit_modelkit.metrics.testing import save_tiny_clip, save_tiny_dino
from imgedit_plugins.cli import common
from imgedit_plugins.jobs import Job
from imgedit_plugins.picture_files import save_picture
from imgedit_plugins.pictures import Picture
from imgedit_plugins.requests import EvaluateReport, EvaluateRequest, Table

ROOT = Path(__file__).parents[4]
SOURCES = ("bridges", "core", "modelkit", "plugins/mgie")
SIZE = 32
SMALL = {"steps": 1, "size": SIZE, "max-tokens": 16, "precision": "fp32", "device": "cpu"}
COLOURS = {"red": (200, 30, 30), "green": (30, 180, 40), "blue": (40, 60, 210)}


def pair(number: int, size: tuple[int, int] = (36, 44)) -> tuple[Picture, Picture, str]:
    """A picture, its edited version, and the colour that a block of it took."""
    source = tiny_mgie.picture(*size, seed=number).pixels
    colour = list(COLOURS)[number % 3]
    goal = source.copy()
    goal[size[0] // 4 : size[0] // 2, size[1] // 4 : size[1] // 2] = COLOURS[colour]
    return Picture(source), Picture(goal), colour


def _save(folder: Path, names: tuple[str, str], number: int) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    source, goal, colour = pair(number)
    for name, picture in zip(names, (source, goal), strict=True):
        save_picture(picture, folder / name)
    return colour


def evr(folder: Path, rows: int = 3) -> Path:
    """Tan et al. 2019: lists by split, pictures in one folder; two sentences in test."""
    lists: dict[str, list[dict[str, Any]]] = {"train": [], "valid": [], "test": []}
    for number in range(rows):
        names = f"e{number}_a.png", f"e{number}_b.png"
        colour = _save(folder / "images", names, number)
        split = ("train", "test", "valid")[number % 3]
        said = [f"make it {colour}"] + ([f"turn it {colour}"] if split == "test" else [])
        lists[split].append(
            {"img0": names[0], "img1": names[1], "uid": f"req/{number}", "sents": said}
        )
    for split, entries in lists.items():
        (folder / f"{split}.json").write_text(json.dumps(entries))
    return folder


def gier(folder: Path, rows: int = 3) -> Path:
    """Shi et al. 2020: one list, several requests a pair."""
    entries = []
    for number in range(rows):
        names = f"{number}_{number}.png", f"{number}_x.png"
        colour = _save(folder / "images", names, number)
        entries.append({
            "input": names[0], "output": names[1], "operator": {},
            "expert_summary": [f"make it {colour}"], "amateur_summary": [f"more {colour}"],
        })  # fmt: skip
    (folder / "GIER.json").write_text(json.dumps(entries))
    return folder


def ma5k(folder: Path, rows: int = 3) -> Path:
    """Shi et al. 2021: one list with requests, splits beside it."""
    entries = []
    for number in range(rows):
        names = f"{number:04d}O.png", f"{number:04d}A.png"
        colour = _save(folder / "images", names, number)
        entries.append({"input": names[0], "output": names[1], "request": f"make it {colour}"})
    (folder / "FiveK.json").write_text(json.dumps(entries))
    (folder / "annotations").mkdir()
    (folder / "annotations/test_sess_1.json").write_text(json.dumps(entries[1:]))
    (folder / "annotations/train_sess_1.json").write_text(json.dumps(entries[:1]))
    return folder


def magicbrush(folder: Path, rows: int = 3) -> Path:
    """Zhang et al. 2023, the archive of the test split."""
    entries = []
    for number in range(rows):
        names = f"{100 + number}-input.png", f"{100 + number}-output1.png"
        colour = _save(folder / "test" / "images" / str(100 + number), names, number)
        entries.append(
            {"input": names[0], "output": names[1], "instruction": f"make the block {colour}"}
        )
    (folder / "test/edit_turns.json").write_text(json.dumps(entries))
    return folder


def magicbrush_of_the_hub(folder: Path, rows: int = 3) -> Path:
    """The same as Parquet."""
    import pyarrow
    import pyarrow.parquet

    table = []
    for number in range(rows):
        names = f"{number}.png", f"{number}-goal.png"
        colour = _save(folder / "pictures", names, number)
        cells = [{"bytes": (folder / "pictures" / name).read_bytes(), "path": name}
                 for name in names]  # fmt: skip
        table.append({
            "img_id": str(number), "turn_index": 1, "source_img": cells[0],
            "instruction": f"make it {colour}", "target_img": cells[1],
        })  # fmt: skip
    (folder / "data").mkdir()
    path = folder / "data/dev-00000-of-00001.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(table), path)
    return folder


def instruct_pix2pix(folder: Path, rows: int = 3) -> Path:
    """Brooks et al. 2023: a folder for each edit."""
    for number in range(rows):
        edit = folder / f"{number:07d}"
        colour = _save(edit, ("5_0.png", "5_1.png"), number)
        (edit / "prompt.json").write_text(json.dumps({"edit": f"make it {colour}"}))
    return folder


LAYOUTS = {"evr": evr, "gier": gier, "ma5k": ma5k, "magicbrush": magicbrush,
           "instructpix2pix": instruct_pix2pix}  # fmt: skip


# --- encoders ---------------------------------------------------------------------------------

WORDS = ("make", "it", "red", "green", "blue", "the", "block", "is", "a", "photo", "depicts",
         "A", "turn", "more", "sky", "and")  # fmt: skip


def clip(folder: Path, *, seed: int = 3) -> Path:
    """CLIP, both halves, with a tokenizer of words."""
    return save_tiny_clip(folder, WORDS, seed=seed)


dino = save_tiny_dino


def alexnet(path: Path) -> Path:
    """torchvision's file, with drawn weights; its hash is not the published one."""
    draw = torch.Generator().manual_seed(2)
    shapes = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3),
              10: (256, 256, 3)}  # fmt: skip
    state = {}
    for number, (to, of, size) in shapes.items():
        scale = (of * size * size) ** -0.5
        state[f"features.{number}.weight"] = torch.randn(to, of, size, size, generator=draw) * scale
        state[f"features.{number}.bias"] = 0.1 * torch.randn(to, generator=draw)
    torch.save(state, path)
    return path


# --- running it -------------------------------------------------------------------------------


def evaluated(
    data: Path, job: Job | None = None, *, baseline: bool = False, worst: int = 0, seed: int = 0,
    **options: Any,
) -> EvaluateReport:  # fmt: skip
    """What the hook returns; options as on the command line, with `_` for `-`."""
    from imgedit_mgie.plugin import evaluate

    given = {name.replace("_", "-"): str(value) for name, value in options.items()}
    settings = common.resolve_for(
        "evaluate", frozenset({"data"}), "mgie", {n: str(v) for n, v in SMALL.items()} | given
    )
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


def environment(weights: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(ROOT / source) for source in SOURCES),
        "IMGEDIT_PLUGINS": "mgie",
        "IMGEDIT_WEIGHTS": str(weights),
    }


def program(weights: Path, *arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run `imgedit-plugins` with an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "imgedit_plugins.cli", *map(str, arguments)],
        env=environment(weights), capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done


def forked(weights: Path, *arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run it in a process that begins at once."""
    done = forked_commands.run(arguments, environment(weights))
    assert done.returncode == code, done.stderr
    return done


def given(**options: Any) -> list[str]:
    """Options of the hook for the command line."""
    named = {name.replace("_", "-"): value for name, value in options.items()}
    return [a for name, value in (SMALL | named).items() for a in ("-O", f"{name}={value}")]
