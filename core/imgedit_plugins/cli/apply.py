"""`imgedit-plugins apply`: edit one picture, several, or folders of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imgedit_plugins.cli import apply_run, common
from imgedit_plugins.errors import ImgeditError

if TYPE_CHECKING:
    from imgedit_plugins.batch import Journal, Skipped, Source, Task
    from imgedit_plugins.batch.edits import Edit
    from imgedit_plugins.batch.work import PictureWork
    from imgedit_plugins.plan import EditPlan
    from imgedit_plugins.render import Rounding
    from imgedit_plugins.requests import EditResult, Options

_FORMATS = ("jpeg", "png", "tiff", "webp", "avif", "heic", "jxl")  # the keys of `batch.SUFFIXES`
_ROUNDINGS = ("auto", "each-step", "end")
_FULL = 100.0


@click.command("apply")
@click.argument("pictures", nargs=-1, required=True, type=common.FilePath, metavar="PICTURE...")
@click.option("--plan", "plan_file", metavar="FILE", help="An edit plan; '-' reads it from stdin.",
              type=click.Path(allow_dash=True))  # fmt: skip
@click.option("--op", "operations", metavar="NAME[=VALUE]", multiple=True,
              shell_complete=common.complete_operation,
              help="Such as sepia, bright=50, vignette=-40,midpoint:30 or "
                   "curves=all:0/0,0.5/0.6,1/1; repeatable. "
                   "`imgedit-plugins operations NAME` shows an example of each.")  # fmt: skip
@click.option("--instruction", metavar="TEXT", help="The edit in words, for a plugin.")
@click.option("--strength", type=click.FloatRange(0, 200), metavar="PERCENT", default=_FULL,
              help="Of the plan: 0 changes nothing, 200 goes twice as far [100].")  # fmt: skip
@click.option("--rounding", type=click.Choice(_ROUNDINGS), default=_ROUNDINGS[0],
              help="To 8 bits after each step, or once at the end [auto: as the data of the "
                   "operations was made].")  # fmt: skip
@common.plugin_option
@click.option("--mask", type=common.FilePath,
              help="Grey picture of the same size: black keeps, white edits.")  # fmt: skip
@common.seed_option
@common.hook_options
@click.option("-o", "--out", required=True, type=common.FilePath,
              help="A file for one picture, a folder for several (names are kept).")  # fmt: skip
@click.option("-r", "--recursive", is_flag=True, help="Also folders inside folders.")
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    metavar="N",
    help="Pictures to work on at a time [as many as there are cores, at most 8].",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with an earlier run: skip what it did, redo what changed since.",
)
@common.overwrite_option
@click.option(
    "--format",
    "form",
    type=click.Choice(_FORMATS),
    help="Of results in a folder [that of each picture].",
)
@click.option("--quality", type=click.IntRange(1, 100), help="Of formats that lose something.")
@click.option("--flatten", metavar="#RRGGBB", help="Colour behind transparent pixels in a JPEG.")
@click.option("--embed-plan", is_flag=True, help="Write the plan into the XMP of the results.")
@click.option("--parts", type=common.FilePath, metavar="FOLDER",
              help="Of a plugin's results, write what operations did of each as a plan, and what "
                   "was painted above that as a picture.")  # fmt: skip
@click.option("--contact-sheet", type=common.FilePath, metavar="FILE.html",
              help="Write a page of the pictures that are clipped or changed far more than the "
                   "rest.")  # fmt: skip
@common.json_option
def command(**given: Any) -> None:
    """Edit pictures by a plan, by operations or by an instruction.

    PICTURE is a file, or a folder: all pictures in it are edited. Several pictures go into the
    folder OUT; a bad one does not stop the others (exit code 4). After an interruption, the same
    command with --resume does the rest.
    """
    wanted = _Arguments(**given)
    wanted.check()
    plan = _plan(wanted.plan_file, wanted.operations)
    edit, identity = _edit(wanted, plan)
    sources, skipped = _sources(wanted)
    tasks = _tasks(wanted, sources)
    journal = _journal(wanted, identity)
    work = _work(wanted, edit, journal)
    run = apply_run.Run(
        overwrite=wanted.overwrite,
        resume=wanted.resume,
        folder=wanted.out if wanted.into_folder else None,
        jobs=wanted.jobs or 0,
        skipped=skipped,
        sheet=wanted.contact_sheet,
        as_json=wanted.as_json,
    )
    if wanted.is_single:
        apply_run.run_one(tasks[0], work, run)
    else:
        apply_run.run_all(tasks, work, run)


@dataclass(frozen=True)
class _Arguments:
    """The arguments, by the names of the options."""

    pictures: tuple[Path, ...]
    plan_file: str | None
    operations: tuple[str, ...]
    instruction: str | None
    strength: float
    rounding: Rounding
    plugin: str | None
    mask: Path | None
    seed: int
    options: tuple[str, ...]
    out: Path
    recursive: bool
    jobs: int | None
    resume: bool
    overwrite: bool
    form: str | None
    quality: int | None
    flatten: str | None
    embed_plan: bool
    parts: Path | None
    contact_sheet: Path | None
    as_json: bool

    @property
    def several(self) -> bool:
        """Whether there may be more than one picture."""
        return len(self.pictures) > 1 or self.pictures[0].is_dir()

    @property
    def into_folder(self) -> bool:
        """Whether OUT is a folder: it is one, has no extension, or must be one."""
        return self.several or self.out.is_dir() or not self.out.suffix

    @property
    def by_plugin(self) -> bool:
        """Whether a plugin does it."""
        return self.plugin is not None or self.instruction is not None

    @property
    def is_single(self) -> bool:
        """One picture, of which nothing is to be told: its error is the command's."""
        return not (self.several or self.resume or self.as_json or self.contact_sheet)

    def check(self) -> None:
        """Refuse options that do not go together, before anything is done.

        Raises:
            click.UsageError: says which.
        """
        edits = (bool(self.plan_file), bool(self.operations), self.instruction is not None)
        wrong = {
            "Give one of --plan FILE, --op NAME=VALUE and --instruction TEXT.": sum(edits) != 1,
            "--option is for a plugin: add --plugin or --instruction.": (
                self.options and not self.by_plugin
            ),
            "--strength and --rounding are for plans that are rendered here: leave out --plugin "
            "and --instruction.": (
                self.by_plugin and (self.strength != _FULL or self.rounding != _ROUNDINGS[0])
            ),
            "--embed-plan would tell of an edit in full: leave out --strength and --mask.": (
                self.embed_plan and (self.strength != _FULL or self.mask is not None)
            ),
            "--parts is for what plugins make: add --plugin or --instruction.": (
                self.parts is not None and not self.by_plugin
            ),
            f"{self.parts} is a file; --parts needs a folder.": (
                self.parts is not None and self.parts.is_file()
            ),
            f"{self.out} is a file; several pictures need a folder.": (
                self.several and self.out.exists() and not self.out.is_dir()
            ),
            f"{self.out} is a file's name; its extension says the format.": (
                self.form is not None and not self.into_folder
            ),
            f"--resume is for results in a folder, and {self.out} is a file's name.": (
                self.resume and not self.into_folder
            ),
            f"The contact sheet is a page: name it .html, not {self.contact_sheet}.": (
                self.contact_sheet is not None
                and self.contact_sheet.suffix.lower() not in (".html", ".htm")
            ),
        }
        for message, applies in wrong.items():
            if applies:
                raise click.UsageError(message)


