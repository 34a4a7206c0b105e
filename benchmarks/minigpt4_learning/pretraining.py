"""Second stage of the pre-training: the language model learns to caption what the encoder sees.

Projection and language model learn together, from the tokens of the frozen encoder, to caption
generated pictures, beside texts without pictures. What comes out is a model folder of the plugin,
whose projection is the one that captions: the place of MiniGPT-4's own second stage, at which the
paper's fine-tuning begins. Neither encoder nor language model has seen an edit of a picture.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.minigpt4_learning import captions, encoder, scenes
from benchmarks.minigpt4_learning.sizes import Sizes
from imgedit_modelkit import fingerprints
from imgedit_modelkit.configurations import Part
from imgedit_modelkit.features import FeatureCache
from imgedit_modelkit.run_files import Checkpoint
from imgedit_modelkit.runs import RunFolder
from imgedit_modelkit.testing import save_tiny_language_model, tiny_tokenizer
from imgedit_modelkit.training import TrainConfig, TrainingTask, train
from imgedit_modelkit.vision_language import IGNORED, PictureLanguageModel, answer_loss
from imgedit_modelkit.vision_towers import VisionTower, to_pixels
from imgedit_plugins.errors import JobCancelledError
from imgedit_plugins.jobs import Job, Progress
from imgedit_reverse_design.minigpt4 import config as folders
from imgedit_reverse_design.minigpt4.config import Config, write_config

Looking = tuple[dict[str, float], dict[str, float]]
"""Looks and measures of a picture."""


class Captioner(nn.Module):
    """Projection and language model, both learning, and a head that reads numbers.

    The head reads the picture that is asked about from the hidden state in which the answer begins.
    """

    def __init__(self, sizes: Sizes, tokenizer: Any) -> None:
        super().__init__()
        self.language = PictureLanguageModel(sizes.language_model(tokenizer), tokenizer)
        with torch.device("meta"):
            width = VisionTower(sizes.tower().config()).width
        self.projection = nn.Linear(width, self.language.width)
        self.head = nn.Linear(self.language.width, encoder.NUMBERS)


class Gallery:
    """Generated pictures as the frozen encoder sees them, with what captions say of them.

    Args:
        folder: of the cache.
        tower: frozen.
        digest: the hash of its weights.
        seeds: of the pictures.
    """

    def __init__(
        self, folder: Path, tower: VisionTower, digest: str, seeds: Sequence[int], job: Job
    ) -> None:
        self._cache = FeatureCache(folder, digest)
        self._told: dict[int, Looking] = {}
        for seed in seeds:
            picture, looks = encoder.looking(seed)
            self._told[seed] = looks, scenes.measures(picture)

        def encode(some: list[int]) -> NDArray[np.float16]:
            pixels = to_pixels([encoder.looking(s)[0] for s in some], tower.image_size)
            return np.asarray(tower(pixels).numpy(), np.float16)

        self._cache.fill({f"scene {seed}": seed for seed in seeds}, encode, job)

    def tokens(self, seed: int) -> NDArray[np.float16]:
        """The encoder's (tokens, width) of a picture."""
        return self._cache[f"scene {seed}"]

    def told(self, seed: int) -> Looking:
        """Its looks and measures."""
        return self._told[seed]


