"""`imgedit-plugins predict`: the plan behind an edit."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imgedit_plugins.cli import EXIT_ABSTAINED, common
from imgedit_plugins.cli.terminal import print_json, running_job

if TYPE_CHECKING:
    from imgedit_plugins.pictures import Picture
    from imgedit_plugins.plan import EditPlan
    from imgedit_plugins.requests import PredictRequest


@click.command("predict")
@click.argument("source", type=common.FilePath)
@click.argument("edited", type=common.FilePath, required=False)
@click.option("--instruction", metavar="TEXT", help="The edit in words.")
@common.plugin_option
@common.hook_options
@common.seed_option
@click.option("-o", "--out", type=common.FilePath, help="Write the plan to this JSON file.")
@click.option("--report", type=common.FilePath, help="Write an HTML page with pictures.")
@common.json_option
def command(  # noqa: PLR0913 - one for each option
    *,
    source: Path,
    edited: Path | None,
    instruction: str | None,
    plugin: str | None,
    options: tuple[str, ...],
    seed: int,
    out: Path | None,
    report: Path | None,
    as_json: bool,
) -> None:
    """Find the edit plan that leads from SOURCE to EDITED, or that an instruction asks for.

    Exits with 3 when no plan explains the edit.
    """
    if edited is None and instruction is None:
        raise click.UsageError("Give the EDITED picture, or the edit in words: --instruction TEXT.")
    inputs = [path for path in (source, edited) if path]
    _check_outputs(out, report, inputs)
    request = _request(
        source=source,
        edited=edited,
        instruction=instruction,
        plugin=plugin,
        options=common.parse_assignments(options),
        seed=seed,
    )
    started = time.perf_counter()
    plan = _predict(request, plugin)
    seconds = time.perf_counter() - started
    if out:
        common.write_output(out, plan.to_json(), inputs=inputs)
    if report:
        _write_report(report, request, plan, seconds, name=(edited or source).name)
    _show(plan, as_json=as_json)


def _check_outputs(out: Path | None, report: Path | None, inputs: list[Path]) -> None:
    """Before the work, not after it."""
    for path in (out, report):
        if path:
            common.refuse_inputs(path, inputs)
    if out and out == report:
        raise click.UsageError("--out and --report name the same file.")


def _request(
    *,
    source: Path,
    edited: Path | None,
    instruction: str | None,
    plugin: str | None,
    options: dict[str, str],
    seed: int,
) -> PredictRequest:
    names = {"source": source, "edited": edited, "instruction": instruction}
    inputs = frozenset(name for name, value in names.items() if value is not None)
    # Options are checked before pictures are decoded: a typing error should answer at once.
    resolved = common.resolve_for("predict_operations", inputs, plugin, options)
    from imgedit_plugins.picture_files import open_picture
    from imgedit_plugins.requests import PredictRequest

    with running_job() as job:
        pictures: dict[str, Picture | None] = {
            "source": open_picture(source, on_warning=job.warn),
            "edited": open_picture(edited, on_warning=job.warn) if edited else None,
        }
        request = PredictRequest(
            **pictures,  # type: ignore[arg-type]
            instruction=instruction,
            options=resolved,
            seed=seed,
        )
        return request.in_srgb(job.warn)  # the report, too, compares like with like


def _predict(request: PredictRequest, plugin: str | None) -> EditPlan:
    manager = common.plugin_manager()
    manager.vocabulary()  # the plan may use plugins' operations
    with running_job() as job:
        plan: EditPlan = manager.call("predict_operations", request, job, plugin)
    return plan


def _write_report(
    path: Path, request: PredictRequest, plan: EditPlan, seconds: float, *, name: str
) -> None:
    from imgedit_plugins.report import report_entry, write_report

    entry: Any = report_entry(name, request.source, request.edited, plan, seconds=seconds)
    write_report(path, [entry])


def _show(plan: EditPlan, *, as_json: bool) -> None:
    from imgedit_plugins.cli.plan_text import print_plan
    from imgedit_plugins.wording import abstention

    if as_json:
        print_json(plan.model_dump(mode="json", by_alias=True))
    elif not plan.abstained:
        print_plan(plan)
    if plan.abstained:
        click.echo(abstention(plan), err=True)
        raise click.exceptions.Exit(EXIT_ABSTAINED)
