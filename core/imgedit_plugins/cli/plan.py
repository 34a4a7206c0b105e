"""`imgedit-plugins plan`: edit plans as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imgedit_plugins.cli import EXIT_ERROR, EXIT_SOME_FAILED, bake, common
from imgedit_plugins.cli.terminal import print_json
from imgedit_plugins.errors import ImgeditError, PlanError

if TYPE_CHECKING:
    from imgedit_plugins.plan import EditPlan

_PlanFile = click.Path(allow_dash=True)


@click.group("plan")
def command() -> None:
    """Show, check, invert, compose and compare edit plans.

    PLAN is a JSON file, a picture that has a plan in its XMP metadata, an XMP sidecar file, or '-'
    for JSON on the standard input.
    """


@command.command("show")
@click.argument("plan", type=_PlanFile)
@common.json_option
def show(*, plan: str, as_json: bool) -> None:
    """Print a plan for people, or in its canonical JSON form."""
    from imgedit_plugins.cli.plan_text import print_plan

    read = common.read_plan_argument(plan)
    if as_json:
        click.echo(read.to_json(), nl=False)
    else:
        print_plan(read)


@command.command("validate")
@click.argument("plans", type=_PlanFile, nargs=-1, required=True, metavar="PLAN...")
@common.json_option
def validate(*, plans: tuple[str, ...], as_json: bool) -> None:
    """Check plans; name each fault and its place."""
    _stdin_once(plans)
    faults = {plan: _fault(plan) for plan in plans}
    bad = [error for error in faults.values() if error]
    if as_json:
        print_json([_verdict(plan, error) for plan, error in faults.items()])
    else:
        for plan, error in faults.items():
            told = str(error or "valid")  # an error about a file begins with the file's name
            named = told if told.startswith(f"{plan}:") else f"{plan}: {told}"
            click.echo(named, err=error is not None)
    if bad:
        raise click.exceptions.Exit(EXIT_SOME_FAILED if len(bad) < len(plans) else EXIT_ERROR)


@command.command("invert")
@click.argument("plan", type=_PlanFile)
@click.option("--exact", is_flag=True, help="Only what restores every pixel bit for bit.")
@click.option("-o", "--out", type=common.FilePath, help="Write to this file, not to stdout.")
def invert(*, plan: str, exact: bool, out: Path | None) -> None:
    """Print the plan that undoes PLAN."""
    from imgedit_plugins.plan_algebra import invert as inverted

    _write(inverted(common.read_plan_argument(plan), exact=exact), out, (plan,))


@command.command("compose")
@click.argument("plans", type=_PlanFile, nargs=-1, required=True, metavar="PLAN...")
@click.option("--simplify", is_flag=True, help="Leave out what changes nothing, merge turns.")
@click.option("-o", "--out", type=common.FilePath, help="Write to this file, not to stdout.")
def compose(*, plans: tuple[str, ...], simplify: bool, out: Path | None) -> None:
    """Print the plan that does all PLANs, one after another."""
    from imgedit_plugins import plan_algebra

    _stdin_once(plans)
    composed = plan_algebra.compose(*map(common.read_plan_argument, plans))
    _write(plan_algebra.simplify(composed) if simplify else composed, out, plans)


@command.command("compare")
@click.argument("first", type=_PlanFile)
@click.argument("second", type=_PlanFile)
@click.option(
    "--on", "picture", type=common.FilePath, required=True, help="Compare on this picture."
)
@click.option("--tolerance", type=click.IntRange(0, 255), default=1, show_default=True,
              help="Largest difference that counts as the same, in 8-bit codes.")  # fmt: skip
@common.json_option
def compare(*, first: str, second: str, picture: Path, tolerance: int, as_json: bool) -> None:
    """Tell whether two plans do the same to a picture; exits with 1 if they do not."""
    import dataclasses

    from imgedit_plugins.picture_files import open_picture
    from imgedit_plugins.plan_algebra import compare as compared

    _stdin_once((first, second))
    one, other = common.read_plan_argument(first), common.read_plan_argument(second)
    result = compared(one, other, open_picture(picture), tolerance=tolerance)
    if as_json:
        print_json(dataclasses.asdict(result))
    else:
        verdict = "The same" if result.equivalent else "Not the same"
        click.echo(
            f"{verdict}: the largest difference is {result.maximum}, "
            f"the mean {result.mean:.3g} (8-bit codes)."
        )
    if not result.equivalent:
        raise click.exceptions.Exit(EXIT_ERROR)


@command.command("schema")
@click.option("-o", "--out", type=common.FilePath, help="Write to this file, not to stdout.")
def schema(*, out: Path | None) -> None:
    """Print the JSON Schema of plans."""
    from imgedit_plugins.plan import plan_schema

    _emit(schema_text(plan_schema()), out, ())


command.add_command(bake.command)


def schema_text(data: dict[str, Any]) -> str:
    """The schema as it is published in ``schemas/imgedit-plan-1.schema.json``."""
    import json

    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _stdin_once(plans: tuple[str, ...]) -> None:
    if plans.count("-") > 1:
        raise click.UsageError("The standard input can be read once only.")


def _fault(plan: str) -> ImgeditError | None:
    try:
        common.read_plan_argument(plan)
    except ImgeditError as error:
        return error
    return None


def _verdict(plan: str, error: ImgeditError | None) -> dict[str, Any]:
    problems = error.problems if isinstance(error, PlanError) else ()
    return {
        "plan": plan,
        "valid": error is None,
        "error": str(error) if error else None,
        "problems": [{"place": place, "what": what} for place, what in problems],
    }


def _write(plan: EditPlan, out: Path | None, inputs: tuple[str, ...]) -> None:
    _emit(plan.to_json(), out, inputs)


def _emit(text: str, out: Path | None, inputs: tuple[str, ...]) -> None:
    if out is None:
        click.echo(text, nl=False)
    else:
        common.write_output(out, text, inputs=[Path(i) for i in inputs if i != "-"])
