"""Deaths, hangs, limits and leftovers: noticed in time, told in a sentence, mended by going on."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from worker_home import alive, does, got, group, kill, put, raw, small, until, wait_for, whoami

from imgedit_bridges import pixels, starting, transport
from imgedit_bridges.client import JobFailedError
from imgedit_bridges.errors import BridgeError
from imgedit_bridges.locations import Record, WorkerLock, lock_holder, read_state, write_record
from imgedit_bridges.locations import write_state as write
from imgedit_bridges.protocol import JobRequest
from imgedit_bridges.transport import WorkerGoneError
from imgedit_bridges.worker.queue import LEFT_SECONDS

NOTICED = 5.0  # seconds


def one_sentence(error: BaseException) -> bool:
    return str(error).endswith(".") and "\n" not in str(error) and "Traceback" not in str(error)


# --- the worker -------------------------------------------------------------------------------


def test_a_killed_worker_is_noticed_and_the_next_action_works(home):
    client = home.started()
    executor = whoami(client)
    job = client.submit(does(client, "sleeps"))
    until(client, job, "sleeping")
    first = home.state.pid
    os.kill(first, signal.SIGKILL)
    began = time.monotonic()
    with pytest.raises(WorkerGoneError, match="ended in the middle of the job") as caught:
        list(client.events(job))
    assert time.monotonic() - began < NOTICED
    assert one_sentence(caught.value)
    wait_for(lambda: not alive(executor), 2.0)
    assert whoami(client)
    assert home.state.pid != first


@pytest.mark.slow
def test_a_worker_that_hangs_is_noticed_and_replaced(home):
    client = home.started()
    whoami(client)
    job = client.submit(does(client, "sleeps"))
    until(client, job, "sleeping")
    hung = home.state.pid
    os.kill(hung, signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(WorkerGoneError, match="ended in the middle of the job"):
        list(client.events(job))
    assert time.monotonic() - began < NOTICED
    assert whoami(client)
    assert not alive(hung)


def kill_at_random_moments(home, times, seed):
    """Kill the worker while pictures are rendered; every fault is one sentence, told in time."""
    client = home.started()
    pixels = np.random.default_rng(seed).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    plan = {"operations": [{"name": "invert"}]}
    moment = random.Random(seed)
    whole = 0.05
    faults: list[tuple[BridgeError, float]] = []
    for _ in range(times):
        pid = home.state.pid
        killer = subprocess.Popen(
            [sys.executable, "-S", "-c",
             f"import os, time; time.sleep({moment.uniform(0, whole)}); os.kill({pid}, 9)"]
        )  # fmt: skip
        while killer.poll() is None or alive(pid):
            began = time.monotonic()
            try:
                request = JobRequest("render", {"picture": put(client, pixels)}, plan=plan)
                _, result = client.run(request)
                assert np.array_equal(got(client, result.pictures[0]), 255 - pixels)
            except BridgeError as error:
                faults.append((error, time.monotonic() - began))
        # The next action works.
        request = JobRequest("render", {"picture": put(client, pixels)}, plan=plan)
        _, result = client.run(request)
        assert np.array_equal(got(client, result.pictures[0]), 255 - pixels)
    for error, seconds in faults:
        assert one_sentence(error), error
        assert seconds < NOTICED, error
    return faults


@pytest.mark.slow
def test_a_worker_killed_at_100_random_moments(home):
    assert len(kill_at_random_moments(home, 100, seed=2)) > 30, "most moments hit a job"


def test_a_second_start_finds_the_first(home):
    first = home.started()
    pid = home.state.pid
    second = home.started()
    assert home.state.pid == pid
    assert whoami(first) == whoami(second)


def test_editors_that_start_at_once_share_one_worker(home):
    code = (
        "import sys; from imgedit_bridges.client import Client\n"
        "client = Client('racing', python=sys.argv[1]); print(client.connect()['pid'])"
    )
    runs = [
        subprocess.Popen(
            [home.python, "-c", code, home.python], env=home.environ, stdout=subprocess.PIPE
        )
        for _ in range(4)
    ]
    pids = {int(run.communicate()[0]) for run in runs}
    assert len(pids) == 1
    assert pids == {home.state.pid}


def test_a_worker_of_a_lost_race_leaves_the_other_alone(home):
    client = home.started()
    pid = home.state.pid
    done = subprocess.run(
        [home.python, "-P", "-m", "imgedit_bridges.worker"], env=home.environ, check=False
    )
    assert done.returncode == 75
    assert client.connect()["pid"] == pid


def test_a_worker_whose_folder_is_gone_does_not_start_elsewhere(home):
    gone = home.folder / "gone" / "imgedit-plugins"
    command = [home.python, "-P", "-m", "imgedit_bridges.worker", str(gone)]
    done = subprocess.run(
        command, env=home.environ, capture_output=True, text=True, timeout=10, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"The folder {gone} cannot be used")
    assert home.state is None


def test_it_ends_when_nobody_needs_it(make_home):
    home = make_home(idle=1.5)
    client = home.started()
    pid = client.connect()["pid"]
    job = client.submit(does(client, "patient"))
    until(client, job, "waiting")
    time.sleep(2)
    assert alive(pid), "a job runs"
    client.cancel(job)
    wait_for(lambda: not alive(pid))
    assert home.state is None
    assert not home.places.socket.exists()
    assert home.pixel_files() == []
    assert "Nobody needed the worker" in home.log()
    assert whoami(client)


def test_a_job_whose_editor_was_closed_does_not_run_for_ever(make_home):
    home = make_home(keep=0.5)
    client = home.started()
    job = client.submit(does(client, "spins"))
    until(client, job, "spinning")
    assert whoami(home.client("other"))
    assert "whoever asked for it has gone" in home.log()


def test_a_job_whose_editor_has_died_does_not_hold_up_others(home):
    client = home.started()
    job = client.submit(does(client, "spins"))
    following = client.events(job)
    assert next(following)
    following.close()
    began = time.monotonic()
    assert whoami(home.client("other"))
    assert LEFT_SECONDS - 2 < time.monotonic() - began < LEFT_SECONDS + 10


def test_a_plugin_installed_while_the_worker_runs_can_be_used(home):
    client = home.started()
    before = whoami(client)
    home.install("later")
    assert ("later", "invert") in {(a["plugin"], a["id"]) for a in client.actions()}
    _, result = client.run(does(client, "whoami", plugin="later"))
    assert int(result.explanation) != before


def test_a_worker_that_nobody_can_find_any_more_ends(home):
    home.started()
    pid = home.state.pid
    home.places.state.unlink()
    wait_for(lambda: not alive(pid))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_tidily(home, number):
    client = home.started()
    executor = whoami(client)
    job = client.submit(does(client, "patient"))
    until(client, job, "waiting")
    pid = home.state.pid
    os.kill(pid, number)
    assert until(client, job, "failed")[-1]["message"] == "The worker was stopped."
    wait_for(lambda: not alive(pid))
    assert home.state is None
    assert not alive(executor)
    assert home.pixel_files() == []


# --- what a dead worker left ------------------------------------------------------------------


def test_a_stale_state_file_whose_process_id_is_another_s(home):
    client = home.started()
    state = home.state
    kill(state.pid)
    wait_for(lambda: lock_holder(home.places) is None)  # its other threads end a moment later
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        write(home.places, type(state)(**{**vars(state), "pid": other.pid}))
        assert whoami(client)
        assert other.poll() is None, "a process that is no worker was ended"
        assert home.state.pid != other.pid
    finally:
        other.kill()
        other.wait()


def test_a_stale_address_at_which_another_program_answers(make_home):
    home = make_home(tcp=1)
    stranger = make_home(tcp=1)
    client = home.started()
    stranger.started()
    state = home.state
    kill(state.pid)
    write(home.places, type(state)(**{**vars(state), "address": stranger.state.address}))
    assert whoami(client)
    assert home.state.address != stranger.state.address


def test_left_over_pixel_files_are_removed_at_the_next_start(home):
    client = home.started()
    client.run(does(client, "invert"))
    left = home.pixel_files()
    kill(home.state.pid)
    assert left
    client.connect()
    assert home.pixel_files() == []


def test_a_lock_that_is_held_by_one_that_says_nothing_is_told(home, monkeypatch):
    monkeypatch.setattr(starting, "START_SECONDS", 0.5)
    monkeypatch.setattr(starting, "_END_SECONDS", 0.2)
    monkeypatch.setattr(os, "kill", lambda *_: None)
    lock = WorkerLock.acquire(home.places)
    with pytest.raises(BridgeError, match="did not answer within"):
        home.client().connect()
    lock.release()


# --- starting ---------------------------------------------------------------------------------


def test_the_recorded_python_starts_it(home, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", home.environ["XDG_CONFIG_HOME"])
    client = home.client()
    client._python = None
    with pytest.raises(BridgeError, match="There is no installation record"):
        client.connect()
    write_record(Record(home.python, "0.1.0"))
    assert client.connect()["protocols"] == [1]
    assert whoami(client)


def test_a_python_that_is_gone_is_told(home):
    client = home.client()
    client._python = "/nowhere/python"
    with pytest.raises(BridgeError, match="is gone: /nowhere/python") as caught:
        client.connect()
    assert one_sentence(caught.value)


def test_a_python_without_the_package_is_told_with_its_last_words(home):
    client = home.client()
    script = home.folder / "bare"
    script.write_text(f"#!/bin/sh\nexec '{sys.executable}' -I -S \"$@\"\n")
    script.chmod(0o755)
    client._python = str(script)
    with pytest.raises(BridgeError, match=r"right after its start.*No module named") as caught:
        client.connect()
    assert one_sentence(caught.value)


def test_wrong_settings_are_told(make_home):
    home = make_home(idle="soon")
    with pytest.raises(BridgeError, match="IMGEDIT_WORKER_IDLE must be a number"):
        home.client().connect()


def test_what_an_editor_s_bundle_put_into_the_environment_is_left_out():
    given = {"PYTHONHOME": "/x", "PYTHONPATH": "/y", "LD_LIBRARY_PATH": "/z", "HOME": "/h"}
    assert starting.clean_environment(given) == {"LD_LIBRARY_PATH": "/z", "HOME": "/h"}
    bundled = starting.clean_environment({**given, "APPIMAGE": "/a"})
    assert bundled == {"HOME": "/h", "APPIMAGE": "/a"}


# --- other versions ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("theirs", "ours", "said"),
    [
        ([2, 3], (1,), "The plug-in in the editor is older than the worker"),
        ([1], (2,), r"The worker \(version 9.9\) is older"),
        ([], (1,), "is no worker of imgedit-plugins"),
        ("1", (1,), "is no worker of imgedit-plugins"),
    ],
)
def test_versions_that_do_not_meet(theirs, ours, said):
    with pytest.raises(BridgeError, match=said) as caught:
        starting.check_protocols(theirs, "9.9", ours)
    assert "Run `imgedit-plugins" in caught.value.hint


def test_versions_that_meet_take_the_newest():
    assert starting.check_protocols([1, 2, 3], "9.9", (1, 2)) == 2


def test_a_plug_in_of_another_version_is_told_at_a_real_worker(home, monkeypatch):
    home.started()
    monkeypatch.setattr(starting, "PROTOCOLS", (7,))
    with pytest.raises(BridgeError, match="is older than the plug-in"):
        home.client().connect()
    monkeypatch.setattr(starting, "PROTOCOLS", (0,))
    with pytest.raises(BridgeError, match="The plug-in in the editor is older"):
        home.client().connect()


# --- the executor -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "said"), [("exits", "code 3"), ("crashes", "SIGSEGV"), ("forks", "code 4")]
)
def test_a_crash_fails_one_job_and_the_next_works(client, what, said):
    request = does(client, what, plugin="tested")
    before = whoami(client)
    began = time.monotonic()
    with pytest.raises(JobFailedError, match=said) as caught:
        client.run(request)
    assert time.monotonic() - began < 1.5
    assert "the plugin 'tested' crashed it" in str(caught.value)
    assert whoami(client) != before


def test_a_crash_is_in_the_log_with_its_place(home):
    client = home.started()
    with pytest.raises(JobFailedError):
        client.run(does(client, "crashes"))
    wait_for(lambda: "Segmentation fault" in home.log())
    assert "plugin.py" in home.log()


def test_a_job_that_takes_too_much_memory_fails_alone(make_home):
    home = make_home(memory=2048)
    client = home.started()
    before = whoami(client)
    with pytest.raises(JobFailedError, match="not enough memory"):
        client.run(does(client, "eats"))
    assert whoami(client) == before


def test_an_executor_that_cannot_start_fails_jobs_and_not_the_worker(make_home):
    home = make_home(memory=100)
    client = home.started()
    pid = home.state.pid
    for _ in range(2):
        with pytest.raises(JobFailedError, match="cannot be started") as caught:
            client.run(does(client, "whoami"))
        assert "a memory limit may be too small" in caught.value.hint
    assert client.connect()["pid"] == pid


def test_a_file_cut_short_under_a_running_job_is_one_failed_job(home):
    """Reading beyond the end of a mapped file ends the process; it must not be the worker's."""
    client = home.started()
    request = does(client, "reads", np.zeros((200, 300, 3), np.uint8))
    job = client.submit(request)
    until(client, job, "read 0")
    os.truncate(home.places.pixels / request.inputs["picture"].pixels, 4096)
    assert "SIGBUS" in until(client, job, "failed")[-1]["message"]
    assert whoami(client)


