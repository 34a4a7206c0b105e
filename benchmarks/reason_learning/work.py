"""The steps of the benchmark in a folder; each can be done again, and goes on where it stopped.

Modules are imported where they are used: a step records those that it has loaded.

::

    FOLDER/vae, clip, llava, unet   run folders of what comes before the plugin's training
    FOLDER/mllm, pix2pix       what came out of them, as transformers and diffusers save it
    FOLDER/start               both, by `weights import reason_edit`
    FOLDER/pairs, test         data, as `data reason_edit make` lays it out
    FOLDER/features            what the language model makes of the pairs
    FOLDER/STAGE.json          time and sources of a finished stage
    FOLDER/runs/NAME           one training, by `train reason_edit`; scores.json, edited pictures
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.learning import Watch, telling
from benchmarks.loaded_sources import loaded_sources
from benchmarks.reason_learning.sizes import Sizes
from benchmarks.tiny_editing import stages
from benchmarks.tiny_editing.stages import SCORES, SHARED, once, write
from imgedit_plugins.jobs import Job

if TYPE_CHECKING:
    from benchmarks.reason_learning.finetuning import Training
    from benchmarks.reason_learning.scoring import Painting

SIZES = Sizes()
OWN, SHUFFLED = "own", "shuffled"
TEST = "test"

PLACES = (*SHARED, "benchmarks/reason_learning", "plugins/reason_edit")
TELLING = (
    *stages.TELLING,
    *(
        f"benchmarks/reason_learning/{name}.py"
        for name in ("__main__", "knowing", "pages", "report", "work")
    ),
)
"""Modules that only tell what was found, or what is to be done."""

APART, IN_TURN = ("data", "vae", "llava"), ("unet", "start")
"""Stages before the runs: those that need nothing of each other, and those behind them."""


def prepare(folder: Path, stage: str, sizes: Sizes = SIZES) -> None:
    """One stage; nothing where it is done already, and gone on with where it was begun."""
    once(folder, stage, lambda job: _STAGES[stage](folder, sizes, job), PLACES, TELLING)


def _data(folder: Path, sizes: Sizes, job: Job) -> None:  # noqa: ARG001
    from benchmarks.reason_learning import data

    data.make_pairs(folder / "pairs", data.puzzles_to_learn(sizes.rows))
    data.make_pairs(folder / TEST, data.puzzles_to_test(sizes.tests))


def _vae(folder: Path, sizes: Sizes, job: Job) -> None:
    from benchmarks.tiny_editing import vae

    vae.train_vae(folder / "vae", sizes, job)


def _llava(folder: Path, sizes: Sizes, job: Job) -> None:
    from benchmarks.reason_learning import clip, llava

    eyes = clip.train_clip(folder / "clip", sizes, job)
    llava.train_llava(folder / "llava", folder / "mllm", sizes, eyes, job)


def _unet(folder: Path, sizes: Sizes, job: Job) -> None:
    """The UNet, and the folder of a small diffusion model that edits."""
    from benchmarks.tiny_editing import unet, vae
    from imgedit_modelkit.diffusion import folders

    painter = vae.train_vae(folder / "vae", sizes, job)
    editor = unet.train_unet(folder / "unet", sizes, painter, job)
    if not (folder / "pix2pix").exists():
        folders.save(folder / "pix2pix", editor, painter, sizes.scheduler())


def _start(folder: Path, sizes: Sizes, job: Job) -> None:  # noqa: ARG001
    from benchmarks.reason_learning import finetuning

    finetuning.import_start(folder, job)


_STAGES: Mapping[str, Callable[[Path, Sizes, Job], None]] = {
    "data": _data,
    "vae": _vae,
    "llava": _llava,
    "unet": _unet,
    "start": _start,
}


def work_on(
    folder: Path, name: str, training: Training | None = None, painting: Painting | None = None
) -> None:
    """One training with its scores; nothing where they are there already."""
    from benchmarks.reason_learning import data, finetuning, scoring
    from benchmarks.tiny_editing.scoring import chosen, others

    training, painting = training or finetuning.Training(), painting or scoring.Painting()
    run = next(run for run in finetuning.all_runs(training) if run.name == name)
    out = folder / "runs" / name
    if (out / SCORES).exists():
        return
    watch = Watch(folder / f"{name}.seconds")
    finetuning.fine_tune(folder, run, training, telling(name, watch.keep))
    seconds = watch.seconds
    rows = chosen(data.read_pairs(folder / TEST), painting.pictures)
    job = telling(f"{name}, test")
    told = {OWN: [row.instruction for row in rows]}
    if run.kind == finetuning.SEES:
        told[SHUFFLED] = others(rows, run.seed)
    scores = {
        what: scoring.scored(out, run, rows, texts, out / what, painting, job)
        for what, texts in told.items()
    }
    found = {
        "sources": loaded_sources(PLACES, without=TELLING),
        "cpu_seconds": {"training": seconds, "test": watch.seconds - seconds},
        "parameters": _parameters(folder, out),
        "scores": scores,
    }
    write(out / SCORES, found)


def _parameters(folder: Path, run: Path) -> dict[str, int]:
    """How many numbers each part of a model has."""
    from imgedit_modelkit.tensor_files import numbers_in

    model, start = run / "model", folder / "start"
    there = {path.name: path for place in (start, model) for path in place.iterdir()}
    parts = ("mllm", "projection.safetensors", "unet", "vae")
    return {name.removesuffix(".safetensors"): numbers_in(there[name]) for name in parts}
