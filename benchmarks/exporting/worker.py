"""The process of one engine: it loads, tells that, then works once for each line that it gets.

    python -m benchmarks.exporting.worker MODULE TASK

TASK is JSON. Each answer is a line of JSON, on what was the standard output before the engine could
write there. At the end of its input it tells the most memory that it held.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO


def peak() -> int:
    """The most bytes that this process has held; 0 where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def _sources() -> dict[str, str]:
    """The project's modules that it has loaded; none where the interpreter is another one."""
    if "imgedit_exporters" not in sys.modules:
        return {}
    from benchmarks.loaded_sources import loaded_sources

    return loaded_sources(("exporters", "modelkit", "core", "benchmarks/exporting"))


def _answering() -> TextIO:
    """The standard output, for answers alone; what engines print goes to the standard error."""
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    return answers


def main() -> None:
    """Serve one engine."""
    module, task = sys.argv[1], json.loads(sys.argv[2])
    answers = _answering()

    def tell(**told: Any) -> None:
        answers.write(json.dumps(told) + "\n")

    started = time.perf_counter()
    prepare = importlib.import_module(module).prepare
    work: Callable[[int], dict[str, Any]] = prepare(task)
    tell(loaded=time.perf_counter() - started)
    for line in sys.stdin:
        before = time.process_time()
        told = work(int(line))
        tell(processor=time.process_time() - before, **told)
    tell(peak=peak(), sources=_sources())


if __name__ == "__main__":
    main()
