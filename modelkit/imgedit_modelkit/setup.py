"""What comes before the first step and after the last: processes, optimiser, run folder, report."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import (
    Accelerator,
    DistributedDataParallelKwargs,
    InitProcessGroupKwargs,
    PartialState,
)
from accelerate.state import AcceleratorState, GradientState
from accelerate.utils import broadcast_object_list
from torch import nn

from imgedit_modelkit import fingerprints, training
from imgedit_modelkit.errors import TrainingError
from imgedit_modelkit.run_files import Checkpoint
from imgedit_modelkit.runs import RunFolder
from imgedit_modelkit.sharding import Shards
from imgedit_modelkit.training import MAY_CHANGE, TrainConfig, TrainingTask
from imgedit_plugins.errors import ImgeditError
from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import TrainReport

FINISHED = "finished"

_WAITING = datetime.timedelta(hours=12)  # others wait while the main process validates


@dataclass(frozen=True)
class Items:
    """The data sets of a task."""

    train: Sequence[Any]
    validation: Sequence[Any]

    def __post_init__(self) -> None:
        if not len(self.train):
            raise TrainingError("The training set is empty.")


@contextlib.contextmanager
def as_launched(config: TrainConfig) -> Iterator[TrainConfig]:
    """The settings with what `accelerate launch --use_fsdp` adds to them.

    Within the block nobody else sees that flag: transformers would load nothing into the models of
    all processes but one, and Accelerate would share them out in its own way.
    """
    if training.launched_sharded():
        config = dataclasses.replace(config, sharding="fsdp")
    flag = os.environ.pop(training.LAUNCHED_SHARDED, None)
    try:
        yield config
    finally:
        if flag is not None:
            os.environ[training.LAUNCHED_SHARDED] = flag


def accelerator(config: TrainConfig) -> Accelerator:
    """What knows the processes and devices; as `torchrun` or `accelerate launch` set them up.

    Raises:
        TrainingError: the precision is not for this machine, or one process is to share with
            others.
    """
    # Accelerate keeps the settings of a process's first training for all later ones.
    AcceleratorState._reset_state()
    GradientState._reset_state()
    try:
        made = Accelerator(
            cpu=_without_gpu(),
            mixed_precision="no" if config.precision == "fp32" else config.precision,
            kwargs_handlers=[
                InitProcessGroupKwargs(timeout=_WAITING),
                DistributedDataParallelKwargs(gradient_as_bucket_view=True),
            ],
        )
    except ValueError as error:
        raise TrainingError(
            f"precision {config.precision!r} cannot be had here: {error}", hint="Use 'fp32'."
        ) from error
    if config.precision == "fp16" and made.scaler is None:  # it would train in fp32, silently
        raise TrainingError(
            f"precision 'fp16' needs a GPU, and this is {made.device.type!r}.",
            hint="Use 'bf16' or 'fp32'.",
        )
    if made.num_processes != training.processes():
        raise TrainingError(
            f"{training.processes()} processes were launched, and Accelerate knows "
            f"{made.num_processes}.",
            hint="Launch them with torchrun or accelerate launch.",
        )
    if config.sharding != "none" and made.num_processes == 1:
        raise TrainingError(
            f"sharding {config.sharding!r} needs several processes, and this is one.",
            hint="Launch with `torchrun --nproc-per-node N`, or train with sharding 'none'.",
        )
    return made


def prepare(forward: Forward, shards: Shards | None, accelerator: Accelerator) -> nn.Module:
    """The loss's forward pass, on its device, in its precision, for all processes together."""
    if shards is None:
        prepared: nn.Module = accelerator.prepare(forward)
        return prepared
    # As for an evaluation: autocast, and no wrapper for copies of the whole in every process.
    accelerator.prepare_model(forward, device_placement=False, evaluation_mode=True)
    return shards.share_out(forward)


