"""`imgedit-plugins train PLUGIN --data FOLDER -o RUN`: a run folder, resumable."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imgedit_plugins.cli import common
from imgedit_plugins.cli.terminal import print_json, print_table, running_job

if TYPE_CHECKING:
    from imgedit_plugins.requests import TrainReport


@click.command("train")
@common.plugin_argument
@click.option("--data", required=True, type=common.FilePath, help="Folder of the data set.")
@click.option("-o", "--out", required=True, type=common.FilePath, help="Run folder to write.")
@common.hook_options
@common.seed_option
@common.json_option
def command(
    *,
    plugin: str,
    data: Path,
    out: Path,
    options: tuple[str, ...],
    seed: int,
    as_json: bool,
) -> None:
    """Train PLUGIN's model on a data set.

    The same command goes on where an interrupted training stopped. For several processes, `torchrun
    --nproc-per-node N -m imgedit_plugins.cli train …`, if the plugin can.
    """
    given = common.parse_assignments(options)
    resolved = common.resolve_for("train", frozenset({"data"}), plugin, given)
    from imgedit_plugins.requests import TrainRequest

    request = TrainRequest(data=data, out=out, options=resolved, seed=seed)
    with running_job() as job:
        report: TrainReport = common.plugin_manager().call("train", request, job, plugin)
    if int(os.environ.get("RANK", "0")):  # of several processes one tells
        return
    if as_json:
        print_json(report.model_dump(mode="json"))
        return
    click.echo(f"The run is in {report.run}.")
    if report.metrics:
        print_table(("figure", "value"), list(report.metrics.items()), indent="  ")
