"""What is trained: pairs of pictures for the diffusion model, and what guides it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from imgedit_modelkit.diffusion.conditioning import Conditioning
from imgedit_modelkit.diffusion.editor import PictureEditor, Sampling
from imgedit_modelkit.diffusion.learning import stacked
from imgedit_modelkit.picture_features import PictureReader
from imgedit_modelkit.readers.stored import open_stored
from imgedit_modelkit.squares import square, squares_of
from imgedit_plugins.atomic import write_text_atomic
from imgedit_plugins.jobs import Job
from imgedit_plugins.picture_files import save_picture
from imgedit_plugins.pictures import RGB8, Picture
from imgedit_reason_edit.model.cached import Cached, padded
from imgedit_reason_edit.model.rows import Row, fingerprint
from imgedit_reason_edit.model.trained import Guided, Start, Texted, build

STEPS = 20
"""Of the samples that are drawn at each validation."""


@dataclass(frozen=True)
class Form:
    """The form of batches and samples.

    Attributes:
        size: height and width of the pictures, in pixels.
        longest: tokens that guide an edit, at most.
        mirror: whether each row is mirrored half of the time.
        shown: validation rows that are edited at each validation, to look at.
    """

    size: int = 256
    longest: int = 128
    mirror: bool = True
    shown: int = 2


@dataclass(frozen=True)
class Shown:
    """What the language model is asked about: a row, as it is or mirrored."""

    row: Row
    mirrored: bool


class ReasonTask:
    """A `TrainingTask` of the model kit: one of the kinds.

    Args:
        start: what it begins with, and what of it learns.
        train, validation: rows.
        form: of batches.
        cached: what the language model makes of the rows, where `start.cached`; filled by `fill`
            before the training.
    """

    def __init__(
        self,
        start: Start,
        train: Sequence[Row],
        validation: Sequence[Row],
        form: Form | None = None,
        cached: Cached | None = None,
    ) -> None:
        self.start, self.form, self._cached = start, form or Form(), cached
        self.rows = {"train": train, "validation": validation}
        self._validates = {row.id for row in validation}

    def data_fingerprint(self) -> str:
        """A hash over the rows and their splits."""
        return "/".join(fingerprint(rows) for rows in self.rows.values())

    def settings(self) -> dict[str, Any]:
        """What the result hangs on besides the data and the settings of the loop."""
        start = self.start
        form = {name: value for name, value in asdict(self.form).items() if name != "shown"}
        return {
            "model": start.kind,
            "dropout": start.dropout,
            "lora": start.lora,
            "encoder": msgspec.to_builtins(start.encoder),
            **form,
        }

    def build(self) -> nn.Module:
        """The model; its frozen parts have no gradients."""
        made: nn.Module = build(self.start)
        return made

    def train_items(self) -> Sequence[Row]:
        """The training rows."""
        return self.rows["train"]

    def validation_items(self) -> Sequence[Row]:
        """The validation rows."""
        return self.rows["validation"]

    # --- what the language model makes of them ------------------------------------------------

    def key(self, shown: Shown) -> str:
        """Of a row in the cache: by its picture and its words."""
        assert self.start.encoder is not None
        row = shown.row
        seen = [row.source_sha256, str(shown.mirrored)] if self.start.sees else []
        told = [*seen, self.start.encoder.told(row.instruction)]
        return hashlib.sha256("\n".join(told).encode()).hexdigest()

    def shown(self) -> dict[str, Shown]:
        """All that the language model will be asked, by its key."""
        train, validation = self.rows["train"], self.rows["validation"]
        items = [Shown(row, mirrored=False) for row in (*train, *validation)]
        if self.form.mirror:
            items += [Shown(row, mirrored=True) for row in train]
        return {self.key(one): one for one in items}

    def missing(self) -> int:
        """How many of them are not in the cache."""
        return self._cached.missing(list(self.shown())) if self._cached is not None else 0

    def fill(self, reader: PictureReader, job: Job) -> None:
        """Have the language model read all rows that are not in the cache."""
        assert self._cached is not None

        def encode(one: Shown) -> Tensor:
            seen = square(open_stored(one.row.source), self.form.size)
            return self._states(reader, _seen(seen, mirrored=one.mirrored), one.row)

        self._cached.fill(self.shown(), encode, job)

    def _states(self, reader: PictureReader, seen: RGB8, row: Row) -> Tensor:
        assert self.start.encoder is not None
        told = self.start.encoder.told(row.instruction)
        states = reader.read(seen if self.start.sees else None, told)
        return padded(states, self.form.longest, row.id)

    # --- batches ------------------------------------------------------------------------------

    def collate(self, items: list[Row], generator: torch.Generator) -> dict[str, Any]:
        """Pictures of both sides, what guides, and a seed for all that is drawn later."""
        seed = int(torch.randint(2**62, (), generator=generator))
        drawn = torch.rand(len(items), generator=generator) < 0.5
        mirrored = [
            self.form.mirror and bool(one) and row.id not in self._validates
            for row, one in zip(items, drawn, strict=True)
        ]
        pairs = [squares_of(row.source, row.goal, self.form.size, row.id) for row in items]
        sources, goals = (
            [_mirrored(pair[side], one) for pair, one in zip(pairs, mirrored, strict=True)]
            for side in (0, 1)
        )
        batch: dict[str, Any] = {
            "inputs": stacked(sources),
            "goals": stacked(goals),
            "seed": seed,
            "texts": [row.instruction for row in items],
        }
        if self.start.kind == "clip":
            return batch
        if self._cached is not None:
            keys = [self.key(Shown(*one)) for one in zip(items, mirrored, strict=True)]
            return batch | {"states": self._cached.batch(keys)}
        seen = np.stack([_seen(source, mirrored=False) for source in sources])
        return batch | {"seen": torch.from_numpy(seen), "rows": [row.id for row in items]}

    # --- losses -------------------------------------------------------------------------------

    def loss(self, model: nn.Module, batch: Any) -> tuple[Tensor, dict[str, float]]:
        """The diffusion model's loss (eq. 9)."""
        diffusion: Any = model.diffusion
        conditioning = self._conditioning(model, batch)
        return diffusion(batch["inputs"], batch["goals"], conditioning, batch["seed"]), {}

    def _conditioning(self, model: nn.Module, batch: Any) -> Conditioning:
        if isinstance(model, Texted):
            return model.reader.conditioning(batch["texts"])
        assert isinstance(model, Guided)
        if "states" in batch:
            return model.conditioning(batch["states"])
        assert model.reader is not None
        assert self.start.encoder is not None
        states = []
        for seen, text, row in zip(batch["seen"], batch["texts"], batch["rows"], strict=True):
            picture = seen.cpu().numpy() if self.start.sees else None
            read = model.reader.read(picture, self.start.encoder.told(text))
            states.append(padded(read, self.form.longest, row))
        return model.conditioning(torch.stack(states))

    def validate(self, model: nn.Module, batches: Iterable[Any]) -> dict[str, float]:
        """The mean of the loss over all rows, without dropouts."""
        total, count = 0.0, 0
        for batch in batches:
            rows = len(batch["inputs"])
            total += float(self.loss(model, batch)[0]) * rows
            count += rows
        return {"loss": total / count}

    # --- samples ------------------------------------------------------------------------------

    def sample(self, model: nn.Module, folder: Path, step: int) -> None:  # noqa: ARG002
        """The first validation rows, edited: input, goal and result side by side."""
        rows = list(self.rows["validation"][: self.form.shown])
        if not rows:
            return
        diffusion: Any = model.diffusion
        editor = PictureEditor(diffusion.unet, diffusion.vae, diffusion.scheduler)
        for row in rows:
            batch = self.collate([row], torch.Generator().manual_seed(0))
            if "states" in batch:
                batch["states"] = batch["states"].to(editor.device)
            conditioning = self._conditioning(model, batch)
            result = editor.edit(batch["inputs"], conditioning, Sampling(STEPS), seeds=[0])
            shown = [batch["inputs"][0], batch["goals"][0], result[0].float().cpu()]
            strip = torch.cat(shown, dim=2).permute(1, 2, 0).numpy()
            picture = Picture(np.rint(np.ascontiguousarray(strip) * 255).astype(np.uint8))
            save_picture(picture, folder / f"{row.id}.png")
        told = "".join(f"{row.id}\t{row.instruction}\n" for row in rows)
        write_text_atomic(folder / "instructions.tsv", told)


def _mirrored(pixels: np.ndarray, mirrored: bool) -> np.ndarray:
    return np.ascontiguousarray(pixels[:, ::-1]) if mirrored else pixels


def _seen(pixels: np.ndarray, *, mirrored: bool) -> RGB8:
    """A square as the language model sees it."""
    shown: RGB8 = np.rint(_mirrored(pixels, mirrored) * 255).astype(np.uint8)
    return shown