class CaptionTask:
    """A `TrainingTask`: items are seeds of captions and texts, made when they are needed.

    Args:
        sizes: of the model and the training.
        gallery: pictures; has the seeds below `sizes.gallery`, and the validation's.
    """

    def __init__(self, sizes: Sizes, gallery: Gallery | None) -> None:
        self._sizes, self._gallery = sizes, gallery
        said = captions.everything_said(random.Random(0), scenes.MEASURES)
        self.tokenizer = tiny_tokenizer(said, size=sizes.vocabulary)

    def build(self) -> Captioner:
        """The model, with drawn weights."""
        return Captioner(self._sizes, self.tokenizer)

    def train_items(self) -> range:
        """Each is seen once."""
        return range(self._sizes.pretraining_steps * self._sizes.pretraining_batch)

    def validation_items(self) -> range:
        """Captions of other pictures."""
        return range(encoder.VALIDATION, encoder.VALIDATION + 96)

    def collate(self, items: Sequence[int], generator: torch.Generator) -> dict[str, Any]:  # noqa: ARG002
        """Of four items three are captions of one of two pictures, and one is text alone."""
        made = [self._captioned(seed) for seed in items if seed % 4]
        texts = [captions.text_only(random.Random(seed)) for seed in items if not seed % 4]
        return {
            "tokens": torch.from_numpy(np.stack([one["tokens"] for one in made])).float(),
            "numbers": torch.tensor([one["numbers"] for one in made], dtype=torch.float32),
            "prompts": [one["prompt"] for one in made] + [prompt for prompt, _ in texts],
            "answers": [one["answer"] for one in made] + [answer for _, answer in texts],
        }

    def _captioned(self, seed: int) -> dict[str, Any]:
        """Two unrelated pictures, a question about one of them, and its answer."""
        assert self._gallery is not None
        rng = random.Random(seed)
        first = 0 if seed < encoder.VALIDATION else encoder.VALIDATION
        both = [first + rng.randrange(self._sizes.gallery if not first else 96) for _ in range(2)]
        tokens = np.stack([self._gallery.tokens(one) for one in both])
        asked = int(rng.random() < 0.7)
        looks, measures = self._gallery.told(both[asked])
        if rng.random() < 0.8:
            prompt = captions.question_of_looks(asked, rng)
            answer = captions.caption_of_looks(looks, rng)
        else:
            prompt, answer = captions.measuring(asked, measures, rng)
        numbers = encoder.numbers(looks, measures)
        return {"tokens": tokens, "numbers": numbers, "prompt": prompt, "answer": answer}

    def loss(self, model: nn.Module, batch: Any) -> tuple[Tensor, dict[str, float]]:
        """Cross entropy of captions and texts, and the squared error of the numbers."""
        assert isinstance(model, Captioner)
        pictures = model.projection(batch["tokens"])
        spare = len(batch["prompts"]) - len(pictures)
        pictures = torch.cat([pictures, pictures.new_zeros(spare, *pictures.shape[1:])])
        embedded = model.language.embed(batch["prompts"], pictures, batch["answers"])
        out = model.language.language_model(
            inputs_embeds=embedded.inputs_embeds,
            attention_mask=embedded.attention_mask,
            output_hidden_states=True,
            use_cache=False,
        )
        text = answer_loss(out.logits, embedded.labels)
        begins = (embedded.labels != IGNORED).int().argmax(1) - 1
        states = out.hidden_states[-1][torch.arange(len(begins)), begins]
        read = model.head(states[: len(batch["numbers"])])
        numbers = (read - batch["numbers"]).square().mean()
        return text + 10 * numbers, {
            "text": float(text.detach()),
            "numbers": float(numbers.detach()),
        }

    def validate(self, model: nn.Module, batches: Iterable[Any]) -> dict[str, float]:
        """Means over the validation batches."""
        found = []
        for batch in batches:
            loss, told = self.loss(model, batch)
            found.append({"loss": float(loss), **told})
        return {name: sum(one[name] for one in found) / len(found) for name in found[0]}

    def sample(self, model: nn.Module, folder: Path, step: int) -> None:  # noqa: ARG002
        """Some captions beside the true ones."""
        assert isinstance(model, Captioner)
        some = [seed for seed in self.validation_items() if seed % 4][:8]
        batch = self.collate(some, torch.Generator())
        pictures = model.projection(batch["tokens"])
        written = model.language.generate(batch["prompts"][:8], pictures, max_new_tokens=60)
        lines = [
            f"{prompt[-1]}\ntrue: {true}\nsaid: {said.text}\n"
            for prompt, true, said in zip(batch["prompts"], batch["answers"], written, strict=True)
        ]
        (folder / "captions.txt").write_text("\n".join(lines), "utf-8")


