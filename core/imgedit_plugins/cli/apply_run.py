"""How `apply` runs: progress, interruption, and what it tells at the end."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imgedit_plugins.cli import EXIT_INTERRUPTED, EXIT_SOME_FAILED, common, unexpected
from imgedit_plugins.cli.terminal import ProgressLine, print_json, running_job
from imgedit_plugins.errors import ImgeditError, JobCancelledError

if TYPE_CHECKING:
    from imgedit_plugins.batch import Figures, Outcome, Outlier, Skipped, Task, Told
    from imgedit_plugins.batch.work import PictureWork

_SHOWN = 10
_PATIENCE_SECONDS = 2.0  # most pictures are saved within it; a large PNG takes longer


@dataclass(frozen=True)
class Run:
    """What a run needs beside its pictures.

    Attributes:
        overwrite, resume: as `batch.to_do` takes them.
        folder: where results go; None where there is one, with a name of its own.
        jobs: as `batch.run_batch` takes it.
        skipped: what lay in the folders beside pictures.
        sheet: where to write a contact sheet.
        as_json: whether to print JSON.
    """

    overwrite: bool
    resume: bool
    folder: Path | None
    jobs: int
    skipped: Sequence[Skipped]
    sheet: Path | None
    as_json: bool


def run_one(task: Task, work: PictureWork, run: Run) -> None:
    """Edit one picture, in this thread; its error is the command's."""
    from imgedit_plugins.batch import Turn, to_do

    (todo,), _ = to_do([task], None, overwrite=run.overwrite, resume=False)
    with running_job() as job:
        turn = Turn(job)
        work(todo, turn)
    _tell_what_was_told(turn.told)


def run_all(tasks: Sequence[Task], work: PictureWork, run: Run) -> None:
    """Edit the pictures, tell what became of them, and write the contact sheet.

    Raises:
        click.exceptions.Exit: some failed, or all.
        ImgeditError: a result exists already; the contact sheet cannot be written.
        KeyboardInterrupt: Ctrl-C.
    """
    from imgedit_plugins.batch import to_do

    todo, kept = to_do(tasks, work.journal, overwrite=run.overwrite, resume=run.resume)
    if run.sheet:
        _check_sheet(run.sheet, tasks, run.folder)
    if run.folder:
        _make_folder(run.folder)
    outcomes = _earlier(kept, work) + _made(todo, work, run)
    order = {task.target: number for number, task in enumerate(tasks)}
    outcomes.sort(key=lambda outcome: order[outcome.task.target])
    figures, outliers = _outliers(outcomes)
    if run.as_json:
        print_json(_as_json(outcomes, outliers, run.skipped))
    else:
        _tell_what_was_made(outcomes)
        _tell_of_the_rest(run.skipped, len(kept))
    if run.sheet:
        _write_sheet(run.sheet, figures, outliers)
    _finish(outcomes)


def _earlier(kept: Sequence[Task], work: PictureWork) -> list[Outcome]:
    from imgedit_plugins.batch import Outcome

    journal = work.journal
    if journal is None:  # then nothing is kept
        return []
    return [Outcome(task, figures=journal.figures(task.target), kept=True) for task in kept]


def _made(todo: Sequence[Task], work: PictureWork, run: Run) -> list[Outcome]:
    from imgedit_plugins.batch import run_batch

    debug = click.get_current_context().find_root().params.get("debug")
    line = ProgressLine()

    def warn(task: Task, message: str) -> None:
        line.clear()
        click.echo(f"Warning: {task.name}: {message}", err=True)

    with _interruptible(line, resumable=work.journal is not None) as stop:
        outcomes = run_batch(
            todo,
            work,
            jobs=run.jobs,
            on_progress=line,
            on_warning=warn,
            on_stop=stop,
            unexpected=None if debug else lambda error: ImgeditError(unexpected(error)),
        )
    line.clear()
    return outcomes


@contextlib.contextmanager
def _interruptible(line: ProgressLine, *, resumable: bool) -> Iterator[Callable[[int], None]]:
    """Ctrl-C waits a moment for what is being saved; a second one does not."""
    before = signal.getsignal(signal.SIGINT)

    def tell() -> None:
        line.clear()
        if resumable:
            click.echo("The same command with --resume does the rest.", err=True)

    def leave(*_: object) -> None:
        from imgedit_plugins.atomic import discard_unfinished

        discard_unfinished()
        tell()
        click.echo("Interrupted; nothing was left half written.", err=True)
        os._exit(EXIT_INTERRUPTED)  # threads may be in code that hears nothing for long

    timer = threading.Timer(_PATIENCE_SECONDS, leave)
    timer.daemon = True

    def stop(running: int) -> None:
        line.clear()
        if running:
            click.echo("Stopping; a second Ctrl-C stops at once.", err=True)
        signal.signal(signal.SIGINT, leave)
        timer.start()

    try:
        yield stop
    except (KeyboardInterrupt, JobCancelledError) as error:
        # The program ends now; one Ctrl-C more would only spoil its exit code.
        before = signal.SIG_IGN if isinstance(error, KeyboardInterrupt) else before
        tell()
        raise
    finally:
        signal.signal(signal.SIGINT, before)
        timer.cancel()


# --- before -----------------------------------------------------------------------------------


