"""A worker outside of the editor's sandbox: started, used and ended through words before it."""

import stat
import sys

import pytest

from imgedit_bridges import plan_files, starting
from imgedit_bridges.client import Client
from imgedit_bridges.errors import BridgeError
from imgedit_bridges.locations import Record, find_places, lock_holder, read_record, write_record

SPAWN = """#!/bin/sh
# What Flatpak's own does, without leaving anything: its first word is --host.
echo "$@" >> {log}
shift
exec "$@"
"""
REFUSES = (
    "#!/bin/sh\necho 'Portal call failed: org.freedesktop.DBus.Error.ServiceUnknown' >&2\nexit 1\n"
)


@pytest.fixture
def spawn(tmp_path):
    """A stand-in for flatpak-spawn; `spawn.calls()` are the lines it was given."""

    class Spawn:
        path = tmp_path / "flatpak-spawn"
        log = tmp_path / "calls"
        words = (str(path), "--host")

        def write(self, text):
            self.path.write_text(text, "utf-8")
            self.path.chmod(stat.S_IRWXU)

        def calls(self):
            return self.log.read_text("utf-8").splitlines()

    made = Spawn()
    made.write(SPAWN.format(log=made.log))
    return made


def test_a_record_keeps_the_words(tmp_path):
    record = Record("/usr/bin/python3", "0.1.0", ("flatpak-spawn", "--host"))
    path = write_record(record, tmp_path / "bridge.json")
    assert read_record(path) == record
    assert record.command == ("flatpak-spawn", "--host", "/usr/bin/python3")


def test_the_worker_is_started_and_ended_through_them(home, spawn):
    client = Client("gimp", python=home.python, prefix=spawn.words, environ=home.environ)
    client.connect()
    pid = client.worker
    assert lock_holder(client.places) == pid
    assert f"--host {home.python} -P -m imgedit_bridges.worker" in spawn.calls()[0]
    assert starting.end_process(client.places, pid, hangs=True, prefix=spawn.words)
    assert spawn.calls()[-1] == f"--host kill -9 {pid}"
    assert lock_holder(client.places) is None


def test_where_it_is_not_allowed_the_command_is_told(home, spawn, monkeypatch):
    spawn.write(REFUSES)
    monkeypatch.setattr(starting, "FLATPAK", spawn.words)
    client = Client("gimp", python=home.python, prefix=spawn.words, environ=home.environ)
    with pytest.raises(BridgeError) as raised:
        client.connect()
    assert "ServiceUnknown" in raised.value.message
    assert "flatpak override --user --talk-name=org.freedesktop.Flatpak org.gimp.GIMP" in (
        raised.value.hint
    )


def test_plans_are_read_through_them(tmp_path, spawn):
    path = tmp_path / "plan.json"
    path.write_text('{"schema": "imgedit-plan/1", "operations": [{"name": "invert"}]}', "utf-8")
    plan = plan_files.read_plan(path, sys.executable, editor="gimp", prefix=spawn.words)
    assert plan["operations"][0]["name"] == "invert"
    assert "imgedit_plugins.cli plan show" in spawn.calls()[0]


def test_in_flatpak_the_folder_is_one_that_is_the_same_outside(tmp_path):
    shared = tmp_path / "app" / "org.gimp.GIMP"
    shared.mkdir(parents=True)
    environ = {"XDG_RUNTIME_DIR": str(tmp_path), "FLATPAK_ID": "org.gimp.GIMP"}
    assert find_places(environ).folder == shared / "imgedit-plugins"
