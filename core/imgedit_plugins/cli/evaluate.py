"""`imgedit-plugins evaluate PLUGIN --data FOLDER`: tables of figures."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imgedit_plugins.cli import common
from imgedit_plugins.cli.terminal import print_json, print_table, running_job

if TYPE_CHECKING:
    from imgedit_plugins.requests import EvaluateReport


@click.command("evaluate")
@common.plugin_argument
@click.option("--data", required=True, type=common.FilePath, help="Folder of the data set.")
@common.hook_options
@common.seed_option
@click.option(
    "--baseline", is_flag=True, help="Print published figures beside, where the plugin has some."
)
@click.option("-o", "--out", type=common.FilePath, help="Write all figures to this JSON file.")
@click.option(
    "--report", type=common.FilePath, help="Write an HTML page with the worst cases as pictures."
)
@click.option(
    "--worst",
    type=click.IntRange(0, 1000),
    metavar="N",
    default=12,
    help="So many cases of each method in the report [12].",
)
@common.json_option
def command(  # noqa: PLR0913 - one for each option
    *,
    plugin: str,
    data: Path,
    options: tuple[str, ...],
    seed: int,
    baseline: bool,
    out: Path | None,
    report: Path | None,
    worst: int,
    as_json: bool,
) -> None:
    """Score PLUGIN on a data set and print tables."""
    _check_outputs(out, report)
    given = common.parse_assignments(options)
    resolved = common.resolve_for("evaluate", frozenset({"data"}), plugin, given)
    from imgedit_plugins.requests import EvaluateRequest

    request = EvaluateRequest(
        data=data,
        baseline=baseline,
        worst=worst if report else 0,
        options=resolved,
        seed=seed,
    )
    with running_job() as job:
        found: EvaluateReport = common.plugin_manager().call("evaluate", request, job, plugin)
    if out:
        figures = json.dumps(found.model_dump(mode="json"), indent=2, ensure_ascii=False)
        common.write_output(out, figures + "\n")
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        _print(found)
    if report:
        _write_report(report, found, plugin, data)


def _check_outputs(out: Path | None, report: Path | None) -> None:
    """Before the work, not after hours of it."""
    if out and out == report:
        raise click.UsageError("--out and --report name the same file.")
    for path in (out, report):
        if path and (path.is_dir() or not path.parent.is_dir()):
            told = "is a folder" if path.is_dir() else "lies in a folder that does not exist"
            raise click.UsageError(f"{path} {told}; name a file in a folder that exists.")


def _write_report(path: Path, report: EvaluateReport, plugin: str, data: Path) -> None:
    from imgedit_plugins.evaluation_page import write_evaluation

    name = data.resolve().name or str(data)
    made_by = shlex.join(["imgedit-plugins", *sys.argv[1:]])
    write_evaluation(path, report, title=f"{plugin} on {name}", made_by=made_by)


def _print(report: EvaluateReport) -> None:
    for number, table in enumerate(report.tables):
        if number:
            click.echo()
        click.echo(table.title)
        print_table(table.columns, table.rows, indent="  ")
