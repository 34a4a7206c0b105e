"""Measurements for 05_mgie.py that need imgedit_plugins; each prints JSON.

python tests/acceptance/probes_mgie.py NAME ARGUMENTS...
"""

from __future__ import annotations

import importlib
import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
_TESTS = ROOT / "tests" / "plugins" / "mgie"
sys.path[:0] = [str(_TESTS / name) for name in (".", "data", "evaluation", "../..")]

from benchmarks import training as throughput  # noqa: E402
from imgedit_mgie.folders import read_config  # noqa: E402
from imgedit_plugins.jobs import Job  # noqa: E402
from imgedit_plugins.picture_files import open_picture, save_picture  # noqa: E402
from imgedit_plugins.pictures import Picture  # noqa: E402
from imgedit_plugins.plugins import PluginManager  # noqa: E402
from imgedit_plugins.requests import ApplyRequest, OptionValue  # noqa: E402

tiny_mgie: Any = importlib.import_module("tiny_mgie")
tiny_models: Any = importlib.import_module("tiny_models")
tiny_evaluation: Any = importlib.import_module("tiny_evaluation")


class Program:
    """What a pickle can hold beside tensors."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return print, ("a program ran",)


def make(folder: str) -> list[str]:
    """The user's files at tiny size, whole and broken; pictures, a selection, pairs and rows."""
    out = Path(folder)
    tiny_mgie.published(out)
    broken = tiny_mgie.mllm()
    del broken["edit_head.query"], broken["edit_head.hid2feat.bias"]
    torch.save(broken, out / "mllm_broken.pt")
    torch.save(tiny_mgie.mllm() | {"vision_tower.surplus": torch.zeros(2)}, out / "mllm_more.pt")
    (out / "evil.pt").write_bytes(pickle.dumps(Program(), protocol=2))
    (out / "deltas").mkdir()
    tiny_mgie.delta(out / "deltas", out / "llama")
    tiny_mgie.llava_15(out / "llava-1.5")
    (out / "pipeline").mkdir()
    tiny_mgie.pix2pix(out / "pipeline")
    tiny_mgie.data_set(out / "rows")
    _pictures(out)
    tiny_models.llava(out / "describer")
    tiny_models.summariser(out / "summariser")
    pairs = tiny_models.write_pairs(out / "pairs", 12)
    for name in ("evr", "gier", "ma5k", "magicbrush"):
        getattr(tiny_evaluation, name)(out / name)
    tiny_evaluation.instruct_pix2pix(out / "pix2pix-pairs")
    tiny_evaluation.clip(out / "encoder")
    broken_pair = pairs / "0000002x"
    broken_pair.mkdir()
    (broken_pair / "prompt.json").write_text("{")
    return sorted(path.name for path in out.iterdir())


def _pictures(out: Path) -> None:
    photo = tiny_mgie.picture(90, 120)
    save_picture(photo, out / "photo.png")
    deep = photo.pixels.astype(np.uint16) * 257
    deep[..., 0] += np.arange(120, dtype=np.uint16)  # not 8 bits in disguise
    alpha = np.full((90, 120, 1), 65535, np.uint16)
    alpha[:20] = 30000
    save_picture(Picture(np.concatenate([deep, alpha], axis=2)), out / "deep.tif")
    mask = np.zeros((90, 120), np.uint8)
    mask[30:60, 40:90] = 255
    save_picture(Picture(mask[..., None]), out / "mask.png")


def compared(one: str, other: str, mask: str = "") -> dict[str, Any]:
    """Two pictures: form, share of changed pixels, largest difference; also outside a selection."""
    first, second = open_picture(Path(one)).pixels, open_picture(Path(other)).pixels
    same_form = first.shape == second.shape and first.dtype == second.dtype
    changed = (first != second).any(axis=2) if same_form else np.ones(first.shape[:2], bool)
    found = {"same_form": same_form, "dtype": str(second.dtype), "changed": float(changed.mean())}
    if same_form:
        found["largest"] = int(np.abs(first.astype(np.int64) - second).max())
    if same_form and first.shape[2] in (2, 4):
        found["alpha_kept"] = bool(np.array_equal(first[..., -1], second[..., -1]))
    if mask:
        outside = open_picture(Path(mask)).pixels[..., 0] == 0
        found["changed_outside"] = int(changed[outside].sum())
    return found


def told(model: str, photo: str) -> list[str]:
    """What an edit tells on its way, without the counts."""
    stages: list[str] = []
    job = Job(on_progress=lambda progress: stages.append(progress.stage))
    options: dict[str, OptionValue] = {
        "weights": model, "steps": 2, "resolution": 64, "max-tokens": 16,
    }  # fmt: skip
    request = ApplyRequest(
        picture=open_picture(Path(photo)), instruction="make it red", options=options
    )
    PluginManager.discover().call("apply_edit", request, job, "mgie")
    return list(dict.fromkeys(stages))


def lineage(folder: str) -> list[dict[str, str]]:
    """What a model folder says of itself."""
    return [
        {"part": part.part, "sha256": part.sha256, "licence": part.licence}
        for part in read_config(Path(folder)).lineage
    ]


def rows(folder: str) -> list[dict[str, Any]]:
    """The prepared rows."""
    files = sorted(Path(folder).glob("shard-*/metadata.jsonl"))
    return [json.loads(line) for path in files for line in path.read_text("utf-8").splitlines()]


def parquet(pairs: str, out: str) -> int:
    """The same pairs as the hub has them: original, edited picture and prompt in Parquet."""
    from datasets import Dataset, Features, Image, Value

    found = []
    for folder in sorted(Path(pairs).iterdir()):
        for before in sorted(folder.glob("*_0.jpg")):
            after = before.with_name(before.name.replace("_0.jpg", "_1.jpg"))
            edit = json.loads((folder / "prompt.json").read_text("utf-8"))["edit"]
            images = [{"bytes": path.read_bytes(), "path": None} for path in (before, after)]
            row = {"original_image": images[0], "edited_image": images[1], "edit_prompt": edit}
            found.append(row)
    kinds = {"original_image": Image(), "edited_image": Image(), "edit_prompt": Value("string")}
    Path(out).mkdir()
    Dataset.from_list(found, features=Features(kinds)).to_parquet(f"{out}/train-00000.parquet")
    return len(found)


def sources() -> dict[str, str]:
    """The hash of what benchmarks.training measures."""
    return {"training": throughput.sources_sha256()}


PROBES: dict[str, Callable[..., Any]] = {
    one.__name__: one for one in (make, compared, told, lineage, rows, parquet, sources)
}

if __name__ == "__main__":
    print(json.dumps(PROBES[sys.argv[1]](*sys.argv[2:])))
