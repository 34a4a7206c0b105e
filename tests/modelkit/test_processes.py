"""Two processes train as one with a batch twice as large does, and resume to the same bits."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.torch

import torch  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))
from forked import together  # noqa: E402
from test_resume import contents  # noqa: E402
from test_training import weights_of  # noqa: E402
from tiny_task import CONFIG, TinyTask  # noqa: E402

from imgedit_modelkit.errors import RunError  # noqa: E402
from imgedit_modelkit.runs import RunFolder  # noqa: E402
from imgedit_modelkit.training import train  # noqa: E402
from imgedit_plugins.jobs import Job  # noqa: E402

PROGRAM = Path(__file__).parent / "train_in_processes.py"
TORCHRUN = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def torchrun(*arguments) -> str:
    command = [sys.executable, "-m", *TORCHRUN, *map(str, (PROGRAM, *arguments))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def launch(*arguments) -> str:
    """The same without importing torch three times."""
    codes, told = together(PROGRAM, *arguments)
    assert codes == [0, 0], told
    return told


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    out = tmp_path_factory.mktemp("two") / "run"
    torchrun(out)
    return out


def test_two_processes_are_one_with_the_doubled_batch(two, tmp_path):
    train(TinyTask(noisy=False), CONFIG, tmp_path / "one", Job())  # batches of 4, not of 2
    for name in ("weights", "ema"):
        found, expected = weights_of(two, name), weights_of(tmp_path / "one", name)
        for key, value in expected.items():
            torch.testing.assert_close(found[key], value, rtol=1e-4, atol=1e-5)
    lines = zip(
        RunFolder.open(two).metrics(), RunFolder.open(tmp_path / "one").metrics(), strict=True
    )
    for line, expected in lines:
        assert line["step"] == expected["step"]
        assert line["loss"] == pytest.approx(expected["loss"], rel=1e-4)
    assert RunFolder.open(two).facts["processes"] == 2


def test_both_stop_when_cancelled_and_resume_to_the_same_bits(two, tmp_path):
    out = tmp_path / "run"
    assert launch(out, 10).count("cancelled") == 2
    assert RunFolder.open(out).state["status"] == "cancelled"
    assert RunFolder.open(out).latest().step == 10
    launch(out)
    assert contents(out) == contents(two)


def test_another_number_of_processes_is_refused(two):
    config = dataclasses.replace(CONFIG, batch_size=2)
    with pytest.raises(RunError, match="processes: 2 there, 1 now"):
        train(TinyTask(noisy=False), config, two, Job())
