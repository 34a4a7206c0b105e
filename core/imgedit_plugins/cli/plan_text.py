"""An edit plan in words and columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from imgedit_plugins.cli.terminal import print_table
from imgedit_plugins.wording import abstention, value_text

if TYPE_CHECKING:
    from imgedit_plugins.plan import EditPlan, PlannedOperation, Residual


def print_plan(plan: EditPlan) -> None:
    """Print the explanation, the steps with their confidence, and what is left."""
    if plan.abstained:
        click.echo(abstention(plan))
        return
    if plan.explanation:
        click.echo(plan.explanation)
    if plan.operations:
        rows = [
            (number, step.name, parameters_text(step), f"{step.confidence:.0%}")
            for number, step in enumerate(plan.operations, 1)
        ]
        print_table(("#", "operation", "parameters", "confidence"), rows)
    elif not plan.explanation:
        click.echo("The plan changes nothing.")
    if plan.residual:
        click.echo(residual_text(plan.residual))
    if plan.provenance:
        made = plan.provenance
        click.echo(f"By {made.plugin} {made.version} ({made.model}).")


def parameters_text(step: PlannedOperation) -> str:
    """'offset 50 code'; '' where there are none."""
    return ", ".join(
        f"{p.name} {value_text(step.parameters[p.name])}{_unit(p.unit)}"
        for p in step.operation.parameters
        if p.name in step.parameters and not (p.optional and step.parameters[p.name] == p.neutral)
    )


def residual_text(residual: Residual) -> str:
    """How much of the edit the plan explains, as a sentence."""
    # 99.96 % must not read as all of it.
    share = f"{min(residual.explained * 100, 100.0):.4g}"
    if share == "100" and residual.explained < 1.0:
        share = "more than 99.99"
    left = "nothing is left" if residual.psnr_db is None else f"PSNR {residual.psnr_db:.1f} dB"
    return f"The plan explains {share} % of the edit; {left}."


def _unit(unit: str) -> str:
    return unit if unit in ("", "°", "×", "%") else f" {unit}"
