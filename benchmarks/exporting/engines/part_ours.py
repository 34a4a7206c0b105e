"""Bundles by `imgedit_exporters.runtime`: one part, once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.exporting.pictures import SIZES, some
from imgedit_exporters.runtime.sessions import Bundle


def prepare(task: Mapping[str, Any]) -> Callable[[int], dict[str, Any]]:
    """A part of a bundle."""
    bundle = Bundle(Path(task["folder"]) / "bundle", device="cpu", threads=task["threads"])
    part, sizes = task["part"], SIZES[task["sizes"]]
    bundle.session(part)

    def work(number: int) -> dict[str, Any]:
        inputs = sizes.inputs(part, number)
        started = time.perf_counter()
        (made,) = bundle.run(part, inputs)
        return {"seconds": time.perf_counter() - started, "made": some(made)}

    return work
