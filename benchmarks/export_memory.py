"""How much memory an export needs beside the size of the weights.

    python benchmarks/export_memory.py [--precision fp32] [--width 1024] [--layers 8]

A LLaMA with drawn weights is exported in this process; told are the size of its weights in float32,
the peak of the process above what it had before the model was made, and their ratio.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import torch

from imgedit_exporters.exporting import Wanted, export
from imgedit_modelkit.export_parts import decoder_part
from imgedit_plugins.exporting import ExportReport, Precision
from imgedit_plugins.jobs import Job

MB = 1e6


def llama(width: int, layers: int) -> Any:
    """A LLaMA with drawn weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=8000,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
    )
    torch.manual_seed(0)
    made: Any = LlamaForCausalLM(config)
    return made.eval()


def resident() -> float:
    """Bytes that this process has in memory."""
    pages = int(Path("/proc/self/statm").read_text("utf-8").split()[1])
    return float(pages * resource.getpagesize())


class Peak:
    """The highest `resident` in a block, looked at every 20 ms."""

    def __enter__(self) -> Peak:
        self.value, self._ended = resident(), threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.02):
            self.value = max(self.value, resident())


def small_first() -> None:
    """Export something tiny, so that what is imported does not count."""
    with tempfile.TemporaryDirectory() as folder:
        for backend in ("genai", "torch"):
            _export(llama(64, 1), "int4", backend, Path(folder) / backend)


def _export(model: Any, precision: Precision, backend: Any, out: Path) -> None:
    report = ExportReport(model="llama", parts=(decoder_part(model),))
    wanted = Wanted(precision, golden=4, force=True, backend=backend)
    export(report, "memory", out, wanted, None, Job())


def main() -> None:
    """Measure one export."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--precision", default="fp32", choices=["fp32", "fp16", "int8", "int4"])
    parser.add_argument("--backend", default="auto", choices=["auto", "torch", "genai"])
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--layers", type=int, default=8)
    given = parser.parse_args()
    small_first()
    before = resident()
    model = llama(given.width, given.layers)
    weights = sum(one.numel() * one.element_size() for one in model.parameters())
    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder, Peak() as peak:
        _export(model, given.precision, given.backend, Path(folder) / "bundle")
    need = peak.value - before
    print(
        f"{given.precision} by {given.backend}: weights {weights / MB:.0f} MB, peak "
        f"{need / MB:.0f} MB with the model itself, {need / weights:.2f} times; "
        f"{time.process_time() - started:.0f} s of processor"
    )


if __name__ == "__main__":
    main()
