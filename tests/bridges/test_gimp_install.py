"""`install gimp` and `uninstall gimp` on configuration folders of all kinds."""

import json
import os
import stat
import subprocess
import sys

import pytest
from click.testing import CliRunner

from imgedit_bridges import commands, plugin_folder
from imgedit_bridges.gimp import profiles
from imgedit_bridges.gimp.install import InstallError, install, uninstall
from imgedit_bridges.gimp.profiles import Profile, find_profiles
from imgedit_bridges.locations import read_record


@pytest.fixture
def profile(tmp_path):
    folder = tmp_path / "GIMP" / "3.0"
    folder.mkdir(parents=True)
    return Profile("system", folder)


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


# --- where ------------------------------------------------------------------------------------


def test_every_gimp_3_is_found(tmp_path):
    places = {
        "chosen": "mine",
        "system": ".config/GIMP/3.0",
        "flatpak": ".var/app/org.gimp.GIMP/config/GIMP/3.2",
        "snap": "snap/gimp/current/.config/GIMP/3.0",
    }
    for place in places.values():
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / ".config/GIMP/2.10").mkdir()
    found = find_profiles({"GIMP3_DIRECTORY": str(tmp_path / "mine")}, tmp_path, "linux")
    assert {one.kind: one.folder for one in found} == {
        kind: tmp_path / place for kind, place in places.items()
    }


def test_the_configuration_folder_may_be_elsewhere(tmp_path):
    (tmp_path / "cfg/GIMP/3.0").mkdir(parents=True)
    found = find_profiles({"XDG_CONFIG_HOME": str(tmp_path / "cfg")}, tmp_path, "linux")
    assert [one.folder for one in found] == [tmp_path / "cfg/GIMP/3.0"]


@pytest.mark.parametrize(
    ("platform", "place"),
    [
        ("win32", "AppData/Roaming/GIMP/3.0"),
        ("darwin", "Library/Application Support/GIMP/3.0"),
    ],
)
def test_other_systems_by_rule(tmp_path, platform, place):
    (tmp_path / place).mkdir(parents=True)
    assert [one.folder for one in find_profiles({}, tmp_path, platform)] == [tmp_path / place]


def test_windows_may_keep_them_elsewhere(tmp_path):
    (tmp_path / "roaming/GIMP/3.2").mkdir(parents=True)
    (tmp_path / ".config/GIMP/3.0").mkdir(parents=True)  # is looked for on other systems only
    found = find_profiles({"APPDATA": str(tmp_path / "roaming")}, tmp_path, "win32")
    assert found == [Profile("system", tmp_path / "roaming/GIMP/3.2")]
    assert found[0].prefix == ()
    assert found[0].script == tmp_path / "roaming/GIMP/3.2/plug-ins/imgedit/imgedit.py"


@pytest.mark.parametrize(
    ("platform", "place"),
    [
        ("linux", ".config/GIMP/2.10"),
        ("linux", ".var/app/org.gimp.GIMP/config/GIMP/2.10"),
        ("win32", "AppData/Roaming/GIMP/2.10"),
        ("darwin", "Library/Application Support/GIMP/2.10"),
    ],
)
def test_a_gimp_2_is_found_to_be_old(tmp_path, platform, place):
    (tmp_path / place).mkdir(parents=True)
    assert find_profiles({}, tmp_path, platform) == []
    assert profiles.find_old({}, tmp_path, platform) == [tmp_path / place]


def test_both_folders_of_snap_are_found(tmp_path):
    for part in ("current", "common"):
        (tmp_path / "snap/gimp" / part / ".config/GIMP/3.0").mkdir(parents=True)
    kinds = [one.kind for one in find_profiles({}, tmp_path, "linux")]
    assert kinds == ["snap", "snap"]


def test_one_folder_by_two_ways_is_one(tmp_path):
    (tmp_path / ".config/GIMP/3.0").mkdir(parents=True)
    chosen = {"GIMP3_DIRECTORY": str(tmp_path / ".config/GIMP/3.0")}
    assert [one.kind for one in find_profiles(chosen, tmp_path, "linux")] == ["chosen"]


def test_nothing_is_found_where_nothing_is(tmp_path):
    assert find_profiles({"GIMP3_DIRECTORY": str(tmp_path / "gone")}, tmp_path, "linux") == []


# --- installing -------------------------------------------------------------------------------


def test_the_plugin_is_whole_and_executable(profile):
    change = install(profile)
    assert change.what == "installed"
    assert set(change.files) == set(tree(profile.plugin))
    assert os.access(profile.plugin / "imgedit.py", os.X_OK)
    record = profile.plugin / "bridge.json"
    assert read_record(record).python == sys.executable
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    assert sorted(path.name for path in profile.folder.iterdir()) == ["plug-ins"]


def test_the_plugin_has_all_that_it_imports(profile, tmp_path):
    """In Python without this environment: what is missing there is missing in GIMP."""
    install(profile)
    modules = [name.removesuffix(".py").replace("/", ".") for name in tree(profile.plugin)
               if name.startswith("imgedit_bridges/")]  # fmt: skip
    assert {"imgedit_bridges.client", "imgedit_bridges.gimp.plugin_actions"} <= set(modules)
    binding = tmp_path / "binding" / "gi"
    binding.mkdir(parents=True)
    (binding / "__init__.py").write_text("def require_version(*_): pass", "utf-8")
    (binding / "repository.py").write_text(
        "from unittest.mock import MagicMock\n"
        "class Toolkit: __getattr__ = lambda self, name: type(name, (), {})\n"
        "Gdk, GdkPixbuf, Gegl, Gimp, Gio, GLib, GObject = (MagicMock() for _ in range(7))\n"
        "GimpUi, Gtk = Toolkit(), Toolkit()", "utf-8",
    )  # fmt: skip
    paths = f"import sys; sys.path[:0] = ['.', {str(binding.parent)!r}]"
    code = "import " + ", ".join(one.removesuffix(".__init__") for one in modules)
    command = [sys.executable, "-I", "-S", "-c", f"{paths}; {code}"]
    subprocess.run(command, cwd=profile.plugin, check=True)


