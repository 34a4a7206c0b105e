"""`imgedit-plugins validate PACKAGE`: does a plugin keep the contract?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from imgedit_plugins.cli import EXIT_ERROR, common
from imgedit_plugins.cli.terminal import print_json, print_table

if TYPE_CHECKING:
    from imgedit_plugins.authoring.verdicts import Report


@click.command("validate")
@click.argument("package", shell_complete=common.complete_plugin)
@click.option("--instruction", metavar="TEXT", help="What to ask `apply_edit` for.")
@common.json_option
def command(*, package: str, instruction: str | None, as_json: bool) -> None:
    """Check an installed plugin: manifest, signatures, cost of listing, behaviour.

    PACKAGE is a plugin, a distribution, an import package or a project's folder.
    """
    from imgedit_plugins.authoring import validation

    report = validation.validate(package, instruction=instruction)
    if as_json:
        print_json(report.to_dict())
    else:
        _print(report)
    if not report.passed:
        raise click.exceptions.Exit(EXIT_ERROR)


def _print(report: Report) -> None:
    rows = [(c.plugin, c.verdict, c.name, c.reason) for c in report.checks]
    print_table(("plugin", "verdict", "check", "why"), rows)
    failed = sum(check.verdict == "fail" for check in report.checks)
    click.echo(f"{failed} of {len(report.checks)} checks failed." if failed else "Passed.")
