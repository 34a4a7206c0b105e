"""Measurements for 04_minigpt4.py that need imgedit_plugins; each prints JSON.

python tests/acceptance/probes_minigpt4.py NAME ARGUMENTS...
"""

from __future__ import annotations

import importlib
import json
import pickle
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]
_TESTS = ROOT / "tests" / "plugins" / "reverse_design"
sys.path[:0] = [str(_TESTS), str(_TESTS / "minigpt4")]

from benchmarks import training as throughput  # noqa: E402
from imgedit_modelkit.readers.imad import read_imad  # noqa: E402
from imgedit_modelkit.readers.splits import split_by_image  # noqa: E402
from imgedit_plugins.jobs import Job  # noqa: E402
from imgedit_plugins.picture_files import save_picture  # noqa: E402
from imgedit_plugins.pictures import Picture  # noqa: E402
from imgedit_reverse_design.minigpt4.config import read_config  # noqa: E402
from imgedit_reverse_design.minigpt4.model import load_model  # noqa: E402
from imgedit_reverse_design.minigpt4.parsing import parse_answer  # noqa: E402
from imgedit_reverse_design.minigpt4.prompts import draw  # noqa: E402
from imgedit_reverse_design.minigpt4.task import ReverseDesignTask, Setting  # noqa: E402

published: Any = importlib.import_module("published")
made_pictures: Any = importlib.import_module("made_pictures")


class Program:
    """What a pickle can hold beside tensors."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return print, ("a program ran",)


def make(folder: str) -> list[str]:
    """The user's files at tiny size, whole and broken, a data set and a pair."""
    out = Path(folder)
    eva = published.eva()
    torch.save(eva, out / "eva_vit_g.pth")
    del eva["blocks.1.mlp.fc2.weight"], eva["blocks.0.norm1.bias"]
    torch.save(eva | {"head.weight": torch.zeros(2)}, out / "eva_broken.pth")
    torch.save(published.projection(), out / "pretrained_minigpt4_llama2_7b.pth")
    torch.save(published.projection(24), out / "pretrained_minigpt4_vicuna.pth")
    torch.save({"model": published.qformer()}, out / "blip2.pth")
    (out / "evil.pth").write_bytes(pickle.dumps(Program(), protocol=2))
    published.language_model(out / "Llama-2-tiny")
    published.language_model(out / "Llama-2-wide-heads", heads=2)
    published.data_set(out / "imad", rows=40)
    (out / "photos").mkdir()
    for number in range(6):
        photo = made_pictures.picture(96, 128, seed=number)
        save_picture(Picture(photo), out / "photos" / f"{number}.png")
    photo = made_pictures.picture(160, 200, seed=1)
    save_picture(Picture(photo), out / "before.png")
    edited = made_pictures.edit(photo, ("grayscale", None), ("bright", 50.0))
    save_picture(Picture(edited), out / "after.png")
    return sorted(path.name for path in out.iterdir())


def halves(data: str, model: str) -> dict[str, list[int]]:
    """Of batches of two, by part: how many had no command, one, two."""
    parts = split_by_image(read_imad(Path(data), Job()))
    task = ReverseDesignTask(Setting(Path(model)), parts["train"], parts["validation"])
    found = {}
    for name, rows in (("train", task.train_items()), ("validation", task.validation_items())):
        told = [row for row in rows if row.command]
        counts = [0, 0, 0]
        for seed in range(20):
            items = [told[seed % len(told)], told[(seed + 1) % len(told)]]
            batch = task.collate(items, torch.Generator().manual_seed(seed))
            counts[sum(batch["commanded"])] += 1
        found[name] = counts
    return found


def answers(folder: str, count: str) -> dict[str, int]:
    """Of answers of an untrained model: how many can be read, freely and constrained."""
    model = load_model(Path(folder))
    constraint = model.constraint(model.grammar())
    found = {"count": int(count), "free": 0, "constrained": 0}
    for number in range(int(count)):
        rng = random.Random(number)
        photo = made_pictures.picture(48, 48, seed=number)
        pixels = model.pixels([(photo, made_pictures.edit(photo, ("invert", None)))])
        prompt = draw(rng, "make it so" if number % 2 else None, "llama-2")
        free = model.answer(pixels, [prompt], longest=64)[0].text
        bound = model.answer(pixels, [prompt], constraint=constraint, longest=256)[0].text
        found["free"] += bool(parse_answer(free))
        found["constrained"] += bool(parse_answer(bound))
    return found


def lineage(folder: str) -> list[dict[str, str]]:
    """What a model folder says of itself."""
    return [
        {"part": part.part, "sha256": part.sha256, "licence": part.licence}
        for part in read_config(Path(folder)).lineage
    ]


def sources() -> dict[str, str]:
    """Hashes of what the long measurements are of."""
    return {"training": throughput.sources_sha256()}


PROBES: dict[str, Callable[..., Any]] = {
    one.__name__: one for one in (make, halves, answers, lineage, sources)
}

if __name__ == "__main__":
    print(json.dumps(PROBES[sys.argv[1]](*sys.argv[2:])))
