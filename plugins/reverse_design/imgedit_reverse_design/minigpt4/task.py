"""What is trained: pairs of I-MAD as prompts and answers, half of each batch with a command."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch
from accelerate import PartialState
from torch import Tensor

from imgedit_modelkit.adapters import adapters
from imgedit_modelkit.readers.imad import ImadRow
from imgedit_modelkit.vision_language import IGNORED, answer_loss
from imgedit_modelkit.vision_towers import VisionTower, to_pixels
from imgedit_plugins.atomic import write_text_atomic
from imgedit_plugins.jobs import Job
from imgedit_plugins.picture_files import open_picture
from imgedit_reverse_design.minigpt4.config import (
    LORA,
    MAX_NEW_TOKENS,
    PROJECTION,
    Adapted,
    Config,
    read_config,
)
from imgedit_reverse_design.minigpt4.experiments import Experiment, experiment
from imgedit_reverse_design.minigpt4.losses import Aligned, combined, decoded_loss, taught_loss
from imgedit_reverse_design.minigpt4.model import (
    IN_FULL,
    Frozen,
    MiniGPT4,
    Read,
    load_adapters,
    load_tensors,
    load_untrained,
)
from imgedit_reverse_design.minigpt4.number_tokens import NumberTokens
from imgedit_reverse_design.minigpt4.parsing import parse_answer
from imgedit_reverse_design.minigpt4.prompts import draw
from imgedit_reverse_design.minigpt4.targets import Target, target
from imgedit_reverse_design.minigpt4.tower_cache import TowerCache
from imgedit_reverse_design.scores import Sample, summarise

SHOWN = 4
"""Answers that are written at each validation, to look at."""


@dataclass(frozen=True)
class Setting:
    """What a task needs beside its data.

    Attributes:
        folder: the model folder that training begins with.
        experiment: id of the experiment.
        fresh: begin with a random projection instead of the folder's, and without its adapters.
        frozen: how the frozen parts are kept.
        lora: adapters in the language model that learn too; None leaves the language model as it
            is in the folder.
        answers: validation pairs that are answered and scored; the loss is over all of them.
    """

    folder: Path
    experiment: str = "1"
    fresh: bool = False
    frozen: Frozen = IN_FULL
    lora: Adapted | None = None
    answers: int = 64


class ReverseDesignTask:
    """A `TrainingTask` of the model kit.

    Args:
        setting: how.
        train, validation: rows of a data set.
        cache: of what the tower makes of their pictures; it is filled when the model is built.
        job: told how far that is.
    """

    def __init__(
        self,
        setting: Setting,
        train: Sequence[ImadRow],
        validation: Sequence[ImadRow],
        *,
        cache: TowerCache | None = None,
        job: Job | None = None,
    ) -> None:
        self.setting = setting
        self.cache, self._job = cache, job or Job()
        self.rows = {"train": train, "validation": validation}
        self.config = config_of(setting)
        self.how: Experiment = experiment(setting.experiment)
        with torch.device("meta"):
            self._size = VisionTower(self.config.tower.config()).image_size
        self._numbers: NumberTokens | None = None

    def data_fingerprint(self) -> str:
        """A hash over the rows and their splits."""
        told = [
            [part, row.id, row.img_source, row.command, row.operations]
            for part, rows in self.rows.items()
            for row in rows
        ]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()

    def settings(self) -> dict[str, Any]:
        """What the result hangs on besides the data and the frozen weights, which have hashes."""
        setting = self.setting
        return {
            "experiment": setting.experiment,
            "fresh": setting.fresh,
            "precision": str(setting.frozen.dtype).removeprefix("torch."),
            "bits": setting.frozen.bits,
            "lora": msgspec.to_builtins(self.config.lora),
            "answers": setting.answers,
        }

    def build(self) -> MiniGPT4:
        """The model; only its projection learns, and new adapters if there are to be any."""
        setting = self.setting
        model = load_untrained(setting.folder, setting.frozen, config=self.config)
        if not setting.fresh:
            load_tensors(model.projection, setting.folder / PROJECTION)
            if read_config(setting.folder).lora is not None:
                load_adapters(model, setting.folder / LORA)
        for parameter in adapters(model.language.language_model).values():
            parameter.requires_grad_(setting.lora is not None)
        if self.cache is not None:
            self._fill(self.cache, model)
        return model

    def _fill(self, cache: TowerCache, model: MiniGPT4) -> None:
        """Each process encodes its share, where it will train; the loop waits for all of them."""
        here = PartialState()
        model.tower.to(here.device)
        cache.fill(model.tower, self._job, process=here.process_index, processes=here.num_processes)

    def train_items(self) -> Sequence[ImadRow]:
        """The training rows."""
        return self.rows["train"]

    def validation_items(self) -> Sequence[ImadRow]:
        """The validation rows."""
        return self.rows["validation"]

    # --- batches ------------------------------------------------------------------------------

    def collate(self, items: list[ImadRow], generator: torch.Generator) -> dict[str, Any]:
        """Pixels, prompts and answers; half of the rows, drawn, with their command.

        Of an odd number of rows the larger half has it as often as not. A row without a command
        goes without.
        """
        rng = random.Random(int(torch.randint(2**62, (), generator=generator)))  # noqa: S311
        odd = len(items) % 2 == 1 and rng.random() < 0.5
        half = len(items) // 2 + odd
        chosen = set(sorted(range(len(items)), key=lambda _: rng.random())[:half])
        commands = [row.command if i in chosen else "" for i, row in enumerate(items)]
        return {
            "pixels": self.pixels(items),
            "prompts": [
                draw(rng, command or None, self.config.wrap, breaks=self.how.breaks)
                for command in commands
            ],
            "targets": [target(row.operations, rng) for row in items],
            "commanded": [bool(command) for command in commands],
        }

    def pixels(self, items: Sequence[ImadRow]) -> Tensor:
        """Sources and edited pictures as `MiniGPT4.encode` takes them.

        (items, 2, 3, size, size); with a cache (items, 2, tokens, width), the tower's tokens.
        """
        paths = [path for row in items for path in (row.source, row.edited)]
        if self.cache is not None:
            flat = self.cache.tokens(paths)
        else:
            flat = to_pixels([open_picture(path).rgb8() for path in paths], self._size)
        return flat.reshape(len(items), 2, *flat.shape[1:])

    # --- losses -------------------------------------------------------------------------------

    def loss(self, model: torch.nn.Module, batch: Any) -> tuple[Tensor, dict[str, float]]:
        """Cross entropy over the answers, and the experiment's auxiliary loss."""
        assert isinstance(model, MiniGPT4)
        targets: list[Target] = batch["targets"]
        read = model(batch["pixels"], batch["prompts"], [one.text for one in targets])
        language = answer_loss(read.logits, read.labels)
        if self.how.auxiliary == "none":
            return language, {"language": float(language.detach())}
        more = self._auxiliary(model, read, targets)
        figures = {"language": float(language.detach()), "auxiliary": float(more.detach())}
        return language + more, figures

    def _auxiliary(self, model: MiniGPT4, read: Read, targets: Sequence[Target]) -> Tensor:
        answers = aligned(read, targets)
        if self.how.gradient:
            numbers = self._number_tokens(model)
            parts = [taught_loss(answer, self.how.auxiliary, numbers) for answer in answers]
            return torch.stack([combined(part) for part in parts]).mean()
        tokenizer = model.language.tokenizer
        found = [
            decoded_loss(
                tokenizer.decode(answer.logits.argmax(-1).tolist(), skip_special_tokens=True),
                answer.target,
                self.how.auxiliary,
            )
            for answer in answers
        ]
        return read.logits.new_tensor(sum(found) / len(found), dtype=torch.float32)

    def _number_tokens(self, model: MiniGPT4) -> NumberTokens:
        if self._numbers is None:
            self._numbers = NumberTokens(model.language.strings)
        return self._numbers

    # --- validation ---------------------------------------------------------------------------

    def validate(self, model: torch.nn.Module, batches: Iterable[Any]) -> dict[str, float]:
        """The loss over all rows; accuracy, MSE and F1 of the first answers, also by command."""
        assert isinstance(model, MiniGPT4)
        losses: list[float] = []
        samples: dict[str, list[Sample]] = {"": [], "_with_command": [], "_without_command": []}
        for batch in batches:
            losses.append(float(self.loss(model, batch)[0]))
            if len(samples[""]) < self.setting.answers:
                for sample, commanded in zip(
                    _answered(model, batch), batch["commanded"], strict=True
                ):
                    samples[""].append(sample)
                    kind = "_with_command" if commanded else "_without_command"
                    samples[kind].append(sample)
        figures = {"loss": sum(losses) / len(losses)}
        for kind, group in samples.items():
            if group:
                figures |= {f"{n}{kind}": v for n, v in _figures(group).items()}
        return figures

    def sample(self, model: torch.nn.Module, folder: Path, step: int) -> None:  # noqa: ARG002
        """Prompts, true answers and the model's, of the first validation rows."""
        assert isinstance(model, MiniGPT4)
        rows = list(self.rows["validation"][:SHOWN])
        if not rows:
            return
        batch = self.collate(rows, torch.Generator().manual_seed(0))
        device = model.projection.weight.device
        written = model.answer(batch["pixels"].to(device), batch["prompts"], longest=MAX_NEW_TOKENS)
        lines = [
            json.dumps(
                {
                    "row": row.id,
                    "prompt": "".join(p if isinstance(p, str) else f"[{p + 1}]" for p in prompt),
                    "true": true.text,
                    "answer": answer.text,
                }
            )
            for row, prompt, true, answer in zip(
                rows, batch["prompts"], batch["targets"], written, strict=True
            )
        ]
        write_text_atomic(folder / "answers.jsonl", "\n".join(lines) + "\n")


