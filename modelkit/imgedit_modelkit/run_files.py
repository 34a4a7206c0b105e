"""Pieces of a run folder: one checkpoint, folders of steps, JSON files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgedit_modelkit import fingerprints
from imgedit_modelkit.errors import RunError

RECORD = "checkpoint.json"
WEIGHTS, EMA_WEIGHTS = "weights.safetensors", "ema.safetensors"

_STEP = re.compile(r"step-(\d{8,})")


@dataclass(frozen=True)
class Checkpoint:
    """One complete checkpoint.

    Attributes:
        path: its folder.
        step: updates done.
        record: what `checkpoint.json` says, `files` (name to size and SHA-256) among it.
    """

    path: Path
    step: int
    record: Mapping[str, Any]

    @property
    def weights(self) -> Path:
        """The trained weights: their running average where one was kept."""
        average = self.path / EMA_WEIGHTS
        return average if average.exists() else self.path / WEIGHTS

    def faults(self) -> list[str]:
        """What is wrong with its files, one clause each; reads them all."""
        found = []
        for name, wanted in self.record["files"].items():
            path = self.path / name
            if not path.is_file():
                found.append(f"{path} is missing")
            elif path.stat().st_size != wanted["size"]:
                found.append(f"{path} has {path.stat().st_size} bytes, not {wanted['size']}")
            elif fingerprints.of_file(path) != wanted["sha256"]:
                found.append(f"{path} has another SHA-256 than when it was written")
        return found


def json_text(document: Mapping[str, Any]) -> str:
    """A document as JSON for people and programs."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; raises RunError where the file is missing, or holds something else."""
    try:
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise RunError(f"There is no file {path}.", path=path) from None
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {error}.", path=path) from error
    if not isinstance(document, dict):
        raise RunError(f"{path} holds no JSON object.", path=path)
    return document


def step_name(step: int) -> str:
    """The name of a step's folder."""
    return f"step-{step:08d}"


def step_of(path: Path) -> int:
    """The step that a folder is of; -1 for any other folder."""
    match = _STEP.fullmatch(path.name)
    return int(match[1]) if match else -1


def steps_in(folder: Path) -> list[Path]:
    """The folders of steps within a folder, in no order."""
    return [path for path in folder.iterdir() if step_of(path) >= 0 and path.is_dir()]
