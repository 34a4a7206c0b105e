"""The script that builds the root with the editors: what it says, and what it leaves behind."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def editors(tmp_path, monkeypatch):
    """scripts/editors.py on a Debian, as root, with an empty cache; no namespaces."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import editors

    monkeypatch.setenv("IMGEDIT_EDITORS", str(tmp_path / "cache"))
    monkeypatch.setattr(editors, "NAMESPACES", ())
    monkeypatch.setattr(editors, "_os_release", lambda: {"ID": "debian"})
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return editors


@pytest.fixture
def mmdebstrap(tmp_path, monkeypatch):
    """Puts a shell script in the place of mmdebstrap."""

    def install(text):
        program = tmp_path / "bin" / "mmdebstrap"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")

    return install


def files_below(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_other_packages_and_releases_get_other_folders(editors, monkeypatch):
    folders = {editors.place(suite).folder for suite in editors.SUITES}
    monkeypatch.setattr(editors, "_TOOLS", ("another-package",))
    folders |= {editors.place(suite).folder for suite in editors.SUITES}
    assert len(folders) == 2 * len(editors.SUITES)


def test_the_cache_is_where_the_user_wants_it(editors, monkeypatch, tmp_path):
    assert editors.place().folder.parent == tmp_path / "cache"
    monkeypatch.delenv("IMGEDIT_EDITORS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert editors.place().folder.parent == tmp_path / "xdg" / "imgedit-editors"
    assert editors.place("trixie", tmp_path / "mine").folder == tmp_path / "mine"


def test_krita_gets_what_its_plugins_import(editors):
    for suite in editors.SUITES.values():
        assert {"krita", "python3-pyqt5", "xvfb", "python3-venv"} <= set(suite.packages)
    assert "gimp" in editors.SUITES["trixie"].packages
    assert "gimp" not in editors.SUITES["bookworm"].packages  # GIMP 2.10


def test_ordinary_users_are_told_what_to_run(editors, monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(editors.SetupError, match="needs root: run `sudo python3 scripts/editors"):
        editors.build(editors.place())


@pytest.mark.parametrize("system", [{"ID": "fedora", "PRETTY_NAME": "Fedora 44"}, {}])
def test_other_systems_are_told_what_to_use(editors, monkeypatch, system):
    monkeypatch.setattr(editors, "_os_release", lambda: system)
    name = system.get("PRETTY_NAME", sys.platform)
    with pytest.raises(editors.SetupError, match=f"This is {name}, .* needs Debian or Ubuntu"):
        editors.build(editors.place())


def test_refused_namespaces_are_told(editors, monkeypatch):
    refused = "unshare: unshare failed: Operation not permitted\n"
    monkeypatch.setattr(editors, "_said", lambda command: (1, refused))
    with pytest.raises(editors.SetupError, match=r"refused here .*not permitted") as caught:
        editors.check_namespaces()
    assert "--privileged" in str(caught.value)


def test_check_answers_in_a_sentence_and_leaves_no_mount_behind():
    before = Path("/proc/mounts").read_text("utf-8")
    command = [sys.executable, str(SCRIPTS / "editors.py"), "check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert Path("/proc/mounts").read_text("utf-8") == before
    assert done.stdout == ""
    assert (done.returncode, done.stderr) == (0, "") or (
        done.returncode == 1 and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
    )


def test_derived_systems_will_do(editors, monkeypatch):
    monkeypatch.setattr(editors, "_os_release", lambda: {"ID": "mint", "ID_LIKE": "ubuntu debian"})
    editors.check_machine()


def test_a_failing_build_is_one_sentence_and_leaves_only_its_log(editors, mmdebstrap):
    mmdebstrap('mkdir -p "$9"/usr; echo "E: no such mirror." >&2; echo "I: cleaning"; exit 3')
    where = editors.place()
    with pytest.raises(editors.SetupError) as caught:
        editors.build(where)
    assert str(caught.value) == (
        f"mmdebstrap failed: no such mirror. All it said is in {where.folder / 'build.log'}."
    )
    assert files_below(where.folder) == ["build.log"]
    assert [path.name for path in where.folder.iterdir() if path.is_dir()] == ["mount"]


def test_an_interrupted_build_leaves_nothing_and_can_be_repeated(editors, mmdebstrap, monkeypatch):
    mmdebstrap("exec sleep 60")
    where, ended = editors.place(), []
    wait = subprocess.Popen.wait

    def interrupted(process, timeout=None):
        if not ended:
            ended.append(process)
            raise KeyboardInterrupt
        return wait(process, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        editors.build(where)
    assert ended[0].returncode == -9
    assert where.built() is None
    assert not where.system.exists()
    assert not list(where.folder.glob(".part-*"))


def test_a_folder_that_is_no_root_is_left_alone(editors, mmdebstrap):
    mmdebstrap("exit 9")
    where = editors.place()
    where.system.mkdir(parents=True)
    (where.system / "mine.txt").write_text("precious")
    with pytest.raises(editors.SetupError, match="was not built by this script: move it away"):
        editors.build(where)
    assert (where.system / "mine.txt").read_text() == "precious"


def test_what_is_built_is_not_built_again(editors, mmdebstrap):
    mmdebstrap("exit 9")
    where = editors.place()
    where.folder.mkdir(parents=True)
    where.note.write_text('{"suite": "trixie", "versions": {"gimp": "3.0.4"}}')
    assert editors.build(where).built() == {"gimp": "3.0.4"}


def test_run_without_a_root_says_how_to_build_it(editors, capsys):
    with pytest.raises(editors.SetupError, match="build --suite forky` first"):
        editors.main(["run", "--suite", "forky", "--", "true"])
    assert editors.main(["status"]) == 0
    assert "trixie: not built" in capsys.readouterr().out


@pytest.fixture
def removed(editors, monkeypatch):
    """The folders that would have been removed; none is."""
    calls = []
    monkeypatch.setattr(editors.shutil, "rmtree", calls.append)
    return calls


def test_only_unfinished_roots_are_ever_removed(editors, removed):
    where = editors.place()
    others = [where.folder, where.system, where.folder.parent, Path("/"), Path.home()]
    for folder in [*others, where.folder / ".part-x" / "usr", where.folder / ".part-x" / ".."]:
        with pytest.raises(editors.SetupError, match="is no unfinished root: it is left alone"):
            editors._remove_part(folder, where)
    assert removed == []


def test_nothing_is_removed_while_something_is_mounted_in_it(editors, removed, monkeypatch):
    where = editors.place()
    part = where.folder / ".part-x"
    mounts = f"none {part}/proc proc rw 0 0\n"
    read = Path.read_text
    monkeypatch.setattr(
        Path, "read_text", lambda p, *a: mounts if str(p) == "/proc/mounts" else read(p, *a)
    )
    with pytest.raises(editors.SetupError, match=f"{part}/proc is mounted"):
        editors._remove_part(part, where)
    assert removed == []
    mounts = f"none {part}-other/proc proc rw 0 0\n"
    editors._remove_part(part, where)
    assert removed == [part]
