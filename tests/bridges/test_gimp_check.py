"""What `doctor` says about GIMP and the worker."""

import json
import sys
import time

import pytest

from imgedit_bridges.gimp import check, refresh
from imgedit_bridges.gimp.install import install
from imgedit_bridges.gimp.profiles import Profile
from imgedit_bridges.locations import Record, write_record
from imgedit_bridges.worker import check as worker_check


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    for name in ("GIMP3_DIRECTORY", "FLATPAK_ID"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def profile(home):
    folder = home / "GIMP" / "3.0"
    folder.mkdir(parents=True)
    return Profile("system", folder)


def start_gimp(profile):
    """What it writes down when it has asked the plug-ins."""
    asked = int(profile.script.stat().st_mtime)
    told = f'(plug-in-def "${{gimp_dir}}/plug-ins/imgedit/imgedit.py" {asked}\n    (proc-def))\n'
    (profile.folder / "pluginrc").write_text(told, "utf-8")


def found():
    [finding] = check.findings()
    return finding.status, finding.detail, finding.remedy


def test_without_gimp_there_is_nothing_to_say():
    assert list(check.findings()) == []


def test_gimp_2_alone_is_too_old(home):
    (home / "GIMP" / "2.10").mkdir(parents=True)
    assert found()[:2] == ("note", "too old for the plug-in, which needs GIMP 3")


def test_it_is_not_installed(profile):
    status, detail, _ = found()
    assert status == "missing"
    assert "run: imgedit-plugins install gimp" in detail


def test_gimp_has_not_been_started_since(profile):
    install(profile)
    assert found()[0] == "note"
    assert "GIMP has not been started since" in found()[1]
    start_gimp(profile)
    assert found()[0] == "ok"
    refresh.look_changed(profile.script)
    assert "GIMP has not been started since" in found()[1]


def test_plugins_have_changed(profile, monkeypatch):
    install(profile)
    start_gimp(profile)
    entries = len(refresh.recorded()["actions"])
    assert entries >= 5
    assert found() == ("ok", f"installed, {entries} entries of plugins", "")
    monkeypatch.setattr(refresh, "all_actions", list)
    assert "plugins have changed since" in found()[1]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("version", "the plug-in is of version 0.0.1"),
        ("python", "the Python that runs the worker is gone: /gone/python"),
        ("record", "There is no installation record"),
        ("script", "imgedit.py is missing"),
        ("executable", "is not executable, so GIMP does not start it"),
        ("actions", "its list of the plugins' actions is missing or damaged"),
    ],
)
def test_what_is_wrong_is_said(profile, damage, said):
    install(profile)
    start_gimp(profile)
    record = profile.plugin / "bridge.json"
    if damage == "version":
        write_record(Record(sys.executable, "0.0.1"), record)
    elif damage == "python":
        install(profile, python="/gone/python")
    elif damage == "record":
        record.unlink()
    elif damage == "script":
        profile.script.unlink()
    elif damage == "executable":
        profile.script.chmod(0o644)
    else:
        (profile.plugin / "actions.json").write_text("[", "utf-8")
    status, detail, remedy = found()
    assert (status, remedy) == ("problem", "Run: imgedit-plugins install gimp")
    assert said in detail


def test_snap_is_said_to_be_closed(home):
    folder = home / "snap/gimp/current/.config/GIMP/3.0"
    folder.mkdir(parents=True)
    install(Profile("snap", folder))
    assert "Snap may not start the worker" in found()[1]


# --- the worker -------------------------------------------------------------------------------


def worker():
    [finding] = worker_check.findings()
    return finding


def test_no_worker_is_no_fault(home):
    assert worker().status == "ok"
    assert "not running" in worker().detail


def test_a_folder_that_others_can_enter(home):
    (home / "imgedit-plugins").mkdir(mode=0o755)
    (home / "imgedit-plugins").chmod(0o755)
    assert worker().status == "problem"
    assert "can be entered or read by others" in worker().detail
    assert "Remove it" in worker().remedy


def test_a_worker_that_runs_and_one_that_hangs(make_home, monkeypatch):
    home = make_home()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home.places.folder.parent))
    client = home.started()
    assert worker().detail == f"runs as process {client.worker}"
    state = home.places.state
    kept = json.loads(state.read_text("utf-8"))
    kept["address"] = f"unix:{home.places.folder}/nowhere.sock"
    part = state.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_text(json.dumps(kept), "utf-8")
    part.replace(state)
    time.sleep(0.1)
    assert worker().status == "problem"
    assert worker().remedy == "Run: imgedit-plugins worker stop"
