"""The demonstration itself; scripts/demo.py runs it in .venv.

The edits are made by `benchmarks.reference_edits`, which imports nothing of ours; plans are found
and applied by the installed command.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from benchmarks import photographs
from benchmarks.photographs import PhotographError
from benchmarks.reference_edits import Edit, Picture, apply_edits
from imgedit_plugins.errors import ImgeditError
from imgedit_plugins.picture_files import open_picture
from imgedit_plugins.plan import EditPlan, Residual, parse_plan
from imgedit_plugins.render import mean_squared_error, psnr
from imgedit_plugins.report import ReportEntry, report_entry, write_report

ABSTAINED = 3
PUBLISHERS = ("scikit-image", "scikit-learn")
TITLE = "Edits of sample photographs, recovered"
JPEG_90 = [cv2.IMWRITE_JPEG_QUALITY, 90]
CARRIED_TO = "flower"
FULL_TURN = 2.5  # radians, at the centre of the swirl


@dataclass(frozen=True)
class Trial:
    """An edit to make and to recover; `after` is the edited file's name."""

    photograph: str
    edits: tuple[Edit, ...]
    after: str
    told: str
    half: bool = False
    swirl: bool = False


TRIALS = (
    Trial("coffee", (Edit("summer", 1.0), Edit("flip", 1.0)), "coffee.png", "summer, flip"),
    Trial(
        "astronaut",
        (Edit("sepia", 1.0), Edit("contrast", 1.3)),
        "astronaut-sepia.jpg",
        "sepia, contrast 1.3; saved as JPEG with quality 90",
    ),
    Trial(
        "flower",
        (Edit("saturate", 2.0), Edit("bright", 30)),
        "flower-half.png",
        "saturate 2.0, bright 30; then scaled to half its size",
        half=True,
    ),
    Trial(
        "rocket",
        (Edit("winter", 1.0), Edit("gaussian", 9), Edit("rotate", 90)),
        "rocket.png",
        "winter, gaussian 9, rotate 90",
    ),
    Trial(
        "motorcycle",
        (Edit("hdr", 1.0), Edit("contrast", 0.7), Edit("invert", 1.0), Edit("saturate", 0.5)),
        "motorcycle.jpg",
        "hdr, contrast 0.7, invert, saturate 0.5; saved as JPEG with quality 90",
    ),
    Trial(
        "coffee",
        (Edit("bright", 30),),
        "coffee-swirl.png",
        "bright 30, and a swirl, which is none of the operations",
        swirl=True,
    ),
)
CARRIED = TRIALS[1]


class DemoError(Exception):
    """The demonstration cannot go on; the message is one sentence for the user."""


# --- making the edits -------------------------------------------------------------------------


def fetch(folder: Path) -> None:
    """Write the sample photographs as PNG, unless they are there."""
    wanted = {trial.photograph for trial in TRIALS} | {CARRIED_TO}
    entries = [
        entry
        for entry in photographs.load_list(photographs.LISTS / "test.json")
        if entry.name in wanted and entry.package.split("==")[0] in PUBLISHERS
    ]
    if all((folder / f"{entry.name}.png").is_file() for entry in entries):
        return
    print(f"Fetching photographs from {' and '.join(PUBLISHERS)} ...", flush=True)
    fetched = photographs.fetch_entries(entries, folder / "originals")
    for path in fetched.paths:
        photographs.write_png(folder / f"{path.stem}.png", photographs.read_photograph(path))


