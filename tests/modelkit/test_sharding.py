"""A model that two processes share out learns as a whole one does, and resumes to the same bits."""

import dataclasses
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.torch

import torch  # noqa: E402
from accelerate import Accelerator  # noqa: E402
from torch import nn  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))
from forked import together  # noqa: E402
from layered_task import Layered, LayeredTask  # noqa: E402
from test_processes import PROGRAM, launch  # noqa: E402
from test_resume import contents  # noqa: E402
from test_training import weights_of  # noqa: E402
from tiny_task import CONFIG  # noqa: E402

from imgedit_modelkit.checkpoints import load_weights  # noqa: E402
from imgedit_modelkit.errors import TrainingError  # noqa: E402
from imgedit_modelkit.runs import RunFolder  # noqa: E402
from imgedit_modelkit.sharding import Shards, pieces  # noqa: E402
from imgedit_modelkit.training import train  # noqa: E402
from imgedit_plugins.jobs import Job  # noqa: E402

LAYERED = ("--task", "layered", "--sharding", "fsdp")


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    out = tmp_path_factory.mktemp("shared") / "run"
    return out, launch(out, *LAYERED)


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    out = tmp_path_factory.mktemp("noisy") / "run"
    launch(out, *LAYERED, "--noisy")
    return out


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "run"
    train(LayeredTask(noisy=False), CONFIG, out, Job())  # one process, batches of 4 and not of 2
    return out


def test_a_shared_model_learns_as_a_whole_one(shared, whole):
    out, _ = shared
    for name in ("weights", "ema"):
        found, expected = weights_of(out, name), weights_of(whole, name)
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            torch.testing.assert_close(found[key], value, rtol=1e-4, atol=1e-5)
    lines = zip(RunFolder.open(out).metrics(), RunFolder.open(whole).metrics(), strict=True)
    for line, expected in lines:
        assert line.keys() == expected.keys()  # the norm of the gradient among them
        for name in line.keys() - {"kind", "items"}:
            assert line[name] == pytest.approx(expected[name], rel=1e-4), name


def test_its_checkpoints_are_those_of_one_process(shared, whole):
    out, _ = shared
    newest, expected = (RunFolder.open(run).latest() for run in (out, whole))
    files = sorted(path.name for path in newest.path.iterdir())
    assert files == sorted(path.name for path in expected.path.iterdir())
    assert newest.record["frozen"] == expected.record["frozen"]
    for name in ("optimizer", "weights"):
        found, wanted = weights_of(out, name), weights_of(whole, name)
        assert {n: t.shape for n, t in found.items()} == {n: t.shape for n, t in wanted.items()}
    torch.manual_seed(CONFIG.seed)
    model = Layered(noisy=False)
    load_weights(model, out)
    learnt = weights_of(out, "ema")
    assert all(torch.equal(p, learnt[n]) for n, p in model.named_parameters() if p.requires_grad)


def test_each_process_keeps_its_share_of_everything(shared):
    _, told = shared
    # Both write to one pipe, where the end of a line may come after the other's beginning.
    shares = re.findall(r"share: (\d+) (\d+)", told)
    model = Layered(noisy=False)
    for place, learns in enumerate((True, False)):
        there = [p.numel() for p in model.parameters() if p.requires_grad is learns and p.ndim]
        mine = [int(share[place]) for share in shares]
        assert len(mine) == 2
        assert sum(mine) == sum(there)
        assert max(mine) <= 0.6 * sum(there)


def test_pieces_are_the_items_of_the_outermost_lists():
    model = Layered(noisy=False)
    assert list(pieces(model)) == [*model.frozen, *model.layers]


def test_cancelled_and_gone_on_with(noisy, tmp_path):
    out = tmp_path / "run"
    assert launch(out, 10, *LAYERED, "--noisy").count("cancelled") == 2
    assert RunFolder.open(out).latest().step == 10
    launch(out, *LAYERED, "--noisy")
    assert contents(out) == contents(noisy)
    assert (RunFolder.open(out).latest().path / "buffers.safetensors").exists()


def test_killed_and_gone_on_with(noisy, tmp_path):
    out = tmp_path / "run"
    codes, told = together(PROGRAM, out, *LAYERED, "--noisy", "--kill-at", "150")
    assert codes[0] == -signal.SIGKILL, told
    assert codes[1] != 0
    assert RunFolder.open(out).state.get("status") != "finished"
    launch(out, *LAYERED, "--noisy")
    assert contents(out) == contents(noisy)


def test_mixed_precision(shared, tmp_path):
    launch(tmp_path / "run", *LAYERED, "--precision", "bf16")
    found, expected = weights_of(tmp_path / "run", "weights"), weights_of(shared[0], "weights")
    assert {t.dtype for t in found.values()} == {torch.float32}
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=0.1, atol=0.05)
        assert not torch.equal(found[key], value)


@pytest.mark.slow
def test_accelerate_launch_says_it_too(shared, tmp_path):
    out = tmp_path / "run"
    command = [sys.executable, "-m", "accelerate.commands.launch", "--use_fsdp"]
    command += ["--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no"]
    command += ["--dynamo_backend", "no", str(PROGRAM), str(out), "--task", "layered"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert RunFolder.open(out).config["sharding"] == "fsdp"
    assert contents(out) == contents(shared[0])


def test_a_shared_run_is_not_gone_on_with_by_whole_models(shared):
    assert "sharding" in launch(shared[0], "--task", "layered")


def test_different_models_are_refused(tmp_path):
    told = launch(tmp_path / "run", "--task", "different", "--sharding", "fsdp")
    assert told.count("The processes built different models") == 2


def test_one_process_has_nobody_to_share_with(tmp_path):
    config = dataclasses.replace(CONFIG, sharding="fsdp")
    with pytest.raises(TrainingError, match="needs several processes"):
        train(LayeredTask(noisy=False), config, tmp_path / "run", Job())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"codes": nn.Parameter(torch.zeros(4, dtype=torch.uint8), requires_grad=False)},
         "codes is kept in few bits"),
        ({"gain": nn.Parameter(torch.tensor(1.0))}, "gain learns and has no dimension"),
        ({"rough": nn.Parameter(torch.zeros(4, dtype=torch.bfloat16))},
         "in bfloat16 and float32, and"),
    ],
)  # fmt: skip
def test_what_cannot_be_shared_out_is_refused(fault, told):
    model = Layered(noisy=False)
    for name, parameter in fault.items():
        model.register_parameter(name, parameter)
    with pytest.raises(TrainingError, match=told):
        Shards(model, Accelerator(cpu=True))
