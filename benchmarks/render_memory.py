"""How much memory `render_plan` needs beside the picture and the result.

    python -m benchmarks.render_memory [--megapixels 24] [--json]

A fresh process for each depth makes a picture, renders a few pixels with the same plan (so that
libraries are loaded), notes what it holds, resets the peak that Linux keeps for it, and renders.
The peak above what it held, less the result, is what rendering needs; threads count.
The limit is for pointwise plans; `hdr`, which needs the whole picture, has its figures stated.
Exits with 1 when a limit is not kept.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.arguments import positive

LIMIT = 64.0  # MiB
_MIB = float(1 << 20)
_Steps = tuple[tuple[str, dict[str, Any]], ...]
_PLANS: dict[str, _Steps] = {
    "pointwise": (
        ("bright", {"offset": 30}),
        ("summer", {}),
        ("sepia", {}),
        ("saturate", {"factor": 1.5}),
        ("contrast", {"gain": 0.9}),
    ),
    "hdr": (("hdr", {}),),
}
_CASES = (
    ("pointwise", 8, "auto"),
    ("pointwise", 8, "end"),
    ("pointwise", 16, "auto"),
    ("hdr", 8, "auto"),
    ("hdr", 16, "auto"),
)
_SIDES = (3, 2)  # width to height


class MemoryUnknownError(Exception):
    """This system does not tell the peak."""


@dataclass(frozen=True)
class Memory:
    """All in MiB.

    Attributes:
        plan: 'pointwise' or 'hdr'.
        bits: of the picture.
        rounding: how the plan was rounded.
        picture, result: their pixels.
        peak: of the whole process while it rendered, Python and libraries included.
        extra: beside the picture, the result, Python and libraries.
        seconds: that rendering took.
    """

    plan: str
    bits: int
    rounding: str
    picture: float
    result: float
    peak: float
    extra: float
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether the limit is kept, where there is one."""
        return self.plan != "pointwise" or self.extra <= LIMIT


def measured(bits: int, rounding: str, megapixels: int, plan: str = "pointwise") -> Memory:
    """The memory of a plan, from a process of its own.

    Raises:
        MemoryUnknownError: there is no /proc/self/clear_refs as on Linux.
    """
    inner = ["--inner", plan, str(bits), rounding, "--megapixels", str(megapixels)]
    command = [sys.executable, "-m", "benchmarks.render_memory", *inner]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise MemoryUnknownError((done.stderr.strip().splitlines() or ["no reason given"])[-1])
    return Memory(**json.loads(done.stdout))


def all_measured(megapixels: int) -> list[Memory]:
    """A pointwise plan in 8 bits rounded after each step and at the end, and in 16; `hdr`."""
    return [measured(bits, rounding, megapixels, plan) for plan, bits, rounding in _CASES]


def as_json(memory: Memory) -> dict[str, Any]:
    """For a file of results."""
    return asdict(memory) | {"passed": memory.passed}


def described(memory: Memory) -> str:
    """One line."""
    judged = memory.plan == "pointwise"
    verdict = ("PASS" if memory.passed else "FAIL") if judged else ""
    goal = f", goal <= {LIMIT:g}" if judged else ""
    return (
        f"{verdict:7}  {memory.plan}, {memory.bits:2} bits, rounding {memory.rounding}: "
        f"{memory.extra:.1f} MiB beside picture ({memory.picture:.1f}) and result "
        f"({memory.result:.1f}){goal}; whole process {memory.peak:.1f} MiB; {memory.seconds:.2f} s"
    )


# --- in the fresh process ---------------------------------------------------------------------


def _render(name: str, bits: int, rounding: Any, megapixels: int) -> Memory:
    import numpy as np

    from imgedit_plugins.pictures import Picture
    from imgedit_plugins.plan import EditPlan, step
    from imgedit_plugins.render import render_plan

    plan = EditPlan(operations=tuple(step(op, **values) for op, values in _PLANS[name]))
    kind = np.uint8 if bits == 8 else np.uint16
    unit = round((megapixels * 1e6 / (_SIDES[0] * _SIDES[1])) ** 0.5)
    shape = (_SIDES[1] * unit, _SIDES[0] * unit, 3)
    generator = np.random.default_rng(bits)
    pixels = generator.integers(0, np.iinfo(kind).max, shape, kind, endpoint=True)
    # Loads the libraries, and is too small to leave buffers behind that the figure would miss.
    render_plan(Picture(pixels[:16, :16].copy()), plan, rounding=rounding)
    held = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    started = time.perf_counter()
    made = render_plan(Picture(pixels), plan, rounding=rounding)
    seconds = time.perf_counter() - started
    peak = _status("VmHWM")
    sizes = pixels.nbytes / _MIB, made.pixels.nbytes / _MIB
    return Memory(name, bits, rounding, *sizes, peak, peak - held - sizes[1], seconds)


def _status(name: str) -> float:
    """A figure of /proc/self/status in MiB."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, or 1 when the limit is not kept or nothing could be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.render_memory")
    parser.add_argument("--megapixels", type=positive, default=24)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--inner", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.inner:
        name, bits, rounding = options.inner
        print(json.dumps(asdict(_render(name, int(bits), rounding, options.megapixels))))
        return 0
    try:
        found = all_measured(options.megapixels)
    except MemoryUnknownError as error:
        print(f"The memory cannot be measured here: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps([as_json(memory) for memory in found], indent=2))
    else:
        print("\n".join(described(memory) for memory in found))
    return int(not all(memory.passed for memory in found))


if __name__ == "__main__":
    sys.exit(main())