def make(trial: Trial, folder: Path) -> tuple[Path, Path]:
    """Edit the trial's photograph; returns the files before and after."""
    before = folder / "photographs" / f"{trial.photograph}.png"
    edited = apply_edits(_read(before), trial.edits)
    if trial.swirl:
        edited = swirled(edited)
    if trial.half:
        edited = np.asarray(
            cv2.resize(edited, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8
        )
    return before, _written(folder / "edited" / trial.after, edited)


def swirled(picture: Picture) -> Picture:
    """The picture twisted around its centre, as a painting program's warp tool does."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = x - width / 2, y - height / 2
    radius, reach = np.hypot(x, y), min(height, width) / 2
    angle = FULL_TURN * np.clip(1 - radius / reach, 0, 1) ** 2
    from_x = x * np.cos(angle) - y * np.sin(angle) + width / 2
    from_y = x * np.sin(angle) + y * np.cos(angle) + height / 2
    maps = from_x.astype(np.float32), from_y.astype(np.float32)
    turned = cv2.remap(picture, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(turned, np.uint8)


def _read(path: Path) -> Picture:
    picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise DemoError(f"{path} is not a readable picture: delete it and start again.")
    return np.asarray(picture, np.uint8)


def _written(path: Path, picture: Picture) -> Path:
    # Through memory: OpenCV cannot open paths with other than Western letters on Windows.
    good, encoded = cv2.imencode(path.suffix, picture, JPEG_90 if path.suffix == ".jpg" else [])
    if not good:
        raise DemoError(f"{path} could not be encoded.")
    path.parent.mkdir(parents=True, exist_ok=True)
    encoded.tofile(path)
    return path


# --- recovering and carrying them -------------------------------------------------------------


def recover(before: Path, after: Path, folder: Path) -> tuple[EditPlan, Path, float]:
    """Run `predict`; returns the plan, its file and the seconds that the command took."""
    written = folder / "plans" / f"{after.stem}.json"
    written.parent.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    _run(["predict", str(before), str(after), "-o", str(written)], allowed=(0, ABSTAINED))
    seconds = time.perf_counter() - started
    return parse_plan(written.read_text("utf-8")), written, seconds


def carry(plan: EditPlan, written: Path, folder: Path) -> ReportEntry:
    """Apply a recovered plan to another picture and compare with the same edit made there."""
    before = folder / "photographs" / f"{CARRIED_TO}.png"
    applied = folder / "applied" / f"{CARRIED_TO}.png"
    applied.parent.mkdir(parents=True, exist_ok=True)
    _run(["apply", str(before), "--plan", str(written), "-o", str(applied), "--overwrite"])
    goal = open_picture(make(replace(CARRIED, photograph=CARRIED_TO, after="same.png"), folder)[1])
    source, reached = open_picture(before), open_picture(applied)
    left = mean_squared_error(reached.rgb8(), goal.rgb8())
    whole = mean_squared_error(source.rgb8(), goal.rgb8())
    residual = Residual(psnr_db=psnr(left), explained=max(0.0, 1 - left / whole))
    carried = plan.model_copy(update={"residual": residual})
    return report_entry(
        f"{CARRIED_TO}: the plan of {CARRIED.after}, carried to this picture", source, goal, carried
    )


def _run(arguments: Sequence[str], allowed: Sequence[int] = (0,)) -> None:
    shown = " ".join(_short(argument) for argument in arguments)
    print(f"\n$ imgedit-plugins {shown}", flush=True)
    command = [sys.executable, "-m", "imgedit_plugins.cli", *arguments]
    code = subprocess.run(command, check=False).returncode
    if code not in allowed:
        raise DemoError(f"`imgedit-plugins {arguments[0]}` ended with exit code {code}.")


def _short(argument: str) -> str:
    path = Path(argument)
    return path.relative_to(Path.cwd()).as_posix() if path.is_relative_to(Path.cwd()) else argument


# --- all of it --------------------------------------------------------------------------------


def demonstrate(folder: Path) -> list[ReportEntry]:
    """Make, recover and carry the edits."""
    entries: list[ReportEntry] = []
    fetch(folder / "photographs")
    for trial in TRIALS:
        before, after = make(trial, folder)
        plan, written, seconds = recover(before, after, folder)
        pictures = open_picture(before), open_picture(after)
        name = f"{trial.photograph}, edited with {trial.told}"
        entries.append(report_entry(name, *pictures, plan, seconds=seconds))
        if trial is CARRIED:
            entries.append(carry(plan, written, folder))
    return entries


def main(arguments: Sequence[str]) -> int:
    """Write the report into the folder named; returns 0, or 1 with one sentence on stderr."""
    folder = Path(arguments[0])
    try:
        entries = demonstrate(folder)
        report = folder / "index.html"
        write_report(report, entries, title=TITLE)
    except (DemoError, PhotographError, ImgeditError, OSError, json.JSONDecodeError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"\nThe report: {report}\n            {report.as_uri()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
