"""`import_weights`: a vision-language model and a diffusion model become one model folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from imgedit_modelkit import fingerprints
from imgedit_modelkit.configurations import lineage
from imgedit_modelkit.diffusion.files import open_diffusion, write_diffusion
from imgedit_modelkit.model_folders import link
from imgedit_modelkit.random_states import kept
from imgedit_modelkit.seeing_folders import take_seeing_model
from imgedit_modelkit.tensor_files import save_tensors
from imgedit_plugins.errors import WeightsError
from imgedit_plugins.requests import WeightsReport
from imgedit_reason_edit.model import folders
from imgedit_reason_edit.model.folders import Config, Encoder, write_config
from imgedit_reason_edit.model.projection import Projection
from imgedit_reason_edit.requirements import NAME

if TYPE_CHECKING:
    from imgedit_plugins.jobs import Job
    from imgedit_plugins.requests import WeightsRequest

_PRECISIONS = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}
_TEXT = (folders.TEXT_ENCODER, folders.TOKENIZER)


def import_weights(request: WeightsRequest, job: Job) -> WeightsReport:
    """Check every key of the user's files and write the model folder.

    All is checked before the first file is written. The projection begins at random: nobody has
    published one. Without a vision-language model the folder serves the kind 'clip' alone.

    Raises:
        WeightsError: a file cannot be read, is another model's, or lacks tensors.
    """
    files, out = request.files, request.out
    source, mllm = files["diffusion"], files.get("mllm")
    job.report("reading the diffusion model", 0, 3)
    diffusion = open_diffusion(source, None)
    _check_text(source, needed=mllm is None)
    precision = _PRECISIONS[str(request.options.get("precision", "fp16"))]
    written: list[Path] = []
    missing: list[str] = []
    unexpected = [*diffusion.unexpected]
    encoder = None
    if mllm is not None:
        job.report("reading the language model", 1, 3)
        taken = take_seeing_model(mllm, out / folders.MLLM, job)
        written, unexpected = [*taken.files], [*unexpected, *taken.unexpected]
        encoder = Encoder(fingerprints.of_folder(out / folders.MLLM), taken.width)
        with kept(request.seed):
            tensors = Projection(taken.width, diffusion.attended).state_dict()
        written.append(save_tensors(out / folders.PROJECTION, tensors))
        missing = [f"projection.{name} (begins at random)" for name in tensors]
        job.warn(
            "The projection from the language model to the UNet begins at random: the model edits "
            f"at random until `imgedit-plugins train {NAME}` has trained it."
        )
    job.report("writing", 2, 3)
    out.mkdir(parents=True, exist_ok=True)
    written += write_diffusion(diffusion, out, precision)
    written += _take_text(source, out)
    config = Config(
        model="clip" if encoder is None else "reason_pix2pix",
        encoder=encoder,
        features=diffusion.attended,
        lineage=tuple(lineage(Path(__file__).parents[1], folders.WEIGHTS, files, job)),
    )
    written.append(write_config(out, config))
    return WeightsReport(
        files=tuple(written), missing_keys=tuple(missing), unexpected_keys=tuple(unexpected)
    )


def _check_text(source: Path, *, needed: bool) -> None:
    absent = [name for name in _TEXT if not (source / name).is_dir()]
    if needed and absent:
        raise WeightsError(
            f"{source} has no {' and no '.join(absent)}, and without --mllm CLIP reads the text.",
            path=source,
            hint="Give the whole folder of Stable Diffusion, or a vision-language model as --mllm.",
        )


def _take_text(source: Path, out: Path) -> list[Path]:
    """CLIP's text encoder, where the diffusion model's folder has it."""
    written = []
    for name in _TEXT:
        for path in sorted((source / name).glob("*")):
            if path.suffix in (".json", ".txt", ".safetensors", ".model"):
                (out / name).mkdir(parents=True, exist_ok=True)
                written.append(link(path, out / name / path.name))
    return written