def optimizer(parameters: Iterable[nn.Parameter], config: TrainConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019); weight decay for matrices, none for biases and norms."""
    everything = list(parameters)
    if not config.weight_decay:  # one group takes less time than two
        return torch.optim.AdamW(
            everything, lr=config.learning_rate, betas=config.betas, weight_decay=0.0
        )
    groups = [
        {"params": [p for p in everything if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in everything if p.ndim < 2], "weight_decay": 0.0},
    ]
    filled = [group for group in groups if group["params"]]
    return torch.optim.AdamW(filled, lr=config.learning_rate, betas=config.betas)


def begin(
    task: TrainingTask,
    config: TrainConfig,
    items: Items,
    out: Path,
    accelerator: Accelerator,
    job: Job,
    stack: contextlib.ExitStack,
) -> RunFolder:
    """The run folder, new or gone on with; `stack` holds its lock in the main process."""
    facts = {
        "seed": config.seed,
        "processes": accelerator.num_processes,
        "task": f"{type(task).__module__}.{type(task).__qualname__}",
        "data": _data(task, items),
        "code": fingerprints.of_code(type(task)),
        "versions": fingerprints.versions(),
    }

    def prepare() -> None:
        document = config.document() | _settings(task)
        folder, warnings = RunFolder.resume(out, document, facts, may_change=MAY_CHANGE)
        stack.enter_context(folder.writing())
        for warning in warnings:
            job.warn(warning)

    on_main(accelerator, prepare)
    return RunFolder.open(out)


def newest_whole(folder: RunFolder, accelerator: Accelerator, job: Job) -> Checkpoint | None:
    """The newest checkpoint whose files are whole; what came after it is forgotten."""

    def find() -> int:
        for checkpoint in reversed(folder.checkpoints()):
            if faults := checkpoint.faults():
                job.warn(f"A checkpoint is damaged and left out: {'; '.join(faults)}.")
                continue
            folder.rewind(checkpoint.step, checkpoint.record["metrics_bytes"])
            return checkpoint.step
        folder.rewind(0, 0)
        return 0

    step = on_main(accelerator, find)
    return next((c for c in folder.checkpoints() if c.step == step), None)


def process_state() -> PartialState:
    """What this process knows of the others, as `accelerator` sets it up; also before it."""
    waiting = InitProcessGroupKwargs(timeout=_WAITING).to_kwargs()
    return PartialState(cpu=_without_gpu(), **waiting)


def _without_gpu() -> bool:
    """Without a GPU, Accelerate only sees several processes when it is told so."""
    return not torch.accelerator.is_available()


def on_main(accelerator: Accelerator | PartialState, work: Callable[[], Any]) -> Any:
    """The result of `work`, done in the main process; its errors are raised in all of them."""
    if accelerator.num_processes == 1:
        return work()
    told: list[Any] = [None, ""]
    failure: ImgeditError | None = None
    if accelerator.is_main_process:
        try:
            told[0] = work()
        except ImgeditError as error:
            failure, told[1] = error, str(error)
    broadcast_object_list(told)
    if failure is not None:
        raise failure
    if told[1]:
        raise TrainingError(told[1])
    return told[0]


class Forward(nn.Module):
    """The loss as a forward pass: distributed training only sees what goes through `forward`."""

    def __init__(self, task: TrainingTask, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self._task = task

    def forward(self, batch: Any) -> tuple[torch.Tensor, dict[str, float]]:
        """The task's loss and figures; raises TrainingError where it is no scalar to learn by."""
        loss, figures = self._task.loss(self.model, batch)
        if loss.ndim or not loss.requires_grad:
            raise TrainingError(
                f"The loss must be one number with a gradient, not of shape {tuple(loss.shape)} "
                f"with requires_grad {loss.requires_grad}."
            )
        return loss, figures


def report(folder: RunFolder) -> TrainReport:
    """What a finished training tells."""
    lines = folder.metrics("train")
    figures = folder.best_figures() or (lines[-1] if lines else {})
    known = {n: v for n, v in figures.items() if n not in ("step", "kind") and v is not None}
    return TrainReport(run=folder.path, metrics={name: float(v) for name, v in known.items()})


def _settings(task: TrainingTask) -> dict[str, Any]:
    settings = getattr(task, "settings", None)
    return {f"task.{name}": value for name, value in settings().items()} if settings else {}


def _data(task: TrainingTask, items: Items) -> dict[str, Any]:
    fingerprint = getattr(task, "data_fingerprint", None)
    return {
        "train_items": len(items.train),
        "validation_items": len(items.validation),
        "fingerprint": fingerprint() if fingerprint else "",
    }