def _check_sheet(path: Path, tasks: Sequence[Task], folder: Path | None) -> None:
    """Before hours of work, not after them."""
    common.refuse_inputs(path, [task.source for task in tasks])
    if not (path.parent.is_dir() or (folder and path.parent.resolve() == folder.resolve())):
        raise ImgeditError(
            f"The contact sheet {path} cannot be written: its folder does not exist.",
            hint="Create the folder first.",
        )
    for task in tasks:
        if task.target.exists() and task.source.exists() and task.target.samefile(task.source):
            raise click.UsageError(
                f"{task.source} would be replaced, so that --contact-sheet could not show it; "
                "choose another --out."
            )


def _make_folder(folder: Path) -> None:
    from imgedit_plugins.batch.work import make_folder

    make_folder(folder)


# --- telling ----------------------------------------------------------------------------------


def _outliers(outcomes: Sequence[Outcome]) -> tuple[list[tuple[Task, Figures]], list[Outlier]]:
    """The pictures that were measured, and those of them that stand out."""
    from imgedit_plugins.batch import find_outliers

    measured = [(o.task, o.figures) for o in outcomes if o.figures is not None]
    return measured, find_outliers([figures for _, figures in measured])


def _write_sheet(
    path: Path, measured: Sequence[tuple[Task, Figures]], outliers: Sequence[Outlier]
) -> None:
    from imgedit_plugins.batch.contact_sheet import SheetEntry, write_contact_sheet

    entries = [
        SheetEntry(str(task.name), task.source, task.target, figures) for task, figures in measured
    ]
    with running_job() as job:
        write_contact_sheet(path, entries, outliers, job)
    verb = "stands" if len(outliers) < 2 else "stand"
    found = f"{len(outliers) or 'None'} of {len(entries)} pictures {verb} out"
    click.echo(f"{found}: {path}", err=True)


def _tell_what_was_told(told: Told) -> None:
    """What a plugin says of its edit of the only picture."""
    from imgedit_plugins.cli.plan_text import print_plan

    if told.explanation and not (told.plan and told.plan.explanation == told.explanation):
        click.echo(told.explanation)
    if told.plan:
        print_plan(told.plan)
    for path in told.further:
        click.echo(f"Another candidate: {path}")


def _tell_what_was_made(outcomes: Sequence[Outcome]) -> None:
    """What a plugin says of each of several edits, in a line."""
    for outcome in outcomes:
        if outcome.told.explanation:
            click.echo(f"{outcome.task.name}: {outcome.told.explanation}")
        for path in outcome.told.further:
            click.echo(f"{outcome.task.name}: another candidate: {path}")


def _tell_of_the_rest(skipped: Sequence[Skipped], kept: int) -> None:
    if skipped:
        one = len(skipped) == 1
        click.echo(f"{len(skipped)} {'file was' if one else 'files were'} left alone:", err=True)
        for entry in skipped[:_SHOWN]:
            click.echo(f"  {entry.reason}", err=True)
        if len(skipped) > _SHOWN:
            click.echo(f"  and {len(skipped) - _SHOWN} more; --json lists all.", err=True)
    if kept:
        click.echo(f"{kept} {'was' if kept == 1 else 'were'} done already.", err=True)


def _as_json(
    outcomes: Sequence[Outcome],
    outliers: Sequence[Outlier],
    skipped: Sequence[Skipped],
) -> list[dict[str, Any]]:
    measured = [outcome for outcome in outcomes if outcome.figures]
    reasons = {measured[o.index].task.target: list(o.reasons) for o in outliers}
    entries = []
    for outcome in outcomes:
        target, figures = outcome.task.target, outcome.figures
        status = "failed" if outcome.error else "kept" if outcome.kept else "done"
        entries.append(
            {
                "picture": str(outcome.task.source),
                "out": None if outcome.error else str(target),
                "status": status,
                "error": str(outcome.error) if outcome.error else None,
                "warnings": list(outcome.warnings),
                **_told_as_json(outcome.told),
                "clipped": round(figures.clipped, 5) if figures else None,
                "change": round(figures.change, 3) if figures else None,
                "outlier": reasons.get(target, []),
            }
        )
    return entries + [_skipped_as_json(entry) for entry in skipped]


def _told_as_json(told: Told) -> dict[str, Any]:
    return {
        "explanation": told.explanation,
        "plan": told.plan.model_dump(mode="json", by_alias=True) if told.plan else None,
        "further": [str(path) for path in told.further],
    }


def _skipped_as_json(entry: Skipped) -> dict[str, Any]:
    from imgedit_plugins.batch import Told

    return {
        "picture": str(entry.path),
        "out": None,
        "status": "skipped",
        "error": entry.reason,
        "warnings": [],
        **_told_as_json(Told()),
        "clipped": None,
        "change": None,
        "outlier": [],
    }


def _finish(outcomes: Sequence[Outcome]) -> None:
    failed = [(outcome.task.source, outcome.error) for outcome in outcomes if outcome.error]
    if not failed:
        return
    click.echo(f"{len(failed)} of {len(outcomes)} failed:", err=True)
    for source, error in failed:
        click.echo(f"  {source}: {error}", err=True)
    if len(failed) < len(outcomes):
        raise click.exceptions.Exit(EXIT_SOME_FAILED)
    raise click.exceptions.Exit(failed[0][1].exit_code)
