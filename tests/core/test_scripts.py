"""The scripts that set up an environment: what they say when something is in the way."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """scripts/environment.py, for a project in another folder."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    monkeypatch.delitem(sys.modules, "environment", raising=False)
    import environment

    (tmp_path / "pyproject.toml").write_text("[project]")
    (tmp_path / "dev.txt").write_text("a==1")
    (tmp_path / "torch.txt").write_text("t==1")
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setattr(environment, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(environment, "CONSTRAINTS", (tmp_path / "dev.txt", tmp_path / "torch.txt"))
    yield environment
    sys.modules.pop("environment")


@pytest.fixture
def installed(environment, monkeypatch):
    """Calls of pip, with a virtual environment that seems to work."""
    calls = []
    environment.VENV.mkdir()
    (environment.VENV / "pyvenv.cfg").write_text("version = 3.11")
    monkeypatch.setattr(environment, "_works", lambda _: True)
    monkeypatch.setattr(environment, "_install", lambda _, extra: calls.append(extra))
    return calls


def test_old_python(environment, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    with pytest.raises(environment.SetupError, match=r"This is Python 3\.9\.2, and .* 3\.11"):
        environment.prepare()


def test_debian_without_venv(environment, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "ensurepip" else find(name)
    )
    with pytest.raises(environment.SetupError, match=r"sudo apt install python3\.\d+-venv"):
        environment.prepare()


def test_a_folder_that_is_no_environment_is_left_alone(environment):
    environment.VENV.mkdir()
    (environment.VENV / "mine.txt").write_text("precious")
    with pytest.raises(environment.SetupError, match="no virtual environment: move it away"):
        environment.prepare()
    assert (environment.VENV / "mine.txt").is_file()


def test_installs_once_until_something_changes(environment, installed):
    for _ in range(2):
        environment.prepare()
    assert installed == [""]
    for _ in range(2):
        environment.prepare("dev")
    environment.prepare()
    assert installed == ["", "dev"]
    for file in environment.CONSTRAINTS:
        file.write_text("a==2")
        environment.prepare("dev")
        environment.prepare()
    assert installed == ["", "dev", "dev", "dev"]


def test_pip_failures_are_one_sentence(environment, monkeypatch):
    environment.VENV.mkdir()

    def failing(command, **_):
        told = "WARNING: x\nERROR: No matching distribution found for numpy==9.9.\n\nhint: y\n"
        return subprocess.CompletedProcess(command, 1, "", told)

    monkeypatch.setattr(subprocess, "run", failing)
    with pytest.raises(environment.SetupError) as caught:
        environment._install(Path("python"), "")
    assert "pip failed: No matching distribution found for numpy==9.9. All" in str(caught.value)
    assert "hint: y" in next(environment.VENV.glob("*.log")).read_text()


def test_exit_codes(environment, capsys):
    def broken():
        raise environment.SetupError("in the way")

    def interrupted():
        raise KeyboardInterrupt

    for work, code in ((broken, 1), (interrupted, 130), (lambda: 5, 5)):
        with pytest.raises(SystemExit) as caught:
            environment.exit_with(work)
        assert caught.value.code == code
    assert capsys.readouterr().err == "in the way\nInterrupted.\n"


def test_other_installations_stay_outside(environment, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("PATH", "/usr/bin")
    surroundings = environment.clean_environment()
    assert "PYTHONPATH" not in surroundings
    assert surroundings["PATH"].startswith(str(environment.VENV))