# --- what to do -------------------------------------------------------------------------------


def _plan(plan_file: str | None, operations: tuple[str, ...]) -> EditPlan | None:
    if operations:
        from imgedit_plugins.cli.op_syntax import parse_operation
        from imgedit_plugins.plan import EditPlan

        vocabulary = common.plugin_manager().vocabulary()
        return EditPlan(operations=tuple(parse_operation(op, vocabulary) for op in operations))
    if plan_file is None:
        return None
    plan = common.read_plan_argument(plan_file)
    if plan.abstained:
        from imgedit_plugins.batch.edits import AbstainedError

        raise AbstainedError("This plan abstained, so there is nothing to apply.")
    return plan


def _edit(wanted: _Arguments, plan: EditPlan | None) -> tuple[Edit, dict[str, Any]]:
    """What to do with each picture, and all that tells this edit from another one."""
    from imgedit_plugins.batch.edits import PlanEdit, PluginEdit

    identity = {
        "plan": _identity(plan, whole=wanted.embed_plan) if plan else None,
        "mask": _content(wanted.mask) if wanted.mask else None,
        "saving": [wanted.quality, wanted.flatten, wanted.embed_plan, *_parts(wanted)],
    }
    if plan is not None and not wanted.by_plugin:
        edit: Edit = PlanEdit(plan, wanted.strength / 100, wanted.rounding)
        return edit, {**identity, "rendering": [wanted.strength, wanted.rounding]}
    options, plugin = _plugin_of(wanted, plan)
    edit = PluginEdit(_asker(wanted.plugin), plan, wanted.instruction, options, wanted.seed)
    asked = [plugin, wanted.instruction, dict(options), wanted.seed]
    return edit, {**identity, "plugin": asked}


