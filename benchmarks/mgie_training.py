"""Steps per second of `train mgie` beside a plain loop written by hand.

Both train a tiny MGIE (real classes, two million numbers) end to end on the same batches with the
same losses and AdamW: the embeddings, the output layer, the edit head and the UNet learn. The plain
loop is what one would write with transformers and diffusers alone; of ours it uses the model's
classes and the batches. They take steps in turn; see `benchmarks.training`.

    python -m benchmarks.mgie_training [--rounds 15] [--steps 20] [--json FILE]

Exits with 1 when `train mgie` is slower than 0.95 times the plain loop, or its losses are others.
FILE gets the figures with the hashes of the sources that were measured, by which
tests/acceptance/05_mgie.py knows them.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from diffusers import DDPMScheduler
from torch import Tensor, nn

from benchmarks.arguments import positive
from benchmarks.loaded_sources import loaded_sources
from benchmarks.small_mgie import data_set, model_folder
from benchmarks.training import WARM_UP, Result, in_turn, tell
from imgedit_mgie import plugin
from imgedit_mgie.task import MgieTask
from imgedit_mgie.trained import Guided
from imgedit_mgie.training import start_of, task_of
from imgedit_modelkit.order import TrainBatches
from imgedit_modelkit.training import TrainConfig
from imgedit_plugins.jobs import Job
from imgedit_plugins.manifest import FILE_NAME, load
from imgedit_plugins.options import resolve_options
from imgedit_plugins.requests import TrainRequest

_SOURCES = ("core", "modelkit", "plugins/mgie", "benchmarks")
_RATE, _BATCH, _LOGGED, _SEED = 5e-4, 4, 10, 7
_CLOSE = 1e-3
"""By how much the losses may differ, as a share: the order of additions differs."""


def request_of(folder: Path, steps: int) -> TrainRequest:
    """What the hook is asked for; the loss is the paper's, gradients are not recomputed."""
    given: dict[str, str | bool | int | float] = {
        "weights": str(folder / "model"), "steps": steps, "batch-size": _BATCH, "size": 64,
        "learning-rate": _RATE, "warmup": 0.0, "validation": 0.0, "validate-every": 10**6,
        "precision": "fp32", "gradient-checkpointing": False,
    }  # fmt: skip
    specs = load(Path(plugin.__file__).parent / FILE_NAME).options_for("train")
    options = resolve_options(specs, given)
    return TrainRequest(data=folder / "data", out=folder / "run", options=options, seed=_SEED)


