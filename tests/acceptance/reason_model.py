"""What 06_reason_edit.py asks of the trained model: import, training, ablations, edits.

Standard library only.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import acceptance
import training_runs
from acceptance import FAIL, Session

RUN = {"steps": 60, "validate-every": 20, "samples": 1, "batch-size": 2, "size": 16,
       "learning-rate": 0.003, "validation": 0.2}  # fmt: skip
FEW = {"steps": 20, "validate_every": 10}
EDIT = {"steps": 3, "resolution": 64, "exact": "off"}
SAID = "what would a blue bee like to sit on?"


def imported(s: Session, user: Path) -> None:
    """A vision-language model and a diffusion model become one to begin with."""
    names = sorted(path.name for path in _model(s, user).iterdir())
    good = {"mllm", "unet", "vae", "projection.safetensors"} <= set(names)
    s.check(good, "weights import: LLaVA before InstructPix2Pix", ", ".join(names))
    done = import_weights(s, user, s.work / "widened", diffusion="stable-diffusion")
    s.check(done.code == 0, "Stable Diffusion's UNet of 4 channels is widened", done.last,
            done.command)  # fmt: skip
    done = import_weights(s, user, s.work / "bad", mllm="broken")
    good = done.code == 1 and "Traceback" not in done.err and not (s.work / "bad").exists()
    s.check(good, "weights that do not fit are refused", done.err.strip()[:180], done.command)


def import_weights(s: Session, user: Path, out: Path, **files: str) -> acceptance.Ran:
    """Run `weights import`; named folders of the user's take the place of the usual ones."""
    names = {"mllm": "llava", "diffusion": "pix2pix", **files}
    parts = [word for part, name in names.items() for word in (f"--{part}", user / name)]
    return s.cli("weights", "import", "reason_edit", *parts, "-o", out, "-O", "precision=fp32")


def _model(s: Session, user: Path) -> Path:
    """Imported once."""
    folder = user / "model"
    if not folder.exists():
        done = import_weights(s, user, folder)
        if done.code:
            s.say(FAIL, "import", done.last, done.command)
    return folder


def trained(s: Session, user: Path) -> None:
    """Training: cached, resumed, the ablations, LoRA; and what comes of it edits."""
    features = s.work / "features"
    _train(s, user, "whole", "train", features=features)
    words = train_words(s, user, s.work / "again", features=features, dry_run="yes")
    done = s.cli(*words, "--json")
    told = json.loads(done.out)["metrics"] if done.code == 0 else {}
    left = told.get("rows to read first")
    figure = done.last if left is None else f"rows to read first: {left:.0f}"
    s.check(left == 0, "features are cached, no language model is needed", figure, done.command)
    _train(s, user, "uncached", "without a cache")
    found = training_runs.same(s.work / "whole", s.work / "uncached")
    s.check(found.same, "cached and uncached give the same bytes", f"{found.files} files")
    words = train_words(s, user, s.work / "killed", features=features)
    training_runs.killed(s, words, s.work / "killed", s.work / "whole")
    for parts in ("I", "I,II", "all"):
        _train(s, user, f"parts-{parts}", f"ablation: parts {parts}", parts=parts, **FEW)
    for kind, what in (("text", "the text-only twin"), ("clip", "no MLLM (15b)")):
        _train(s, user, kind, what, model=kind, **FEW)
    for told in ("direct", "both"):
        _train(s, user, told, f"{told} instructions", instruction=told, **FEW)
    _train(s, user, "lora", "LoRA, EMA, accumulation, bf16", lora=2, ema=0.9, accumulate=2,
           precision="bf16", **FEW)  # fmt: skip
    done = s.cli(*train_words(s, user, s.work / "dry", dry_run="yes"))
    s.check(done.code == 0 and not (s.work / "dry").exists(), "forecast of a training", done.last,
            done.command)  # fmt: skip


def _train(s: Session, user: Path, name: str, what: str, **options: Any) -> acceptance.Ran:
    done = s.cli(*train_words(s, user, s.work / name, **options))
    training_runs.learnt(s, done, s.work / name, what)
    return done


def train_words(s: Session, user: Path, out: Path, **options: Any) -> list[str | Path]:
    """The words of a training; '_' in options' names stands for '-'."""
    given: dict[str, Any] = {**RUN, "weights": _model(s, user)}
    given |= {name.replace("_", "-"): value for name, value in options.items()}
    words = [word for name, value in given.items() for word in ("-O", f"{name}={value}")]
    data = ",".join(str(user / "rows" / part) for part in ("I", "II", "III"))
    return ["train", "reason_edit", "--data", data, "-o", out, *words]


def edits(s: Session, user: Path) -> None:
    """Each kind edits the user's picture; untrained it says so; a mask; a painter of plans."""
    kinds = {"reason_pix2pix": "whole", "text": "text", "clip": "clip"}
    for kind, run in kinds.items():
        done = apply(s, user, f"by-{kind}.png", model=kind, weights=s.work / run)
        found = _compared(s, user, f"by-{kind}.png") if done.code == 0 else {}
        figure = f"{found['changed']:.0%} of the pixels changed" if found else done.last
        good = found and found["same_form"] and found["changed"] > 0.2
        s.check(good, f"model {kind} edits", figure, done.command)
    done = apply(s, user, "untrained.png", weights=_model(s, user))
    said = [line for line in done.err.splitlines() if "train" in line]
    s.check(done.code == 0 and said, "no fine-tuning (15b): said aloud", "".join(said)[:160],
            done.command)  # fmt: skip
    done = apply(s, user, "part.png", "--mask", user / "mask.png", weights=s.work / "whole")
    found = _compared(s, user, "part.png", user / "mask.png") if done.code == 0 else {}
    good = found and found["changed_outside"] == 0 and found["changed"] > 0.02
    s.check(good, "bit for bit unchanged outside the mask", str(found or done.last), done.command)


def apply(s: Session, user: Path, name: str, *more: str | Path, **options: Any) -> acceptance.Ran:
    """Edit the user's photograph into `$WORK/NAME`."""
    given: dict[str, Any] = {"model": "reason_pix2pix", **EDIT, **options}
    words = [word for key, value in given.items() for word in ("-O", f"{key}={value}")]
    asked = ("--plugin", "reason_edit", "--instruction", SAID, "-o", s.work / name)
    return s.cli("apply", user / "photo.png", *asked, *words, *more)


def _compared(s: Session, user: Path, name: str, mask: Path | None = None) -> dict[str, float]:
    given = (mask,) if mask else ()
    found: dict[str, float] = s.probe("compared", user / "photo.png", s.work / name, *given)
    return found