def test_a_file_cut_short_while_the_job_waits_is_refused(home):
    client = home.started()
    whoami(client)
    pixels = np.zeros((200, 300, 3), np.uint8)
    blocker = client.submit(does(client, "patient"))
    until(client, blocker, "waiting")
    ref = put(client, pixels)
    job = client.submit(JobRequest("render", {"picture": ref}, plan={"operations": []}))
    os.truncate(home.places.pixels / ref.pixels, 4096)
    client.cancel(blocker)
    assert "was refused: it has 4096 bytes" in until(client, job, "failed")[-1]["message"]
    assert whoami(client)


def test_processes_that_a_plugin_leaves_behind_are_ended(home):
    client = home.started()
    executor = whoami(client)
    with pytest.raises(JobFailedError):
        client.run(does(client, "forks"))
    wait_for(lambda: not group(executor))


def test_no_room_for_pixels_is_told(home):
    """The worker may write no file above 64 MiB, which the system tells like a full disk."""
    script = home.folder / "limited"
    script.write_text(f"#!/bin/bash\nulimit -f 65536\nexec '{home.python}' \"$@\"\n")
    script.chmod(0o755)
    client = home.client()
    client._python = str(script)
    with pytest.raises(BridgeError, match="There is no room for 100 MB of pixels") as caught:
        client.new_pixels(100_000_000)
    assert one_sentence(caught.value)
    assert home.pixel_files() == []
    assert whoami(client)