def compare(rounds: int, steps: int) -> tuple[Result, float]:
    """Both in turn; the result, and the largest share by which their mean losses differ."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model_folder(folder / "model")
        data_set(folder / "data")
        request = request_of(folder, WARM_UP + rounds * steps)
        plain: list[float] = []
        result = in_turn(
            lambda job: _train(request, job), plain_steps(request, plain), rounds, steps
        )
        lines = (request.out / "metrics.jsonl").read_text("utf-8").splitlines()
        ours = [float(json.loads(line)["loss"]) for line in lines]
    return result, max(abs(a / b - 1) for a, b in zip(ours, plain, strict=False))


def _train(request: TrainRequest, job: Job) -> None:
    assert plugin.train(request, job) is not None


# --- by hand ----------------------------------------------------------------------------------


def plain_steps(request: TrainRequest, losses: list[float]) -> Iterator[None]:
    """A loop written by hand; each item of the iterator is a step taken.

    Args:
        request: as for the hook.
        losses: gets the mean of every ten steps.
    """
    total = int(request.options["steps"])
    task = task_of(request, start_of(request.options), Job())
    torch.manual_seed(_SEED)
    model = task.build()
    assert isinstance(model, Guided)
    model.train()
    for part in (model.llava.tower, model.llava.projector, model.diffusion.vae):
        part.eval()
    learnt = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learnt, lr=_RATE, weight_decay=0.0)
    levels = DDPMScheduler.from_config(model.diffusion.scheduler.config)  # type: ignore[no-untyped-call]
    config = TrainConfig(steps=total, batch_size=_BATCH, seed=_SEED)
    batches = TrainBatches(task, task.train_items(), config, 0, 1)
    since: list[Tensor] = []
    for step in range(total):
        for group in optimizer.param_groups:
            group["lr"] = _RATE * 0.5 * (1 + math.cos(math.pi * step / (total - 1)))
        loss = plain_loss(model, batches[step], levels, task)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(learnt, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        since.append(loss.detach())
        if step % _LOGGED == _LOGGED - 1:
            losses.append(float(torch.stack(since).mean()))
            since.clear()
        yield


def plain_loss(model: Guided, batch: dict[str, Any], levels: Any, task: MgieTask) -> Tensor:
    """Both losses of a batch, from the parts of the model."""
    llama, table = model.llava.language_model, model.llava.table
    known = model.llava.tokens
    rows = [
        torch.tensor([*prompt, *answer])
        for prompt, answer in zip(batch["prompts"], batch["answers"], strict=True)
    ]
    ids = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=known.end)
    lengths = torch.tensor([len(row) for row in rows])
    begins = torch.tensor([len(prompt) for prompt in batch["prompts"]])
    places = torch.arange(ids.shape[1])
    mask = (places < lengths[:, None]).long()
    answers = (places >= begins[:, None]) & mask.bool()
    with torch.no_grad():
        vision = model.llava.tower.vision(pixel_values=batch["pixels"], output_hidden_states=True)
        seen = model.llava.projector(vision.hidden_states[-2][:, 1:])
    embedded = table(ids).masked_scatter((ids == known.patch)[..., None], seen)
    states = llama.model(
        inputs_embeds=embedded, attention_mask=mask, use_cache=False
    ).last_hidden_state
    chosen = answers[:, 1:]
    logits = llama.lm_head(states[:, :-1][chosen])
    instruction = nn.functional.cross_entropy(logits, ids[:, 1:][chosen])
    visual = torch.tensor(known.visual)
    firsts = ((ids == known.visual[0]) & answers).int().argmax(1) - 1
    guiding = states[torch.arange(len(rows))[:, None], firsts[:, None] + torch.arange(len(visual))]
    own = table.weight[visual]
    text, null = model.edit_head(guiding, own), model.edit_head(torch.zeros_like(own)[None], own)
    edit = plain_edit_loss(model, batch, text, null, levels)
    return task.losses.instruction * instruction + task.losses.edit * edit


def plain_edit_loss(
    model: Guided, batch: dict[str, Any], text: Tensor, null: Tensor, levels: Any
) -> Tensor:
    """The squared error of the predicted noise, with 5 % each without text, picture and both."""
    unet, vae = model.diffusion.unet, model.diffusion.vae
    generator = torch.Generator().manual_seed(batch["seed"])
    with torch.no_grad():
        seen = vae.encode(2 * batch["inputs"] - 1).latent_dist.mode()
        goal = vae.encode(2 * batch["goals"] - 1).latent_dist.sample(generator=generator)
    goal = goal * vae.config.scaling_factor
    noise = torch.randn(goal.shape, generator=generator)
    times = torch.randint(1000, (len(goal),), generator=generator)
    drawn = torch.rand(len(goal), generator=generator)
    no_text, no_picture = drawn < 0.1, (drawn < 0.05) | ((drawn >= 0.1) & (drawn < 0.15))
    seen = seen * (~no_picture)[:, None, None, None]
    text = torch.where(no_text[:, None, None], null, text)
    noisy = torch.cat([levels.add_noise(goal, noise, times), seen], dim=1)
    predicted = unet(noisy, times, encoder_hidden_states=text, return_dict=False)[0]
    return nn.functional.mse_loss(predicted, noise)


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=positive, default=15)
    parser.add_argument("--steps", type=positive, default=20)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    arguments = parser.parse_args()
    result, apart = compare(arguments.rounds, arguments.steps)
    told = {"losses_differ_by": apart, "sources": loaded_sources(_SOURCES)}
    code = tell(result, arguments.json, told)
    print(f"losses differ by {apart:.1e} at most, as a share")
    return code if apart < _CLOSE else 1


if __name__ == "__main__":
    sys.exit(main())
