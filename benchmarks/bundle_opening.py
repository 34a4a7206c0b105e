"""What it takes to open a bundle's decoder, to use it, and what is given back when it is idle.

    python benchmarks/bundle_opening.py [--precision fp32] [--width 1024] [--layers 12]

A LLaMA with drawn weights is exported, and its decoder opened in processes of their own: as the
runtime opens it, and without onnxruntime's packing of weights. Told are seconds to open, to read
128 positions and to write a token, and the memory at the end: the process's own, and that of files
that are mapped, which other programs may push out. `--part FILE` takes a decoder that is there.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

_WAYS = {"as the runtime does": {}, "weights not packed": {"session.disable_prepacking": "1"}}
_READ, _WRITTEN = 128, 8


def memory() -> tuple[int, int]:
    """MB that are this process's own, and of mapped files."""
    lines = Path("/proc/self/smaps_rollup").read_text("utf-8").splitlines()
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines[1:]}
    return kib["Anonymous"] // 1000, (kib["Rss"] - kib["Anonymous"]) // 1000


def opened(path: Path, settings: dict[str, str]) -> Any:
    """A session as `sessions.open_session` makes it, with other settings."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    for name, value in settings.items():
        options.add_session_config_entry(name, value)
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def measure(path: Path, way: str) -> None:
    """One line about a decoder, in this process."""
    from imgedit_exporters.runtime.decoding import Decoder, Floats
    from imgedit_exporters.runtime.sessions import open_session

    own, mapped = memory()
    times, worked = [time.perf_counter()], time.process_time()
    session = opened(path, _WAYS[way]) if _WAYS[way] else open_session(path)
    times.append(time.perf_counter())
    worked = time.process_time() - worked
    decoder = Decoder(session)
    width = session.get_inputs()[0].shape[2]
    embeds: Floats = np.random.default_rng(0).standard_normal((_READ, width), np.float32)
    step = decoder(embeds)
    times.append(time.perf_counter())
    for _ in range(_WRITTEN):
        step = decoder(embeds[:1], step.cache)
    times.append(time.perf_counter())
    at_work = memory()
    del session, decoder, step
    let_go = memory()
    opening, reading, writing = np.diff(times)
    print(
        f"{way}: opened in {opening:.2f} s ({worked:.2f} of processor), {_READ} positions in "
        f"{reading:.2f} s, a token in {1000 * writing / _WRITTEN:.0f} ms; "
        f"{at_work[0] - own} MB of its own and {at_work[1] - mapped} MB mapped, "
        f"when let go of {let_go[0] - own} and {let_go[1] - mapped}"
    )


def _exported(folder: Path, given: argparse.Namespace) -> Path:
    from benchmarks.export_memory import llama
    from imgedit_exporters.exporting import Wanted, export
    from imgedit_modelkit.export_parts import decoder_part
    from imgedit_plugins.exporting import ExportReport
    from imgedit_plugins.jobs import Job

    report = ExportReport(model="llama", parts=(decoder_part(llama(given.width, given.layers)),))
    export(report, "opening", folder, Wanted(given.precision, golden=2, force=True), None, Job())
    return folder / "decoder.onnx"


def main() -> None:
    """Export, and measure each way twice."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--precision", default="fp32", choices=["fp32", "fp16", "int8", "int4"])
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--part", type=Path)
    parser.add_argument("--way", choices=list(_WAYS), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        measure(given.part, given.way)
        return
    with tempfile.TemporaryDirectory() as folder:
        part = given.part or _exported(Path(folder) / "bundle", given)
        size = sum(path.stat().st_size for path in part.parent.glob(f"{part.name}*"))
        print(f"{part.name}: {size / 1e6:.0f} MB", flush=True)
        for way in [*_WAYS] * 2:
            command = [sys.executable, __file__, "--part", str(part), "--way", way]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main()