def aligned(read: Read, targets: Sequence[Target]) -> list[Aligned]:
    """The logits of each answer's tokens, and those tokens."""
    found = []
    for row, one in enumerate(targets):
        places = (read.labels[row] != IGNORED).nonzero().flatten()
        tokens = read.labels[row, places].tolist()
        found.append(Aligned(one, tokens, read.logits[row, places - 1]))
    return found


def _answered(model: MiniGPT4, batch: Any) -> list[Sample]:
    written = model.answer(batch["pixels"], batch["prompts"], longest=MAX_NEW_TOKENS)
    samples = []
    for answer, true in zip(written, batch["targets"], strict=True):
        said = {one.name: min(1.0, one.value) for one in parse_answer(answer.text)}
        samples.append(Sample(dict(true.operations), said, abstained=not said))
    return samples


def _figures(samples: list[Sample]) -> dict[str, float]:
    """The figures that say how a training goes; no intervals."""
    summary = summarise(samples, draws=0)
    names = ("accuracy", "mse", "f1", "exact", "abstained")
    return {n: value for n in names if (value := summary[n].value) is not None}


def config_of(setting: Setting) -> Config:
    """The folder's configuration for this training, and for our own sentences."""
    config = read_config(setting.folder)
    return msgspec.structs.replace(
        config,
        base=config.base or str(setting.folder.resolve()),
        experiment=setting.experiment,
        own_sentences=True,
        lora=setting.lora or (None if setting.fresh else config.lora),
    )
