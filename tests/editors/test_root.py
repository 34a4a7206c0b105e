"""The root's sessions: what they keep, what they throw away, and that nothing stays behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import editors
import pytest
from editor_root import PROJECT, Root

pytestmark = pytest.mark.editors

SCRIPT = str(PROJECT / "scripts" / "editors.py")


@pytest.fixture
def place(session_root):
    """The root that the tests use, which is built."""
    return editors.place(os.environ.get("IMGEDIT_EDITORS_SUITE", "trixie"))


@pytest.fixture
def options(place):
    return ["--suite", place.suite.name]


def ours(place):
    """Mounts of the root that this machine sees."""
    mounts = Path("/proc/mounts").read_text("utf-8").splitlines()
    return [line for line in mounts if str(place.folder) in line]


def test_the_project_is_there_and_cannot_be_changed(root):
    assert "pyproject.toml" in root.call(["ls", "/src"])
    assert "Read-only file system" in root.call(["touch", "/src/x"], check=False)


def test_shared_folders_keep_what_is_written(root, folder):
    root.call(["sh", "-c", f"echo kept > {folder}/kept"])
    assert (folder / "kept").read_text() == "kept\n"


def test_other_changes_are_thrown_away(place, root, tmp_path):
    root.call(["sh", "-c", "echo changed > /etc/debian_version; echo new > /tmp/new"])
    assert root.outside("/tmp/new").read_text() == "new\n"
    with contextlib.closing(Root(place, tmp_path)) as other:
        assert "No such file" in other.call(["cat", "/tmp/new"], check=False)
        assert "changed" not in other.call(["cat", "/etc/debian_version"])
    assert "changed" not in (place.system / "etc/debian_version").read_text()
    root.call(["rm", "-f", "/tmp/new"])


def test_nothing_is_mounted_outside(place, root):
    assert "overlay" in root.call(["cat", "/proc/mounts"])
    assert ours(place) == []


def test_closing_ends_everything(place, tmp_path):
    root = Root(place, tmp_path)
    root.call(["sh", "-c", "setsid sleep 1234.5 >/dev/null 2>&1 &"])
    strays = [pid for pid, name in root.processes().items() if "1234.5" in name]
    assert len(strays) == 1
    root.close()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{strays[0]}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{strays[0]}").exists()


def test_a_killed_test_run_leaves_no_session(place, tmp_path):
    code = (
        "import sys; from pathlib import Path; from editor_root import *; "
        f"root = Root(editors.place({place.suite.name!r}), Path({str(tmp_path)!r})); "
        "root.start(['sleep', '600'], log=Path('/dev/null')); "
        "print(root._pid, flush=True); sys.stdin.read()"
    )
    runner = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
    )
    first = Path(f"/proc/{runner.stdout.readline().strip()}")
    assert first.exists()
    runner.kill()
    runner.communicate()
    deadline = time.monotonic() + 10
    while first.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not first.exists()


def test_run_returns_the_exit_code_and_output(options):
    command = [sys.executable, SCRIPT, "run", *options, "--", "sh", "-c", "echo said; exit 7"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (7, "said\n")
    command = [sys.executable, SCRIPT, "run", *options, "--", "no-such-program"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 127
    assert done.stderr.startswith("no-such-program cannot be run in the root: No such file")


def test_interrupting_run_leaves_nothing(place, options):
    # No shell: dash may lose a signal that comes just before it starts a program.
    waiting = ["python3", "-c", "print('up', flush=True); import time; time.sleep(600)"]
    command = [sys.executable, SCRIPT, "run", *options, "--", *waiting]
    pipe = subprocess.PIPE
    running = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True)
    assert running.stdout.readline() == "up\n"
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does
    try:
        running.communicate(timeout=10)
    finally:
        running.kill()
        running.communicate()
    assert running.returncode == 128 + signal.SIGINT
    assert ours(place) == []


def test_up_and_down(options):
    def said(*action):
        command = [sys.executable, SCRIPT, action[0], *options, *action[1:]]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert said("status").endswith("session: none\n")
    try:
        up = said("up")
        assert said("up") == up
        said("run", "--", "sh", "-c", "echo stays > /tmp/stays")
        assert said("run", "--", "cat", "/tmp/stays") == "stays\n"
    finally:
        assert said("down") == "Down.\n"
    assert said("down") == "Nothing was up.\n"


def test_build_finds_what_is_built(place, options):
    began = time.monotonic()
    command = [sys.executable, SCRIPT, "build", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"{place.folder}\n"
    assert time.monotonic() - began < 10
