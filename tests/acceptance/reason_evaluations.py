"""What 06_reason_edit.py asks of `evaluate reason_edit`: each table, figure and reader.

Standard library only.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import acceptance
from acceptance import Session

FIGURES = ("L1", "L2", "CLIP-I", "DINO", "CLIP-T")
FEW = ("size=32", "steps=2", "limit=2", "precision=fp32", "device=cpu")


def every_table(s: Session, user: Path, model: Path) -> None:
    """The paper's tables and figures, the readers, a study, and what is left out.

    Args:
        s: the session.
        user: with the user's files.
        model: a trained model.
    """
    pix2pix = user / "pipeline" / "pipeline"
    rows = f"instructpix2pix:{pix2pix},magicbrush:{pix2pix},reason_pix2pix:{model}"
    keep = s.work / "keep"
    done = _evaluate(s, user, "benchmark", f"models={rows}", f"keep={keep}", more=("--baseline",))
    text = json.dumps(_tables(done))
    missing = [name for name in FIGURES if name not in text]
    figure = f"missing: {', '.join(missing)}" if missing else ", ".join(FIGURES)
    good = _tables(done) and not missing and "direct" in text and "reasoning" in text
    s.check(good, "table 3, direct and reasoning", figure if _tables(done) else done.last,
            done.command)  # fmt: skip
    marked = "published, not reproduced here" in text and "0.0646" in text
    s.check(marked, "published numbers in their own columns", "marked; 0.0646 is there")
    parts = f"instructpix2pix:{pix2pix},Part I=reason_pix2pix:{model},all=reason_pix2pix:{model}"
    tuned = f"MLLM=reason_pix2pix:{user / 'model'},fine-tuned=reason_pix2pix:{model}"
    _table(s, user, "figures 12 and 15a, parts", "parts", parts)
    _table(s, user, "figures 13 and 15b, fine-tuning", "fine-tuning", tuned)
    _table(s, user, "figures 9 to 11, side by side", "sheets", rows)
    said = "sentence=make it 50 years later"
    _table(s, user, "figure 14, the same sentence", "sentence", f"reason_pix2pix:{model}", said)
    for name in ("magicbrush", "risebench", "unireditbench"):
        done = _evaluate(s, user, name, "models=copy")
        titles = [table["title"] for table in _tables(done)]
        s.check(titles, f"reads {name}", titles[0] if titles else done.last, done.command)
    _people(s, user, keep)
    _left_out(s, user, keep)


def _table(s: Session, user: Path, what: str, table: str, rows: str, *options: str) -> None:
    page = s.work / f"{table}.html"
    done = _evaluate(s, user, "benchmark", f"table={table}", f"models={rows}", *options,
                     more=("--baseline", "--report", page, "--worst", "2"))  # fmt: skip
    pictures = page.read_text("utf-8").count("<img") if page.is_file() else 0
    figure = f"{len(_tables(done))} tables, {pictures} pictures" if pictures else done.last
    s.check(pictures and _tables(done), what, figure, done.command)


def _people(s: Session, user: Path, keep: Path) -> None:
    """Table 4: a study of kept results, and its table without a vote."""
    study = s.work / "study"
    done = s.cli("data", "reason_edit", "study", "--results", keep, "--out", study,
                 "--items", "2", "--people", "2")  # fmt: skip
    sheets = sorted(path.name for path in study.glob("person-*.json"))
    s.check(len(sheets) == 2, "table 4, a study of the best of several", ", ".join(sheets),
            done.command)  # fmt: skip
    votes = s.probe("vote", study, s.work / "ann.json")
    done = _evaluate(s, user, study, "table=study", f"votes={s.work / 'ann.json'}")
    titles = [table["title"] for table in _tables(done)]
    figure = f"{votes} votes: {titles[0]}" if titles else done.last
    s.check(titles, "its votes become table 4", figure, done.command)


def _left_out(s: Session, user: Path, keep: Path) -> None:
    """Baselines that diffusers lacks are scored from pictures; what is missing is told."""
    folder = next(path for path in sorted(keep.iterdir()) if path.is_dir())
    done = _evaluate(s, user, "benchmark", f"models=Null-text=results:{folder}")
    s.check("Null-text" in done.out, "Null-text and EDICT from a folder of their outputs",
            done.last[:100], done.command)  # fmt: skip
    done = _evaluate(s, user, "benchmark", "models=NoSuchPipeline:nowhere")
    error = next((line for line in done.err.splitlines() if line.startswith("Error")), "")
    good = done.code in (1, 2) and error and "Traceback" not in done.err
    s.check(good, "a baseline that is not there", error[:160], done.command)


def _evaluate(
    s: Session, user: Path, data: str | Path, *options: str, more: tuple[str | Path, ...] = ()
) -> acceptance.Ran:
    given = (*FEW, f"clip={user / 'encoder'}", f"dino={user / 'seer'}", *options)
    words = [word for one in given for word in ("-O", one)]
    return s.cli("evaluate", "reason_edit", "--data", user / data, "--json", *words, *more)


def _tables(done: acceptance.Ran) -> list[dict[str, Any]]:
    return list(json.loads(done.out)["tables"]) if done.code == 0 else []
