"""Commands of other packages: listed without their code, and harmless when broken."""

from __future__ import annotations

import importlib
import itertools
import sys

import pytest
from click.testing import CliRunner

from imgedit_plugins.cli import COMMANDS, cli
from imgedit_plugins.foreign_commands import foreign_commands

GOOD = '''"""All about greetings."""
import click

@click.command("greet")
def command():
    """Greet whoever calls.

    More about it.
    """
    click.echo("hello")
'''

_numbers = itertools.count()


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a distribution with one command whose module has this code."""
    monkeypatch.syspath_prepend(tmp_path)

    def make(name, code, *, distribution="", attribute="command"):
        module = f"command_for_test_{next(_numbers)}"
        if code is not None:
            (tmp_path / f"{module}.py").write_text(code)
        distribution = distribution or f"dist_{name}"
        info = tmp_path / f"{distribution}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        )
        value = f"{module}:{attribute}"
        (info / "entry_points.txt").write_text(f"[imgedit_plugins.commands]\n{name} = {value}\n")
        importlib.invalidate_caches()
        return module

    return make


def invoke(*arguments):
    return CliRunner().invoke(cli, list(arguments), prog_name="imgedit-plugins")


def test_it_is_listed_by_its_docstring_and_not_imported(install):
    module = install("greet", GOOD)
    told = invoke("--help")
    assert told.exit_code == 0
    assert "greet       Greet whoever calls." in told.output
    assert module not in sys.modules


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ('"""What it does."""\ncommand = 1', "What it does."),
        ("command = 1", "(from dist_greet)"),
        ("", "(from dist_greet)"),
    ],
)
def test_without_a_docstring_of_its_own_its_module_s_is_shown(install, code, shown):
    install("greet", code)
    assert f"greet       {shown}" in invoke("--help").output


def test_it_runs(install):
    module = install("greet", GOOD)
    assert invoke("greet").output == "hello\n"
    assert module in sys.modules
    assert invoke("greet", "--help").output.startswith("Usage: imgedit-plugins greet")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (None, "ModuleNotFoundError"),
        ("def broken(:", "SyntaxError"),
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        ("raise SystemExit(5)", "SystemExit"),
        ("other = 1", "AttributeError"),
        ("command = 1", "is no click command, but int"),
    ],
)
def test_a_broken_one_breaks_nothing_else(install, code, said):
    install("broken", code)
    told = invoke("--help")
    assert told.exit_code == 0
    assert "broken" in told.output
    assert invoke("list").exit_code == 0
    failed = invoke("broken")
    assert failed.exit_code == 1
    assert said in failed.stderr
    assert failed.stderr.startswith("Error: The command 'broken' of dist_broken ")
    assert len(failed.stderr.splitlines()) == 1


def test_ours_keep_their_names(install):
    install("list", GOOD)
    assert COMMANDS["list"] in invoke("--help").output
    assert invoke("list").output != "hello\n"


def test_of_two_with_one_name_the_first_distribution_has_it(install):
    install("greet", GOOD.replace("hello", "second"), distribution="b_dist")
    install("greet", GOOD, distribution="a_dist")
    assert invoke("greet").output == "hello\n"
    assert foreign_commands()["greet"].dist.name == "a_dist"


def test_a_near_miss_suggests_it_too(install):
    install("greet", GOOD)
    assert "Did you mean 'greet'?" in invoke("gret").stderr


def test_our_own_commands_do_not_look_for_others(install, monkeypatch):
    install("greet", GOOD)
    monkeypatch.setattr(
        "imgedit_plugins.foreign_commands.foreign_commands", lambda: pytest.fail("looked")
    )
    assert invoke("list").exit_code == 0
