"""Import, training and editing from the command line, each in a process of its own.

Where one thing is done twice, one of the processes is forked, the other is not: the order of its
sets, for one, is another.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.torch

import forked_commands  # noqa: E402
import tiny_reasoner  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from imgedit_plugins.cli import cli  # noqa: E402
from imgedit_plugins.picture_files import open_picture, save_picture  # noqa: E402
from imgedit_plugins.pictures import Picture  # noqa: E402

PROCESSES = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
SMALL = {"steps": 4, "validate-every": 2, "learning-rate": 1e-2, "batch-size": 2, "size": 16,
         "precision": "fp32", "samples": 1, "max-length": 60, "validation": 0.2,
         "ema": 0.9}  # fmt: skip


def command(*arguments: object, python: tuple[str, ...] = ()) -> list[str]:
    return [sys.executable, *python, "-m", "imgedit_plugins.cli", *map(str, arguments)]


def environment() -> dict[str, str]:
    return {**os.environ, "IMGEDIT_PLUGINS": "reason_edit", "OMP_NUM_THREADS": "1"}


def forked(*arguments: object) -> str:
    """What `imgedit-plugins` says, in a process that begins at once."""
    done = forked_commands.run(arguments, environment())
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


def two_forked(*arguments: object) -> str:
    return forked_commands.run_in_two(arguments, environment())


def two_by_torchrun(*arguments: object) -> str:
    return program(*arguments, python=tuple(PROCESSES))


def program(*arguments: object, code: int = 0, python: tuple[str, ...] = ()) -> str:
    """What it says with an interpreter of its own."""
    done = subprocess.run(
        command(*arguments, python=python), env=environment(), capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr[-3000:]
    return done.stdout + done.stderr


def training(model: Path, data: Path, out: Path, **options: object) -> list[object]:
    given = {name.replace("_", "-"): value for name, value in options.items()}
    named = {**SMALL, "weights": model, **given}
    asked = [part for name, value in named.items() for part in ("-O", f"{name}={value}")]
    return ["train", "reason_edit", "--data", data, "-o", out, "--seed", 3, *asked]


def same(one: Path, other: Path) -> bool:
    files = ("model/unet/diffusion_pytorch_model", "model/projection")
    pairs = [[load_file(run / f"{name}.safetensors") for run in (one, other)] for name in files]
    return all(torch.equal(a[n], b[n]) for a, b in pairs for n in a)


def test_from_two_folders_to_an_edited_picture(reasoner_files, parts, tmp_path):
    model, run, photo = tmp_path / "model", tmp_path / "run", tmp_path / "photo.png"
    save_picture(Picture(tiny_reasoner.picture(64, 3)), photo)
    files = [part for name, path in reasoner_files.items() for part in (f"--{name}", path)]
    told = forked("weights", "import", "reason_edit", *files, "-o", model, "-O", "precision=fp32")
    assert f"reason_edit/reason-pix2pix is in {model}" in told
    assert "all verified" in forked("weights", "verify", model)
    assert "The run is in" in forked(*training(model, f"{parts['I']},{parts['II']}", run))
    asked = ["apply", photo, "--plugin", "reason_edit", "--instruction", "what would a bee like?",
             "-O", "model=reason_pix2pix", "-O", f"weights={run}", "-O", "steps=2",
             "-O", "resolution=64", "-O", "precision=fp32", "-O", "exact=off"]  # fmt: skip
    program(*asked, "-o", tmp_path / "once.png")
    forked(*asked, "-o", tmp_path / "again.png")
    once, again = (open_picture(tmp_path / f"{n}.png").pixels for n in ("once", "again"))
    assert np.array_equal(once, again)
    assert not np.array_equal(once, open_picture(photo).pixels)


def test_killed_at_any_moment_it_goes_on_to_the_same_bits(reasoner, parts, tmp_path, monkeypatch):
    monkeypatch.setenv("IMGEDIT_PLUGINS", "reason_edit")
    how = {"features": tmp_path / "features", "steps": 8}
    whole = training(reasoner, parts["I"], tmp_path / "whole", steps=8)
    cli.main([*map(str, whole)], standalone_mode=False)  # here: sets have another order
    cut = training(reasoner, parts["I"], tmp_path / "cut", **how)
    metrics = tmp_path / "cut" / "metrics.jsonl"
    running = forked_commands.begin(cut, environment())
    until = time.monotonic() + 240
    while not (metrics.exists() and '"step": 2' in metrics.read_text()):
        assert running.exitcode is None, "it ended before it was killed"
        assert time.monotonic() < until
        time.sleep(0.01)
    running.kill()
    running.join()
    assert not (tmp_path / "cut" / "model").exists()
    forked(*cut)
    assert same(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.parametrize(
    "launch", [two_forked, pytest.param(two_by_torchrun, marks=pytest.mark.slow)]
)
def test_two_processes_that_share_the_model_learn_the_same(launch, reasoner, parts, tmp_path):
    """Where each reads with the language model, and where the main one fills the cache."""
    for name, options in (
        ("none", {"sharding": "none"}), ("fsdp", {"sharding": "fsdp"}),
        ("cached", {"sharding": "none", "features": tmp_path / "features"}),
    ):  # fmt: skip
        arguments = training(reasoner, parts["I"], tmp_path / name, samples=0, **options)
        told = (launch if name == "fsdp" else two_forked)(*arguments)
        assert told.count("The run is in") == 1
    assert same(tmp_path / "none", tmp_path / "cached")
    lines = {
        name: [
            json.loads(line)
            for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()
        ]
        for name in ("none", "fsdp")
    }
    for line, expected in zip(lines["fsdp"], lines["none"], strict=True):
        assert line["loss"] == pytest.approx(expected["loss"], rel=1e-3)


def test_describing_it_imports_no_torch():
    code = (
        "import sys; from imgedit_plugins.cli import main; "
        "sys.argv = ['imgedit-plugins', 'describe', 'reason_edit']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "assert 'torch' not in sys.modules and 'cv2' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "reason_pix2pix" in done.stdout
