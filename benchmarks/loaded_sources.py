"""Which sources of the project a process has loaded: what its figures hang on.

A hash over whole folders says that figures are outdated when a module changes that had no part in
them. So a run records the modules that it really loaded, each with its hash, when it is done.

    python -m benchmarks.loaded_sources RESULTS.json
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from imgedit_modelkit import fingerprints

ROOT = Path(__file__).resolve().parents[1]

Sources = Mapping[str, str]
"""Names of files below the project's folder, with '/' -> their SHA-256."""


def loaded_sources(
    places: Sequence[str], *, without: Collection[str] = (), root: Path = ROOT
) -> dict[str, str]:
    """The files of all modules that this process has loaded from some folders, by name.

    A process that did several runs has loaded the modules of all of them: give each its own.

    Args:
        places: folders below `root`, such as 'core' or 'plugins/mgie'.
        without: files, named as the result names them, that only tell what others found.
        root: the project's folder.
    """
    folders = [(root / place).resolve() for place in places]
    found = {}
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        path = Path(file).resolve() if file else None
        if path is None or not any(map(path.is_relative_to, folders)) or not path.is_file():
            continue
        name = path.relative_to(root.resolve()).as_posix()
        if name not in without:
            found[name] = fingerprints.of_file(path)
    return dict(sorted(found.items()))


def sha256_of(sources: Sources) -> str:
    """One hash over names and contents."""
    lines = (f"{digest} {name}\n" for name, digest in sorted(sources.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def changed(sources: Sources, root: Path = ROOT) -> list[str]:
    """The names of those that are gone, or are not what they were when they were recorded."""
    return [
        name
        for name, digest in sorted(sources.items())
        if not (root / name).is_file() or fingerprints.of_file(root / name) != digest
    ]


def common(recorded: Iterable[Sources]) -> dict[str, str] | None:
    """All files that several runs have loaded; None where they had different versions of one."""
    found: dict[str, str] = {}
    for sources in recorded:
        for name, digest in sources.items():
            if found.setdefault(name, digest) != digest:
                return None
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print, as JSON, the names of the changed sources of saved results; null if not recorded."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loaded_sources")
    parser.add_argument("results", type=Path, help="JSON with 'sources', as a benchmark writes it")
    recorded = json.loads(parser.parse_args(arguments).results.read_text("utf-8")).get("sources")
    print(json.dumps(changed(recorded) if recorded else None))
    return 0


if __name__ == "__main__":
    sys.exit(main())
