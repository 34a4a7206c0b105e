"""Measurements for 06_reason_edit.py that need imgedit_plugins; each prints JSON.

python tests/acceptance/probes_reason.py NAME ARGUMENTS...
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
_TESTS = ROOT / "tests" / "plugins"
sys.path[:0] = [
    str(_TESTS.parent),
    *(str(_TESTS / "reason_edit" / name) for name in ("data", "reasoning", "model", "evaluation")),
    *(str(_TESTS / "mgie" / name) for name in ("", "data", "evaluation")),
]

from imgedit_modelkit.diffusion.testing import save_tiny_instruct_pix2pix  # noqa: E402
from imgedit_modelkit.human_evaluation import read_study  # noqa: E402
from imgedit_modelkit.human_evaluation.results import Results  # noqa: E402
from imgedit_modelkit.language.testing import chat_server  # noqa: E402
from imgedit_modelkit.metrics.testing import save_tiny_clip, save_tiny_dino  # noqa: E402
from imgedit_plugins.authoring.samples import photograph  # noqa: E402
from imgedit_plugins.jobs import Job  # noqa: E402
from imgedit_plugins.picture_files import open_picture, save_picture  # noqa: E402
from imgedit_plugins.pictures import Picture  # noqa: E402
from imgedit_reason_edit.data.reading import read_rows  # noqa: E402

tiny_reason: Any = importlib.import_module("tiny_reason")
talking: Any = importlib.import_module("talking")
reasoned_answers: Any = importlib.import_module("reasoned_answers")
tiny_reasoner: Any = importlib.import_module("tiny_reasoner")
tiny_reasoned_data: Any = importlib.import_module("tiny_reasoned_data")


def make(folder: str) -> list[str]:
    """The user's files at tiny size: data in the published layouts, the pipeline's models."""
    out = Path(folder)
    tiny_reason.write_pairs(out / "pairs", 20, alike=2)
    (out / "pairs" / "0000020").mkdir()
    (out / "pairs" / "0000020" / "prompt.json").write_text('{"edit": "x", "input": "a"}')
    tiny_reason.write_v3det(out / "v3det", 16)
    tiny_reason.write_v3det(out / "v3det", 9, "test")
    tiny_reason.blip2(out / "blip2")
    tiny_reason.grounding_dino(out / "dino")
    tiny_reason.spacy_model(out / "spacy")
    tiny_reason.painter(out / "gligen", gligen=True)
    tiny_reason.painter(out / "inpainter", gligen=False)
    tiny_reason.llama(out / "llama")
    tiny_reasoner.llava(out / "llava")
    _break(tiny_reasoner.llava(out / "broken"))
    tiny_reasoner.pix2pix(out / "pix2pix")
    tiny_reasoner.pix2pix(out / "stable-diffusion", channels=4)
    for part in ("I", "II", "III"):
        tiny_reasoner.data_set(out / "rows" / part, part)
    tiny_reasoned_data.benchmark(out / "benchmark", rows=4)
    for name in ("magicbrush", "risebench", "unireditbench"):
        getattr(tiny_reasoned_data, name)(out / name)
    save_tiny_clip(out / "encoder", tiny_reasoned_data.WORDS)
    save_tiny_dino(out / "seer")
    save_tiny_instruct_pix2pix(out / "pipeline")
    photo = photograph(160, 120)
    save_picture(photo, out / "photo.png")
    mask = np.zeros((photo.height, photo.width, 1), np.uint8)
    mask[30:80, 40:110] = 255
    save_picture(Picture(mask), out / "mask.png")
    return sorted(path.name for path in out.iterdir())


def _break(folder: Path) -> None:
    """A language model whose file lacks a tensor."""
    from safetensors.torch import load_file, save_file

    (path,) = folder.glob("*.safetensors")
    tensors = load_file(path)
    del tensors[next(name for name in tensors if name.endswith("q_proj.weight"))]
    save_file(tensors, path, metadata={"format": "pt"})


def serve(kind: str) -> None:
    """A language model behind a server; prints its address and answers until stdin ends.

    Then it prints what was asked: the number of questions and, where it misbehaves, how often.
    """
    answers = {
        "sensible": lambda: lambda body, _: talking.sensible(body),
        "moody": lambda: talking.Moody(seed=7, passing=0.05),
        "planner": _planner,
    }
    answer = answers[kind]()
    with chat_server(answer, models=("wise",)) as (address, asked):
        print(address, flush=True)
        sys.stdin.read()
        told = {"asked": len(asked), "moods": getattr(answer, "moods", {})}
    print(json.dumps(told), flush=True)


def _planner() -> Any:
    """Plans for any picture, and a correction, which it prefers."""
    said = reasoned_answers
    return said.Model(
        [said.plan(said.WARM)], criticisms=[said.revised(said.WARM, said.SKY)], better="second"
    )


def rows(folder: str) -> list[dict[str, Any]]:
    """The rows that were written."""
    files = sorted(Path(folder).glob("shard-*/metadata.jsonl"))
    return [json.loads(line) for path in files for line in path.read_text("utf-8").splitlines()]


def left_out(folder: str) -> dict[str, int]:
    """Pictures that became no row, by their kind."""
    counts: dict[str, int] = {}
    for path in sorted(Path(folder).glob("shard-*/skipped.json")):
        for one in json.loads(path.read_text("utf-8")):
            counts[one["kind"]] = counts.get(one["kind"], 0) + 1
    return counts


def libraries(folders: str, tars: str) -> dict[str, int]:
    """How many rows each library reads."""
    datasets: Any = importlib.import_module("datasets")
    webdataset: Any = importlib.import_module("webdataset")
    shards = sorted(str(path) for path in Path(tars).glob("shard-*/pairs.tar"))
    return {
        "datasets, folders": len(
            datasets.load_dataset("imagefolder", data_dir=folders, split="train")
        ),
        "datasets, tar": len(
            datasets.load_dataset("webdataset", data_files={"train": shards}, split="train")
        ),
        "webdataset": sum(1 for _ in webdataset.WebDataset(shards, shardshuffle=False)),
        "read_rows, folders": len(read_rows(Path(folders), Job())),
        "read_rows, tar": len(read_rows(Path(tars), Job())),
    }


def vote(study: str, out: str) -> int:
    """One person finds the first of each shown row best; how many votes that makes."""
    asked = read_study(Path(study) / "person-1.json")
    results = Results(Path(out), asked, "ann")
    for item in asked.items:
        shown = [candidate.system for candidate in item.candidates]
        results.put(item.id, "best", [shown[0]], shown, 2.0)
    return len(asked.items)


def compared(one: str, other: str, mask: str = "") -> dict[str, Any]:
    """Two pictures: form, share of changed pixels; how many outside of a selection."""
    first, second = open_picture(Path(one)).pixels, open_picture(Path(other)).pixels
    same_form = first.shape == second.shape and first.dtype == second.dtype
    changed = (first != second).any(axis=2) if same_form else np.ones(first.shape[:2], bool)
    found = {"same_form": same_form, "dtype": str(second.dtype), "changed": float(changed.mean())}
    if mask:
        found["changed_outside"] = int(changed[open_picture(Path(mask)).pixels[..., 0] == 0].sum())
    return found


PROBES: dict[str, Callable[..., Any]] = {
    one.__name__: one for one in (make, rows, left_out, libraries, vote, compared)
}

if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    else:
        print(json.dumps(PROBES[sys.argv[1]](*sys.argv[2:])))
