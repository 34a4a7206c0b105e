"""What 06_reason_edit.py asks of `data reason_edit`: each part, the layouts, kills, the benchmark.

Standard library only.
"""

from __future__ import annotations

import hashlib
import json
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import acceptance
from acceptance import Session

KILLS = 20
FEW: dict[str, object] = {"count": 6, "shard-rows": 4, "batch-size": 3}
PAINTED: dict[str, object] = {
    "steps": 2, "box-threshold": 0.05, "smallest": 0.002, "largest": 0.9,
}  # fmt: skip
PROVENANCE = {
    *("source", "source_sha256", "input_sha256", "edited_sha256", "seed", "models", "prompts"),
    *("versions", "calls", "tokens_in", "tokens_out", "rejected"),
}


@contextmanager
def serving(s: Session, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """A language model behind a real server; yields its address, and what it was asked at the end.

    Args:
        s: the session.
        kind: 'sensible', 'moody' or 'planner', see probes_reason.py.
    """
    script = s.root / "tests" / "acceptance" / "probes_reason.py"
    command = [s.python, str(script), "serve", kind]
    env = {**s.environ, "PYTHONPATH": str(s.root)}
    pipe = subprocess.PIPE
    told: dict[str, Any] = {}
    with subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), told
        out, _ = process.communicate()
    told |= json.loads(out)


def make(
    s: Session, user: Path, out: Path, *more: str | Path, recipe: str = "make", **options: Any
) -> acceptance.Ran:
    """Run the pipeline; '_' in options' names stands for '-'."""
    return s.cli(*words(user, out, recipe=recipe, **options), *more)


def words(user: Path, out: Path, *, recipe: str = "make", **options: Any) -> list[str | Path]:
    """The words of the command; models and sources that a part needs are added."""
    part = str(options.get("part", ""))
    given: dict[str, object] = dict(FEW)
    if part == "I":
        given["candidates"] = 3
    if part in ("I", "II"):
        given["pairs"] = user / "pairs"
    if part != "I":
        models = {"captioner": "blip2", "detector": "dino", "spacy": "spacy"}
        given |= {name: user / folder for name, folder in models.items()}
        given |= {"painter-weights": user / "gligen"} | PAINTED
    if part not in ("I", "II"):
        given["v3det"] = user / "v3det"
    given |= {name.replace("_", "-"): value for name, value in options.items()}
    if "endpoint" in given:
        given["endpoint-model"] = "wise"
    flags = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    return ["data", "reason_edit", recipe, "--out", out, *flags]


def every_part(s: Session, user: Path) -> None:
    """Parts I to III, the filter, another painter, a local model, layouts, a dry run."""
    with serving(s, "sensible") as (address, _):
        _part(s, user, "I", endpoint=address)
        _part(s, user, "II", endpoint=address)
        _part(s, user, "III", endpoint=address)
        _filtered(s, user, address)
        inpainter = {
            "painter": "StableDiffusionInpaintPipeline", "painter_weights": user / "inpainter",
        }  # fmt: skip
        _part(s, user, "III", "a modern inpainting pipeline", endpoint=address, **inpainter)
        _layouts(s, user, address)
        done = make(s, user, s.work / "dry", "--dry-run", part="III", endpoint=address)
        told = [line for line in done.out.splitlines() if "calls" in line or "hours" in line]
        good = done.code == 0 and told and not (s.work / "dry").exists()
        figure = "; ".join(line.strip() for line in told)
        s.check(good, "dry run with a forecast", figure, done.command)
    _part(s, user, "I", "a local model of transformers", model=user / "llama")


def _part(s: Session, user: Path, part: str, what: str = "", **options: Any) -> None:
    name = f"part-{part}-{what or 'paper'}".replace(" ", "-")
    done = make(s, user, s.work / name, part=part, **options)
    rows: list[dict[str, Any]] = s.probe("rows", s.work / name) if done.code == 0 else []
    dropped = s.probe("left_out", s.work / name) if done.code == 0 else {}
    shown = f"“{rows[0]['instruction'][:70]}” for “{rows[0]['direct_instruction']}”" if rows else ""
    figure = f"{len(rows)} rows, left out: {dropped or 'nothing'}; {shown or done.last}"
    good = rows and all(row["instruction"].strip() and row["direct_instruction"] for row in rows)
    s.check(good, f"part {part}{f', {what}' if what else ''}", figure, done.command)
    lacking = sorted(PROVENANCE - set(rows[0])) if rows else ["rows"]
    if not what:
        told = f"missing: {', '.join(lacking)}" if lacking else ", ".join(sorted(PROVENANCE))
        s.check(not lacking, f"provenance of each row of part {part}", told)