@pytest.fixture
def small_disk():
    """A disk of 300 MB: a tmpfs of another process's mount namespace, gone with that process."""
    line = ["unshare", "--mount", "--propagation=private", "sh", "-ec",
            "mount -t tmpfs -o size=300m,mode=0700 tmpfs /mnt; echo ready; read end"]  # fmt: skip
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        if holder.stdout.readline() != b"ready\n":
            pytest.skip("no mount namespaces here, which need root")
        yield Path(f"/proc/{holder.pid}/root/mnt")
        holder.communicate(b"end\n")


def test_a_disk_that_fills_up_under_a_job_is_one_failed_job(make_home, small_disk):
    home = make_home(pixels=small_disk)
    client = home.started()
    ref = put(client, np.zeros((2000, 3000, 3), np.uint8))
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space"):
        filler.write_bytes(bytes(400 << 20))
    request = JobRequest("render", {"picture": ref}, plan={"operations": []})
    with pytest.raises(JobFailedError, match="There is no room for 18 MB") as caught:
        client.run(request)
    assert one_sentence(caught.value)
    with pytest.raises(BridgeError, match="There is no room"):
        put(client, small())
    filler.unlink()
    _, result = client.run(request)
    assert not got(client, result.pictures[0]).any()
    assert len(list(small_disk.iterdir())) == 2


