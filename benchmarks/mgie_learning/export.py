"""The best MGIE as a folder of its own, with the parts that its training left where they were."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec

from benchmarks.mgie_learning.finetuning import MGIE, Training, all_runs
from benchmarks.mgie_learning.work import OWN
from benchmarks.tiny_editing.stages import SCORES
from imgedit_mgie import folders
from imgedit_mgie.folders import part, read_config, write_config
from imgedit_modelkit.folders import appearing
from imgedit_plugins.errors import DataError

TRAINING = Training()
_PARTS = (
    folders.LANGUAGE_MODEL, folders.TOWER, folders.PROJECTOR, folders.EDIT_HEAD,
    folders.EMBEDDINGS, folders.UNET, folders.VAE, folders.SCHEDULER,
)  # fmt: skip


def best(folder: Path, training: Training = TRAINING) -> Path:
    """The model folder of the seed whose test pictures are nearest to their goals.

    Raises:
        DataError: none was trained and tested.
    """
    found = {}
    for run in all_runs(training):
        path = folder / "runs" / run.name
        if run.kind == MGIE and (path / SCORES).exists():
            scores = json.loads((path / SCORES).read_text("utf-8"))["scores"][OWN]
            found[path / folders.MODEL] = sum(one["error"] for one in scores) / len(scores)
    if not found:
        raise DataError(
            f"{folder} has no trained MGIE.",
            path=folder,
            hint="`python -m benchmarks.mgie_learning train` makes them.",
        )
    return min(found, key=lambda path: found[path])


def copy_best(folder: Path, out: Path, training: Training = TRAINING) -> str:
    """Copy the best model with all its parts; what was done, in a sentence.

    Raises:
        DataError: there is none, or `out` is there already.
    """
    model = best(folder, training)
    if out.exists():
        raise DataError(f"{out} is there already.", path=out, hint="Name a folder that is not.")
    with appearing(out) as made:
        for name in _PARTS:
            place = part(model, name)
            copy = shutil.copytree if place.is_dir() else shutil.copyfile
            copy(place, made / name)
        write_config(made, msgspec.structs.replace(read_config(model), base=""))
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    return f"{model} copied to {out}: {size / 1e6:.1f} MB."
