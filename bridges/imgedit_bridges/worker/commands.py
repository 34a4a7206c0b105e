"""Start, stop and look at the process that works for the editors."""

from __future__ import annotations

import datetime
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from imgedit_plugins.cli.common import json_option
from imgedit_plugins.cli.terminal import print_json
from imgedit_plugins.errors import ImgeditError

if TYPE_CHECKING:
    from imgedit_bridges.locations import Places, WorkerState

NOT_RUNNING = 1
_STOP_SECONDS = 10.0


@click.group("worker")
def command() -> None:
    """Start, stop and look at the process that works for the editors.

    Editors start it when they need it; it ends by itself when nobody has needed it for a while.
    """


@command.command("start")
@click.option(
    "--idle-minutes",
    type=click.FloatRange(min=0.01),
    metavar="N",
    help="End after so long without work [15].",
)
@click.option(
    "--memory-limit",
    type=click.IntRange(min=300),
    metavar="MIB",
    help="Memory that a job may take; a job that wants more fails [no limit].",
)
@click.option("--tcp", is_flag=True, help="Listen on a loopback port instead of a Unix socket.")
def start(*, idle_minutes: float | None, memory_limit: int | None, tcp: bool) -> None:
    """Start the worker, unless it runs already."""
    from imgedit_bridges import starting
    from imgedit_bridges.worker.settings import variable

    environ = dict(os.environ)
    if idle_minutes is not None:
        environ[variable("idle")] = str(idle_minutes * 60)
    if memory_limit is not None:
        environ[variable("memory")] = str(memory_limit)
    if tcp:
        environ[variable("tcp")] = "1"
    with _sentences():
        places = _places()
        if found := starting.find_worker(places):
            click.echo(f"The worker runs already (process {found[0].pid}).")
            return
        state, _ = starting.ensure_worker(places, sys.executable, environ=environ)
        click.echo(f"The worker runs (process {state.pid}).")


@command.command("status")
@json_option
def status(*, as_json: bool) -> None:
    """Say whether the worker runs and what it does; exit code 1 where it does not."""
    from imgedit_bridges import starting
    from imgedit_bridges.locations import lock_holder

    with _sentences():
        places = _places()
        found = starting.find_worker(places)
        holder = lock_holder(places)
    if as_json:
        print_json(_as_json(places, found, holder))
    elif found:
        _print(places, *found)
    elif holder is not None:
        click.echo(f"The worker (process {holder}) does not answer; `worker stop` ends it.")
    else:
        click.echo("No worker runs; editors start one when they need it.")
    if not found:
        raise click.exceptions.Exit(NOT_RUNNING)


@command.command("stop")
def stop() -> None:
    """Stop the worker; a job that runs fails."""
    from imgedit_bridges import starting, transport
    from imgedit_bridges.locations import lock_holder, read_state

    with _sentences():
        places = _places()
        holder, hangs = lock_holder(places), False
        if holder is None:
            click.echo("No worker runs.")
            return
        state = read_state(places)
        if state is not None and state.pid == holder:
            try:
                transport.request(state, "POST", "/v1/shutdown", {})
                _wait_until_gone(places, holder)
            except transport.WorkerGoneError:
                hangs = True
            except transport.RefusedError:
                pass  # of another version: a signal does it too
        if not starting.end_process(places, holder, hangs=hangs):
            raise ImgeditError(f"The worker (process {holder}) cannot be ended.")
        click.echo(f"The worker (process {holder}) was stopped.")


@command.command("logs")
@click.option("-n", "--lines", type=click.IntRange(1, 100_000), default=50, metavar="N",
              help="Show the last N lines [50].")  # fmt: skip
@click.option("-f", "--follow", is_flag=True, help="Go on showing what comes, until Ctrl+C.")
def logs(*, lines: int, follow: bool) -> None:
    """Show what the worker and the plugins in it had to say."""
    from imgedit_bridges import starting

    with _sentences():
        places = _places()
    told = starting.tail(places, lines)
    if not told and not follow:
        click.echo(f"There is no log yet ({places.log}).")
    for line in told:
        click.echo(line)
    if follow:
        for line in _new_lines(places):
            click.echo(line, nl=False)


def _new_lines(places: Places) -> Iterator[str]:
    """Lines that are added from now on, also when the log is made anew."""
    file, at = None, -1
    while True:
        if places.log.exists():
            found = places.log.stat()
            if file is None or found.st_ino != os.fstat(file.fileno()).st_ino:
                first = at < 0
                file = places.log.open(encoding="utf-8", errors="replace")
                at = file.seek(0, os.SEEK_END) if first else 0
            yield from file
        at = max(at, 0)
        time.sleep(0.2)


def _wait_until_gone(places: Places, holder: int) -> None:
    from imgedit_bridges.locations import lock_holder

    deadline = time.monotonic() + _STOP_SECONDS
    while time.monotonic() < deadline and lock_holder(places) == holder:
        time.sleep(0.02)


def _print(places: Places, state: WorkerState, hello: dict[str, Any]) -> None:
    since = datetime.datetime.fromtimestamp(state.started).astimezone()
    jobs: dict[str, int] = hello.get("jobs", {})
    told = ", ".join(f"{count} {name}" for name, count in jobs.items()) or "none"
    for name, value in (
        ("process", state.pid),
        ("since", since.strftime("%Y-%m-%d %H:%M:%S")),
        ("version", state.version),
        ("python", state.python),
        ("address", state.address),
        ("pixels", state.pixels),
        ("log", places.log),
        ("jobs", told),
    ):
        click.echo(f"{name:<8} {value}")


def _as_json(
    places: Places, found: tuple[WorkerState, dict[str, Any]] | None, holder: int | None
) -> dict[str, Any]:
    told: dict[str, Any] = {"running": found is not None, "pid": holder, "log": str(places.log)}
    if found:
        state, hello = found
        public = {k: v for k, v in vars(state).items() if k != "token"}
        told.update(public, jobs=hello.get("jobs", {}))
    return told


def _places() -> Places:
    from imgedit_bridges.locations import find_places

    return find_places()


@contextmanager
def _sentences() -> Iterator[None]:
    """Turn what the editors' side raises into the command line's errors."""
    from imgedit_bridges.errors import BridgeError

    try:
        yield
    except BridgeError as error:
        raise ImgeditError(error.message, hint=error.hint) from error
