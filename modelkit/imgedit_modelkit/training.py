"""Training: what a task is, the settings, and the call that trains.

Nothing here imports torch before `train` is called.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from imgedit_modelkit.errors import TrainingError
from imgedit_modelkit.schedules import WarmupCosine

if TYPE_CHECKING:
    import torch

    from imgedit_plugins.jobs import Job
    from imgedit_plugins.requests import TrainReport

MAY_CHANGE = frozenset({"checkpoint_every", "keep", "num_workers", "tensorboard"})
"""Settings that may differ when a run goes on: the result hangs on none of them."""

LAUNCHED_SHARDED = "ACCELERATE_USE_FSDP"
"""Set by `accelerate launch --use_fsdp`."""


class TrainingTask(Protocol):
    """What is trained, on what. All calls come from the loop, in the order of the methods.

    A task may also have ``data_fingerprint() -> str``, a hash of its data: a run then refuses to
    go on with other data. Without it only the numbers of items are compared. And it may have
    ``settings() -> dict[str, Any]``, as JSON knows them: what the result hangs on besides its data
    and `TrainConfig`; a run refuses to go on with others, by name.
    """

    def build(self) -> torch.nn.Module:
        """The model, on the CPU; its frozen parts have ``requires_grad`` False."""
        ...

    def train_items(self) -> Sequence[Any]:
        """The training set: `len()` and `[i]`, cheap to index; loader processes may call it."""
        ...

    def validation_items(self) -> Sequence[Any]:
        """The validation set; empty for none."""
        ...

    def collate(self, items: list[Any], generator: torch.Generator) -> Any:
        """A batch, on the CPU: tensors in lists, tuples, dicts. All randomness from `generator`."""
        ...

    def loss(self, model: torch.nn.Module, batch: Any) -> tuple[torch.Tensor, dict[str, float]]:
        """A scalar loss with gradient, the mean over the batch, and further figures to log."""
        ...

    def validate(self, model: torch.nn.Module, batches: Iterable[Any]) -> dict[str, float]:
        """Figures over the validation batches; that named by `best_by` chooses the best.

        Called without gradients, with the model in `eval` mode and the averaged weights where
        there are any, in the main process alone.
        """
        ...

    def sample(self, model: torch.nn.Module, folder: Path, step: int) -> None:
        """Write samples to look at into `folder`, or nothing; called as `validate`."""
        ...


@dataclass(frozen=True)
class TrainConfig:
    """The settings of a training.

    Attributes:
        steps, epochs: how long; one of the two. A step is one update of the weights.
        batch_size: items per process and forward pass.
        accumulate: forward passes per step.
        learning_rate: of AdamW, the highest; the schedule is `schedules.WarmupCosine`.
        final_learning_rate: of the last step.
        warmup_steps, warmup_learning_rate: a straight line from that rate to the highest.
        weight_decay: of AdamW, for weights of two and more dimensions (not biases and norms).
        betas: of AdamW.
        clip: largest norm of the gradient; None for no limit.
        precision: 'fp32', or mixed precision with 'bf16' or 'fp16' (fp16 needs a GPU).
        sharding: 'fsdp' shares the model out between several processes, its frozen parts too;
            with 'none' each has all of it.
        ema: decay of the running average of the weights, such as 0.999; None for none.
        checkpoint_every: steps between checkpoints.
        validate_every: steps between validations; there is one at the end in any case.
        keep: checkpoints that are kept, besides the best.
        best_by: the figure of `validate` that chooses the best checkpoint.
        higher_is_better: whether its largest value is the best, or its smallest.
        gradient_checkpointing: compute activations twice instead of keeping them.
        seed: of everything random.
        num_workers: processes that make batches; 0 makes them in the training process.
        log_every: steps between lines of `metrics.jsonl`, which hold means since the last one.
        tensorboard: whether the same figures go to ``tensorboard/`` in the run folder.
    """

    steps: int | None = None
    epochs: float | None = None
    batch_size: int = 1
    accumulate: int = 1
    learning_rate: float = 1e-4
    final_learning_rate: float = 0.0
    warmup_steps: int = 0
    warmup_learning_rate: float = 0.0
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    clip: float | None = 1.0
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    sharding: Literal["none", "fsdp"] = "none"
    ema: float | None = None
    checkpoint_every: int = 500
    validate_every: int = 500
    keep: int = 2
    best_by: str = "loss"
    higher_is_better: bool = False
    gradient_checkpointing: bool = False
    seed: int = 0
    num_workers: int = 0
    log_every: int = 10
    tensorboard: bool = False

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.epochs is None):
            raise TrainingError("A training needs either steps or epochs.")
        for name, fault in self._faults():
            raise TrainingError(f"{name} cannot be {getattr(self, name)!r}: {fault}.")

    def _faults(self) -> Iterable[tuple[str, str]]:
        whole = ("batch_size", "accumulate", "checkpoint_every", "validate_every", "keep")
        for name in (*whole, "log_every", "steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                yield name, "it must be at least 1"
        if self.epochs is not None and not self.epochs > 0:
            yield "epochs", "it must be above 0"
        for name in ("final_learning_rate", "warmup_learning_rate", "weight_decay", "warmup_steps"):
            if not 0 <= getattr(self, name) < math.inf:
                yield name, "it must not be negative"
        for name in ("num_workers", "seed"):
            if getattr(self, name) < 0:
                yield name, "it must not be negative"
        if not 0 < self.learning_rate < math.inf:
            yield "learning_rate", "it must be above 0"
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            yield "betas", "there must be two, from 0 to below 1"
        if self.clip is not None and not self.clip > 0:
            yield "clip", "it must be above 0, or None"
        if self.ema is not None and not 0 < self.ema < 1:
            yield "ema", "it must be between 0 and 1, or None"
        yield from self._faults_of_choices()

    def _faults_of_choices(self) -> Iterable[tuple[str, str]]:
        if self.precision not in ("fp32", "bf16", "fp16"):
            yield "precision", "it must be 'fp32', 'bf16' or 'fp16'"
        if self.sharding not in ("none", "fsdp"):
            yield "sharding", "it must be 'none' or 'fsdp'"
        if self.sharding == "fsdp" and self.precision == "fp16":
            yield "sharding", "with precision 'fp16' it must be 'none'; 'bf16' can be sharded"

    def total_steps(self, items: int, processes: int = 1) -> int:
        """Steps of the whole training, for a training set of so many items."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None
        return max(1, math.ceil(self.epochs * items / self.items_per_step(processes)))

    def items_per_step(self, processes: int = 1) -> int:
        """Items that one update of the weights sees."""
        return self.batch_size * self.accumulate * processes

    def schedule(self, steps: int) -> WarmupCosine:
        """The learning rate of each step."""
        return WarmupCosine(
            peak=self.learning_rate,
            steps=steps,
            final=self.final_learning_rate,
            warmup_steps=self.warmup_steps,
            warmup_start=self.warmup_learning_rate,
        )

    def document(self) -> dict[str, Any]:
        """The settings as JSON knows them."""
        return {**dataclasses.asdict(self), "betas": list(self.betas)}


