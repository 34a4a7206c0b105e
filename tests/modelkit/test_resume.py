"""A training killed at any moment and started again ends with the same bits."""

import dataclasses
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.torch

sys.path.insert(0, str(Path(__file__).parent))
from forked import PROCESSES  # noqa: E402
from tiny_task import CONFIG, train_tiny  # noqa: E402


def run(out: Path, config=CONFIG, kill_at: int | None = None, kill_later: float | None = None):
    """Train in another process; its exit code.

    Args:
        out: the run folder.
        config: settings.
        kill_at: kill it at that change of a file.
        kill_later: kill it so many seconds after its first new checkpoint.
    """
    before = checkpoints(out)
    process = PROCESSES.Process(target=train_tiny, args=(out, config, kill_at))
    process.start()
    if kill_later is not None:
        while process.is_alive() and checkpoints(out) <= before:
            time.sleep(0.002)
        process.join(kill_later)
        process.kill()
    process.join()
    return process.exitcode


def checkpoints(out: Path) -> set[Path]:
    return set((out / "checkpoints").glob("step-*"))


def contents(out: Path) -> dict[str, bytes]:
    """All that the result consists of: every checkpoint, figure and sample."""
    kept = [out / "metrics.jsonl", *(out / "checkpoints").rglob("*"), *(out / "samples").rglob("*")]
    return {str(p.relative_to(out)): p.read_bytes() for p in kept if p.is_file()}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("whole") / "run"
    assert run(out) == 0
    found = contents(out)
    assert sum(name.endswith("weights.safetensors") for name in found) == 2
    return found


def test_the_same_training_twice_is_the_same(uninterrupted, tmp_path):
    assert run(tmp_path / "run") == 0
    assert contents(tmp_path / "run") == uninterrupted


def test_another_seed_is_another_training(uninterrupted, tmp_path):
    assert run(tmp_path / "run", dataclasses.replace(CONFIG, seed=4)) == 0
    assert contents(tmp_path / "run") != uninterrupted


@pytest.mark.parametrize("seed", range(2))
def test_killed_at_changes_of_files(uninterrupted, tmp_path, seed):
    """SIGKILL just before an open, rename, mkdir, remove or truncate in the run folder."""
    rng, out, kills = random.Random(seed), tmp_path / "run", 0
    while run(out, kill_at=rng.randrange(1, 200)) == -signal.SIGKILL:
        kills += 1
        assert kills < 60
    assert kills > 3
    assert contents(out) == uninterrupted


def test_killed_at_random_times(uninterrupted, tmp_path):
    rng, kills, runs = random.Random(9), 0, 0
    while kills <= 3:  # a run on an idle machine may end before it is killed that often
        out = tmp_path / f"run-{runs}"
        runs += 1
        while run(out, kill_later=rng.uniform(0.0, 0.2)) == -signal.SIGKILL:
            kills += 1
            assert kills < 60
        assert contents(out) == uninterrupted
        assert runs < 10


def test_loader_processes_change_nothing(uninterrupted, tmp_path):
    """Nor does one outlive a killed training: it notices within seconds that it has no parent."""
    program = (
        "import sys, pathlib, dataclasses, tiny_task\n"
        "config = dataclasses.replace(tiny_task.CONFIG, num_workers=2)\n"
        "kill_at = int(sys.argv[2]) if sys.argv[2:] else None\n"
        "tiny_task.train_tiny(pathlib.Path(sys.argv[1]), config, kill_at)"
    )
    command, out = [sys.executable, "-c", program], tmp_path / "run"
    here = Path(__file__).parent
    killed = subprocess.run([*command, str(out), "90"], cwd=here, check=False)
    assert killed.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 30
    while any(str(out) in p.info["cmdline"] for p in psutil.process_iter(["cmdline"], [])):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    subprocess.run([*command, str(out)], cwd=here, check=True)
    assert contents(out) == uninterrupted
