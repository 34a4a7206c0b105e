"""The training loop, on Accelerate: one process, several GPUs, several nodes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate.utils import broadcast, gather_object, send_to_device
from torch import nn

from imgedit_modelkit import checkpoints, modes, random_states, setup
from imgedit_modelkit.ema import RunningAverage
from imgedit_modelkit.errors import TrainingError
from imgedit_modelkit.fingerprints import seed_of
from imgedit_modelkit.order import TrainBatches, ValidationBatches, loader
from imgedit_modelkit.run_files import Checkpoint
from imgedit_modelkit.runs import RunFolder
from imgedit_modelkit.sharding import Shards, entire
from imgedit_modelkit.tracking import Window, check_finite, tensorboard
from imgedit_modelkit.training import TrainConfig, TrainingTask
from imgedit_plugins.errors import JobCancelledError
from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import TrainReport

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


def run(task: TrainingTask, config: TrainConfig, out: Path, job: Job) -> TrainReport:
    """Train; see `training.train`."""
    with setup.as_launched(config) as launched:
        return _run(task, launched, out, job)


def _run(task: TrainingTask, config: TrainConfig, out: Path, job: Job) -> TrainReport:
    accelerator = setup.accelerator(config)
    with random_states.kept(config.seed), contextlib.ExitStack() as stack:
        items = setup.Items(task.train_items(), task.validation_items())
        folder = setup.begin(task, config, items, out, accelerator, job, stack)
        if folder.state.get("status") == setup.FINISHED:
            return setup.report(folder)
        checkpoint = setup.newest_whole(folder, accelerator, job)
        loop = Loop(task, config, items, accelerator, folder, job)
        if checkpoint is not None:
            loop.resume(checkpoint)
        if accelerator.is_main_process and config.tensorboard:
            loop.writer = stack.enter_context(tensorboard(out / "tensorboard", loop.step))
        loop.train()
        accelerator.wait_for_everyone()
        return setup.report(folder)


class Loop:
    """The state of one training in this process.

    Attributes:
        step, steps: updates done, and of the whole training.
        writer: for TensorBoard, or None.
    """

    def __init__(
        self,
        task: TrainingTask,
        config: TrainConfig,
        items: setup.Items,
        accelerator: Any,
        folder: RunFolder,
        job: Job,
    ) -> None:
        self._task, self._config, self._items = task, config, items
        self._accelerator, self._folder, self._job = accelerator, folder, job
        self._processes: int = accelerator.num_processes
        self.steps = config.total_steps(len(items.train), self._processes)
        self._schedule = config.schedule(self.steps)
        self.step = self._saved_at = 0
        self.writer: SummaryWriter | None = None
        self._window = Window()
        self._began = (time.monotonic(), 0)
        self._build()

    def _build(self) -> None:
        config, accelerator = self._config, self._accelerator
        self._model = self._task.build()
        if config.gradient_checkpointing:
            modes.checkpoint_gradients(self._model)
        modes.keep_gradients(self._model)
        self._frozen = modes.frozen_hashes(self._model)
        self._buffers = modes.buffer_hashes(self._model)
        self._shards = Shards(self._model, accelerator) if config.sharding == "fsdp" else None
        forward = setup.Forward(self._task, self._model)
        self._forward = setup.prepare(forward, self._shards, accelerator)
        self._parameters = modes.trained(self._model)
        self._optimizer = setup.optimizer(self._parameters.values(), config)
        self._average = RunningAverage(self._parameters, config.ema) if config.ema else None
        modes.set_training(self._model)
        random_states.seed_all(seed_of(config.seed, "process", accelerator.process_index))

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint."""
        checkpoints.check_frozen(checkpoint, self._frozen)
        states = checkpoints.read(
            checkpoint,
            self._model,
            self._optimizer,
            self._average,
            self._accelerator.process_index,
        )
        record = checkpoint.record
        self.step = self._saved_at = checkpoint.step
        self._window.load(record["windows"][self._accelerator.process_index])
        if record["scaler"]:
            self._accelerator.scaler.load_state_dict(record["scaler"])
        random_states.restore(states)

    def train(self) -> None:
        """Take all steps that are left.

        Raises:
            JobCancelledError: the user cancelled; there is a checkpoint of the present step.
        """
        self._began = (time.monotonic(), self.step)
        batches = self._batches()
        try:
            self._validate_if_due()  # a checkpoint is written before the validation of its step
            while self.step < self.steps:
                self._stop_if_cancelled()
                self._take_step(batches)
                self._report_progress()
                self._log_if_due()
                self._save_if_due()
                self._validate_if_due()
        except JobCancelledError:
            if self.step > self._saved_at:
                self._save()
            self._write_state("cancelled")
            raise
        self._write_state(setup.FINISHED)

    # --- one step -----------------------------------------------------------------------------

    def _take_step(self, batches: Iterator[Any]) -> None:
        accelerator, config = self._accelerator, self._config
        rate = self._schedule(self.step)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        for number in range(config.accumulate):
            # Gradients travel between processes once, with the last part.
            last = number == config.accumulate - 1
            with contextlib.nullcontext() if last else accelerator.no_sync(self._forward):
                batch = send_to_device(next(batches), accelerator.device)
                if self._shards is not None:
                    self._shards.share_buffers()
                loss, figures = self._forward(batch)
                self._backward(loss if config.accumulate == 1 else loss / config.accumulate)
            self._window.add({"loss": loss.detach(), **figures})
        self._update()
        if self._average is not None:
            self._average.update(self.step)
        self.step += 1

    # Not by Accelerate's wrappers, which look for optional packages on disk at every step.

    def _backward(self, loss: torch.Tensor) -> None:
        scaler = self._accelerator.scaler
        torch.autograd.backward(loss if scaler is None else scaler.scale(loss))

    def _update(self) -> None:
        scaler, clip = self._accelerator.scaler, self._config.clip
        if scaler is not None:
            scaler.unscale_(self._optimizer)
        if clip is not None:
            norm = nn.utils.clip_grad_norm_(self._parameters.values(), clip)
            self._window.add({"gradient_norm": norm if self._shards is None else entire(norm)})
        if scaler is None:
            self._optimizer.step()
        else:
            scaler.step(self._optimizer)
            scaler.update()
        self._optimizer.zero_grad()

    def _is_due(self, every: int) -> bool:
        return self.step > 0 and (self.step == self.steps or self.step % every == 0)

    # --- figures ------------------------------------------------------------------------------

    def _log_if_due(self) -> None:
        if not self._is_due(self._config.log_every):
            return
        figures = self._window.means(self._accelerator)
        self._check_finite(figures)
        self._write("train", {**figures, "learning_rate": self._schedule(self.step - 1)})

    def _check_finite(self, figures: Mapping[str, float]) -> None:
        # With fp16 gradients overflow at times, and the step is left out.
        names = ("loss",) if self._config.precision == "fp16" else ("loss", "gradient_norm")
        check_finite({name: figures[name] for name in names if name in figures}, self.step)

    def _write(self, kind: str, figures: dict[str, float]) -> None:
        if self._accelerator.is_main_process:
            self._folder.append_metrics(self.step, kind, figures)
            if self.writer is not None:
                for name, value in figures.items():
                    self.writer.add_scalar(f"{kind}/{name}", value, self.step)

    def _report_progress(self) -> None:
        if self._accelerator.is_main_process:
            # A cancellation is seen before the next step, by all processes at once.
            with contextlib.suppress(JobCancelledError):
                self._job.report("training", self.step, self.steps)

    def _stop_if_cancelled(self) -> None:
        if self._processes == 1:
            self._job.check()
            return
        flag = torch.tensor([float(self._job.cancelled)], device=self._accelerator.device)
        if broadcast(flag, from_process=0).item():
            raise JobCancelledError

    # --- checkpoints and validation -----------------------------------------------------------

    def _save_if_due(self) -> None:
        validates = len(self._items.validation) > 0 and self._is_due(self._config.validate_every)
        if validates or self._is_due(self._config.checkpoint_every):
            self._save()
            self._write_state("running")

    def _save(self) -> None:
        window = self._window.document()
        self._check_finite({name: total for name, (total, _) in window.items()})
        own = random_states.capture(), window
        gathered = gather_object([own]) if self._processes > 1 else [own]
        files = checkpoints.contents(self._model, self._optimizer, self._average, self._buffers)
        if self._shards is not None:
            files = {name: self._shards.whole(tensors) for name, tensors in files.items()}
        if self._accelerator.is_main_process:
            scaler = self._accelerator.scaler
            record = {
                "frozen": self._frozen,
                "windows": [window for _, window in gathered],
                "scaler": scaler.state_dict() if scaler is not None else None,
            }
            self._folder.write_checkpoint(
                self.step,
                record,
                lambda folder: checkpoints.write(folder, files, [states for states, _ in gathered]),
            )
            self._folder.prune(self._config.keep)
        self._saved_at = self.step

    def _write_state(self, status: str) -> None:
        if not self._accelerator.is_main_process:
            return
        began, first = self._began
        best = self._folder.best()
        self._folder.write_state(
            {
                "status": status,
                "step": self.step,
                "steps": self.steps,
                "best_step": best.step if best else None,
                "steps_per_second": (self.step - first) / max(time.monotonic() - began, 1e-9),
            }
        )

    def _validate_if_due(self) -> None:
        if not (len(self._items.validation) and self._is_due(self._config.validate_every)):
            return
        with self._entire_model() as model:
            if model is not None:
                self._validate(model)
        self._accelerator.wait_for_everyone()

    @contextlib.contextmanager
    def _entire_model(self) -> Iterator[nn.Module | None]:
        """The model with its averaged weights in the main process; None in the others."""
        averages = self._average.averages if self._average else None
        if self._shards is not None:
            with self._shards.gathered(averages) as model:
                yield model
            return
        if not self._accelerator.is_main_process:
            yield None
            return
        with self._average.in_place() if self._average else contextlib.nullcontext():
            try:
                yield self._model
            finally:
                modes.set_training(self._model)

    def _validate(self, model: nn.Module) -> None:
        """In eval mode, with random states of its own."""
        model.eval()
        seed = seed_of(self._config.seed, "validation", self.step)
        with random_states.kept(seed), torch.no_grad(), self._accelerator.autocast():
            figures = self._task.validate(model, self._validation_batches())
            if self._config.best_by not in figures:
                raise TrainingError(
                    f"validate returned no figure {self._config.best_by!r}.",
                    hint=f"Set best_by to one of these: {', '.join(figures) or 'none'}.",
                )
            self._write("validation", figures)
            with self._folder.samples(self.step) as folder:
                self._task.sample(model, folder, self.step)
        self._folder.prune(self._config.keep)

    def _validation_batches(self) -> Iterator[Any]:
        batches = ValidationBatches(self._task, self._items.validation, self._config)
        made = loader(batches, range(len(batches)), self._config.num_workers, pinned=False)
        for number, batch in enumerate(made):
            if self._processes == 1:  # the others would wait for ever
                self._job.report("validating", number, len(batches))
            yield send_to_device(batch, self._accelerator.device)

    def _batches(self) -> Iterator[Any]:
        process, pinned = self._accelerator.process_index, self._accelerator.device.type == "cuda"
        batches = TrainBatches(
            self._task, self._items.train, self._config, process, self._processes
        )
        numbers = range(self.step * self._config.accumulate, self.steps * self._config.accumulate)
        return loader(batches, numbers, self._config.num_workers, pinned=pinned)
