"""What `doctor` says about Krita."""

import os
import py_compile
import sys

import pytest

from imgedit_bridges.krita import check
from imgedit_bridges.krita.install import Profile, install
from imgedit_bridges.krita.kritarc import is_on
from imgedit_bridges.locations import Record, write_record


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def profile(home):
    folder = home / ".local/share/krita"
    folder.mkdir(parents=True)
    return Profile("system", folder, home / ".config/kritarc")


def start_krita(profile):
    """Python leaves what it compiled beside the modules that it imports."""
    py_compile.compile(str(profile.plugin / "__init__.py"))


def found():
    [finding] = check.findings()
    return finding.status, finding.detail, finding.remedy


def test_there_is_no_krita(home):
    assert found()[:2] == (
        "missing",
        "no Krita is here; start it once, then run: imgedit-plugins install krita",
    )
    (home / "bin").mkdir()
    (home / "bin/krita").touch(mode=0o755)
    assert "Krita has never been started here" in found()[1]


def test_it_is_not_installed(profile):
    assert found()[:2] == (
        "missing",
        "the extension is not installed; run: imgedit-plugins install krita",
    )


def test_krita_has_not_been_started_since(profile):
    install(profile)
    assert found()[0] == "note"
    assert "Krita has not been started since" in found()[1]
    start_krita(profile)
    assert found() == ("ok", "installed and switched on", "")


def test_it_is_switched_off_in_krita(profile):
    install(profile)
    start_krita(profile)
    profile.settings.write_bytes(b"[python]\nenable_imgedit=false\n")
    status, detail, _ = found()
    assert status == "note"
    assert f"switched off in {profile.settings}" in detail
    assert "Python Plugin Manager" in detail


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("version", "the extension is of version 0.0.1"),
        ("python", "the Python that runs the worker is gone: /gone/python"),
        ("record", "There is no installation record"),
        ("module", "kept.py is missing or not as it was installed"),
        ("modules", "and 1 more files is missing or not as it was installed"),
        ("desktop", "imgedit.desktop is missing or damaged, so Krita does not know"),
        ("settings", "kritarc does not switch the extension on, so Krita does not load it"),
        ("new settings", "kritarc does not switch the extension on, so Krita does not load it"),
    ],
)
def test_what_is_wrong_is_said_and_installing_mends_it(profile, damage, said):
    install(profile)
    start_krita(profile)
    record = profile.plugin / "bridge.json"
    modules = profile.plugin / "imgedit_bridges/krita"
    if damage == "version":
        write_record(Record(sys.executable, "0.0.1"), record)
    elif damage == "python":
        install(profile, python="/gone/python")
    elif damage == "record":
        record.unlink()
    elif damage == "desktop":
        profile.desktop.write_text("[Desktop Entry]\n", "utf-8")
    elif damage == "settings":
        profile.settings.unlink()
    elif damage == "new settings":
        profile.settings.write_text("[python]\nenable_other=true\n", "utf-8")
    else:
        (modules / "kept.py").write_text("", "utf-8")
        if damage == "modules":
            (modules / "canvas.py").unlink()
    status, detail, remedy = found()
    assert (status, remedy) == ("problem", "Run: imgedit-plugins install krita")
    assert said in detail
    install(profile)
    start_krita(profile)
    assert found()[0] == "ok"


def test_somebody_elses_extension(profile):
    profile.plugin.mkdir(parents=True)
    status, detail, remedy = found()
    assert (status, detail) == ("problem", f"{profile.plugin} is there already and is not ours")
    assert "Move it away" in remedy


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_settings_that_cannot_be_read(profile):
    install(profile)
    profile.settings.chmod(0)
    assert found()[0] == "problem"
    assert "cannot be read" in found()[1]


@pytest.mark.parametrize(
    ("kind", "folder", "settings"),
    [
        ("flatpak", ".var/app/org.kde.krita/data/krita", ".var/app/org.kde.krita/config/kritarc"),
        ("snap", "snap/krita/current/.local/share/krita", "snap/krita/current/.config/kritarc"),
    ],
)
def test_closed_rooms_are_said(home, kind, folder, settings):
    (home / folder).mkdir(parents=True)
    assert found()[0] == "missing"
    install(Profile(kind, home / folder, home / settings))
    assert found()[0] == "note"
    assert f"Krita from {kind.title()} may not be able to start the worker" in found()[1]


def test_each_krita_is_spoken_of(profile, home):
    (home / ".var/app/org.kde.krita/data/krita").mkdir(parents=True)
    subjects = [one.subject for one in check.findings()]
    assert subjects == ["Krita (system)", "Krita (flatpak)"]


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        (b"", None),
        (b"[other]\nenable_imgedit=true\n", None),
        (b"[python]\nenable_imgedit=true\n", True),
        (b"[python]\r\n enable_imgedit = True \r\n", True),
        (b"[python]\nenable_imgedit=true\n[python]\nenable_imgedit=false\n", False),
        (b"[python]\nenable_imgedit=\n", False),
    ],
)
def test_what_the_settings_say(settings, wanted):
    assert is_on(settings, "imgedit") is wanted
