"""Models that the learning benchmarks have trained: exported, verified and used beside themselves.

Standard library only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acceptance import NOT_RUN, Session
from exported_families import command, export, pair, verified, without_torch

_PAIRS = "minigpt4_learning/pairs"


@dataclass(frozen=True)
class Learnt:
    """A model of one family.

    Attributes:
        plugin: its name.
        run: its folder, in that of builds.
        made: the command that trains it.
        words: with which a user works with it.
        more: words for `export`; ``{builds}`` is the folder of builds.
    """

    plugin: str
    run: str
    made: str
    words: tuple[str, ...]
    more: tuple[str, ...] = ("--golden", "16")


LEARNT = (
    Learnt(
        "mgie", "mgie_learning/runs/mgie-seed0", "python -m benchmarks.mgie_learning",
        ("--instruction", "make it warmer", "-O", "exact=off", "-O", "resolution=64"),
    ),
    Learnt(
        "reason_edit", "reason_learning/runs/reason_pix2pix-seed0",
        "python -m benchmarks.reason_learning",
        ("--instruction", "make it as nature has it", "-O", "exact=off", "-O", "resolution=64",
         "-O", "model=reason_pix2pix"),
    ),
    Learnt(
        "reverse_design", "minigpt4_learning/runs/1-seed0",
        "python -m benchmarks.minigpt4_learning",
        ("-O", "model=minigpt4", "-O", "effort=quick"),
        ("-O", f"data={{builds}}/{_PAIRS}", "-O", "pairs=100"),
    ),
)  # fmt: skip


def learnt(s: Session, one: Learnt, builds: Path) -> None:
    """`export`, `bundle verify` and an edit or a plan, beside that of the model itself."""
    run = builds / one.run
    what = f"the {one.plugin} that its benchmark trains"
    if not (run / "model").is_dir():
        s.say(NOT_RUN, what, f"there is no {run}; --builds names another folder", one.made)
        return
    if gone := _gone(run / "model"):
        s.say(NOT_RUN, what, f"it was trained from {gone}, which is gone", one.made)
        return
    out = s.work / f"{one.plugin}-learnt"
    more = [word.format(builds=builds) for word in one.more]
    done = export(s, one.plugin, out, "-O", f"weights={run}", *more)
    if not s.check(done.code == 0, f"{what}: export", done.last, done.command):
        return
    told = s.probe("document", out)["certificate"]["edits"]
    s.check(all(edit["passed"] for edit in told), f"{what}: its edits", _shown(told))
    verified(s, what, out)
    (_recovered if one.plugin == "reverse_design" else _edited)(s, one, what, run, out)


def _gone(model: Path) -> str:
    """The model that one was trained from, where that is not there any more: it lacks parts."""
    for path in model.glob("*.json"):
        told = json.loads(path.read_text("utf-8"))
        base, nearby = told.get("base"), told.get("nearby")
        if base and not Path(base).is_dir() and not (nearby and (model / nearby).is_dir()):
            return str(base)
    return ""


def _edited(s: Session, one: Learnt, what: str, run: Path, bundle: Path) -> None:
    """A bundle's noise is another one, so its picture is not that of the model with this seed.

    It is no further off than the model's pictures with two seeds are from each other, 3 dB of luck
    aside. Bundles work on multiples of 64 pixels, so the picture is of such a size.
    """
    photo, made = pair(s) / "square.png", []
    for number, (weights, seed) in enumerate(((run, 0), (run, 1), (bundle, 0))):
        target = s.work / f"{one.plugin}-learnt-{number}.png"
        asked = ("--plugin", one.plugin, *one.words, "--seed", str(seed), "-o", str(target))
        words = ("apply", str(photo), *asked, "-O", f"weights={weights}")
        done = without_torch(s, *words) if weights == bundle else s.cli(*words)
        by = f"{what}: apply by {weights.name}, seed {seed}"
        if not s.check(done.code == 0, by, done.last, command(s, words)):
            return
        made.append(target)
    seeds, apart = s.probe("likeness", made[0], made[1]), s.probe("likeness", made[0], made[2])
    figure = (
        f"{apart:.1f} dB PSNR apart from the model's, whose own are {seeds:.1f} dB apart by seed"
    )
    s.check(apart > seeds - 3, f"{what}: the bundle's picture is no further off", figure)


def _recovered(s: Session, one: Learnt, what: str, run: Path, bundle: Path) -> None:
    """Plans of the same pair; where no plan explains it, both say so in the same words."""
    shown = [str(pair(s) / f"{name}.png") for name in ("photo", "brighter")]
    said = []
    for number, weights in enumerate((run, bundle)):
        target = s.work / f"{one.plugin}-learnt-{number}.json"
        asked = ("--plugin", one.plugin, *one.words, "-o", str(target))
        words = ("predict", *shown, *asked, "-O", f"weights={weights}")
        done = without_torch(s, *words) if weights == bundle else s.cli(*words)
        said.append(_plan(target) if done.code == 0 else (done.code, done.err.strip()))
        good = done.code == 0 or (done.code == 3 and done.is_one_sentence)
        s.check(good, f"{what}: predict by {weights.name}", done.last, command(s, words))
    s.check(said[0] == said[1], f"{what}: the bundle's plan is the model's", str(said[1])[:160])


def _plan(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))["operations"]


def _shown(edits: list[Any]) -> str:
    return "; ".join(f"{edit['what']} {edit['value']:.4g}" for edit in edits)
