"""`imgedit-plugins plan bake`: a plan as a LUT for programs that know no plans."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imgedit_plugins.cli import common
from imgedit_plugins.cli.terminal import print_json, running_job

if TYPE_CHECKING:
    from imgedit_plugins.render.baking import Baked

_CURVES = "1d"
_CUBE_SIZES = ("33", "17", "65", _CURVES)  # the first one is the default
_HALD_LEVELS = ("8", "12", "16")
_FAR = 2.0  # codes of 8 bits; less is hard to see


@click.command("bake")
@click.argument("plan", type=click.Path(allow_dash=True))
@click.option("-o", "--out", type=common.FilePath, required=True, metavar="FILE",
              help="LOOK.cube, or LOOK.png for a HaldCLUT.")  # fmt: skip
@click.option("--size", type=click.Choice([*_CUBE_SIZES, *_HALD_LEVELS]),
              help=".cube: 17, 33 [default] or 65 colours a side, or 1d for one curve a channel; "
              ".png: level 8 [default], 12 or 16.")  # fmt: skip
@click.option("--strength", type=click.FloatRange(0, 200), default=100.0, metavar="PERCENT",
              help="How far to go, 0 to 200 [100].")  # fmt: skip
@click.option("--strict", is_flag=True, help="Fail where a step of the plan has to be left out.")
@common.json_option
def command(
    *, plan: str, out: Path, size: str | None, strength: float, strict: bool, as_json: bool
) -> None:
    """Write PLAN as a colour table: an Adobe .cube file or a HaldCLUT picture.

    A table holds what changes a pixel by its colour alone; other steps are left out and named.
    """
    choices = _choices(out)
    size = size or choices[0]
    if size not in choices:
        raise click.UsageError(f"A {out.suffix} takes --size {', '.join(choices)}, not {size}.")
    inputs = [] if plan == "-" else [Path(plan)]
    common.refuse_inputs(out, inputs)
    with running_job() as job:
        baked = _bake(plan, out, size, strength / 100, job)
        if strict:
            _refuse_left_out(baked)
        _write(baked, out, inputs, job)
        for name, why in baked.left_out:
            job.warn(f"{name!r} was left out: {why}.")
    if as_json:
        print_json(_as_data(baked, out))
    else:
        _tell(baked, out, size)


def _choices(out: Path) -> tuple[str, ...]:
    kinds = {".cube": _CUBE_SIZES, ".png": _HALD_LEVELS}
    found = kinds.get(out.suffix.lower())
    if found is None:
        raise click.UsageError(f"{out} is neither a .cube file nor a .png (HaldCLUT).")
    return found


def _bake(plan: str, out: Path, size: str, strength: float, job: Any) -> Baked:
    from imgedit_plugins.render.baking import bake

    read = common.read_plan_argument(plan)
    if size == _CURVES:
        return bake(read, None, strength=strength, job=job)
    side = int(size) if out.suffix.lower() == ".cube" else int(size) ** 2
    return bake(read, side, strength=strength, job=job)


def _refuse_left_out(baked: Baked) -> None:
    from imgedit_plugins.errors import PlanError

    if baked.left_out:
        told = "; ".join(f"{name!r}: {why}" for name, why in baked.left_out)
        raise PlanError(
            f"A colour table does not hold all of this plan ({told}).",
            hint="Without --strict these steps are left out.",
        )


def _write(baked: Baked, out: Path, inputs: list[Path], job: Any) -> None:
    if out.suffix.lower() == ".cube":
        common.write_output(out, baked.cube_text(), inputs=inputs)
        return
    from imgedit_plugins.picture_files import save_picture

    save_picture(baked.hald(), out, on_warning=job.warn)


def _as_data(baked: Baked, out: Path) -> dict[str, Any]:
    return {
        "out": str(out),
        "size": len(baked.table),
        "operations": [step.name for step in baked.plan.operations],
        "left_out": [{"name": name, "why": why} for name, why in baked.left_out],
        "deviation": {
            way: {"mean": apart.mean, "maximum": apart.maximum}
            for way, apart in baked.deviations.items()
        },
    }


def _tell(baked: Baked, out: Path, size: str) -> None:
    steps = ", ".join(step.name for step in baked.plan.operations)
    click.echo(f"{out}: {baked.size_in_words}, holds {steps}.")
    click.echo("Difference from the plan itself, in 8-bit codes:")
    for way, apart in baked.deviations.items():
        click.echo(f"  {way:<12} {apart}")
    if max(apart.maximum for apart in baked.deviations.values()) >= _FAR:
        _suggest(baked, out, size)


def _suggest(baked: Baked, out: Path, size: str) -> None:
    """What would come nearer to the plan, where something does."""
    choices = _choices(out)
    larger = max((choice for choice in choices if choice != _CURVES), key=int)
    if _CURVES in choices and baked.per_channel and size != _CURVES:
        click.echo(f"No step mixes channels: --size {_CURVES} comes nearer.")
    elif size not in (larger, _CURVES):
        click.echo(f"A larger table comes nearer: --size {larger}.")