def processes() -> int:
    """How many processes `torchrun` or `accelerate launch` started."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def shares(config: TrainConfig) -> int:
    """How many processes share one model; 1 where each has all of it."""
    return processes() if config.sharding != "none" or launched_sharded() else 1


def launched_sharded() -> bool:
    """Whether `accelerate launch --use_fsdp` started this process."""
    return os.environ.get(LAUNCHED_SHARDED, "").lower() in ("true", "1")


def on_main(work: Callable[[], None]) -> None:
    """Do something once, in the main process; all wait for it and raise its errors."""
    from imgedit_modelkit import setup

    setup.on_main(setup.process_state(), work)


def train(task: TrainingTask, config: TrainConfig, out: Path, job: Job) -> TrainReport:
    """Train, or go on with the training in `out`; the result is the same to the last bit.

    Under `torchrun` or `accelerate launch` all processes call this with the same arguments; the
    main one writes, reports progress and can be cancelled. After `job.cancel()` a checkpoint is
    written, so that nothing is lost.

    Args:
        task: what is trained.
        config: how.
        out: the run folder, see `runs`.
        job: progress, warnings, cancellation.

    Returns:
        The run folder and the figures of its best checkpoint, or the last ones where nothing is
        validated.

    Raises:
        RunError: `out` holds another run, or another process writes there.
        TrainingError: a setting that this machine or model cannot have, or figures that are no
            numbers any more.
        JobCancelledError: the user cancelled.
    """
    try:
        from imgedit_modelkit import loop
    except ImportError as error:
        raise TrainingError(
            f"Training needs packages that are not installed ({error}).",
            hint="Install them with `pip install 'imgedit-plugins[torch]'`.",
        ) from error
    return loop.run(task, config, out, job)
