"""What 06_reason_edit.py asks of the reasoned plan, with a server that sees and answers.

Standard library only.
"""

from __future__ import annotations

import json
from pathlib import Path

import acceptance
from acceptance import Session
from reason_data import serving

SAID = "make it the last evening before the launch"


def carried_out(s: Session, user: Path) -> None:
    """Predict, look, change the document, apply; a mask; a server that is not there."""
    look = s.work / "look"
    with serving(s, "planner") as (address, told):
        asked = ("-O", f"endpoint={address}")
        done = s.cli("predict", user / "photo.png", "--instruction", SAID, *asked,
                     "-O", f"save-folder={look}", "-o", s.work / "plan.json")  # fmt: skip
        _document(s, look, done)
        questions = _apply(s, user, "edited.png", *asked)
        found = _compared(s, "edited.png") if questions.code == 0 else {}
        figure = f"{found['changed']:.0%} of the pixels changed" if found else questions.last
        s.check(found and found["changed"] > 0.2, "apply asks and carries out", figure,
                questions.command)  # fmt: skip
        masked = _apply(s, user, "masked.png", *asked, "--mask", str(user / "mask.png"))
        found = _compared(s, "masked.png", user / "mask.png") if masked.code == 0 else {}
        good = found and found["changed_outside"] == 0 and found["changed"] > 0.05
        s.check(good, "bit for bit unchanged outside the selection", str(found or masked.last),
                masked.command)  # fmt: skip
    s.check(told["asked"] >= 6, "plan and self-criticism are asked", f"{told['asked']} questions")
    _changed(s, user, look)
    gone = _apply(s, user, "gone.png", "-O", "endpoint=http://127.0.0.1:9/v1")
    good = gone.code == 1 and gone.is_one_sentence and not (s.work / "gone.png").exists()
    s.check(good, "a server that is not there", gone.err.strip()[:140], gone.command)


def _document(s: Session, look: Path, done: acceptance.Ran) -> None:
    document = json.loads((look / "document.json").read_text("utf-8")) if done.code == 0 else {}
    titles = [layer["title"] for layer in document.get("layers", ())]
    figure = f"“{document['intent']}”: {', '.join(titles)}" if document else done.last
    s.check(
        titles == ["Warmer light", "Darker sky"],
        "intent, regions and instruction are a document",
        figure,
        done.command,
    )
    masks = sorted(path.name for path in look.glob("*.png")) if document else []
    s.check({"preview.png", "region-2.png"} <= set(masks), "its regions as masks, and a preview",
            ", ".join(masks))  # fmt: skip
    criticism = json.dumps(document.get("criticism"))[:140]
    s.check(document.get("criticism"), "one round of self-criticism", criticism)


def _changed(s: Session, user: Path, look: Path) -> None:
    """The document is changed by hand; nobody is asked, and another picture comes of it."""
    path = look / "document.json"
    document = json.loads(path.read_text("utf-8"))
    document["layers"][0]["operations"][0]["parameters"]["shift"] = -60
    path.write_text(json.dumps(document), "utf-8")
    done = _apply(s, user, "by-hand.png", "-O", f"document={look}")
    again = _apply(s, user, "by-hand-again.png", "-O", f"document={look}")
    good = done.code == again.code == 0
    found = _compared(s, "by-hand.png") if good else {}
    same = good and s.probe("compared", s.work / "by-hand.png", s.work / "by-hand-again.png")
    figure = f"{found['changed']:.0%} changed, the same twice" if found else done.last
    s.check(found and found["changed"] > 0.5 and same and same["changed"] == 0,
            "the document can be changed, and is carried out", figure, done.command)  # fmt: skip


def _apply(s: Session, user: Path, name: str, *more: str) -> acceptance.Ran:
    given = ("--plugin", "reason_edit", "--instruction", SAID, "-o", s.work / name)
    return s.cli("apply", user / "photo.png", *given, *more)


def _compared(s: Session, name: str, mask: Path | None = None) -> dict[str, float]:
    given = (mask,) if mask else ()
    found: dict[str, float] = s.probe(
        "compared", s.work / "user" / "photo.png", s.work / name, *given
    )
    return found
