"""Trains a tiny task under torchrun or accelerate launch."""

import argparse
import dataclasses
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from layered_task import LayeredTask
from tiny_task import CONFIG, TinyTask, kill_at_event

from imgedit_modelkit.training import train
from imgedit_plugins.errors import ImgeditError, JobCancelledError
from imgedit_plugins.jobs import Job


class Different(LayeredTask):
    """Every process builds another model."""

    def build(self):
        import torch

        torch.manual_seed(int(os.environ["RANK"]))
        return super().build()


TASKS = {"tiny": TinyTask, "layered": LayeredTask, "different": Different}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("cancel_at", type=int, nargs="?", default=0)
    parser.add_argument("--task", choices=TASKS, default="tiny")
    parser.add_argument("--noisy", action="store_true")
    parser.add_argument("--sharding", default="none")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--kill-at", type=int, help="change of a file in OUT, by the first process")
    given = parser.parse_args()
    if given.kill_at is not None and os.environ["RANK"] == "0":
        kill_at_event(given.kill_at, given.out)
    job = Job(on_progress=lambda p: job.cancel() if p.done == given.cancel_at else None)
    config = dataclasses.replace(
        CONFIG, batch_size=2, sharding=given.sharding, precision=given.precision
    )
    task = TASKS[given.task](noisy=given.noisy)
    try:
        train(task, config, given.out, job)
    except JobCancelledError:
        print("cancelled", flush=True)
    except ImgeditError as error:
        print(f"refused: {error}", flush=True)
    else:
        if given.sharding != "none" and hasattr(task, "model"):
            shares = f"share: {_share(task.model, True)} {_share(task.model, False)}\n"
            print(shares, end="", flush=True)  # at once, since both write to one pipe


def _share(model, learns: bool) -> int:
    """How many of the numbers that learn, or of the frozen ones, this process has."""
    parameters = [p for p in model.parameters() if p.requires_grad is learns and p.ndim]
    return sum(p.to_local().numel() for p in parameters)


if __name__ == "__main__":
    main()
