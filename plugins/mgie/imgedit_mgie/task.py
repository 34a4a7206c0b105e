"""What is trained: rows as prompts and answers, and pairs of pictures for the diffusion model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from imgedit_mgie import folders
from imgedit_mgie.expressive import clean
from imgedit_mgie.folders import part, read_config
from imgedit_mgie.llava import pixels_of
from imgedit_mgie.prompts import Asked
from imgedit_mgie.rows import Row, fingerprint
from imgedit_mgie.tokens import Tokens
from imgedit_mgie.trained import Guided, Start, Texted, build
from imgedit_modelkit.diffusion.conditioning import Conditioning
from imgedit_modelkit.diffusion.editor import PictureEditor, Sampling
from imgedit_modelkit.diffusion.learning import stacked
from imgedit_modelkit.squares import squares_of
from imgedit_modelkit.vision_towers import VisionTower
from imgedit_plugins.atomic import write_text_atomic
from imgedit_plugins.errors import DataError
from imgedit_plugins.picture_files import save_picture
from imgedit_plugins.pictures import Picture

STEPS = 20
"""Of the samples that are drawn at each validation."""


@dataclass(frozen=True)
class Losses:
    """Weights of the two losses: the paper's are 1 and 0.5."""

    instruction: float = 1.0
    edit: float = 0.5


@dataclass(frozen=True)
class Form:
    """The form of batches and samples.

    Attributes:
        size: height and width of the pictures for the diffusion model, in pixels.
        longest: tokens of a prompt and its answer.
        asked: what the language model is asked.
        shown: validation rows that are edited at each validation, to look at.
    """

    size: int = 256
    longest: int = 512
    asked: Asked = "what"
    shown: int = 2


