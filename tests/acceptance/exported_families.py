"""What 07_exporters.py asks of the three families: trained, exported, verified, used.

Standard library only.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import acceptance
from acceptance import Session

NO_TORCH = """
import sys
for name in ("torch", "transformers", "diffusers"):
    sys.modules[name] = None
from imgedit_plugins.cli import main
sys.exit(main())
"""
"""Runs the command line where none of these can be imported."""

_FEW = {"steps": 20, "validate-every": 20, "batch-size": 2, "learning-rate": 0.003}
_PAINTING = {"steps": 3, "resolution": 64, "exact": "off"}


@dataclass(frozen=True)
class Family:
    """One of the three.

    Attributes:
        plugin: its name.
        probes: the script that makes the user's files at tiny size.
        model: imports a model to begin with; the session and the folder of files are given.
        data: of the files, what is trained with.
        training: options of `train`.
        use: the words with which a user works with a model or bundle.
    """

    plugin: str
    probes: str
    model: Callable[[Session, Path], Path]
    data: Callable[[Path], str]
    training: dict[str, Any]
    use: Callable[[Session, Path, Path], list[str | Path]]


def _import(s: Session, plugin: str, folder: Path, parts: dict[str, str], *more: str) -> Path:
    out = folder / "model"
    words = [word for part, name in parts.items() for word in (f"--{part}", folder / name)]
    done = s.cli("weights", "import", plugin, *words, "-o", out, *more)
    if done.code:
        s.check(False, f"import {plugin}", done.last, done.command)
    return out


def _mgie_model(s: Session, folder: Path) -> Path:
    parts = {"llava": "LLaVA-7B-v1", "mllm": "mllm.pt", "unet": "unet.pt", "clip": "clip",
             "diffusion": "pix2pix"}  # fmt: skip
    return _import(s, "mgie", folder, parts, "-O", "precision=fp32")


def _minigpt4_model(s: Session, folder: Path) -> Path:
    parts = {"eva": "eva_vit_g.pth", "projection": "pretrained_minigpt4_llama2_7b.pth",
             "language-model": "Llama-2-wide-heads"}  # fmt: skip
    return _import(s, "reverse_design/minigpt4", folder, parts)


def _reason_model(s: Session, folder: Path) -> Path:
    parts = {"mllm": "llava", "diffusion": "pix2pix"}
    return _import(s, "reason_edit", folder, parts, "-O", "precision=fp32")


def _paints(plugin: str, **more: Any) -> Callable[[Session, Path, Path], list[str | Path]]:
    def words(s: Session, weights: Path, out: Path) -> list[str | Path]:
        given = {"weights": weights, **_PAINTING, **more}
        settings = [word for key, value in given.items() for word in ("-O", f"{key}={value}")]
        asked = ("--plugin", plugin, "--instruction", "make it red", "-o", f"{out}.png")
        return ["apply", pair(s) / "photo.png", *asked, *settings]

    return words


def _recovers(s: Session, weights: Path, out: Path) -> list[str | Path]:
    given = {"model": "minigpt4", "weights": str(weights), "effort": "quick"}
    settings = [word for key, value in given.items() for word in ("-O", f"{key}={value}")]
    shown = (pair(s) / "photo.png", pair(s) / "brighter.png")
    return ["predict", *shown, "--plugin", "reverse_design", "-o", f"{out}.json", *settings]


FAMILIES = (
    Family(
        "mgie", "probes_mgie.py", _mgie_model, lambda folder: str(folder / "rows"),
        {**_FEW, "samples": 1, "size": 16, "max-length": 200, "validation": 0.2},
        _paints("mgie", **{"max-tokens": 16}),
    ),
    Family(
        "reason_edit", "probes_reason.py", _reason_model,
        lambda folder: ",".join(str(folder / "rows" / part) for part in ("I", "II", "III")),
        {**_FEW, "samples": 1, "size": 16, "validation": 0.2},
        _paints("reason_edit", model="reason_pix2pix"),
    ),
    Family(
        "reverse_design", "probes_minigpt4.py", _minigpt4_model,
        lambda folder: str(folder / "imad"),
        {"steps": 20, "validate-every": 20, "answers": 0, "learning-rate": 0.01,
         "precision": "fp32"},
        _recovers,
    ),
)  # fmt: skip


def trained(s: Session, family: Family) -> Path:
    """The folder of a tiny trained model, made once; `train` ends with a FAIL where it fails."""
    out = s.work / f"{family.plugin}-run"
    if out.exists():
        return out
    s.environ |= {"OMP_NUM_THREADS": "1", "IMGEDIT_WEIGHTS": str(s.work / "weights")}
    files = s.work / f"{family.plugin}-files"
    files.mkdir()
    script = s.root / "tests" / "acceptance" / family.probes
    env = {"PYTHONPATH": str(s.root)}
    done = s.run(s.python, script, "make", files, env=env)
    s.check(done.code == 0, f"{family.plugin}: the user's files", "", done.command)
    given = {**family.training, "weights": family.model(s, files)}
    words = [word for name, value in given.items() for word in ("-O", f"{name}={value}")]
    done = s.cli("train", family.plugin, "--data", family.data(files), "-o", out, *words)
    s.check(done.code == 0, f"{family.plugin}: a tiny model is trained", done.last, done.command)
    return out


def bundle(s: Session, family: Family) -> Path:
    """The bundle of a family's trained model in fp32, made once."""
    out = s.work / f"{family.plugin}-bundle"
    if not out.exists():
        weights = trained(s, family)
        done = export(s, family.plugin, out, "-O", f"weights={weights}", "--golden", "20")
        s.check(done.code == 0, f"{family.plugin}: export", f"{done.seconds:.0f} s; {done.last}",
                done.command)  # fmt: skip
    return out


