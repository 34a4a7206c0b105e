"""The places of worker and editors: private or refused, and the lock."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from imgedit_bridges import locations
from imgedit_bridges.errors import BridgeError
from imgedit_bridges.locations import (
    Places,
    Record,
    WorkerLock,
    WorkerState,
    find_places,
    lock_holder,
    private_folder,
    read_private,
    read_record,
    read_state,
    record_path,
    socket_fits,
    write_private,
    write_record,
    write_state,
)

STATE = WorkerState(1, 5, "unix:/x", "secret", "0.1.0", "/usr/bin/python3", "/pixels", 12.5)
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_runtime_folder(tmp_path):
    places = find_places({"XDG_RUNTIME_DIR": str(tmp_path)})
    assert places.folder == tmp_path / "imgedit-plugins"
    assert mode(places.folder) == 0o700
    assert find_places({"XDG_RUNTIME_DIR": str(tmp_path)}) == places


@pytest.mark.parametrize("value", ["", "relative", "/not/there"])
def test_without_a_runtime_folder_one_of_one_s_own_among_the_temporary(
    tmp_path, monkeypatch, value
):
    monkeypatch.setattr(locations.tempfile, "gettempdir", lambda: str(tmp_path))
    places = find_places({"XDG_RUNTIME_DIR": value})
    assert places.folder == tmp_path / f"imgedit-plugins-{os.getuid()}"
    assert mode(places.folder) == 0o700


def test_a_folder_open_to_others_is_refused(tmp_path):
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o750)
    with pytest.raises(BridgeError, match="can be entered or read by others"):
        private_folder(folder)


@ROOT_ONLY
def test_a_folder_of_another_user_is_refused(tmp_path):
    folder = private_folder(tmp_path / "foreign")
    os.chown(folder, 65534, 65534)
    with pytest.raises(BridgeError, match="belongs to another user"):
        private_folder(folder)


def test_a_link_or_file_in_its_place_is_refused(tmp_path):
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "file").write_text("")
    with pytest.raises(BridgeError, match="is a link or a file"):
        private_folder(tmp_path / "link")
    with pytest.raises(BridgeError, match=r"cannot be used|is a link or a file"):
        private_folder(tmp_path / "file")


def test_state_and_record_come_back(tmp_path):
    places = Places(private_folder(tmp_path / "run"))
    assert read_state(places) is None
    write_state(places, STATE)
    assert read_state(places) == STATE
    assert mode(places.state) == 0o600
    path = write_record(Record("/usr/bin/python3", "0.1.0"), tmp_path / "config" / "bridge.json")
    assert read_record(path) == Record("/usr/bin/python3", "0.1.0")
    assert mode(path) == 0o600
    assert [p.name for p in places.folder.iterdir()] == ["worker.json"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "{}", json.dumps({**vars(STATE), "pid": "5"}), "[" * 50_000]
)
def test_what_is_no_state_is_refused(tmp_path, text):
    places = Places(private_folder(tmp_path / "run"))
    write_private(places.state, text)
    with pytest.raises(BridgeError, match=r"holds something else|is no state") as caught:
        read_state(places)
    assert caught.value.hint == "Remove it."


def test_a_state_that_others_can_read_or_a_link_is_refused(tmp_path):
    places = Places(private_folder(tmp_path / "run"))
    write_state(places, STATE)
    places.state.chmod(0o644)
    with pytest.raises(BridgeError, match="read by others"):
        read_state(places)
    places.state.rename(tmp_path / "elsewhere")
    places.state.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BridgeError, match="cannot be read"):
        read_state(places)


@ROOT_ONLY
def test_a_state_of_another_user_is_refused(tmp_path):
    path = tmp_path / "state"
    write_private(path, "{}")
    os.chown(path, 65534, 65534)
    with pytest.raises(BridgeError, match="belongs to another user"):
        read_private(path)


def test_a_missing_record_says_what_to_do(tmp_path):
    with pytest.raises(BridgeError, match="no installation record") as caught:
        read_record(tmp_path / "bridge.json")
    assert "imgedit-plugins install gimp" in caught.value.hint
    write_private(tmp_path / "bridge.json", '{"python": 5, "version": ""}')
    with pytest.raises(BridgeError, match="is no installation record"):
        read_record(tmp_path / "bridge.json")


def test_where_the_record_is():
    assert record_path({"XDG_CONFIG_HOME": "/c"}) == Path("/c/imgedit-plugins/bridge.json")


def test_one_lock(tmp_path):
    places = Places(private_folder(tmp_path / "run"))
    assert lock_holder(places) is None
    lock = WorkerLock.acquire(places)
    assert lock is not None
    assert lock_holder(places) == os.getpid()
    assert WorkerLock.acquire(places) is None
    lock.release()
    assert lock_holder(places) is None


def test_a_dead_process_holds_no_lock(tmp_path):
    places = Places(private_folder(tmp_path / "run"))
    code = (
        "import os, sys; from pathlib import Path\n"
        "from imgedit_bridges.locations import Places, WorkerLock\n"
        "lock = WorkerLock.acquire(Places(Path(sys.argv[1])))\n"
        "print(os.getpid(), flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(places.folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    pid = int(child.stdout.readline())
    assert lock_holder(places) == pid == child.pid
    child.kill()
    child.communicate()
    assert lock_holder(places) is None


def test_socket_paths_have_a_limit(tmp_path):
    assert socket_fits(Path("/run/user/1000/imgedit-plugins/worker.sock"))
    assert not socket_fits(Path("/" + "x" * 101))