def _parts(wanted: _Arguments) -> list[str]:
    return [] if wanted.parts is None else [str(wanted.parts.absolute())]


def _identity(plan: EditPlan, *, whole: bool) -> Any:
    told = plan.model_dump(mode="json", by_alias=True)
    if whole:
        return told
    steps = [(step["name"], step["parameters"]) for step in told["operations"]]
    return [told["definitions"], steps]


def _content(path: Path) -> str:
    import hashlib

    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""  # opening it as a picture says what is wrong


def _plugin_of(wanted: _Arguments, plan: EditPlan | None) -> tuple[Options, str]:
    """The checked options, and the name of the plugin that is asked first."""
    given = {
        "picture": True,
        "plan": plan,
        "instruction": wanted.instruction,
        "mask": wanted.mask,
    }
    inputs = frozenset(name for name, value in given.items() if value is not None)
    assigned = common.parse_assignments(wanted.options)
    options = common.resolve_for("apply_edit", inputs, wanted.plugin, assigned)
    return options, common.plugin_manager().route("apply_edit", inputs, wanted.plugin)[0].name


def _asker(plugin: str | None) -> Any:
    manager = common.plugin_manager()
    manager.vocabulary()  # the answer may use plugins' operations

    def ask(request: Any, job: Any) -> EditResult:
        result: EditResult = manager.call("apply_edit", request, job, plugin)
        return result

    return ask


# --- from where, to where ---------------------------------------------------------------------


def _sources(wanted: _Arguments) -> tuple[list[Source], list[Skipped]]:
    from imgedit_plugins.batch import find_pictures

    sources, skipped = find_pictures(
        wanted.pictures,
        recursive=wanted.recursive,
        leave_out=wanted.out,
        renamed=wanted.form is not None,
    )
    if not sources:
        folders = " and ".join(str(path) for path in wanted.pictures)
        hint = "" if wanted.recursive else "Add --recursive for the folders inside."
        raise ImgeditError(f"There is no picture in {folders}.", hint=hint)
    return sources, skipped


def _tasks(wanted: _Arguments, sources: list[Source]) -> list[Task]:
    from imgedit_plugins.batch import Task, plan_tasks

    if wanted.into_folder:
        return plan_tasks(sources, wanted.out, wanted.form)
    return [Task(sources[0].path, wanted.out, sources[0].name)]


def _journal(wanted: _Arguments, identity: dict[str, Any]) -> Journal | None:
    """For several pictures; nobody wants a note beside each single result."""
    from imgedit_plugins.batch import Journal, fingerprint

    if not (wanted.into_folder and (wanted.several or wanted.resume)):
        return None
    return Journal(wanted.out, fingerprint(identity))


def _work(wanted: _Arguments, edit: Edit, journal: Journal | None) -> PictureWork:
    from imgedit_plugins.batch.work import PictureWork

    return PictureWork(
        edit,
        mask=wanted.mask,
        quality=wanted.quality,
        flatten=wanted.flatten,
        embed=wanted.embed_plan,
        folders=wanted.into_folder,
        measured=not wanted.is_single,
        journal=journal,
        parts=wanted.parts,
    )
