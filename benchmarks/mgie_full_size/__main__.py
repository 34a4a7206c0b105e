"""An edit by an MGIE of the published sizes, on the processor: seconds by stage, and memory.

LLaMA-7B with LLaVA's additions, CLIP ViT-L/14, the edit head, Stable Diffusion 1.5's UNet with
eight channels and its VAE, with random weights in bf16 that are made in place; 16 tokens and two
steps at 512 pixels, as the plugin edits. Longer edits are extrapolated, and labelled so.

    python -m benchmarks.mgie_full_size [--scale full|small|tiny] [--tokens 16] [--steps 2]
                                        [--json FILE] [--write-docs]

It needs about 18 GB of free memory, and refuses to begin with less.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.arguments import positive
from benchmarks.documents import aligned
from benchmarks.learning import telling
from benchmarks.loaded_sources import loaded_sources
from benchmarks.machine import machine
from benchmarks.mgie_full_size import pages
from benchmarks.mgie_full_size.measuring import measure
from benchmarks.mgie_full_size.sizes import SCALES
from imgedit_plugins.atomic import write_text_atomic
from imgedit_plugins.errors import ImgeditError

DOCS = Path(__file__).resolve().parents[2] / "docs" / "mgie.md"
_SOURCES = ("core", "modelkit", "plugins/mgie", "benchmarks/mgie_full_size")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mgie_full_size")
    parser.add_argument("--scale", choices=SCALES, default="full")
    parser.add_argument("--tokens", type=positive, default=16)
    parser.add_argument("--steps", type=positive, default=2)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--write-docs", action="store_true", help=f"put tables into {DOCS.name}")
    options = parser.parse_args(arguments)
    try:
        results = measure(
            SCALES[options.scale], options.tokens, options.steps, telling(options.scale)
        )
    except ImgeditError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    here = {**machine(), "torch": torch.__version__, "threads": torch.get_num_threads()}
    results |= {"machine": here, "sources": loaded_sources(_SOURCES)}
    if options.json:
        write_text_atomic(options.json, json.dumps(results, indent=2) + "\n")
    if options.write_docs:
        pages.write(DOCS, results)
    print(aligned(pages.stages_table(results)))
    print()
    print(aligned(pages.forecast_table(results)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
