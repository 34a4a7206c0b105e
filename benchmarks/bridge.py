"""How long pixels need from an editor to the worker and back, in the real GIMP and Krita.

    sudo .venv/bin/python -m benchmarks.bridge [--rounds 15] [--only gimp|krita] [--quick]
                                               [--json FILE]

In each editor, on a picture of 24 megapixels with 8 bits:

- the bridge: a layer's pixels into a mapped file, a job of the worker that inverts them, the result
  into a new layer; by the code that the plug-ins use;
- a do-nothing plug-in, which reads the layer into a Python buffer and writes that into a new layer;
  and one that does so by bands of 128 rows, which is faster, since it stays in the caches;
- PNG: the layer saved as PNG at the lowest compression, inverted by a waiting process (libvips),
  loaded as a new layer. Files are in memory here too.

Everyone takes part in each round, in another order each time (PNG in three rounds only). Printed
are medians, and medians of the ratios within a round. The goal is the issue's: the whole round
trip, the worker's computing included, within 1.2 times the do-nothing plug-in with one buffer; the
ratio to the one by bands stands beside it.
Exits with 1 when it is missed, or when a result's pixels are wrong. Needs the root with the editors
(docs/developing-editors.md). Run it on a machine that does nothing else.

--quick takes 2 megapixels and two rounds: it shows that everything works, and judges no goal.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.arguments import positive
from benchmarks.bridging import figures
from benchmarks.bridging.rounds import BANDS, BRIDGE, PNG, WHOLE
from benchmarks.bridging.sources import sources_sha256
from benchmarks.machine import machine
from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.picture_files import save_picture

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "editors"))

from editor_root import Root, open_root  # noqa: E402
from gimp_program import Gimp  # noqa: E402
from krita_program import Krita  # noqa: E402

SCHEMA = "imgedit-bridge-benchmark/1"
EDITORS = {"gimp": Gimp, "krita": Krita}

_SIZE, _QUICK_SIZE = (6000, 4000), (1800, 1200)
_ROUNDS, _QUICK_ROUNDS, _PNG_ROUNDS = 15, 2, 3
_VENV = "/opt/imgedit"
_SCRIPT = """\
import sys
sys.path[:0] = ["/src", "/src/bridges"]
from benchmarks.bridging import in_{editor}
contenders = in_{editor}.{contenders}({picture!r}, "/dev/shm", {python!r})
contenders.run({rounds!r}, mark)
"""


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure; returns what the file of results holds, and prints as it goes."""
    width, height = _QUICK_SIZE if options.quick else _SIZE
    rounds = options.rounds or (_QUICK_ROUNDS if options.quick else _ROUNDS)
    results: dict[str, Any] = {
        "schema": SCHEMA,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": " ".join(["python -m benchmarks.bridge", *options.given]),
        "machine": machine(),
        "sources_sha256": sources_sha256(),
        "judged": not options.quick,
        "editors": [],
    }
    print(f"{results['machine']['processor']}, {results['machine']['cores']} cores")
    with _opened() as (root, folder):
        picture = folder / "picture.jpg"
        save_picture(photograph(width, height), picture)
        _install(root)
        for name in [options.only] if options.only else EDITORS:
            found = _measured(name, root, folder, picture, rounds)
            results["editors"].append(found.as_json())
            _show(found)
    return results


@contextlib.contextmanager
def _opened() -> Iterator[tuple[Root, Path]]:
    """A session of the root, and the folder that it shares with this machine."""
    with tempfile.TemporaryDirectory(prefix="bridge-benchmark-") as name:
        folder = Path(name)
        root = open_root(folder)
        try:
            yield root, folder
        finally:
            root.close()


def _install(root: Root) -> None:
    root.call(["python3", "-m", "venv", _VENV])
    root.call([f"{_VENV}/bin/pip", "install", "--progress-bar=off", "/src"], seconds=600)


def _measured(name: str, root: Root, folder: Path, picture: Path, rounds: int) -> figures.Editor:
    with contextlib.closing(EDITORS[name](root, folder)) as program:
        # Pixel files in memory, as in a user's XDG_RUNTIME_DIR.
        runtime = root.call(["mktemp", "-d", "/dev/shm/runtime-XXXXXX"]).strip()
        program.environment["XDG_RUNTIME_DIR"] = runtime
        script = _SCRIPT.format(
            editor=name, contenders=f"{name.title()}s", picture=str(picture),
            python=f"{_VENV}/bin/python",
            rounds={WHOLE: rounds, BANDS: rounds, BRIDGE: rounds, PNG: min(rounds, _PNG_ROUNDS)},
        )  # fmt: skip
        done = program.run(script, seconds=1800)
        root.end_strays()  # the worker
        return figures.read(name, done.marks)


def _show(editor: figures.Editor) -> None:
    size = f"{editor.picture['width']} x {editor.picture['height']}"
    print(f"\n{editor.name} {editor.version}, {size}, {editor.picture['format']}")
    print(figures.table(editor))
    goal = editor.as_json()["goal"]
    print(
        f"  bridge: {goal['value']:.2f} x {WHOLE} (goal {goal['limit']:g}); "
        f"{goal['of_bands']:.2f} x {BANDS}, {goal['of_bands_without_the_job']:.2f} x without the "
        f"worker's job; {goal['of_png']:.3f} x PNG",
        flush=True,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, or 1 when the goal is missed or pixels are wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bridge")
    parser.add_argument("--rounds", type=positive, help=f"default: {_ROUNDS}")
    parser.add_argument("--only", choices=EDITORS, help="one editor")
    parser.add_argument("--quick", action="store_true", help="2 megapixels, two rounds, no goal")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    options = parser.parse_args(arguments)
    options.given = list(sys.argv[1:] if arguments is None else arguments)
    results = run(options)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        partial = options.json.with_name(f".{options.json.name}")
        partial.write_text(json.dumps(results, indent=2) + "\n", "utf-8")
        partial.replace(options.json)
    right = all(one["right"] for editor in results["editors"] for one in editor["contenders"])
    goals = [editor["goal"] for editor in results["editors"] if results["judged"]]
    return int(not right or any(goal["value"] > goal["limit"] for goal in goals))


if __name__ == "__main__":
    sys.exit(main())