def test_again_changes_nothing(profile):
    install(profile)
    before = (profile.plugin / "imgedit.py").stat().st_mtime_ns
    assert install(profile).what == "unchanged"
    assert (profile.plugin / "imgedit.py").stat().st_mtime_ns == before


@pytest.mark.parametrize("damage", ["changed", "missing", "not executable", "other python"])
def test_what_is_not_as_it_should_be_is_made_anew(profile, damage):
    install(profile)
    wanted = tree(profile.plugin)
    script = profile.plugin / "imgedit.py"
    if damage == "changed":
        script.write_text("print('old')", "utf-8")
    elif damage == "missing":
        script.unlink()
    elif damage == "not executable":
        script.chmod(0o644)
    else:
        install(profile, python="/other/python")
    assert install(profile).what == "updated"
    assert tree(profile.plugin) == wanted
    assert os.access(script, os.X_OK)


def test_a_dry_run_writes_nothing(profile):
    change = install(profile, dry_run=True)
    assert change.what == "installed"
    assert "imgedit.py" in change.files
    assert list(profile.folder.iterdir()) == []
    install(profile)
    before = tree(profile.folder)
    assert uninstall(profile, dry_run=True).what == "removed"
    assert tree(profile.folder) == before


def test_a_failure_half_way_leaves_the_old_one(profile, monkeypatch):
    install(profile, python="/old/python")
    before = tree(profile.folder)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(plugin_folder, "write_record", fail)
    with pytest.raises(InstallError, match="the disk is full"):
        install(profile)
    assert tree(profile.folder) == before


@pytest.mark.parametrize("act", [install, uninstall])
def test_somebody_elses_plugin_stays(profile, act):
    profile.plugin.mkdir(parents=True)
    (profile.plugin / "imgedit.py").write_text("theirs", "utf-8")
    with pytest.raises(InstallError, match="is not ours"):
        act(profile)
    assert tree(profile.plugin) == {"imgedit.py": b"theirs"}


@pytest.mark.parametrize("name", ["../outside", "/outside"])
def test_a_list_of_files_elsewhere_is_not_ours(profile, name):
    install(profile)
    (profile.plugin / "files.json").write_text(json.dumps({name: ""}), "utf-8")
    with pytest.raises(InstallError, match="is not ours"):
        uninstall(profile)


# --- removing ---------------------------------------------------------------------------------


def test_exactly_what_was_installed_is_removed(profile):
    (profile.folder / "plug-ins" / "other").mkdir(parents=True)
    (profile.folder / "gimprc").write_text("kept", "utf-8")
    before = tree(profile.folder)
    install(profile)
    cache = profile.plugin / "imgedit_bridges" / "__pycache__"
    cache.mkdir()
    (cache / "client.cpython-313.pyc").touch()
    assert uninstall(profile).what == "removed"
    assert tree(profile.folder) == before
    assert not profile.plugin.exists()
    assert uninstall(profile).what == "absent"


def test_what_others_added_stays(profile):
    install(profile)
    (profile.plugin / "notes.txt").write_text("mine", "utf-8")
    change = uninstall(profile)
    assert change.kept == ("notes.txt",)
    assert tree(profile.plugin) == {"notes.txt": b"mine"}


# --- the commands -----------------------------------------------------------------------------


def call(command, *arguments):
    return CliRunner().invoke(command, ["gimp", *arguments])


def test_the_commands_say_what_they_do(profile):
    chosen = ("--profile", str(profile.folder))
    told = call(commands.install, *chosen, "--dry-run").output
    assert "would be installed in" in told
    assert "imgedit_bridges/client.py" in told
    assert "installed in" in call(commands.install, *chosen).output
    assert "up to date in" in call(commands.install, *chosen).output
    assert "removed from" in call(commands.uninstall, *chosen).output
    assert "not in" in call(commands.uninstall, *chosen).output


def test_the_commands_speak_json(profile):
    done = call(commands.install, "--profile", str(profile.folder), "--json")
    [told] = json.loads(done.output)
    assert told["what"] == "installed"
    assert told["folder"] == str(profile.plugin)


def test_without_gimp_a_sentence_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("GIMP3_DIRECTORY", raising=False)
    error = call(commands.install).exception
    assert isinstance(error, InstallError)
    assert "Start GIMP 3 once" in str(error)


def test_flatpak_is_told_its_limits(profile, monkeypatch):
    monkeypatch.setattr(profiles, "find_profiles", lambda: [Profile("flatpak", profile.folder)])
    told = call(commands.install).output
    assert "flatpak override --user --talk-name=org.freedesktop.Flatpak org.gimp.GIMP" in told
    record = read_record(profile.plugin / "bridge.json")
    assert record.command == ("flatpak-spawn", "--host", sys.executable)


def test_snap_is_told_its_limits(profile, monkeypatch):
    monkeypatch.setattr(profiles, "find_profiles", lambda: [Profile("snap", profile.folder)])
    assert "Snap may not start programs of your system" in call(commands.install).output
