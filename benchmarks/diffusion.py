"""Seconds per edit of the model kit's editor beside diffusers' InstructPix2Pix pipeline.

Both run the same UNet, VAE and scheduler (random weights) on the same picture with the same seed,
in turn and each first in every second round, so that what else the machine does meets both; of each
round the ratio of the processor times counts, and of the rounds the median. The pixels must be the
same to the last bit.

    python -m benchmarks.diffusion [--rounds 15] [--steps 10] [--size tiny|small] [--json FILE]

Exits with 1 when the editor takes more than 1.05 times as long, or makes other pixels. FILE gets
the figures with the hashes of the sources that were measured, by which
tests/acceptance/05_mgie.py knows them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.arguments import positive
from benchmarks.loaded_sources import loaded_sources
from benchmarks.machine import machine
from imgedit_modelkit.diffusion.conditioning import Conditioning
from imgedit_modelkit.diffusion.editor import PictureEditor, Sampling
from imgedit_modelkit.diffusion.testing import (
    stable_diffusion_scheduler,
    tiny_editor,
    tiny_vae,
)
from imgedit_modelkit.testing import realistic
from imgedit_plugins.atomic import write_text_atomic
from imgedit_plugins.jobs import Job

LIMIT = 1.05
SEED, TOKENS, WIDTH = 3, 77, 32
_SOURCES = ("modelkit/imgedit_modelkit/diffusion", "benchmarks/diffusion.py")


@dataclass(frozen=True)
class Result:
    """Processor seconds per edit, medians over the rounds, and the median of the rounds' ratios."""

    size: str
    rounds: int
    steps: int
    diffusers: float
    editor: float
    ratio: float
    same_pixels: bool

    @property
    def passed(self) -> bool:
        """Whether the limit is kept, with the same pixels."""
        return self.ratio <= LIMIT and self.same_pixels


def small_editor() -> PictureEditor:
    """A UNet of Stable Diffusion's blocks, with a fifth of their channels."""
    from diffusers import UNet2DConditionModel

    kind: Any = UNet2DConditionModel
    unet = kind(
        sample_size=32,
        in_channels=8,
        block_out_channels=(64, 128, 256, 256),
        cross_attention_dim=WIDTH,
        attention_head_dim=8,
    )
    return PictureEditor(realistic(unet).eval(), tiny_vae(), stable_diffusion_scheduler())


def contenders(editor: PictureEditor, steps: int) -> dict[str, Callable[[], Tensor]]:
    """The same edit by both: (1, 3, height, width)."""
    from diffusers import StableDiffusionInstructPix2PixPipeline

    generator = torch.Generator().manual_seed(SEED)
    picture = torch.rand(1, 3, 128, 128, generator=generator)
    text, null = torch.randn(2, 1, TOKENS, WIDTH, generator=generator)
    kind: Any = StableDiffusionInstructPix2PixPipeline
    pipeline = kind(
        vae=editor.vae,
        text_encoder=None,
        tokenizer=None,
        unet=editor.unet,
        scheduler=editor.scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)

    def theirs() -> Tensor:
        made = pipeline(
            image=picture,
            prompt_embeds=text,
            negative_prompt_embeds=null,
            num_inference_steps=steps,
            guidance_scale=7.5,
            image_guidance_scale=1.5,
            generator=torch.Generator().manual_seed(SEED),
            output_type="pt",
        )
        return torch.as_tensor(made.images)

    def ours() -> Tensor:
        return editor.edit(
            picture, Conditioning(text, null), Sampling(steps), seeds=[SEED], job=Job()
        )

    return {"diffusers": theirs, "editor": ours}


def compare(size: str, rounds: int, steps: int) -> Result:
    """Both in turn."""
    made = tiny_editor(width=WIDTH) if size == "tiny" else small_editor()
    edits = contenders(made, steps)
    same = torch.equal(edits["diffusers"](), edits["editor"]())  # the first runs are slower
    taken: dict[str, list[float]] = {name: [] for name in edits}
    for number in range(rounds):
        for name in sorted(edits, reverse=bool(number % 2)):
            began = time.process_time()
            edits[name]()
            taken[name].append(time.process_time() - began)
    ratio = statistics.median(
        ours / theirs for ours, theirs in zip(taken["editor"], taken["diffusers"], strict=True)
    )
    medians = [statistics.median(taken[name]) for name in ("diffusers", "editor")]
    return Result(size, rounds, steps, medians[0], medians[1], ratio, same)


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=positive, default=15)
    parser.add_argument("--steps", type=positive, default=10)
    parser.add_argument("--size", choices=("tiny", "small"), default="small")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    arguments = parser.parse_args()
    result = compare(arguments.size, arguments.rounds, arguments.steps)
    here = {
        **machine(),
        **{name: version(name) for name in ("torch", "diffusers")},
        "threads": torch.get_num_threads(),
    }
    if arguments.json:
        document = {
            **asdict(result),
            "limit": LIMIT,
            "passed": result.passed,
            "sources": loaded_sources(_SOURCES),
            "machine": here,
        }
        write_text_atomic(arguments.json, json.dumps(document, indent=2) + "\n")
    told = "the same" if result.same_pixels else "OTHER"
    print(f"{result.rounds} rounds of {result.steps} steps, in turn; {told} pixels")
    print(f"  diffusers    {result.diffusers:8.3f} s   (medians of processor time)")
    print(f"  editor       {result.editor:8.3f} s")
    print(f"  ratio        {result.ratio:8.3f}")
    print(f"{'PASS' if result.passed else 'FAIL'}: limit {LIMIT}")
    return 0 if result.passed else 1


if __name__ == "__main__":
    sys.exit(main())
