"""What the learning benchmarks share: a training with its usual settings, and a job that tells."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from imgedit_modelkit.run_files import Checkpoint
from imgedit_modelkit.runs import RunFolder
from imgedit_modelkit.training import TrainConfig, TrainingTask, train
from imgedit_plugins.atomic import write_text_atomic
from imgedit_plugins.jobs import Job, Progress

_SECONDS = 20


def settings(steps: int, batch: int, rate: float, **more: float | None) -> TrainConfig:
    """AdamW with a little weight decay, a short warm-up and a cosine to a twentieth of the rate.

    Args:
        steps: how long.
        batch: items of a step.
        rate: the highest learning rate.
        more: other fields of `TrainConfig`.
    """
    given: dict[str, object] = {
        "final_learning_rate": 0.05 * rate,
        "warmup_steps": min(60, steps // 2),
        "weight_decay": 0.01,
        "validate_every": max(1, min(200, steps)),
        "checkpoint_every": 100,
        "log_every": max(1, min(25, steps)),
        **more,
    }
    return TrainConfig(steps=steps, batch_size=batch, learning_rate=rate, **given)  # type: ignore[arg-type]


def trained(task: TrainingTask, config: TrainConfig, run: Path, job: Job) -> Checkpoint:
    """The best checkpoint of a run that is made, gone on with, or finished already."""
    train(task, config, run, job)
    best = RunFolder.open(run).best()
    assert best is not None  # a finished training has a checkpoint
    return best


class Watch:
    """The processor time of a step, also of the processes that began it and were killed.

    Args:
        file: where the time is kept until the step is done.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        before = float(file.read_text("utf-8")) if file.exists() else 0.0
        self._began = time.process_time() - before

    @property
    def seconds(self) -> float:
        """Until now."""
        return time.process_time() - self._began

    def keep(self) -> None:
        """Write down what was spent until now."""
        write_text_atomic(self._file, f"{self.seconds:.1f}\n")


def telling(title: str, on_tell: Callable[[], None] = lambda: None) -> Job:
    """A job that says now and then how far it is; `on_tell` is called then."""
    last = 0.0

    def tell(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last > _SECONDS:
            last = time.monotonic()
            print(f"{title}: {progress.stage} {progress.done}/{progress.total}", flush=True)
            on_tell()

    return Job(on_progress=tell)