def pretrain(folder: Path, sizes: Sizes, job: Job) -> Path:
    """Both stages in ``folder/encoder`` and ``folder/captions``, or go on there.

    Returns:
        The model folder that comes out.
    """
    out = folder / "base"
    if (out / folders.FILE).exists():
        return out
    first = encoder.EncoderTask(sizes)
    steps, batch, rate = sizes.encoder_steps, sizes.encoder_batch, sizes.encoder_rate
    until = min(steps, sizes.encoder_until)
    seen = _trained(first, folder / "encoder", steps, batch, rate, job, until=until)
    tower = _tower(first, seen)
    gallery = _gallery(folder, tower, seen, sizes, job)
    second = CaptionTask(sizes, gallery)
    steps, batch, rate = sizes.pretraining_steps, sizes.pretraining_batch, sizes.pretraining_rate
    told = _trained(second, folder / "captions", steps, batch, rate, job)
    _write_model(out, tower, second, (seen, told), sizes)
    return out


def _trained(
    task: TrainingTask,
    run: Path,
    steps: int,
    batch: int,
    rate: float,
    job: Job,
    *,
    until: int | None = None,
) -> Checkpoint:
    """The best checkpoint, or that of the step `until`, at which the training is ended."""
    config = TrainConfig(
        steps=steps,
        batch_size=batch,
        learning_rate=rate,
        final_learning_rate=0.05 * rate,
        warmup_steps=min(60, steps // 2),
        weight_decay=0.01,
        validate_every=max(1, min(200, steps)),
        checkpoint_every=100,
        log_every=max(1, min(25, steps)),
    )
    if until is None or until == steps:
        train(task, config, run, job)
        best = RunFolder.open(run).best()
        assert best is not None  # a finished training has a checkpoint
        return best
    if not run.exists() or _newest(run).step < until:
        with contextlib.suppress(JobCancelledError):
            train(task, config, run, _ending(job, until))
        job.check()
    return _newest(run)


def _newest(run: Path) -> Checkpoint:
    return RunFolder.open(run).checkpoints()[-1]


def _ending(job: Job, until: int) -> Job:
    """A job that goes as the other does, and is cancelled behind a step."""

    def tell(progress: Progress) -> None:
        job.report(progress.stage, progress.done, progress.total)
        if progress.stage == "training" and progress.done >= until:
            ending.cancel()

    ending = Job(on_progress=tell)
    return ending


def _tower(task: encoder.EncoderTask, seen: Checkpoint) -> VisionTower:
    from safetensors.torch import load_file

    model = task.build()
    model.load_state_dict(load_file(seen.weights))
    model.tower.requires_grad_(requires_grad=False)
    return model.tower


def _gallery(folder: Path, tower: VisionTower, seen: Checkpoint, sizes: Sizes, job: Job) -> Gallery:
    digest = fingerprints.of_file(seen.weights)
    seeds = [*range(sizes.gallery), *range(encoder.VALIDATION, encoder.VALIDATION + 96)]
    return Gallery(folder / "gallery", tower, digest, seeds, job)


def _write_model(
    out: Path, tower: VisionTower, task: CaptionTask, runs: Sequence[Checkpoint], sizes: Sizes
) -> None:
    from safetensors.torch import load_file, save_file

    model = task.build()
    model.load_state_dict(load_file(runs[1].weights))
    out.mkdir(exist_ok=True)
    save_tiny_language_model(
        out / folders.LANGUAGE_MODEL, task.tokenizer, model.language.language_model
    )
    save_file(tower.state_dict(), out / folders.TOWER)
    save_file(model.projection.state_dict(), out / folders.PROJECTION)
    lineage = tuple(
        Part(
            name,
            f"step {run.step}",
            run.record["files"][run.weights.name]["sha256"],
            "",
            "benchmarks.minigpt4_learning",
        )
        for name, run in zip(("encoder", "captions"), runs, strict=True)
    )
    write_config(out, Config(tower=sizes.tower(), wrap=captions.WRAP, lineage=lineage))
