"""The extension gets into Krita's folders, and out of them again: folders of all kinds."""

import ast
import json
import os
import stat
import subprocess
import sys

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from imgedit_bridges import commands, plugin_folder
from imgedit_bridges.krita import install as installing
from imgedit_bridges.krita.install import (
    InstallError,
    Profile,
    chosen_profile,
    find_profiles,
    install,
    uninstall,
)
from imgedit_bridges.krita.kritarc import switched_off, switched_on
from imgedit_bridges.locations import read_record


@pytest.fixture
def profile(tmp_path):
    folder = tmp_path / ".local" / "share" / "krita"
    folder.mkdir(parents=True)
    settings = tmp_path / ".config" / "kritarc"
    settings.parent.mkdir()
    return Profile("system", folder, settings)


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


# --- where ------------------------------------------------------------------------------------


def test_every_krita_is_found(tmp_path):
    places = {
        "system": (".local/share/krita", ".config/kritarc"),
        "flatpak": (
            ".var/app/org.kde.krita/data/krita",
            ".var/app/org.kde.krita/config/kritarc",
        ),
        "snap": ("snap/krita/current/.local/share/krita", "snap/krita/current/.config/kritarc"),
    }
    for folder, _ in places.values():
        (tmp_path / folder).mkdir(parents=True)
    found = find_profiles({}, tmp_path, "linux")
    assert {one.kind: (one.folder, one.settings) for one in found} == {
        kind: (tmp_path / folder, tmp_path / settings)
        for kind, (folder, settings) in places.items()
    }
    for one in found:
        assert chosen_profile(one.folder, {}, tmp_path, "linux") == one


@pytest.mark.parametrize(
    ("platform", "folder", "settings"),
    [
        ("win32", "AppData/Roaming/krita", "AppData/Local/kritarc"),
        ("darwin", "Library/Application Support/krita", "Library/Preferences/kritarc"),
    ],
)
def test_other_systems_by_rule(tmp_path, platform, folder, settings):
    (tmp_path / folder).mkdir(parents=True)
    [found] = find_profiles({}, tmp_path, platform)
    assert (found.folder, found.settings) == (tmp_path / folder, tmp_path / settings)


def test_folders_may_be_elsewhere(tmp_path):
    (tmp_path / "data/krita").mkdir(parents=True)
    environ = {"XDG_DATA_HOME": str(tmp_path / "data"), "XDG_CONFIG_HOME": str(tmp_path / "cfg")}
    [found] = find_profiles(environ, tmp_path, "linux")
    assert found == Profile("system", tmp_path / "data/krita", tmp_path / "cfg/kritarc")


@pytest.mark.parametrize(
    ("folder", "settings"),
    [
        ("a/.local/share/krita", "a/.config/kritarc"),
        ("b/data/krita", "b/config/kritarc"),
        ("c/other", ".config/kritarc"),
    ],
)
def test_a_chosen_folder_has_its_settings_beside_it(tmp_path, folder, settings):
    found = chosen_profile(tmp_path / folder, {}, tmp_path, "linux")
    assert (found.kind, found.settings) == ("chosen", tmp_path / settings)


def test_nothing_is_found_where_nothing_is(tmp_path):
    assert find_profiles({}, tmp_path, "linux") == []


# --- kritarc ----------------------------------------------------------------------------------

ON = b"[python]\nenable_imgedit=true\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", ON),
        (b"[python]\n", ON),
        (b"a=1\n[x]\nb=2", b"a=1\n[x]\nb=2\n\n" + ON),
        (b"a=1\r\n", b"a=1\r\n\r\n[python]\r\nenable_imgedit=true\r\n"),
        (b"[python]\nenable_imgedit=false\nenable_x=true\n", ON + b"enable_x=true\n"),
        (b"[python]\n enable_imgedit = true \n", b"[python]\n enable_imgedit = true \n"),
        (b"[python]\nenable_x=true\n[y]\nenable_imgedit=false\n",
         b"[python]\nenable_imgedit=true\nenable_x=true\n[y]\nenable_imgedit=false\n"),
        (b"[python]\nenable_imgedit=true\n[python]\nenable_imgedit=false\n", ON + ON),
        (b"[python][sub]\nenable_imgedit=false\n",
         b"[python][sub]\nenable_imgedit=false\n\n" + ON),
        (b"\xff\xfe\n[python]\n\xe4=1\n", b"\xff\xfe\n" + ON + b"\xe4=1\n"),
    ],
)  # fmt: skip
def test_it_is_switched_on_and_nothing_else_is_touched(before, after):
    assert switched_on(before, "imgedit") == after
    assert switched_on(after, "imgedit") == after