def test_a_disk_that_fills_up_while_a_picture_is_written_is_told(small_disk):
    """Where a disk gives less than was reserved: here nothing is reserved."""
    name = "ab" * 16
    path = small_disk / name
    path.touch(mode=0o600)
    os.truncate(path, 400 << 20)
    data = np.zeros(400 << 20, np.uint8).data
    with (
        pixels.open_file(small_disk, name, 400 << 20, writable=True) as file,
        pytest.raises(BridgeError, match="cannot be written: No space") as caught,
    ):
        file.write(0, data)
    assert one_sentence(caught.value)


# --- the log ----------------------------------------------------------------------------------


def test_what_plugins_print_is_in_the_log(home):
    client = home.started()
    client.run(does(client, "prints"))
    wait_for(lambda: "from Python" in home.log())
    executor = whoami(client)
    kill(executor)
    wait_for(lambda: "from C without an end" in home.log())
    assert home.state.token not in home.log()


def test_the_log_is_made_anew_before_it_gets_large(make_home):
    home = make_home()
    home.places.log.write_text("x" * (1 << 20))
    home.places.log.chmod(0o600)
    home.started()
    older = home.places.log.with_name("worker.log.1")
    wait_for(older.exists)
    assert home.places.log.stat().st_size < 10_000


def test_states_and_errors_are_json_without_secrets(home):
    client = home.started()
    job = client.submit(does(client, "whoami"))
    until(client, job, "done")
    status, told = raw(home.state, "GET", f"/v1/jobs/{job}")
    assert status == 200
    assert told["state"] == "done"
    assert home.state.token not in json.dumps(told)
    assert read_state(home.places) == home.state
    hello = transport.request(home.state, "GET", "/v1/hello")
    assert hello["jobs"] == {"done": 1}
