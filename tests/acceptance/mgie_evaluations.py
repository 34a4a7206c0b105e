"""What 05_mgie.py asks of `evaluate mgie`: each table and figure from the command line.

Standard library only.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import acceptance
from acceptance import Session


def every_table(s: Session, user: Path) -> None:
    """Every reader, table and figure, a study for people, and what is left out.

    Args:
        s: the session.
        user: with the user's files and the model.
    """
    for name in ("evr", "gier", "ma5k", "magicbrush", "pix2pix-pairs"):
        done = _evaluate(s, user, name, "models=copy")
        titles = [table["title"] for table in _tables(done)]
        s.check(titles, f"reads {name}", titles[0] if titles else done.last, done.command)
    rows = f"instructpix2pix,lgie:{user / 'model'},mgie:{user / 'model'},copy"
    for table, what in {
        "zero-shot": "table 1, zero-shot", "fine-tuned": "table 2, fine-tuned",
        "trade-off": "figure 3, trade-off", "instructions": "figure 4, CLIP-S of instructions",
        "sizes": "figure 9, sizes", "prompts": "figure 11, how and what",
    }.items():  # fmt: skip
        few = rows if table in ("zero-shot", "fine-tuned") else f"mgie:{user / 'model'}"
        page = s.work / f"{table}.html"
        done = _evaluate(s, user, "magicbrush", f"table={table}", f"models={few}", more=(
            "--baseline", "--report", page, "--worst", "1"))  # fmt: skip
        tables = _tables(done)
        figure = f"{len(tables)} tables, {page.stat().st_size // 1024} KiB" if tables else done.last
        s.check(tables and page.is_file(), what, figure, done.command)
        if table == "fine-tuned":
            text = json.dumps(tables)
            good = "published, not reproduced here" in text and "95.3" in text
            s.check(good, "published numbers in their own columns", "marked; CVS 95.3 is there")
        if table == "trade-off":
            s.check("<svg" in page.read_text("utf-8"), "the curve is drawn", page.name)
    done = _evaluate(s, user, "rows", "table=forms", "models=told:full,told:short,told:summarised")
    s.check(_tables(done), "figure 10, full, short, summarised", done.last[:100], done.command)
    _people(s, user, rows)
    _left_out(s, user)


def _people(s: Session, user: Path, rows: str) -> None:
    """Figures 5 and 6: a study of kept results."""
    keep, study = s.work / "keep", s.work / "study"
    done = _evaluate(s, user, "magicbrush", f"models={rows}", f"keep={keep}")
    if done.code == 0:
        done = s.cli("data", "mgie", "study", "--results", keep, "--out", study, "--items", "2")
    s.check((study / "study.json").is_file(), "figures 5 and 6, a study for people", done.last,
            done.command)  # fmt: skip


def _left_out(s: Session, user: Path) -> None:
    """What is missing is told, and not silently left out."""
    done = _evaluate(s, user, "ma5k", "models=copy")
    said = [
        line for line in done.err.splitlines() if "dino" in line and "cannot be measured" in line
    ]
    s.check(said, "an encoder that is not given", said[0].strip()[:140] if said else done.err[:140])
    done = _evaluate(s, user, "ma5k", "models=mgie:gone")
    error = next((line for line in done.err.splitlines() if line.startswith("Error")), "")
    good = done.code == 1 and error and "Traceback" not in done.err
    s.check(good, "a model that is not there", error[:140], done.command)


def _evaluate(
    s: Session, user: Path, data: str, *options: str, more: tuple[str | Path, ...] = ()
) -> acceptance.Ran:
    given = (f"clip={user / 'encoder'}", "size=32", "steps=2", "max-tokens=16", "limit=2",
             f"painter-weights={user / 'pipeline' / 'pipeline'}", *options)  # fmt: skip
    words = [word for one in given for word in ("-O", one)]
    return s.cli("evaluate", "mgie", "--data", user / data, "--json", *words, *more)


def _tables(done: acceptance.Ran) -> list[dict[str, Any]]:
    return list(json.loads(done.out)["tables"]) if done.code == 0 else []