_LINES = st.lists(
    st.sampled_from(
        ["[python]", "[other]", "enable_x=false", "a=1", "# note", "", "enable_imgedit_2=true"]
    )
)


@given(_LINES, st.sampled_from(["\n", "\r\n"]))
def test_switching_on_and_off_leaves_the_rest(lines, end):
    before = "".join(line + end for line in lines).encode()
    after = switched_off(switched_on(before, "imgedit"), "imgedit")
    header = b"" if "[python]" in lines else b"[python]" + (end.encode() if before else b"\n")
    gap = end.encode() if header and before else b""
    assert after == before + gap + header


# --- installing -------------------------------------------------------------------------------


def test_the_extension_is_whole_and_switched_on(profile):
    change = install(profile)
    assert change.what == "installed"
    there = set(tree(profile.plugin))
    assert there == set(change.files) - {"../imgedit.desktop", str(profile.settings)}
    record = profile.plugin / "bridge.json"
    assert read_record(record).python == sys.executable
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    assert b"X-KDE-Library=imgedit\n" in profile.desktop.read_bytes()
    assert profile.settings.read_bytes() == ON
    assert [path.name for path in profile.folder.iterdir()] == ["pykrita"]


def test_the_extension_has_all_that_it_imports(profile):
    """In Python without this environment: what is missing there is missing in Krita."""
    install(profile)
    with_krita = {
        "actions", "canvas", "closing", "docker", "docker_engine", "engine", "extension", "hooks",
        "kept", "looking", "placing", "plugin_menu", "showing", "undoing",
    }  # fmt: skip
    with_qt = {
        "add_step", "background", "curve_picture", "dialogs", "option_dialog", "option_fields",
        "pane", "pane_parts", "parameter_row", "plan_view", "previews", "qt", "session",
        "step_row", "style", "trying", "turns", "waiting",
    }  # fmt: skip
    modules = [
        name.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        for name in tree(profile.plugin)
        if name.startswith("imgedit_bridges/") and name.endswith(".py")
    ]
    free = [one for one in modules if one.split(".")[-1] not in with_krita | with_qt]
    assert {"imgedit_bridges.client", "imgedit_bridges.krita.holdings"} <= set(free)
    command = [sys.executable, "-I", "-S", "-c",
               f"import sys; sys.path.insert(0, '.'); import {', '.join(free)}"]  # fmt: skip
    subprocess.run(command, cwd=profile.plugin, check=True)
    for module in set(modules) - set(free):
        path = profile.plugin / f"{module.replace('.', '/')}.py"
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("imgedit_bridges"):
                inside = [f"{node.module}.{name.name}" for name in node.names]
                assert node.module in modules, (module, node.module)
                packages = ("imgedit_bridges", "imgedit_bridges.krita")
                assert node.module not in packages or set(inside) <= set(modules), module


def test_again_changes_nothing(profile):
    install(profile)
    places = (profile.plugin / "__init__.py", profile.settings, profile.desktop)
    before = [path.stat().st_mtime_ns for path in places]
    assert install(profile).what == "unchanged"
    assert [path.stat().st_mtime_ns for path in places] == before


@pytest.mark.parametrize(
    "damage", ["changed", "missing", "other python", "switched off", "no desktop"]
)
def test_what_is_not_as_it_should_be_is_made_anew(profile, damage):
    install(profile)
    wanted = tree(profile.folder)
    script = profile.plugin / "__init__.py"
    if damage == "changed":
        script.write_text("print('old')", "utf-8")
    elif damage == "missing":
        script.unlink()
    elif damage == "switched off":
        profile.settings.write_bytes(b"[python]\nenable_imgedit=false\n")
    elif damage == "no desktop":
        profile.desktop.unlink()
    else:
        install(profile, python="/other/python")
    assert install(profile).what == "updated"
    assert tree(profile.folder) == wanted
    assert profile.settings.read_bytes() == ON