def export(s: Session, plugin: str, out: Path, *more: str | Path) -> acceptance.Ran:
    """Run `export --to onnx`."""
    return s.cli("export", plugin, "--to", "onnx", "-o", out, *more)


def without_torch(s: Session, *words: str | Path) -> acceptance.Ran:
    """Run the command line in a process that cannot import torch, transformers or diffusers."""
    return s.run(s.python, "-c", NO_TORCH, *words)


def command(s: Session, words: Sequence[str | Path]) -> str:
    """A command line as a user would write it."""
    return shlex.join(["imgedit-plugins", *map(str, words)]).replace(f"{s.work}/", "$WORK/")


def verified(s: Session, what: str, folder: Path) -> None:
    """`bundle verify` without torch."""
    done = without_torch(s, "bundle", "verify", folder)
    s.check(done.code == 0, f"{what}: bundle verify without torch", done.last,
            command(s, ("bundle", "verify", folder)))  # fmt: skip


def pair(s: Session) -> Path:
    """The folder of the pictures that are edited and compared, made once."""
    folder = s.work / "pair"
    if not folder.exists():
        folder.mkdir()
        s.probe("pair", folder)
    return folder


def used(s: Session, family: Family) -> None:
    """`export`, `bundle verify`, then an edit or a plan, without torch."""
    folder = bundle(s, family)
    verified(s, family.plugin, folder)
    out = s.work / f"{family.plugin}-by-bundle"
    words = family.use(s, folder, out)
    done = without_torch(s, *words)
    figure, good = done.last, done.code == 0
    if good and words[0] == "apply":
        share = s.probe("changed", pair(s) / "photo.png", f"{out}.png")
        figure, good = f"{share:.0%} of the pixels changed", share > 0.2
    # No plan explains what an untrained model says: the program ends with 3, in a sentence.
    good = good or (words[0] == "predict" and done.code == 3 and done.is_one_sentence)
    s.check(good, f"{family.plugin}: used without torch", figure, command(s, words))
