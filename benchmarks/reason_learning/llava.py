"""A LLaVA of transformers learns to talk of generated pictures, and is frozen.

Its states have to tell what an instruction comes to where an editor reads them, which is before any
answer: a head reads from the states at the end of the prompt which words the answer will have.
Large models have that without being taught. CLIP goes on learning what its patches show.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.learning import settings, trained
from benchmarks.reason_learning import captions
from benchmarks.reason_learning.clip import Seeing, image_processor, patch_states
from benchmarks.reason_learning.sizes import Sizes
from benchmarks.tiny_editing import patches
from benchmarks.tiny_editing.captions import WORDS, Said, words_of
from benchmarks.tiny_editing.vae import VALIDATION
from imgedit_modelkit.checkpoints import load_weights
from imgedit_modelkit.folders import appearing
from imgedit_modelkit.testing import tiny_tokenizer
from imgedit_modelkit.vision_language import IGNORED
from imgedit_plugins.jobs import Job

IMAGE = "<image>"
TEMPLATE = (
    "{% for message in messages %}{{ message['role'].upper() + ': ' }}"
    "{% for part in message['content'] if part['type'] == 'image' %}{{ '<image>\n' }}{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] }}{% endfor %}"
    "{{ ' ' }}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
"""LLaVA-1.5's conversation."""

_SPOKEN = 4  # of so many items one is without a picture
_ENDS = 2  # so many tokens at the end of the prompt are read by the head


def prompt(asked: str, *, pictures: int) -> str:
    """What `TEMPLATE` makes of one question."""
    return f"USER: {IMAGE * pictures}{chr(10) * bool(pictures)}{asked} ASSISTANT:"


def tokenizer_of(sizes: Sizes) -> Any:
    """A tokenizer trained on all that is said."""
    said = captions.everything_said() + [prompt("", pictures=0)] * 500
    made = tiny_tokenizer(said, kind="bytes", size=sizes.vocabulary)
    made.add_special_tokens({"additional_special_tokens": [IMAGE]})
    made.pad_token = made.eos_token
    return made


def processor_of(sizes: Sizes, tokenizer: Any) -> Any:
    """What lays out pictures and text for the model."""
    from transformers import LlavaProcessor

    kind: Any = LlavaProcessor
    return kind(
        image_processor(sizes),
        tokenizer,
        patch_size=sizes.patch,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )


class Talking(nn.Module):
    """A LLaVA all of which learns, with heads that read its states; it begins to see as `eyes`."""

    def __init__(self, sizes: Sizes, tokenizer: Any, eyes: Seeing) -> None:
        super().__init__()
        self.llava = sizes.llava(tokenizer, IMAGE)
        self.llava.model.vision_tower.load_state_dict(eyes.tower.state_dict())
        self.heads = patches.heads(sizes.vision_width)
        self.heads.load_state_dict(eyes.heads.state_dict())
        self.words = nn.Linear(sizes.width, len(WORDS))

    def read(self, batch: dict[str, Tensor], seen: Tensor | None) -> Tensor:
        """States of all tokens, (n, tokens, width), as an editor gets them.

        Args:
            batch: of `TalkingTask.written`.
            seen: what `patches` made of its pictures, which the heads read as well.
        """
        inner, ids = self.llava.model, batch["ids"]
        embedded = inner.language_model.embed_tokens(ids)
        if seen is not None:
            places = (ids == self.llava.config.image_token_index)[..., None].expand_as(embedded)
            embedded = embedded.masked_scatter(places, inner.multi_modal_projector(seen))
        found = inner.language_model(inputs_embeds=embedded, attention_mask=batch["mask"])
        return torch.as_tensor(found.last_hidden_state)

    def patches(self, pixels: Tensor) -> Tensor:
        """What CLIP makes of pictures: (n, patches, width)."""
        return patch_states(self.llava.model.vision_tower, pixels)


