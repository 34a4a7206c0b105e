"""`imgedit-plugins apply`: edit one or several pictures."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imgedit_plugins.cli import EXIT_ABSTAINED, EXIT_SOME_FAILED, common, unexpected
from imgedit_plugins.cli.terminal import print_json, running_job
from imgedit_plugins.errors import ImgeditError, JobCancelledError, PictureError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from imgedit_plugins.jobs import Job
    from imgedit_plugins.pictures import Picture
    from imgedit_plugins.plan import EditPlan
    from imgedit_plugins.requests import EditResult, Options

    Mask = NDArray[np.uint8]
    Edit = Callable[[Picture, Mask | None, Job], Picture]


class _AbstainedError(ImgeditError):
    """There is nothing to apply."""

    exit_code = EXIT_ABSTAINED


@dataclass(frozen=True)
class _Saving:
    """How results are saved."""

    overwrite: bool
    quality: int | None
    flatten: str | None


@click.command("apply")
@click.argument("pictures", nargs=-1, required=True, type=common.FilePath, metavar="PICTURE...")
@click.option("--plan", "plan_file", metavar="FILE", help="An edit plan; '-' reads it from stdin.",
              type=click.Path(allow_dash=True))  # fmt: skip
@click.option("--op", "operations", metavar="NAME[=VALUE]", multiple=True,
              shell_complete=common.complete_operation,
              help="Such as sepia, bright=50 or name=key:value,key:value; repeatable.")  # fmt: skip
@click.option("--instruction", metavar="TEXT", help="The edit in words, for a plugin.")
@common.plugin_option
@click.option("--mask", type=common.FilePath,
              help="Grey picture of the same size: black keeps, white edits.")  # fmt: skip
@common.seed_option
@common.hook_options
@click.option("-o", "--out", required=True, type=common.FilePath,
              help="A file for one picture, a folder for several (names are kept).")  # fmt: skip
@common.overwrite_option
@click.option("--quality", type=click.IntRange(1, 100), help="Of JPEG and WebP files.")
@click.option("--flatten", metavar="#RRGGBB", help="Colour behind transparent pixels in a JPEG.")
@common.json_option
def command(  # noqa: PLR0913 - one for each option
    *,
    pictures: tuple[Path, ...],
    plan_file: str | None,
    operations: tuple[str, ...],
    instruction: str | None,
    plugin: str | None,
    mask: Path | None,
    seed: int,
    options: tuple[str, ...],
    out: Path,
    overwrite: bool,
    quality: int | None,
    flatten: str | None,
    as_json: bool,
) -> None:
    """Edit pictures by a plan, by operations or by an instruction.

    Several pictures go into the folder OUT; a bad one does not stop the others (exit code 4).
    """
    _one_of(plan_file, operations, instruction)
    if options and plugin is None and instruction is None:
        raise click.UsageError("--option is for a plugin: add --plugin or --instruction.")
    targets = _targets(pictures, out)
    _refuse_existing(targets, overwrite=overwrite)
    plan = _plan(plan_file, operations)
    if instruction is None and plugin is None and plan is not None:
        edit = _by_plan(plan)
    else:
        given = common.parse_assignments(options)
        inputs = _inputs(plan, instruction, mask)
        resolved = common.resolve_for("apply_edit", inputs, plugin, given)
        edit = _by_plugin(plan, instruction, plugin, resolved, seed)
    if len(targets) > 1 or out.is_dir() or _looks_like_folder(out):
        _make_folder(targets[0][1].parent)
    _run(targets, edit, mask, _Saving(overwrite, quality, flatten), as_json=as_json)


# --- what to do -------------------------------------------------------------------------------


def _one_of(plan_file: str | None, operations: tuple[str, ...], instruction: str | None) -> None:
    given = [bool(plan_file), bool(operations), instruction is not None]
    if sum(given) != 1:
        raise click.UsageError("Give one of --plan FILE, --op NAME=VALUE and --instruction TEXT.")


def _plan(plan_file: str | None, operations: tuple[str, ...]) -> EditPlan | None:
    if operations:
        from imgedit_plugins.plan import EditPlan

        vocabulary = common.plugin_manager().vocabulary()
        return EditPlan(operations=tuple(_step(text, vocabulary) for text in operations))
    if plan_file is None:
        return None
    plan = common.read_plan_argument(plan_file)
    if plan.abstained:
        raise _AbstainedError("This plan abstained, so there is nothing to apply.")
    return plan


def _step(text: str, vocabulary: Any) -> Any:
    """One step from 'sepia', 'bright=50' or 'name=key:value,key:value'."""
    from imgedit_plugins.errors import OperationError
    from imgedit_plugins.plan import PlannedOperation

    name, equals, values = text.partition("=")
    try:
        operation = vocabulary[name]
        names = [parameter.name for parameter in operation.parameters]
        parameters = _parameters(text, values, names) if equals else {}
        checked = operation.check(parameters)
    except OperationError as error:
        raise click.UsageError(f"--op {text}: {error}") from error
    return PlannedOperation(name=name, parameters=checked)


def _parameters(text: str, values: str, names: list[str]) -> dict[str, int | float]:
    if ":" not in values:
        if len(names) != 1:
            takes = " and ".join(names) or "none"
            form = f"; write {text.partition('=')[0]}={names[0]}:...,..." if names else ""
            raise click.UsageError(f"--op {text}: its parameters are {takes}{form}.")
        return {names[0]: _number(text, values)}
    pairs = common.parse_assignments(
        (part.strip().replace(":", "=", 1) for part in values.split(",")), f"--op {text}:"
    )
    return {name: _number(text, value) for name, value in pairs.items()}


def _number(text: str, value: str) -> int | float:
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    raise click.UsageError(f"--op {text}: {value!r} is not a number.")


def _inputs(plan: EditPlan | None, instruction: str | None, mask: Path | None) -> frozenset[str]:
    given = {"picture": True, "plan": plan, "instruction": instruction, "mask": mask}
    return frozenset(name for name, value in given.items() if value is not None)


def _by_plan(plan: EditPlan) -> Edit:
    from imgedit_plugins.render import render_plan

    def edit(picture: Picture, mask: Mask | None, job: Job) -> Picture:
        return render_plan(picture, plan, mask=mask, job=job)

    return edit


def _by_plugin(
    plan: EditPlan | None,
    instruction: str | None,
    plugin: str | None,
    options: Options,
    seed: int,
) -> Edit:
    from imgedit_plugins.requests import ApplyRequest

    common.plugin_manager().vocabulary()  # the answer may use plugins' operations

    def edit(picture: Picture, mask: Mask | None, job: Job) -> Picture:
        request = ApplyRequest(
            picture=picture,
            plan=plan,
            instruction=instruction,
            mask=mask,
            options=options,
            seed=seed,
        )
        result: EditResult = common.plugin_manager().call("apply_edit", request, job, plugin)
        for warning in result.warnings:
            job.warn(warning)
        return _picture_of(result, request, job)

    return edit


def _picture_of(result: EditResult, request: Any, job: Job) -> Picture:
    """The best candidate, put back where it belongs; else the rendered plan."""
    if result.candidates:
        best = result.candidates[0]
        return _pasted(request.picture, best.picture, best.offset)
    from imgedit_plugins.render import render_plan

    assert result.plan is not None, "EditResult refuses to have neither"
    if result.plan.abstained:
        from imgedit_plugins.cli.plan_text import abstention

        raise _AbstainedError(abstention(result.plan))
    return render_plan(request.picture, result.plan, mask=request.mask, job=job)


def _pasted(picture: Picture, patch: Picture, offset: tuple[int, int]) -> Picture:
    """A candidate that covers a part of the picture goes into a copy of the whole."""
    x, y = offset
    inside = 0 <= x <= picture.width - patch.width and 0 <= y <= picture.height - patch.height
    alike = patch.mode == picture.mode and patch.pixels.dtype == picture.pixels.dtype
    smaller = (patch.width, patch.height) != (picture.width, picture.height)
    if not (inside and alike and smaller and offset != (0, 0)):
        return patch
    pixels = picture.pixels.copy()
    pixels[y : y + patch.height, x : x + patch.width] = patch.pixels
    return picture.with_pixels(pixels)


# --- where to ---------------------------------------------------------------------------------


def _looks_like_folder(out: Path) -> bool:
    return not out.suffix


def _targets(pictures: tuple[Path, ...], out: Path) -> list[tuple[Path, Path]]:
    """(picture, output file) pairs.

    Raises:
        click.UsageError: two pictures would have the same output, or OUT is a file.
    """
    if len(pictures) == 1:
        folder = out.is_dir() or _looks_like_folder(out)
        return [(pictures[0], out / pictures[0].name if folder else out)]
    if out.exists() and not out.is_dir():
        raise click.UsageError(f"{out} is a file; several pictures need a folder.")
    names: dict[str, Path] = {}
    for picture in pictures:
        name = os.path.normcase(picture.name)
        if name in names:
            raise click.UsageError(
                f"{names[name]} and {picture} would both become {out / picture.name}; "
                "apply them one after another, into two folders."
            )
        names[name] = picture
    return [(picture, out / picture.name) for picture in pictures]


def _refuse_existing(targets: list[tuple[Path, Path]], *, overwrite: bool) -> None:
    existing = [target for _, target in targets if target.exists()]
    if not existing or overwrite:
        return
    shown = ", ".join(map(str, existing[:3]))
    more = f" and {len(existing) - 3} more" if len(existing) > 3 else ""
    raise PictureError(
        f"{shown}{more} exist{'s' if len(existing) == 1 else ''} already.",
        path=existing[0],
        hint="Add --overwrite to replace, or choose another --out.",
    )


def _make_folder(folder: Path) -> None:
    from imgedit_plugins.atomic import write_failure

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = write_failure(error)
        raise ImgeditError(f"The folder {folder} cannot be made: {reason}.") from error


# --- doing it ---------------------------------------------------------------------------------


def _run(
    targets: list[tuple[Path, Path]],
    edit: Edit,
    mask: Path | None,
    saving: _Saving,
    *,
    as_json: bool,
) -> None:
    work = functools.partial(_edit_one, edit=edit, mask=mask, saving=saving)
    if len(targets) == 1 and not as_json:
        with running_job() as job:
            work(*targets[0], job)
        return
    outcomes = []
    for number, (source, target) in enumerate(targets, 1):
        with running_job(f"{number}/{len(targets)} {source.name}: ") as job:
            outcomes.append((source, target, _attempt(work, source, target, job), job.warnings))
    failed = [(source, error) for source, _, error, _ in outcomes if error]
    if as_json:
        print_json([_as_json(*outcome) for outcome in outcomes])
    _finish(failed, len(targets))


def _attempt(
    work: Callable[[Path, Path, Job], None], source: Path, target: Path, job: Job
) -> ImgeditError | None:
    try:
        work(source, target, job)
    except JobCancelledError:
        raise
    except ImgeditError as error:
        return error
    except Exception as error:
        if click.get_current_context().find_root().params.get("debug"):
            raise
        return ImgeditError(unexpected(error))  # the other pictures may well be fine
    return None


def _edit_one(
    source: Path, target: Path, job: Job, *, edit: Edit, mask: Path | None, saving: _Saving
) -> None:
    from imgedit_plugins.picture_files import open_picture, save_picture

    job.report("opening")
    picture = open_picture(source, on_warning=job.warn)
    selection = _open_mask(mask, picture) if mask else None
    edited = edit(picture, selection, job)
    job.report("saving")
    save_picture(
        edited,
        target,
        quality=saving.quality,
        overwrite=saving.overwrite,
        flatten=saving.flatten,
        on_warning=job.warn,
    )


def _open_mask(path: Path, picture: Picture) -> Mask:
    """The mask as (height, width) uint8."""
    import numpy as np

    from imgedit_plugins.picture_files import open_picture
    from imgedit_plugins.pictures import to_8_bits

    mask = open_picture(path)
    if not mask.is_grey and np.ptp(mask.color, axis=2).any():
        raise PictureError(
            f"The mask {path} has colours.", path=path, hint="Make it a grey picture."
        )
    if (mask.width, mask.height) != (picture.width, picture.height):
        raise PictureError(
            f"The mask {path} is {mask.width} x {mask.height} pixels, "
            f"the picture is {picture.width} x {picture.height}.",
            path=path,
            hint="Make the mask as large as the picture.",
        )
    return np.ascontiguousarray(to_8_bits(mask.color)[:, :, 0])


# --- telling ----------------------------------------------------------------------------------


def _as_json(
    source: Path, target: Path, error: ImgeditError | None, warnings: list[str]
) -> dict[str, Any]:
    return {
        "picture": str(source),
        "out": None if error else str(target),
        "error": str(error) if error else None,
        "warnings": warnings,
    }


def _finish(failed: list[tuple[Path, ImgeditError]], total: int) -> None:
    if not failed:
        return
    click.echo(f"{len(failed)} of {total} failed:", err=True)
    for source, error in failed:
        click.echo(f"  {source}: {error}", err=True)
    if len(failed) < total:
        raise click.exceptions.Exit(EXIT_SOME_FAILED)
    raise click.exceptions.Exit(failed[0][1].exit_code)
