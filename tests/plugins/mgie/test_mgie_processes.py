"""`train mgie` in two processes, from the command line: each with all of the model, or a share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.torch

import forked_commands  # noqa: E402
import tiny_mgie  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from imgedit_mgie.loading import load_llava  # noqa: E402

PROCESSES = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
SMALL = {"steps": 3, "validate-every": 2, "learning-rate": 1e-2, "batch-size": 2, "size": 16,
         "precision": "fp32", "samples": 1, "max-length": 200, "validation": 0.2}  # fmt: skip


@pytest.fixture(scope="module")
def folder(files, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("fp32")
    tiny_mgie.imported(files, out, precision="fp32")
    return out


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return tiny_mgie.data_set(tmp_path_factory.mktemp("data") / "rows")


def environment() -> dict[str, str]:
    return {**os.environ, "IMGEDIT_PLUGINS": "mgie", "OMP_NUM_THREADS": "1"}


def training(folder: Path, data: Path, out: Path, **options) -> list[str]:
    given = {name.replace("_", "-"): value for name, value in options.items()}
    command = ["train", "mgie", "--data", data, "-o", out, "--seed", 3]
    for name, value in {**SMALL, "weights": folder, **given}.items():
        command += ["-O", f"{name}={value}"]
    return list(map(str, command))


def two_forked(command: list[str]) -> str:
    return forked_commands.run_in_two(command, environment())


def two_by_torchrun(command: list[str]) -> str:
    done = subprocess.run(
        [sys.executable, *PROCESSES, "-m", "imgedit_plugins.cli", *command],
        capture_output=True, text=True, timeout=300, check=False, env=environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def lines(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    "launch", [two_forked, pytest.param(two_by_torchrun, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("how", [{"gradient_checkpointing": "yes", "ema": 0.9}, {"lora": 2}])
def test_a_shared_mgie_learns_as_a_whole_one(launch, folder, data, tmp_path, how):
    for sharding, start in (("none", two_forked), ("fsdp", launch)):
        told = start(training(folder, data, tmp_path / sharding, sharding=sharding, **how))
        assert told.count("The run is in") == 1
    for line, expected in zip(lines(tmp_path / "fsdp"), lines(tmp_path / "none"), strict=True):
        assert line.keys() == expected.keys()
        for name in line.keys() - {"kind"}:
            assert line[name] == pytest.approx(expected[name], rel=1e-3), name
    names = {
        str(path.relative_to(tmp_path / "none"))
        for path in (tmp_path / "none").rglob("*.safetensors")
    }
    assert any(name.startswith("model/unet/") for name in names)
    for name in names:
        whole, shared = (load_file(tmp_path / s / name) for s in ("none", "fsdp"))
        assert whole.keys() == shared.keys()
        assert {n: t.shape for n, t in whole.items()} == {n: t.shape for n, t in shared.items()}
        if "optimizer" not in name:
            for key, tensor in whole.items():
                # AdamW's first steps are as long whatever the gradient, also where it is rounding.
                torch.testing.assert_close(shared[key], tensor, rtol=1e-2, atol=2e-3)
    assert len(list((tmp_path / "fsdp" / "samples").rglob("*.png"))) == 2
    load_llava(tmp_path / "fsdp" / "model")
