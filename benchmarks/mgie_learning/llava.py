"""Second stage: CLIP, projector and language model learn to talk of generated pictures.

All three learn together: the language model by what it says, and by a head that reads from its
states behind a sentence which words that had; CLIP by two heads that read from each patch what is
there and in which colour. Large models have both without being taught. What comes out is frozen
later, but for embeddings and output layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.learning import settings, trained
from benchmarks.mgie_learning import captions
from benchmarks.mgie_learning.sizes import Sizes
from benchmarks.tiny_editing import patches
from benchmarks.tiny_editing.captions import WORDS, Said, words_of
from benchmarks.tiny_editing.vae import VALIDATION
from imgedit_mgie.folders import Language
from imgedit_mgie.llava import Llava, Read, pixels_of
from imgedit_mgie.prompts import conversation
from imgedit_modelkit.checkpoints import load_weights
from imgedit_modelkit.testing import tiny_tokenizer
from imgedit_modelkit.vision_language import IGNORED
from imgedit_plugins.jobs import Job

_SPOKEN = 4  # of so many items one is without a picture


def tokenizer_of(sizes: Sizes, language: Language) -> Any:
    """A tokenizer trained on all that is said, with the tokens of pictures and the visual ones."""
    said = captions.everything_said() + [conversation("", "")] * 500
    made = tiny_tokenizer(said, size=sizes.vocabulary)
    own = [language.patch, language.start, language.end, *language.visual]
    made.add_tokens(own, special_tokens=True)
    return made


class Talking(nn.Module):
    """A LLaVA all of which learns, and the heads that read patches."""

    def __init__(self, sizes: Sizes, language: Language, tokenizer: Any) -> None:
        super().__init__()
        self.llava = Llava(language, sizes.language_model(tokenizer), tokenizer)
        self.llava.tower.requires_grad_(requires_grad=True)
        self.heads = patches.heads(sizes.vision_width)
        self.words = nn.Linear(sizes.width, len(WORDS))

    def patches(self, pixels: Tensor) -> Tensor:
        """What CLIP makes of pictures, with a gradient: (n, patches, width)."""
        tower = self.llava.tower
        states = tower.vision(pixel_values=pixels, output_hidden_states=True).hidden_states
        return torch.as_tensor(states[self.llava.config.layer][:, 1:])


class TalkingTask:
    """A `TrainingTask`: items are seeds of questions and answers, each seen once."""

    def __init__(self, sizes: Sizes) -> None:
        self._sizes = sizes
        self.language = Language(vision=sizes.vision())
        self.tokenizer = tokenizer_of(sizes, self.language)

    def build(self) -> Talking:
        """The model, with drawn weights."""
        return Talking(self._sizes, self.language, self.tokenizer)

    def train_items(self) -> range:
        """As many as the training sees."""
        return range(self._sizes.llava_steps * self._sizes.llava_batch)

    def validation_items(self) -> range:
        """Other pictures."""
        return range(VALIDATION, VALIDATION + 192)

    def collate(self, items: Sequence[int], generator: torch.Generator) -> dict[str, Any]:  # noqa: ARG002
        """Pixels, what their patches show, and all texts; those without a picture come last."""
        rngs = {seed: np.random.default_rng(seed) for seed in items}
        seen = [captions.about_a_picture(rngs[s]) for s in items if s % _SPOKEN]
        spoken = [captions.in_words(rngs[s]) for s in items if not s % _SPOKEN]
        pictures = [one.picture for one in seen if one.picture is not None]
        scenes = [one.scene for one in seen if one.scene is not None]
        side = self._sizes.seen // self._sizes.patch
        return {
            "seen": seen,
            "spoken": spoken,
            "pixels": pixels_of(pictures, self._sizes.seen),
            "shown": patches.batch_of(scenes, side),
        }

    def _written(self, model: Talking, said: Sequence[Said]) -> tuple[list[Any], list[Any]]:
        tokens = model.llava.tokens
        prompts = [
            conversation(one.asked, "" if one.picture is None else tokens.picture_text)
            for one in said
        ]
        visual = len(tokens.visual)
        answers = [
            [*tokens.encode_answer(before, one.answer)[:-visual], tokens.end]
            for before, one in zip(prompts, said, strict=True)
        ]
        return [tokens.encode(text) for text in prompts], answers

    def loss(self, model: nn.Module, batch: Any) -> tuple[Tensor, dict[str, float]]:
        """Cross-entropies of what is said with and without pictures, and of the patches."""
        assert isinstance(model, Talking)
        states = model.patches(batch["pixels"])
        seen = model.llava.projector(states)
        read = model.llava.read(*self._written(model, batch["seen"]), seen)
        told = {"seen": model.llava.answer_loss(read)}
        told["words"] = _words_loss(model, read, batch["seen"])
        if batch["spoken"]:
            read = model.llava.read(*self._written(model, batch["spoken"]), None)
            told["spoken"] = model.llava.answer_loss(read)
        told |= patches.losses(model.heads, states, batch["shown"])
        total = torch.stack(list(told.values())).sum()
        figures: dict[str, Any] = {name: value.detach() for name, value in told.items()}
        return total, figures

    def validate(self, model: nn.Module, batches: Iterable[Any]) -> dict[str, float]:
        """Means over the batches."""
        found = []
        for batch in batches:
            loss, told = self.loss(model, batch)
            found.append({"loss": float(loss), **{n: float(v) for n, v in told.items()}})
        return {n: sum(one.get(n, 0.0) for one in found) / len(found) for n in found[0]}

    def sample(self, model: nn.Module, folder: Path, step: int) -> None:  # noqa: ARG002
        """Some answers beside the true ones."""
        assert isinstance(model, Talking)
        some = self.collate(
            [s for s in self.validation_items() if s % _SPOKEN][:12], torch.Generator()
        )
        prompts, _ = self._written(model, some["seen"])
        lines = []
        for number, (one, prompt) in enumerate(zip(some["seen"], prompts, strict=True)):
            seen = model.llava.see(some["pixels"][number : number + 1])
            written = model.llava.write(prompt, seen, longest=30)
            said = model.llava.tokens.decode(written.tokens)
            lines.append(f"{one.asked}\ntrue: {one.answer}\nsaid: {said}\n")
        (folder / "answers.txt").write_text("\n".join(lines), "utf-8")


def _words_loss(model: Talking, read: Read, said: Sequence[Said]) -> Tensor:
    """How badly the states behind each answer, at its full stop and its end, tell its words."""
    wanted = torch.tensor([words_of(one.answer) for one in said], dtype=torch.float32)
    last = read.ids.shape[1] - 1 - (read.labels != IGNORED).int().flip(1).argmax(1)
    rows = torch.arange(len(said))
    found = torch.stack([model.words(read.states[rows, last - back]) for back in (0, 1)])
    return 5 * nn.functional.binary_cross_entropy_with_logits(found, wanted.expand_as(found))


def train_llava(folder: Path, sizes: Sizes, job: Job) -> tuple[Llava, Language, Any]:
    """The LLaVA of a run folder, trained before or now; how it sees, and its tokenizer."""
    task = TalkingTask(sizes)
    trained(task, settings(sizes.llava_steps, sizes.llava_batch, sizes.llava_rate), folder, job)
    model = task.build()
    load_weights(model, folder)
    llava = model.llava.requires_grad_(requires_grad=False).eval()
    visual = list(llava.tokens.visual)
    with torch.no_grad():  # as `weights import` begins them: the mean of all others
        for layer in (llava.table, llava.output):
            layer.weight[visual] = layer.weight[: min(visual)].mean(0)
    return llava, task.language, task.tokenizer
