"""`imgedit-plugins worker start|status|stop|logs`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import pytest
from worker_home import alive, does, until, wait_for, whoami

from imgedit_bridges.client import JobFailedError

HEAVY = ["torch", "cv2", "numpy", "pydantic", "starlette", "uvicorn", "asyncio", "anyio"]

REPORT_MODULES = f"""
import sys
from imgedit_plugins.cli import cli
try:
    cli(sys.argv[1:], prog_name="imgedit-plugins")
finally:
    print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)
"""


def run(home, *arguments, code=0, program=("-m", "imgedit_plugins.cli")):
    done = subprocess.run(
        [home.python, *program, *arguments],
        env=home.environ, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_from_start_to_stop(home):
    assert run(home, "worker", "status", code=1).stdout.startswith("No worker runs")
    started = run(home, "worker", "start").stdout
    pid = home.state.pid
    assert started == f"The worker runs (process {pid}).\n"
    assert run(home, "worker", "start").stdout == f"The worker runs already (process {pid}).\n"
    shown = run(home, "worker", "status").stdout
    assert f"process  {pid}\n" in shown
    assert f"address  unix:{home.places.socket}\n" in shown
    assert "jobs     none\n" in shown
    assert home.state.token not in shown
    assert run(home, "worker", "stop").stdout == f"The worker (process {pid}) was stopped.\n"
    wait_for(lambda: not alive(pid))
    assert run(home, "worker", "stop").stdout == "No worker runs.\n"
    logs = run(home, "worker", "logs").stdout.splitlines()
    assert "Started" in logs[0]
    assert "Ended" in logs[-1]
    assert run(home, "worker", "logs", "--lines", "1").stdout.splitlines() == logs[-1:]


def test_options_of_start_and_status_for_scripts(home):
    told = json.loads(run(home, "worker", "status", "--json", code=1).stdout)
    assert told == {"running": False, "pid": None, "log": str(home.places.log)}
    run(home, "worker", "start", "--tcp", "--idle-minutes", "0.05", "--memory-limit", "2000")
    told = json.loads(run(home, "worker", "status", "--json").stdout)
    assert told["running"]
    assert told["address"].startswith("tcp:127.0.0.1:")
    assert told["jobs"] == {}
    assert "token" not in told
    client = home.started()
    with pytest.raises(JobFailedError, match="not enough memory"):
        client.run(does(client, "eats"))
    pid = told["pid"]
    wait_for(lambda: not alive(pid), 8.0)


def test_stop_fails_the_running_job_in_a_sentence(home):
    client = home.started()
    job = client.submit(does(client, "spins"))
    until(client, job, "spinning")
    run(home, "worker", "stop")
    assert home.state is None
    assert whoami(client), "the next action starts another"


@pytest.mark.slow
def test_a_worker_that_hangs_is_told_and_ended(home):
    home.started()
    pid = home.state.pid
    os.kill(pid, signal.SIGSTOP)
    told = run(home, "worker", "status", code=1).stdout
    assert told == f"The worker (process {pid}) does not answer; `worker stop` ends it.\n"
    run(home, "worker", "stop")
    wait_for(lambda: not alive(pid))


def test_logs_can_be_followed(home):
    home.started()
    following = subprocess.Popen(
        [home.python, "-m", "imgedit_plugins.cli", "worker", "logs", "--follow"],
        env=home.environ, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert "Started" in following.stdout.readline()
        time.sleep(0.5)  # it looks for more every 0.2 s
        whoami(home.client())
        assert "(apply_edit): done" in following.stdout.readline()
    finally:
        following.kill()
        following.communicate()


def test_a_folder_that_is_not_private_is_told(home):
    home.places.folder.chmod(0o755)
    for name in ("start", "status", "stop", "logs"):
        told = run(home, "worker", name, code=1).stderr
        assert told.startswith(f"Error: The folder {home.places.folder} can be entered")
        assert len(told.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["list"], ["worker", "--help"], ["worker", "start", "--help"]],
)
def test_looking_around_imports_nothing_heavy(shared_home, arguments):
    done = run(shared_home, *arguments, program=("-c", REPORT_MODULES))
    assert done.stderr.splitlines()[-1] == "[]"
    if arguments == ["--help"]:
        assert "worker      Start, stop and look at the process" in done.stdout