class MgieTask:
    """A `TrainingTask` of the model kit: MGIE, LGIE, FT or InstructPix2Pix.

    Args:
        start: what it begins with, and what of it learns.
        train, validation: rows.
        losses: their weights.
        form: of batches.
    """

    def __init__(
        self,
        start: Start,
        train: Sequence[Row],
        validation: Sequence[Row],
        losses: Losses | None = None,
        form: Form | None = None,
    ) -> None:
        self.start = start
        self.rows = {"train": train, "validation": validation}
        self.losses, self.form = losses or Losses(), form or Form()
        self._tokens: Tokens | None = None
        self._seen_size = 0
        if start.guided:
            self._tokens, self._seen_size = tokens_of(start.folder)

    def data_fingerprint(self) -> str:
        """A hash over the rows and their splits."""
        return "/".join(fingerprint(rows) for rows in self.rows.values())

    def build(self) -> nn.Module:
        """The model; its frozen parts have no gradients."""
        return build(self.start)

    def train_items(self) -> Sequence[Row]:
        """The training rows."""
        return self.rows["train"]

    def validation_items(self) -> Sequence[Row]:
        """The validation rows."""
        return self.rows["validation"]

    # --- batches ------------------------------------------------------------------------------

    def collate(self, items: list[Row], generator: torch.Generator) -> dict[str, Any]:
        """Pictures of both sides, texts or tokens, and a seed for all that is drawn later."""
        pairs = [squares_of(row.source, row.goal, self.form.size, str(row.id)) for row in items]
        batch: dict[str, Any] = {
            "inputs": stacked([source for source, _ in pairs]),
            "goals": stacked([goal for _, goal in pairs]),
            "seed": int(torch.randint(2**62, (), generator=generator)),
        }
        if self._tokens is None:
            expressive = self.start.kind == "ft"
            return batch | {"texts": [r.expressive if expressive else r.instruction for r in items]}
        written = [self._written(self._tokens, row) for row in items]
        batch |= {"prompts": [p for p, _ in written], "answers": [a for _, a in written]}
        if self.start.kind == "mgie":
            seen = [np.rint(source * 255).astype(np.uint8) for source, _ in pairs]
            batch["pixels"] = pixels_of(seen, self._seen_size)
        return batch

    def _written(self, tokens: Tokens, row: Row) -> tuple[list[int], list[int]]:
        """A row's prompt and its answer with the end-of-text token."""
        sees = self.start.kind == "mgie"
        text = tokens.prompt(row.instruction, sees=sees, asked=self.form.asked)
        prompt = tokens.encode(text)
        room = self.form.longest - len(prompt) - len(tokens.visual) - 1
        if room < 1:
            raise DataError(
                f"Row {row.id} has a prompt of {len(prompt)} tokens, and {self.form.longest} are "
                "all that a row may have.",
                hint="Set max-length higher.",
            )
        answer = tokens.encode_answer(text, tokens.harmless(row.expressive), room)
        return prompt, [*answer, tokens.end]

    # --- losses -------------------------------------------------------------------------------

    def loss(self, model: nn.Module, batch: Any) -> tuple[Tensor, dict[str, float]]:
        """Both losses, weighted; their figures are the unweighted ones."""
        figures: dict[str, Tensor] = {}
        if isinstance(model, Texted):
            conditioning = model.reader.conditioning(batch["texts"])
        else:
            assert isinstance(model, Guided)
            seen = model.llava.see(batch["pixels"]) if "pixels" in batch else None
            read = model.llava.read(batch["prompts"], batch["answers"], seen)
            conditioning = model.conditioning(model.llava.predicting(read))
            if self.start.writes:
                figures["instruction_loss"] = model.llava.answer_loss(read)
        diffusion: Any = model.diffusion
        figures["edit_loss"] = diffusion(
            batch["inputs"], batch["goals"], conditioning, batch["seed"]
        )
        total = (self.losses.edit if self.start.guided else 1.0) * figures["edit_loss"]
        if "instruction_loss" in figures:
            total = total + self.losses.instruction * figures["instruction_loss"]
        told: dict[str, Any] = {name: value.detach() for name, value in figures.items()}
        return total, told

    def validate(self, model: nn.Module, batches: Iterable[Any]) -> dict[str, float]:
        """The means of both losses and of their sum, without dropouts, over all rows."""
        sums: dict[str, float] = {}
        count = 0
        for batch in batches:
            rows = len(batch["inputs"])
            loss, figures = self.loss(model, batch)
            told: dict[str, Any] = {"loss": loss, **figures}
            for name, value in told.items():
                sums[name] = sums.get(name, 0.0) + float(value) * rows
            count += rows
        return {name: total / count for name, total in sums.items()}

    # --- samples ------------------------------------------------------------------------------

    def sample(self, model: nn.Module, folder: Path, step: int) -> None:  # noqa: ARG002
        """The first validation rows, edited: input, goal and result side by side; what was said."""
        rows = list(self.rows["validation"][: self.form.shown])
        if not rows:
            return
        batch = self.collate(rows, torch.Generator().manual_seed(0))
        told = []
        for number, row in enumerate(rows):
            conditioning, said = self._conditioning(model, batch, number)
            diffusion: Any = model.diffusion
            editor = PictureEditor(diffusion.unet, diffusion.vae, diffusion.scheduler)
            source = batch["inputs"][number : number + 1]
            result = editor.edit(source, conditioning, Sampling(STEPS), seeds=[0])
            shown = [source[0], batch["goals"][number], result[0].to(source.device)]
            strip = torch.cat(shown, dim=2).permute(1, 2, 0).float().cpu().numpy()
            picture = Picture(np.rint(np.ascontiguousarray(strip) * 255).astype(np.uint8))
            save_picture(picture, folder / f"{row.id}.png")
            told.append(f"{row.id}\t{row.instruction}\t{said}\n")
        write_text_atomic(folder / "instructions.tsv", "".join(told))

    def _conditioning(self, model: nn.Module, batch: Any, number: int) -> tuple[Conditioning, str]:
        """What guides the edit of one row, and what the language model said."""
        if isinstance(model, Texted):
            text = batch["texts"][number]
            return model.reader.conditioning([text]), text
        assert isinstance(model, Guided)
        llava = model.llava
        pixels = batch["pixels"][number : number + 1] if "pixels" in batch else None
        device = llava.table.weight.device
        seen = llava.see(pixels.to(device)) if pixels is not None else None
        written = llava.write(batch["prompts"][number], seen)
        states, _ = llava.predicted(written)
        return model.conditioning(states[None]), clean(llava.tokens.decode(written.tokens))


def tokens_of(folder: Path) -> tuple[Tokens, int]:
    """The tokens of a model folder, and the size of the pictures that its CLIP sees.

    Raises:
        DataError: it has no language model.
    """
    from transformers import AutoTokenizer

    language = read_config(folder).language
    if language is None:
        raise DataError(f"The model in {folder} has no language model.", path=folder)
    load: Any = AutoTokenizer.from_pretrained
    tokenizer = load(
        part(folder, folders.LANGUAGE_MODEL), local_files_only=True, trust_remote_code=False
    )
    with torch.device("meta"):
        tower = VisionTower(language.tower())
    return Tokens(language, tokenizer, tower.tokens), tower.image_size
