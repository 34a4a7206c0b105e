"""How fast plans render, beside the same done by others, on a 24-megapixel photograph.

    python -m benchmarks.render [--quick] [--full] [--rounds 5] [--photograph FILE] [--only TEXT]
                                [--json FILE] [--write-docs]

Rows are plans of 1, 3 and 5 operations by family (`benchmarks.rendering.rows`), with 8 and with 16
bits. Beside us: OpenCV, Pillow and libvips in this process, from memory to memory; ImageMagick,
GEGL and G'MIC as commands, of which the time of the operations alone is taken
(`scripts/benchmark_packages.sh` installs them; without them the rest is measured). Then files are
opened, edited and saved, and the memory is measured. How the times are taken is said in
`benchmarks.rendering.measuring`. Prints PASS, FAIL or NOT RUN for each goal of the issue; exits
with 1 when one is missed. Run it from the root of the repository, on a machine that does nothing
else.

--quick takes 2 megapixels and two rounds: it shows that everything works, and judges no goal.
--full lets slow commands edit the whole picture too, which takes very much longer.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import photographs, render_memory
from benchmarks.arguments import positive
from benchmarks.machine import machine
from benchmarks.rendering import sample, tables
from benchmarks.rendering.contenders import Peer, Source
from benchmarks.rendering.files import FileTime, measured_files
from benchmarks.rendering.gegl import Gegl
from benchmarks.rendering.gmic import Gmic
from benchmarks.rendering.goals import Verdict, judged
from benchmarks.rendering.imagemagick import ImageMagick
from benchmarks.rendering.libvips import Libvips
from benchmarks.rendering.measuring import Effort, Measured, measured, visit_again
from benchmarks.rendering.opencv import OpenCV
from benchmarks.rendering.pillow import Pillow
from benchmarks.rendering.rows import Row, rows
from benchmarks.rendering.sources import sources_sha256
from imgedit_plugins import compiled

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs" / "rendering.md"
SCHEMA = "imgedit-render-benchmark/1"

_SIZE, _QUICK_SIZE = (6000, 4000), (1800, 1200)
_PART = (1200, 800)  # of the picture, for comparing results
_ROUNDS, _QUICK_ROUNDS = 5, 2
_VISITS = 3  # odd, so that one bad visit does not make the median


def all_peers() -> tuple[Peer, ...]:
    """Everyone beside us."""
    return (OpenCV(), Pillow(), Libvips(), ImageMagick(), Gegl(), Gmic())


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure everything; returns what the file of results holds, and prints as it goes."""
    width, height = _QUICK_SIZE if options.quick else _SIZE
    started = time.perf_counter()
    path = options.photograph or sample.photograph(ROOT / "build" / "render" / "originals")
    deep = sample.enlarged(path, width, height)
    peers = all_peers()
    versions = {peer.name: version for peer in peers if (version := peer.version())}
    effort = Effort(
        options.rounds or (_QUICK_ROUNDS if options.quick else _ROUNDS),
        options.full,
        1 if options.quick else _VISITS,
    )
    chosen = [row for row in rows() if options.only in f"{row.family} {row.name}"]
    results: dict[str, Any] = {
        "schema": SCHEMA,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": " ".join(["python -m benchmarks.render", *options.given]),
        "machine": machine(),
        "sources_sha256": sources_sha256(),
        "photograph": path.name,
        "width": width,
        "height": height,
        "rounds": effort.rounds,
        "kernels": compiled.state().level or "none",
        "versions": versions,
        "installed": list(versions),
        "missing": [peer.name for peer in peers if peer.name not in versions],
        "timed": {peer.name: peer.how for peer in peers},
    }
    show_start(results)
    folder = Path(tempfile.mkdtemp(prefix="render-benchmark-"))
    try:
        found = _rows(deep, folder, chosen, [p for p in peers if p.name in versions], effort)
        files = _files(deep, folder, effort, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    memory, remembered = _memory(options)
    verdicts = [] if options.quick else judged(found)
    show_end(results, found, files, verdicts, memory)
    if sources_sha256() != results["sources_sha256"]:
        print("The sources changed during the run: the figures are of no version.", file=sys.stderr)
        results["sources_sha256"] = None
    if options.write_docs:
        text = tables.for_docs(results, found, files, verdicts, memory)
        tables.written(DOCS, results, text)
    return results | {
        "seconds": round(time.perf_counter() - started, 1),
        "rows": [m.as_json() for m in found],
        "files": [f.as_json() for f in files],
        "memory": remembered,
        "goals": [v.as_json() for v in verdicts],
    }


def _rows(
    deep: sample.Pixels, folder: Path, chosen: Sequence[Row], peers: Sequence[Peer], effort: Effort
) -> list[Measured]:
    found = []
    for pixels in (sample.in_8_bits(deep), deep):
        whole, part = (Source(p, folder) for p in (pixels, sample.middle(pixels, *_PART)))
        for row in chosen:
            found.append(measured(row, whole, part, peers, effort))
            show_row(found[-1])
    for number in range(2, effort.visits + 1):
        print(f"visit {number} of {effort.visits}", flush=True)
        for one in found:
            visit_again(one)
    return found


def _files(
    deep: sample.Pixels, folder: Path, effort: Effort, options: argparse.Namespace
) -> list[FileTime]:
    if options.only and options.only not in "files":
        return []
    return measured_files(sample.in_8_bits(deep), deep, folder, min(effort.rounds, 3))


def _memory(options: argparse.Namespace) -> tuple[list[str], list[dict[str, Any]]]:
    if options.only and options.only not in "memory":
        return [], []
    try:
        found = render_memory.all_measured(2 if options.quick else 24)
    except render_memory.MemoryUnknownError as error:
        return [f"NOT RUN  memory: {error}"], []
    return [render_memory.described(m) for m in found], [render_memory.as_json(m) for m in found]


# --- showing ----------------------------------------------------------------------------------


def show_start(results: dict[str, Any]) -> None:
    """Say what is compared, and who is missing."""
    where = results["machine"]
    print(f"{where['processor']}, {where['cores']} cores, Python {where['python']}")
    print(f"compiled kernels: {results['kernels']}")
    print(f"{results['photograph']} at {results['width']} x {results['height']}")
    for name, version in results["versions"].items():
        print(f"  {name} {version}: {results['timed'][name]}")
    if results["missing"]:
        missing = ", ".join(results["missing"])
        print(f"  not installed: {missing} (scripts/benchmark_packages.sh installs them)")


def show_row(found: Measured) -> None:
    """One line of progress."""
    cells = ", ".join(f"{n} {tables.cell_text(c)}" for n, c in found.cells.items())
    print(f"{found.bits:2} bits, {found.row.name}: {cells}", flush=True)


def show_end(
    results: dict[str, Any],
    found: Sequence[Measured],
    files: Sequence[FileTime],
    verdicts: Sequence[Verdict],
    memory: Sequence[str],
) -> None:
    """The tables and the verdicts."""
    for bits in dict.fromkeys(m.bits for m in found):
        chosen = [m for m in found if m.bits == bits]
        names = tables.columns(chosen, results["installed"])
        print(f"\n{bits} bits; milliseconds, warm / cold (~ scaled, ≠ differs, – cannot)")
        print(tables.plain(tables.table(chosen, names)))
    if files:
        print("\nwhole files; milliseconds")
        print(tables.plain(tables.file_table(files)))
    print("\nThe plans:")
    for name, plan in {m.row.name: m.row.described() for m in found if not m.row.single}.items():
        print(f"  {name}: {plan}")
    missed = [verdict.described() for verdict in verdicts if verdict.verdict == "FAIL"]
    print("\n".join(["", *tables.notes(found), "", *missed, *memory]))
    if verdicts:
        print(f"\n{tables.plain(tables.goal_table(verdicts))}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, or 1 when a goal is missed or the run cannot go on."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.render")
    parser.add_argument("--quick", action="store_true", help="2 megapixels, two rounds, no goals")
    parser.add_argument("--full", action="store_true", help="slow commands on the whole picture")
    parser.add_argument("--rounds", type=positive, help=f"default: {_ROUNDS}")
    parser.add_argument("--photograph", type=Path, metavar="FILE", help="JPEG or PNG")
    parser.add_argument("--only", default="", metavar="TEXT", help="rows whose name has this")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--write-docs", action="store_true", help=f"put the table into {DOCS.name}")
    options = parser.parse_args(arguments)
    options.given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        results = run(options)
    except photographs.PhotographError as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        partial = options.json.with_name(f".{options.json.name}")
        partial.write_text(json.dumps(results, indent=2) + "\n", "utf-8")
        partial.replace(options.json)
    missed = any(goal["verdict"] == "FAIL" for goal in results["goals"])
    return int(missed or not all(memory["passed"] for memory in results["memory"]))


if __name__ == "__main__":
    sys.exit(main())