def test_a_dry_run_writes_nothing(profile):
    change = install(profile, dry_run=True)
    assert change.what == "installed"
    assert {"__init__.py", "../imgedit.desktop", str(profile.settings)} <= set(change.files)
    assert list(profile.folder.iterdir()) == []
    assert not profile.settings.exists()
    install(profile)
    before = tree(profile.folder)
    assert uninstall(profile, dry_run=True).what == "removed"
    assert tree(profile.folder) == before
    assert profile.settings.read_bytes() == ON


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
def test_somebody_elses_extension_stays(profile, act):
    profile.plugin.mkdir(parents=True)
    (profile.plugin / "__init__.py").write_text("theirs", "utf-8")
    with pytest.raises(InstallError, match="is not ours"):
        act(profile)
    assert tree(profile.folder) == {"pykrita/imgedit/__init__.py": b"theirs"}


def test_settings_behind_a_link_keep_link_and_permissions(profile, tmp_path):
    real = tmp_path / "dotfiles"
    real.write_bytes(b"[python]\n")
    real.chmod(0o640)
    profile.settings.symlink_to(real)
    install(profile)
    assert profile.settings.is_symlink()
    assert real.read_bytes() == ON
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_settings_that_cannot_be_read_are_told(profile):
    profile.settings.write_bytes(b"[python]\n")
    profile.settings.chmod(0)
    with pytest.raises(InstallError, match="cannot be read"):
        install(profile)


# --- removing ---------------------------------------------------------------------------------


def test_exactly_what_was_installed_is_removed(profile):
    other = profile.folder / "pykrita" / "other"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("kept", "utf-8")
    profile.settings.write_bytes(b"[python]\nenable_other=true\n")
    before = tree(profile.folder)
    install(profile)
    cache = profile.plugin / "imgedit_bridges" / "__pycache__"
    cache.mkdir()
    (cache / "client.cpython-313.pyc").touch()
    assert uninstall(profile).what == "removed"
    assert tree(profile.folder) == before
    assert profile.settings.read_bytes() == b"[python]\nenable_other=true\n"
    assert uninstall(profile).what == "absent"


def test_what_others_added_stays(profile):
    install(profile)
    (profile.plugin / "notes.txt").write_text("mine", "utf-8")
    change = uninstall(profile)
    assert change.kept == ("notes.txt",)
    assert tree(profile.plugin) == {"notes.txt": b"mine"}


# --- the commands -----------------------------------------------------------------------------


def call(command, *arguments):
    return CliRunner().invoke(command, ["krita", *arguments])


def test_the_commands_say_what_they_do(profile):
    chosen = ("--profile", str(profile.folder))
    told = call(commands.install, *chosen, "--dry-run").output
    assert "The plug-in would be installed in" in told
    assert "imgedit_bridges/client.py" in told
    assert "is installed in" in call(commands.install, *chosen).output
    assert profile.settings.read_bytes() == ON
    assert "is up to date in" in call(commands.install, *chosen).output
    assert "is removed from" in call(commands.uninstall, *chosen).output
    assert "is not in" in call(commands.uninstall, *chosen).output


def test_the_commands_speak_json(profile):
    done = call(commands.install, "--profile", str(profile.folder), "--json")
    [told] = json.loads(done.output)
    assert told["what"] == "installed"
    assert told["folder"] == str(profile.plugin)


def test_without_krita_a_sentence_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    error = call(commands.install).exception
    assert isinstance(error, InstallError)
    assert "Start Krita once" in str(error)


def test_flatpak_is_told_its_limits(profile, monkeypatch):
    flatpak = Profile("flatpak", profile.folder, profile.settings)
    monkeypatch.setattr(installing, "find_profiles", lambda: [flatpak])
    assert "Flatpak may not be allowed" in call(commands.install).output
