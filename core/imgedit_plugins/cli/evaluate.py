"""`imgedit-plugins evaluate PLUGIN --data FOLDER`: tables of figures."""

from __future__ import annotations

import json
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
@click.option("-o", "--out", type=common.FilePath, help="Write all figures to this JSON file.")
@common.json_option
def command(
    *,
    plugin: str,
    data: Path,
    options: tuple[str, ...],
    seed: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Score PLUGIN on a data set and print tables."""
    given = common.parse_assignments(options)
    resolved = common.resolve_for("evaluate", frozenset({"data"}), plugin, given)
    from imgedit_plugins.requests import EvaluateRequest

    request = EvaluateRequest(data=data, options=resolved, seed=seed)
    with running_job() as job:
        report: EvaluateReport = common.plugin_manager().call("evaluate", request, job, plugin)
    if out:
        figures = json.dumps(report.model_dump(mode="json"), indent=2, ensure_ascii=False)
        common.write_output(out, figures + "\n")
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        _print(report)


def _print(report: EvaluateReport) -> None:
    for number, table in enumerate(report.tables):
        if number:
            click.echo()
        click.echo(table.title)
        print_table(table.columns, table.rows, indent="  ")
