"""Files under the published names and with their structure, at tiny size; and a data set."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import numpy as np
import torch
from made_pictures import picture

from imgedit_modelkit.testing import save_tiny_language_model, tiny_llama, tiny_tokenizer
from imgedit_plugins.jobs import Job
from imgedit_plugins.operations import load_profile
from imgedit_plugins.picture_files import save_picture
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan, PlannedOperation
from imgedit_plugins.render import render_plan
from imgedit_plugins.requests import Options, WeightsReport, WeightsRequest
from imgedit_reverse_design import imad_sentences
from imgedit_reverse_design.imad_distribution import OPERATION_NAMES
from imgedit_reverse_design.minigpt4 import prompts, targets
from imgedit_reverse_design.plugin import import_weights

WIDTH, INNER, PATCH, SIDE, HIDDEN = 16, 32, 7, 4, 32


def drawn(seed: int):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int, around: float = 0.0) -> torch.Tensor:
        scale = shape[-1] ** -0.5 if len(shape) > 1 else 0.2
        return around + scale * torch.randn(*shape, generator=generator)

    return draw


def eva(blocks: int = 2) -> dict[str, torch.Tensor]:
    """The names of LAVIS's eva_vit_g.pth, in half precision as that file is."""
    draw = drawn(1)
    found = {
        "cls_token": draw(1, 1, WIDTH),
        "pos_embed": draw(1, SIDE**2 + 1, WIDTH),
        "patch_embed.proj.weight": draw(WIDTH, 3, PATCH, PATCH),
        "patch_embed.proj.bias": draw(WIDTH),
    }
    for n in range(blocks):
        for norm in ("norm1", "norm2"):
            found[f"blocks.{n}.{norm}.weight"] = draw(WIDTH, around=1.0)
            found[f"blocks.{n}.{norm}.bias"] = draw(WIDTH)
        found[f"blocks.{n}.attn.q_bias"] = draw(WIDTH)
        found[f"blocks.{n}.attn.v_bias"] = draw(WIDTH)
        found[f"blocks.{n}.attn.qkv.weight"] = draw(3 * WIDTH, WIDTH)
        for name, out, into in (
            ("attn.proj", WIDTH, WIDTH), ("mlp.fc1", INNER, WIDTH), ("mlp.fc2", WIDTH, INNER)
        ):  # fmt: skip
            found[f"blocks.{n}.{name}.weight"] = draw(out, into)
            found[f"blocks.{n}.{name}.bias"] = draw(out)
    return {name: tensor.half() for name, tensor in found.items()}


def qformer(queries: int = 5, width: int = 24, inner: int = 48) -> dict[str, torch.Tensor]:
    """What a BLIP-2 checkpoint has for a tower, and things that it has beside."""
    draw = drawn(2)
    found = {
        "query_tokens": draw(1, queries, width),
        "ln_vision.weight": draw(WIDTH, around=1.0),
        "ln_vision.bias": draw(WIDTH),
        "Qformer.bert.embeddings.LayerNorm.weight": draw(width, around=1.0),
        "Qformer.bert.embeddings.LayerNorm.bias": draw(width),
        "Qformer.bert.embeddings.word_embeddings.weight": draw(9, width),
        "t5_proj.weight": draw(4, width),
    }

    def linear(name: str, out: int, into: int) -> None:
        found[f"Qformer.bert.encoder.layer.{name}.weight"] = draw(out, into)
        found[f"Qformer.bert.encoder.layer.{name}.bias"] = draw(out)

    def norm(name: str) -> None:
        found[f"Qformer.bert.encoder.layer.{name}.weight"] = draw(width, around=1.0)
        found[f"Qformer.bert.encoder.layer.{name}.bias"] = draw(width)

    for n in range(2):
        for block in ("attention", "crossattention")[: 2 - n % 2]:
            linear(f"{n}.{block}.self.query", width, width)
            for part in ("key", "value"):
                linear(f"{n}.{block}.self.{part}", width, WIDTH if "cross" in block else width)
            linear(f"{n}.{block}.output.dense", width, width)
            norm(f"{n}.{block}.output.LayerNorm")
        for suffix in ("", "_query"):
            linear(f"{n}.intermediate{suffix}.dense", inner, width)
            linear(f"{n}.output{suffix}.dense", width, inner)
            norm(f"{n}.output{suffix}.LayerNorm")
    return found


def projection(width: int = 4 * WIDTH, seed: int = 3) -> dict[str, object]:
    """MiniGPT-4's checkpoints: 'model' beside the optimiser's state and the settings."""
    draw = drawn(seed)
    model = {"llama_proj.weight": draw(HIDDEN, width), "llama_proj.bias": draw(HIDDEN)}
    return {"model": model, "optimizer": {"state": {0: {"step": 3}}}, "epoch": 9, "config": {}}


def texts() -> list[str]:
    """What the tokenizer is trained on: every question, command and form of answer."""
    rng = random.Random(0)
    found = [*prompts.WITH_COMMAND, *prompts.WITHOUT_COMMAND]
    for name in OPERATION_NAMES:
        found += [targets.target([(name, rng.random())], rng).text for _ in range(4)]
        found += imad_sentences.patterns(name)[:4]
    return found * 2


def language_model(folder: Path, *, seed: int = 0, heads: int = 4) -> Path:
    tokenizer = tiny_tokenizer(texts(), size=500)
    made = tiny_llama(tokenizer, seed=seed, heads=heads)
    return save_tiny_language_model(folder, tokenizer, made)


def data_set(folder: Path, rows: int = 12, size: int = 72) -> Path:
    """Pairs in I-MAD's layout, one or two operations each, every one of its own picture."""
    rng, profile = random.Random(5), load_profile()
    for name in ("input_images", "output_images"):
        (folder / name).mkdir(parents=True)
    lines, values = [], []
    for row in range(rows):
        names = rng.sample(["bright", "invert", "grayscale", "contrast"], 1 + row % 2)
        shares = [
            rng.choice(levels) / levels[-1] if (levels := profile.levels(n)) else 1.0 for n in names
        ]
        steps = tuple(
            PlannedOperation(name=n, parameters=profile.denormalise(n, s))
            for n, s in zip(names, shares, strict=True)
        )
        source = Picture(picture(size, size, seed=row))
        save_picture(source, folder / "input_images" / f"{row}.png")
        edited = render_plan(source, EditPlan(operations=steps))
        save_picture(edited, folder / "output_images" / f"{row}.png")
        command = "" if row == 0 else imad_sentences.command(names, rng)
        lines.append([f"{row}.png", repr(names), command])
        values.append([repr([round(s, 3) for s in shares])])
    _write(folder / "imad_dense_data.csv", ["img_source", "action", "textv2"], lines)
    _write(folder / "imad_dense_data_value_normalized.csv", ["value_normalized"], values)
    return folder


def imported(files: dict[str, Path], out: Path, **options: str) -> WeightsReport:
    """What the plugin's hook makes of files."""
    settings: Options = {"wrap": "llama-2", "precision": "fp16", **options}
    request = WeightsRequest(weights="minigpt4", files=files, out=out, options=settings)
    report = import_weights(request, Job())
    assert report is not None
    return report


def _write(path: Path, columns: list[str], rows: list[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


def noise(height: int = 72, width: int = 72, seed: int = 0) -> Picture:
    made = np.random.default_rng(seed).integers(0, 256, (height, width, 3))
    return Picture(made.astype(np.uint8))
