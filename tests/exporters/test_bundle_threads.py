"""Parts are computed by as many threads as there are cores for this process."""

import os
from pathlib import Path

import pytest

from imgedit_exporters.runtime import threads


@pytest.fixture
def system(tmp_path, monkeypatch) -> Path:
    """A machine of 8 processors, each two of which share a core; the process may use six."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 4, 5, 6}, raising=False)
    for number in range(8):
        topology = tmp_path / f"devices/system/cpu/cpu{number}/topology"
        topology.mkdir(parents=True)
        (topology / "thread_siblings_list").write_text(f"{number % 4},{number % 4 + 4}\n")
    return tmp_path


def limit(system: Path, text: str) -> None:
    (system / "fs/cgroup").mkdir(parents=True, exist_ok=True)
    (system / "fs/cgroup/cpu.max").write_text(text)


def test_processors_that_share_a_core_count_once(system):
    assert threads.usual(system) == 3


def test_a_container_s_share_of_the_machine_counts(system):
    limit(system, "250000 100000\n")
    assert threads.usual(system) == 2
    limit(system, "50000 100000\n")
    assert threads.usual(system) == 1
    limit(system, "max 100000\n")
    assert threads.usual(system) == 3


def test_what_the_system_does_not_tell(system, tmp_path, monkeypatch):
    assert threads.usual(tmp_path / "nothing") == 6
    monkeypatch.delattr(os, "sched_getaffinity")
    assert threads.usual(system) == 0