def _filtered(s: Session, user: Path, address: str) -> None:
    """Equation 1, by value and by rank: of 20 pairs 2 are hardly edited."""
    for tau, what in (("50", "by value"), ("10%", "by rank")):
        out = s.work / f"tau-{what.replace(' ', '-')}"
        done = make(s, user, out, part="I", endpoint=address, tau=tau, count=99)
        dropped = s.probe("left_out", out) if done.code == 0 else {}
        s.check(dropped.get("too alike") == 2, f"equation 1 {what}", f"tau {tau}: {dropped}",
                done.command)  # fmt: skip


def _layouts(s: Session, user: Path, address: str) -> None:
    folders, tars = s.work / "layout-folders", s.work / "layout-tar"
    for out, layout in ((folders, "folders"), (tars, "tar")):
        make(s, user, out, part="I", endpoint=address, layout=layout)
    read = s.probe("libraries", folders, tars)
    s.check(set(read.values()) == {6}, "read by datasets and WebDataset", str(read))


def killed(s: Session, user: Path) -> None:
    """SIGKILL the pipeline at random moments while its server misbehaves, and compare all bytes."""
    drawn = random.Random()
    given: dict[str, Any] = {"part": "I", "count": 99, "timeout": 1, "batch-size": 2}
    with serving(s, "moody") as (address, told):
        given["endpoint"] = address
        began = time.monotonic()
        done = make(s, user, s.work / "not-killed", **given)
        seconds = time.monotonic() - began
        whole, runs, kills, same = _content(s.work / "not-killed"), 0, 0, 0
        while kills < KILLS and done.code == 0 and runs < KILLS:
            out = s.work / f"killed-{runs}"
            kills += _kill(s, words(user, out, **given), drawn.uniform(0.2, 0.9) * seconds)
            kills += _kill(s, words(user, out, **given), drawn.uniform(0.2, 0.9) * seconds)
            last = make(s, user, out, **given)
            same += last.code == 0 and _content(out) == whole
            runs += 1
    rows = len(s.probe("rows", s.work / "not-killed")) if done.code == 0 else 0
    moods = ", ".join(f"{count} x {name}" for name, count in sorted(told["moods"].items()))
    s.check(rows and len(told["moods"]) >= 8, "with a server that misbehaves", f"{rows} rows of 21 "
            f"pairs; {moods} in {told['asked']} questions", done.command)  # fmt: skip
    figure = f"{kills} kills at drawn moments; {same} of {runs} runs end byte for byte the same"
    s.check(kills >= KILLS and same == runs, "killed and resumed", figure)


def _kill(s: Session, command: list[str | Path], seconds: float) -> bool:
    arguments = [str(word) for word in (s.bin / "imgedit-plugins", *command)]
    nowhere = subprocess.DEVNULL
    process = subprocess.Popen(arguments, env=s.environ, stdout=nowhere, stderr=nowhere)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
    return process.wait() == -signal.SIGKILL


def _content(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock"
    }


def benchmark(s: Session, user: Path) -> None:
    """The benchmark of V3Det's test pictures."""
    out = s.work / "benchmark"
    with serving(s, "sensible") as (address, _):
        done = make(s, user, out, recipe="benchmark", endpoint=address)
    rows: list[dict[str, Any]] = s.probe("rows", out) if done.code == 0 else []
    wanted = ("instruction", "direct_instruction", "input_caption", "edited_caption")
    good = rows and all(row[name].strip() for row in rows for name in wanted)
    figure = "; ".join(f"{name}: {rows[0][name]}" for name in wanted) if rows else done.last
    s.check(
        good, f"{len(rows)} rows with both instructions and both captions", figure, done.command
    )
    told = s.cli("data", "reason_edit", "benchmark", "--help")
    s.check("1000" in told.out, "1,000 pictures by default", "said by --help", told.command)
