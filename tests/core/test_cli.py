"""The program as a whole: helps, exit codes, errors, interruption, pipes, terminals, completion."""

from __future__ import annotations

import importlib
import json
import os
import pty
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest
from cli_plugin import CODE, MANIFEST, PROGRAM, environment, run_program, write_picture
from click.testing import CliRunner
from plugin_factory import Site

import imgedit_plugins.cli
from imgedit_plugins import __version__
from imgedit_plugins.cli import COMMANDS, cli
from imgedit_plugins.errors import OptionError, PictureReadError
from imgedit_plugins.picture_files import open_picture

HEAVY = [
    "torch",
    "transformers",
    "diffusers",
    "cv2",
    "numpy",
    "pydantic",
    "jinja2",
    "pyvips",
    "PIL",
]

REPORT_MODULES = f"""
import sys
from imgedit_plugins.cli import cli
try:
    cli(sys.argv[1:], prog_name="imgedit-plugins")
finally:
    print([m for m in {HEAVY!r} + ["imgedit_plugins.plan"] if m in sys.modules], file=sys.stderr)
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setenv("IMGEDIT_PLUGINS", "tested,broken")
    made = Site(folder, monkeypatch)
    made.install("tested", code=CODE, manifest=MANIFEST)
    return made


@pytest.fixture
def photo(tmp_path):
    return write_picture(tmp_path / "photo.png")


def test_helps_of_the_table_are_those_of_the_commands():
    folder = Path(imgedit_plugins.cli.__file__).parent
    helpers = {"__init__", "__main__", "common", "terminal", "plan_text", "apply_run", "op_syntax"}
    helpers |= {"bake"}  # a command of `plan`
    modules = {name: imgedit_plugins.cli._MODULES.get(name, name) for name in COMMANDS}
    assert {path.stem for path in folder.glob("*.py")} - helpers == set(modules.values())
    for name, text in COMMANDS.items():
        command = importlib.import_module(f"imgedit_plugins.cli.{modules[name]}").command
        assert command.name == name
        assert text.endswith(".")
        assert len(text) <= 66, "has to fit beside the name in 80 columns"
        shown = CliRunner().invoke(cli, [name, "--help"])
        assert shown.exit_code == 0, shown.output
        assert len(shown.stdout.splitlines()) > 3


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["list", "--json"], ["--version"]])
def test_looking_around_imports_nothing_heavy(site, arguments):
    site.install("broken", code="import numpy, cv2", manifest="schema = 1")
    result = run_program(site.folder, *arguments, python=REPORT_MODULES)
    assert result.returncode == 0, result.stderr
    assert result.stderr.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"list"}))
def test_help_of_a_command_imports_nothing_heavy(site, name):
    result = run_program(site.folder, name, "--help", python=REPORT_MODULES)
    assert result.returncode == 0, result.stderr
    assert result.stderr.splitlines()[-1] == "[]"


def test_group_help_imports_no_command(site):
    code = (
        "import sys; from imgedit_plugins.cli import cli\n"
        "try: cli(['--help'])\n"
        "finally: print([m for m in sys.modules if m.startswith('imgedit_plugins.cli.')],"
        " file=sys.stderr)"
    )
    assert run_program(site.folder, python=code).stderr.strip() == "[]"


def test_version():
    assert CliRunner().invoke(cli, ["--version"]).output == f"imgedit-plugins {__version__}\n"


def test_unknown_command_is_wrong_usage_and_suggests():
    result = CliRunner().invoke(cli, ["predcit"])
    assert result.exit_code == 2
    assert "Did you mean 'predict'?" in result.stderr


# --- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (PictureReadError("It is gone.", hint="Look elsewhere."), 1, "It is gone. Look elsewhere."),
        (OptionError("Wrong."), 2, "Wrong."),
    ],
)
def test_errors_are_one_sentence_and_a_code(monkeypatch, error, code, said):
    def fail():
        raise error

    monkeypatch.setattr("imgedit_plugins.cli.listing.plugin_manager", fail)
    result = CliRunner().invoke(cli, ["list"])
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", f"Error: {said}\n")
    assert "Traceback" in CliRunner().invoke(cli, ["--debug", "list"]).stderr


def test_unexpected_errors_are_one_sentence_too(monkeypatch):
    def fail():
        raise ZeroDivisionError("never\nthought of")

    monkeypatch.setattr("imgedit_plugins.cli.listing.plugin_manager", fail)
    result = CliRunner().invoke(cli, ["list"])
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "(ZeroDivisionError: never thought of). Run again with --debug" in result.stderr
    assert "line" in CliRunner().invoke(cli, ["--debug", "list"]).stderr


def test_a_plugin_with_a_bug_is_named(site, photo):
    result = CliRunner().invoke(
        cli, ["predict", str(photo), "--instruction", "crash", "--plugin", "tested"]
    )
    assert result.exit_code == 1
    assert "'tested' was set aside" in result.stderr
    assert "a bug of the plugin" in result.stderr
    assert "Traceback" not in result.stderr


def test_trace_hooks(site, photo):
    arguments = ["predict", str(photo), "--instruction", "x"]
    traced = CliRunner().invoke(cli, ["--trace-hooks", *arguments])
    assert "predict_operations" in traced.stderr
    assert "predict_operations" not in CliRunner().invoke(cli, arguments).stderr


# --- interruption, pipes, terminals -----------------------------------------------------------


def test_ctrl_c_leaves_nothing_half_written(site, photo, tmp_path):
    before = sorted(tmp_path.iterdir())
    out, report = tmp_path / "plan.json", tmp_path / "report.html"
    arguments = ["predict", photo, "--instruction", "slow", "-o", out, "--report", report]
    _interrupt(site, arguments, when=b"searching")
    assert sorted(tmp_path.iterdir()) == before


def test_ctrl_c_keeps_the_pictures_that_are_done(site, photo, tmp_path):
    slow = write_picture(tmp_path / "slow.png", width=9)
    arguments = ["apply", photo, slow, "--instruction", "slow", "-o", tmp_path / "out"]
    _interrupt(site, [*arguments, "--jobs", "1"], when=b"slow.png: painting")
    left = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert left == [".imgedit-apply.jsonl", "photo.png"]
    assert open_picture(tmp_path / "out" / "photo.png").width == 8


def _interrupt(site, arguments, when: bytes) -> None:
    """Run on a terminal, press Ctrl-C when `when` appears, and look at how it ends."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, *arguments],
        env=environment(site.folder),
        stdout=subprocess.PIPE,
        stderr=terminal,
    )
    os.close(terminal)
    seen = _read_until(controller, when)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=20)
    seen += _read_until(controller, b"half written")
    os.close(controller)
    assert process.returncode == 130
    assert printed == b""
    assert b"Traceback" not in seen
    assert b"Interrupted" in seen