class TalkingTask:
    """A `TrainingTask`: items are seeds of questions and answers, each seen once.

    Args:
        sizes: of model and training.
        eyes: a trained vision model with its heads.
    """

    def __init__(self, sizes: Sizes, eyes: Seeing) -> None:
        self._sizes, self._eyes = sizes, eyes
        self.tokenizer = tokenizer_of(sizes)
        self.processor = processor_of(sizes, self.tokenizer)

    def build(self) -> Talking:
        """The model, with drawn weights."""
        return Talking(self._sizes, self.tokenizer, self._eyes)

    def train_items(self) -> range:
        """As many as the training sees."""
        return range(self._sizes.llava_steps * self._sizes.llava_batch)

    def validation_items(self) -> range:
        """Other pictures."""
        return range(VALIDATION, VALIDATION + 192)

    def collate(self, items: Sequence[int], generator: torch.Generator) -> dict[str, Any]:  # noqa: ARG002
        """Pixels, what their patches show, and texts with and without a picture."""
        rngs = {seed: np.random.default_rng(seed) for seed in items}
        seen = [captions.about_a_picture(rngs[s]) for s in items if s % _SPOKEN]
        spoken = [captions.in_words(rngs[s]) for s in items if not s % _SPOKEN]
        side = self._sizes.seen // self._sizes.patch
        pictures = [one.picture for one in seen]
        return {
            "seen": self.written(seen),
            "spoken": self.written(spoken) if spoken else None,
            "pixels": self.processor.image_processor(pictures, return_tensors="pt").pixel_values,
            "shown": patches.batch_of([one.scene for one in seen if one.scene], side),
        }

    def written(self, said: Sequence[Said]) -> dict[str, Tensor]:
        """Tokens, their mask, labels, where prompts end, and which words answers have."""
        rows = [self._tokens(one) for one in said]
        longest = max(len(before) + len(after) for before, after in rows)
        ids = torch.full((len(rows), longest), int(self.tokenizer.pad_token_id))
        labels = torch.full_like(ids, IGNORED)
        for row, (before, after) in enumerate(rows):
            ids[row, : len(before) + len(after)] = torch.tensor(before + after)
            labels[row, len(before) : len(before) + len(after)] = torch.tensor(after)
        lengths = torch.tensor([len(before) + len(after) for before, after in rows])
        return {
            "ids": ids,
            "mask": (torch.arange(longest)[None] < lengths[:, None]).long(),
            "labels": labels,
            "ends": torch.tensor([len(before) for before, _ in rows]),
            "words": torch.tensor([words_of(one.answer) for one in said], dtype=torch.float32),
        }

    def _tokens(self, said: Said) -> tuple[list[int], list[int]]:
        pictures = 0 if said.picture is None else (self._sizes.seen // self._sizes.patch) ** 2
        before = self.tokenizer(prompt(said.asked, pictures=pictures)).input_ids
        after = self.tokenizer(f" {said.answer}").input_ids
        return before, [*after, int(self.tokenizer.eos_token_id)]

    def loss(self, model: nn.Module, batch: Any) -> tuple[Tensor, dict[str, float]]:
        """Cross-entropies of what is said with and without pictures, and of what heads read."""
        assert isinstance(model, Talking)
        seen = model.patches(batch["pixels"])
        states = model.read(batch["seen"], seen)
        told = {
            "seen": _answer_loss(model, states, batch["seen"]),
            "words": _words_loss(model, states, batch["seen"]),
        }
        if batch["spoken"]:
            spoken = model.read(batch["spoken"], None)
            told["spoken"] = _answer_loss(model, spoken, batch["spoken"])
            told["guessed"] = _words_loss(model, spoken, batch["spoken"]) / _SPOKEN
        told |= patches.losses(model.heads, seen, batch["shown"])
        total = torch.stack(list(told.values())).sum()
        figures: dict[str, Any] = {name: value.detach() for name, value in told.items()}
        return total, figures

    def validate(self, model: nn.Module, batches: Iterable[Any]) -> dict[str, float]:
        """Means over the batches, and the share of prompts whose answer's words are all read."""
        found = []
        for batch in batches:
            loss, told = self.loss(model, batch)
            found.append({"loss": float(loss.detach()), **{n: float(v) for n, v in told.items()}})
            found[-1]["read"] = self._read(model, batch)
        return {n: sum(one.get(n, 0.0) for one in found) / len(found) for n in found[0]}

    def _read(self, model: nn.Module, batch: Any) -> float:
        assert isinstance(model, Talking)
        states = model.read(batch["seen"], model.patches(batch["pixels"]))
        told = _told_words(model, states, batch["seen"])[0]
        return float(((told > 0) == batch["seen"]["words"].bool()).all(1).float().mean())

    def sample(self, model: nn.Module, folder: Path, step: int) -> None:
        """Nothing."""


def _answer_loss(model: Talking, states: Tensor, batch: dict[str, Tensor]) -> Tensor:
    wanted = batch["labels"][:, 1:]
    kept = wanted != IGNORED
    return nn.functional.cross_entropy(model.llava.lm_head(states[:, :-1][kept]), wanted[kept])


def _told_words(model: Talking, states: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """(ends, n, words): what the last tokens of the prompt tell of the answer, the last first."""
    rows = torch.arange(len(states))
    found = [model.words(states[rows, batch["ends"] - back]) for back in range(1, _ENDS + 1)]
    return torch.stack(found)


def _words_loss(model: Talking, states: Tensor, batch: dict[str, Tensor]) -> Tensor:
    told = _told_words(model, states, batch)
    wanted = batch["words"].expand_as(told)
    return 10 * nn.functional.binary_cross_entropy_with_logits(told, wanted)


def train_llava(folder: Path, out: Path, sizes: Sizes, eyes: Seeing, job: Job) -> None:
    """Train in a run folder, or go on there, and save the model with its processor.

    Args:
        folder: of the run.
        out: gets what `transformers` loads; made once.
        sizes: of model and training.
        eyes: a trained vision model with its heads.
        job: progress and cancellation.
    """
    task = TalkingTask(sizes, eyes)
    trained(task, settings(sizes.llava_steps, sizes.llava_batch, sizes.llava_rate), folder, job)
    if out.exists():
        return
    model = task.build()
    load_weights(model, folder)
    for name in ("eos_token_id", "pad_token_id"):
        setattr(model.llava.generation_config, name, task.tokenizer.eos_token_id)
    with appearing(out) as made:
        model.llava.eval().save_pretrained(made)
        task.processor.save_pretrained(made)
