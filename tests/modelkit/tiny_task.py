"""A small task with everything that makes resuming hard, and a program that trains it."""

import os
import random
import signal
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from imgedit_modelkit.training import TrainConfig, train
from imgedit_plugins.jobs import Job


class TinyModel(nn.Module):
    """A frozen encoder with a batch norm, and a trained head with dropout and a batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.5))
        self.encoder.requires_grad_(False)
        self.norm = nn.BatchNorm1d(8)
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.drop(self.norm(self.encoder(x))))


class TinyTask:
    """Regression on made numbers, with randomness from every generator there is."""

    def __init__(self, items: int = 37, noisy: bool = True) -> None:
        made = np.random.default_rng(1)
        self.weights = made.normal(size=(6, 3)).astype(np.float32)
        self.inputs = made.normal(size=(items, 6)).astype(np.float32)
        self.noisy = noisy

    def build(self):
        return (
            TinyModel()
            if self.noisy
            else nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 3))
        )

    def train_items(self):
        return range(len(self.inputs))

    def validation_items(self):
        return range(8)

    def collate(self, items, generator):
        x = torch.from_numpy(self.inputs[items])
        y = x @ torch.from_numpy(self.weights)
        if self.noisy:
            x = x + 0.1 * torch.randn(x.shape, generator=generator)
        return {"x": x, "y": y}

    def loss(self, model, batch):
        x = batch["x"]
        if self.noisy:
            x = x * (1 + 0.01 * random.random()) + 0.01 * float(np.random.normal())  # noqa: NPY002
        loss = nn.functional.mse_loss(model(x), batch["y"])
        return loss, {"items": float(len(x))}

    def validate(self, model, batches):
        losses = [float(nn.functional.mse_loss(model(b["x"]), b["y"])) for b in batches]
        random.random(), torch.rand(3)  # must not disturb the training
        return {"loss": sum(losses) / len(losses)}

    def sample(self, model, folder, step):
        (folder / "weights.txt").write_text(f"{step} {model.training}\n")


CONFIG = TrainConfig(
    steps=24, batch_size=4, accumulate=2, learning_rate=0.01, warmup_steps=5, weight_decay=0.1,
    ema=0.9, checkpoint_every=3, validate_every=4, log_every=5, seed=3,
)  # fmt: skip


def kill_at_event(number: int, folder: Path) -> None:
    """Kill this process at the so-many-th change of a file or folder inside `folder`."""
    events = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate"}
    left = [number]

    def hook(event, args):
        if event in events and str(folder) in str(args[0]):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def train_tiny(out: Path, config: TrainConfig = CONFIG, kill_at: int | None = None) -> None:
    """Train in this process, which may be killed on the way."""
    torch.set_num_threads(1)
    if kill_at is not None:
        kill_at_event(kill_at, out)
    train(TinyTask(), config, out, Job())