def test_closed_pipe_is_quiet(site):
    process = subprocess.Popen(
        [*PROGRAM, "operations", "--json"],
        env=environment(site.folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    process.wait(20)


def test_progress_on_a_terminal_and_none_in_a_pipe(site, photo):
    command = [*PROGRAM, "predict", photo, "--instruction", "x", "--json"]
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        command, env=environment(site.folder), stdout=subprocess.PIPE, stderr=terminal
    )
    os.close(terminal)
    printed, _ = process.communicate(timeout=30)
    seen = _read_until(controller, b"\x1b[K", wait=1)
    os.close(controller)
    assert process.returncode == 0
    assert b"searching [##########----------] 1/2" in seen
    assert seen.endswith(b"\r\x1b[K"), "the line is taken away at the end"
    assert json.loads(printed)["schema"] == "imgedit-plan/1"

    piped = run_program(site.folder, "predict", photo, "--instruction", "x", "--json")
    assert piped.stderr == ""


def test_warnings_go_to_stderr(site, photo):
    result = run_program(site.folder, "predict", photo, "--instruction", "warn", "--json")
    assert result.stderr == "Warning: The picture is small.\n"
    assert json.loads(result.stdout)["abstained"] is False


def _read_until(descriptor: int, wanted: bytes, wait: float = 20) -> bytes:
    seen, end = b"", time.monotonic() + wait
    while time.monotonic() < end:
        if select.select([descriptor], [], [], 0.1)[0]:
            try:
                seen += os.read(descriptor, 4096)
            except OSError:  # the program has closed the terminal
                return seen
        elif wanted in seen:
            return seen
        if wanted in seen and wait > 5:
            return seen
    return seen


# --- completion -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("pre", {"predict"}),
        ("describe te", {"tested"}),
        ("operations gray", {"grayscale"}),
        ("apply x.png --op sep", {"sepia"}),
        ("predict a b --option eff", {"effort="}),
        ("predict a b --option effort=", {"effort=quick", "effort=thorough"}),
        ("predict a b --rep", {"--report"}),
        ("data te", {"tested"}),
        ("data tested make", {"make-pairs"}),
        ("data tested make-pairs --co", {"--count"}),
        ("plan comp", {"compose", "compare"}),
    ],
)
def test_shell_completion(site, words, expected):
    line = f"imgedit-plugins {words}"
    completion = {
        "_IMGEDIT_PLUGINS_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - 1),
    }
    result = run_program(site.folder, env=completion)
    assert {entry.split(",", 1)[1] for entry in result.stdout.splitlines()} == expected
