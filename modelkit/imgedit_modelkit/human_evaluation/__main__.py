"""`python -m imgedit_modelkit.human_evaluation`: show a study, or make figures of its answers."""

from __future__ import annotations

import argparse
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from imgedit_modelkit.human_evaluation import (
    EvaluationServer,
    read_results,
    read_study,
    summarise,
)
from imgedit_plugins.errors import ImgeditError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m imgedit_modelkit.human_evaluation")
    commands = parser.add_subparsers(dest="command", required=True)
    show = commands.add_parser("show", help="show a study on a local web page")
    show.add_argument("study", type=Path, help="JSON file of the study")
    show.add_argument("--results", type=Path, required=True, help="JSON file for the answers")
    show.add_argument("--rater", default="anonymous", help="who answers; decides about the order")
    show.add_argument("--port", type=int, default=0, help="0 takes a free one")
    show.add_argument("--no-browser", action="store_true", help="only print the address")
    figures = commands.add_parser("figures", help="print figures of answers")
    figures.add_argument("results", type=Path, nargs="+", help="results files")
    given = parser.parse_args(arguments)
    try:
        _figures(given.results) if given.command == "figures" else _show(given)
    except ImgeditError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    except OSError as error:
        print(f"{error.strerror}.", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _show(given: argparse.Namespace) -> None:
    server = EvaluationServer(read_study(given.study), given.results, given.rater, given.port)
    print(f"{server.address}  (Ctrl+C ends it; answers are in {given.results})", flush=True)  # noqa: T201
    if not given.no_browser:
        webbrowser.open(server.address)
    try:
        server.serve()
    except KeyboardInterrupt:
        print()  # noqa: T201


def _figures(paths: Sequence[Path]) -> None:
    print(f"{'criterion':24} {'system':20} {'answers':>7} {'score':>6} {'±':>5} {'first':>6}")  # noqa: T201
    for row in summarise([read_results(path) for path in paths]):
        print(  # noqa: T201
            f"{row.criterion:24} {row.system:20} {row.answers:7} {row.score:6.2f} "
            f"{row.interval:5.2f} {row.first:6.1%}"
        )


if __name__ == "__main__":
    sys.exit(main())
