"""The steps of the benchmark in a folder; each can be done again, and goes on where it stopped.

Modules are imported where they are used: a step records those that it has loaded.

::

    FOLDER/vae, llava, unet    run folders of what comes before MGIE's training
    FOLDER/base                the model folder that this makes, its edit head at random
    FOLDER/first               `train mgie` on edits that are said in full
    FOLDER/said, pairs, test   data, as `data mgie prepare` lays it out
    FOLDER/STAGE.json          time and sources of a finished stage
    FOLDER/runs/NAME           one training, by `train mgie`; scores.json, edited test pictures
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.learning import Watch, telling
from benchmarks.loaded_sources import loaded_sources
from benchmarks.mgie_learning.sizes import Sizes
from benchmarks.tiny_editing import stages
from benchmarks.tiny_editing.stages import SCORES, SHARED, once, weights_of, write
from imgedit_mgie import folders
from imgedit_plugins.jobs import Job

if TYPE_CHECKING:
    from benchmarks.mgie_learning.finetuning import Training
    from benchmarks.mgie_learning.scoring import Painting

SIZES = Sizes()
OWN, SHUFFLED = "own", "shuffled"
EDITED = "edited"
TEST = "test"

PLACES = (
    *SHARED,
    "benchmarks/mgie_learning",
    "plugins/mgie",
)
TELLING = (
    *stages.TELLING,
    *(
        f"benchmarks/mgie_learning/{name}.py"
        for name in ("__main__", "export", "pages", "report", "work")
    ),
)
"""Modules that only tell what was found, or what is to be done."""


FIRST = "first"
APART, IN_TURN = ("data", "vae", "llava"), ("unet", FIRST)
"""Stages before the runs: those that need nothing of each other, and those behind them."""


def prepare(
    folder: Path, stage: str, sizes: Sizes = SIZES, training: Training | None = None
) -> None:
    """One stage; nothing where it is done already, and gone on with where it was begun."""

    def do(job: Job) -> None:
        if stage == FIRST:
            _first(folder, training, job)
        else:
            _STAGES[stage](folder, sizes, job)

    once(folder, stage, do, PLACES, TELLING)


def _data(folder: Path, sizes: Sizes, job: Job) -> None:  # noqa: ARG001
    from benchmarks.mgie_learning import data

    data.make_pairs(folder / "said", data.edits_said_in_full(sizes.said_rows))
    data.make_pairs(folder / "pairs", data.edits_to_learn(sizes.rows))
    data.make_pairs(folder / TEST, data.edits_to_test(sizes.tests))


def _vae(folder: Path, sizes: Sizes, job: Job) -> None:
    from benchmarks.tiny_editing import vae

    vae.train_vae(folder / "vae", sizes, job)


def _llava(folder: Path, sizes: Sizes, job: Job) -> None:
    from benchmarks.mgie_learning import llava

    llava.train_llava(folder / "llava", sizes, job)


def _unet(folder: Path, sizes: Sizes, job: Job) -> None:
    """The UNet, and of all parts the model folder that `train mgie` begins with."""
    from benchmarks.mgie_learning import base, llava
    from benchmarks.tiny_editing import unet, vae

    painter = vae.train_vae(folder / "vae", sizes, job)
    talker = llava.train_llava(folder / "llava", sizes, job)
    editor = unet.train_unet(folder / "unet", sizes, painter, job)
    lineage = {name: weights_of(folder / name) for name in ("vae", "llava", "unet")}
    base.write_base(folder / "base", talker, (editor, painter), lineage, sizes)


def _first(folder: Path, training: Training | None, job: Job) -> None:
    from benchmarks.mgie_learning import finetuning

    finetuning.first_training(folder, training or finetuning.Training(), job)


_STAGES: Mapping[str, Callable[[Path, Sizes, Job], None]] = {
    "data": _data,
    "vae": _vae,
    "llava": _llava,
    "unet": _unet,
}


def work_on(
    folder: Path, name: str, training: Training | None = None, painting: Painting | None = None
) -> None:
    """One training with its scores; nothing where they are there already."""
    from benchmarks.mgie_learning import data, finetuning, scoring
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
    told = [row.instruction for row in rows]
    job = telling(f"{name}, test")
    scores = {OWN: scoring.scored(out, rows, told, out / EDITED, painting, job)}
    if run.kind == finetuning.MGIE:
        told = others(rows, run.seed)
        scores[SHUFFLED] = scoring.scored(out, rows, told, None, painting, job)
    found = {
        "sources": loaded_sources(PLACES, without=TELLING),
        "cpu_seconds": {"training": seconds, "test": watch.seconds - seconds},
        "parameters": _parameters(out / folders.MODEL),
        "scores": scores,
    }
    write(out / SCORES, found)


def _parameters(model: Path) -> dict[str, int]:
    """How many numbers each part of a model has."""
    from imgedit_modelkit.tensor_files import numbers_in

    names = (
        folders.LANGUAGE_MODEL, folders.TOWER, folders.PROJECTOR, folders.EDIT_HEAD, folders.UNET,
        folders.VAE,
    )  # fmt: skip
    return {name: numbers_in(folders.part(model, name)) for name in names}
