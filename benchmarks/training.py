"""Steps per second of the model kit's training loop beside a plain loop written by hand.

Both train the same small transformer on the same kind of batches with AdamW, clipping and a cosine,
and log the mean loss every ten steps. They take steps in turn, so that what else the machine does
meets both; of each round of steps the ratio of the times counts, and of the rounds the median.

    python -m benchmarks.training [--rounds 15] [--steps 50] [--json FILE]

Exits with 1 when the loop is slower than 0.95 times the plain one. FILE gets the figures with the
hash of the sources that were measured, by which tests/acceptance/04_minigpt4.py knows them.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import imgedit_modelkit
from benchmarks.arguments import positive
from benchmarks.machine import machine
from imgedit_modelkit.fingerprints import of_files
from imgedit_modelkit.training import TrainConfig, train
from imgedit_plugins.atomic import write_text_atomic
from imgedit_plugins.jobs import Job, Progress

LIMIT = 0.95
BATCH, LENGTH, WORDS, WIDTH, WARM_UP = 8, 32, 256, 64, 20


@dataclass(frozen=True)
class Result:
    """Steps per second, medians over the rounds, and the median of the rounds' ratios."""

    rounds: int
    steps: int
    plain: float
    loop: float
    ratio: float

    @property
    def passed(self) -> bool:
        """Whether the limit is kept."""
        return self.ratio >= LIMIT


def sources_sha256() -> str:
    """Of everything that is measured: this file and the model kit's own modules."""
    kit = Path(imgedit_modelkit.__file__).parent
    return of_files([Path(__file__), *kit.glob("*.py")], kit.parents[1])


class Copying:
    """A task: words in, the same words out, through a two-layer transformer."""

    def build(self) -> nn.Module:
        """The model."""
        layer = nn.TransformerEncoderLayer(WIDTH, 4, 4 * WIDTH, dropout=0.1, batch_first=True)
        body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        return nn.Sequential(nn.Embedding(WORDS, WIDTH), body, nn.Linear(WIDTH, WORDS))

    def train_items(self) -> range:
        """Seeds."""
        return range(512)

    def validation_items(self) -> list[int]:
        """None: only steps are measured."""
        return []

    def collate(self, items: list[int], generator: torch.Generator) -> Tensor:
        """Random words."""
        return torch.randint(WORDS, (len(items), LENGTH), generator=generator)

    def loss(self, model: nn.Module, batch: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Cross-entropy."""
        return nn.functional.cross_entropy(model(batch).flatten(0, 1), batch.flatten()), {}

    def validate(self, model: nn.Module, batches: Iterable[Any]) -> dict[str, float]:  # noqa: ARG002
        """Never called."""
        return {}

    def sample(self, model: nn.Module, folder: Path, step: int) -> None:
        """Nothing."""


def plain_steps(total: int) -> Iterator[None]:
    """A loop written by hand; each item of the iterator is a step taken."""
    task = Copying()
    model = task.build().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.0)
    items = torch.randperm(len(task.train_items())).tolist() * (1 + total * BATCH // 512)
    losses = []
    for step in range(total):
        some = items[step * BATCH : (step + 1) * BATCH]
        batch = task.collate(some, torch.Generator().manual_seed(step))
        for group in optimizer.param_groups:
            group["lr"] = 1e-4 * 0.5 * (1 + math.cos(math.pi * step / (total - 1)))
        loss, _ = task.loss(model, batch)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.detach())
        if step % 10 == 9:
            assert math.isfinite(float(torch.stack(losses).mean()))
            losses.clear()
        yield


def compare(rounds: int, steps: int) -> Result:
    """The small transformer in both loops."""
    total = WARM_UP + rounds * steps
    config = TrainConfig(steps=total, batch_size=BATCH, checkpoint_every=10**9)

    def run(job: Job) -> None:
        with tempfile.TemporaryDirectory() as folder:
            train(Copying(), config, Path(folder) / "run", job)

    return in_turn(run, plain_steps(total), rounds, steps)


def in_turn(
    train_with: Callable[[Job], None], plain: Iterator[None], rounds: int, steps: int
) -> Result:
    """Steps in turn: the plain loop takes one whenever the model kit's has reported one.

    Args:
        train_with: takes `WARM_UP` + rounds * steps steps, and tells a job of each.
        plain: takes a step of the plain loop for each item.
        rounds: ratios to take the median of.
        steps: of a round.
    """
    total = WARM_UP + rounds * steps
    ours: list[float] = []
    theirs: list[float] = []
    left = time.perf_counter()

    def take_turns(progress: Progress) -> None:
        nonlocal left
        if progress.stage != "training":
            return
        arrived = time.perf_counter()
        next(plain)
        ours.append(arrived - left)
        left = time.perf_counter()
        theirs.append(left - arrived)

    train_with(Job(on_progress=take_turns))
    begins = range(WARM_UP, total, steps)
    loop = [sum(ours[begin : begin + steps]) for begin in begins]
    hand = [sum(theirs[begin : begin + steps]) for begin in begins]
    ratio = statistics.median(b / a for a, b in zip(loop, hand, strict=True))
    return Result(
        rounds, steps, steps / statistics.median(hand), steps / statistics.median(loop), ratio
    )


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=positive, default=15)
    parser.add_argument("--steps", type=positive, default=50)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    arguments = parser.parse_args()
    return tell(
        compare(arguments.rounds, arguments.steps),
        arguments.json,
        {"sources_sha256": sources_sha256()},
    )


def tell(result: Result, path: Path | None, sources: Mapping[str, Any]) -> int:
    """Print a result, write it where a path is given, and return the exit code."""
    here = {**machine(), "torch": torch.__version__, "threads": torch.get_num_threads()}
    if path:
        document = {
            **asdict(result),
            "limit": LIMIT,
            "passed": result.passed,
            **sources,
            "machine": here,
        }
        write_text_atomic(path, json.dumps(document, indent=2) + "\n")
    print(f"{result.rounds} rounds of {result.steps} steps in turn; threads: {here['threads']}")
    print(f"  plain loop   {result.plain:8.1f} steps/s   (medians)")
    print(f"  model kit    {result.loop:8.1f} steps/s")
    print(f"  ratio        {result.ratio:8.3f}")
    print(f"{'PASS' if result.passed else 'FAIL'}: limit {LIMIT}")
    return 0 if result.passed else 1


if __name__ == "__main__":
    sys.exit(main())
