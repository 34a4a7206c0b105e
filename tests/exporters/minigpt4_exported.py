"""Tiny MiniGPT-4s of every kind, by the import of files under the published names, and bundles."""

import random
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import published
import pytest
import torch
from traced_once import traced_once

from imgedit_exporters import tracing
from imgedit_exporters.exporting import Wanted, export
from imgedit_exporters.runtime.bundles import Document
from imgedit_modelkit.adapters import adapters
from imgedit_modelkit.readers.imad import read_imad
from imgedit_modelkit.readers.splits import split_by_image
from imgedit_modelkit.tensor_files import save_tensors
from imgedit_modelkit.testing import save_tiny_language_model
from imgedit_modelkit.vision_language import answer_loss
from imgedit_plugins.exporting import ExportReport
from imgedit_plugins.jobs import Job
from imgedit_plugins.picture_files import open_picture
from imgedit_plugins.pictures import Picture
from imgedit_plugins.requests import BundleRequest, ExportRequest
from imgedit_reverse_design.minigpt4 import config as folders
from imgedit_reverse_design.minigpt4 import prompts, targets
from imgedit_reverse_design.minigpt4.config import Adapted, Config, read_config, write_config
from imgedit_reverse_design.minigpt4.model import load_model, load_untrained, tower_tokens
from imgedit_reverse_design.plugin import export_parts, verify_bundle


def model(folder: Path, *, qformer: bool = False, heads: int = 4) -> Path:
    """A model folder; with a Q-Former it is the variant for Vicuna.

    Args:
        folder: of the published files, and of ``model`` that is made of them.
        qformer: behind the tower.
        heads: of the language model; 2 are wide enough for onnxruntime-genai.
    """
    folder.mkdir(exist_ok=True)
    torch.save(published.eva(), folder / "eva.pth")
    projection = published.projection(24) if qformer else published.projection()
    torch.save(projection, folder / "projection.pth")
    files = {
        "eva": folder / "eva.pth", "projection": folder / "projection.pth",
        "language-model": published.language_model(folder / "llama", heads=heads),
    }  # fmt: skip
    if qformer:
        torch.save({"model": published.qformer()}, folder / "blip2.pth")
        files["qformer"] = folder / "blip2.pth"
    wrap = "vicuna" if qformer else "llama-2"
    published.imported(files, folder / "model", precision="fp32", wrap=wrap)
    return folder / "model"


def with_adapters(base: Path, folder: Path) -> Path:
    """The model of a folder with adapters that change its answers, as a training leaves it."""
    before = read_config(base)
    config = Config(
        tower=before.tower, wrap=before.wrap, lora=Adapted(2, ("q_proj", "v_proj")), base=str(base)
    )
    made = load_untrained(base, config=config)
    generator = torch.Generator().manual_seed(8)
    drawn = {
        name: 0.3 * torch.randn(tensor.shape, generator=generator)
        for name, tensor in adapters(made.language.language_model).items()
    }
    folder.mkdir()
    save_tensors(folder / folders.LORA, drawn, torch.float32)
    (folder / folders.PROJECTION).write_bytes((base / folders.PROJECTION).read_bytes())
    write_config(folder, config)
    return folder


def trained(base: Path, folder: Path, data: Path) -> Path:
    """The model of a folder after all of it but its tower has learnt to answer about a data set.

    Its answers hold plans, which hang on pictures and commands. They are often wrong.
    """
    shutil.copytree(base, folder)
    model, rng = load_model(base), random.Random(0)
    rows = split_by_image(read_imad(data, Job()))["train"]
    pictures = [[open_picture(path).rgb8() for path in (r.source, r.edited)] for r in rows]
    with torch.no_grad():
        seen = torch.stack([tower_tokens(model.tower, model.pixels([p])[0]) for p in pictures])
    learning = [*model.language.parameters(), *model.projection.parameters()]
    for parameter in learning:
        parameter.requires_grad_(True)
    optimiser = torch.optim.AdamW(learning, weight_decay=0.0)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, total_steps=150)
    for _ in range(150):
        some = rng.sample(range(len(rows)), 8)
        commands = [rows[i].command or None if rng.random() < 0.7 else None for i in some]
        asked = [prompts.draw(rng, command, "llama-2") for command in commands]
        told = [targets.target(rows[i].operations, random.Random(0)).text for i in some]
        read = model(seen[some], asked, told)
        loss = answer_loss(read.logits, read.labels)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        optimiser.step()
        rates.step()
    language = model.language
    save_tiny_language_model(
        folder / folders.LANGUAGE_MODEL, language.tokenizer, language.language_model
    )
    save_tensors(folder / folders.PROJECTION, model.projection.state_dict(), torch.float32)
    return folder


def declared(folder: Path, **options: str | int) -> ExportReport:
    given = {"weights": str(folder), "pairs": 3, **options}
    report = export_parts(ExportRequest(options=given), Job())
    assert report is not None
    return report


def checked(folder: Path, job: Job):
    return verify_bundle(BundleRequest(bundle=folder), job)


def exported(
    folder: Path,
    out: Path,
    wanted: Wanted | None = None,
    traced: Mapping[str, Path] | None = None,
    **options: str | int,
) -> Document:
    """A bundle of a model folder.

    Args:
        traced: by part, the ONNX file of another export of the very same part, since tracing takes
            seconds; it is compared with its original all the same.
        options: of `export_parts`.
    """
    there = traced or {}
    with traced_once(), pytest.MonkeyPatch.context() as patch:
        to_onnx = tracing.to_onnx

        def trace(part, path, dtype=torch.float32, **other):
            if part.name in there and dtype == torch.float32:
                shutil.copy(there[part.name], path)
            else:
                to_onnx(part, path, dtype, **other)

        patch.setattr(tracing, "to_onnx", trace)
        wanted = wanted or Wanted(golden=6)
        return export(declared(folder, **options), "reverse_design", out, wanted, checked, Job())


def parts_of(bundle: Path, *names: str) -> dict[str, Path]:
    """For `traced`."""
    return {name: bundle / f"{name}.onnx" for name in names}


def pair(seed: int) -> tuple[Picture, Picture]:
    """A picture and a brighter one."""
    source = published.noise(60, 80, seed)
    edited = np.clip(source.pixels.astype(int) + 30, 0, 255).astype(np.uint8)
    return source, Picture(edited)
