"""`export_parts`: the parts of MGIE and LGIE, and golden edits by the originals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imgedit_exporters.runtime.tokens import described
from imgedit_mgie import bundled, folders
from imgedit_mgie.folders import read_config, with_bases
from imgedit_mgie.llava import pixels_of
from imgedit_mgie.loading import load_head, load_llava
from imgedit_mgie.writer import Writer
from imgedit_modelkit.diffusion.conditioning import Conditioning
from imgedit_modelkit.diffusion.editor import PictureEditor, Sampling
from imgedit_modelkit.diffusion.folders import load_part, load_scheduler
from imgedit_modelkit.diffusion.saving import Saving
from imgedit_modelkit.export_parts import (
    Arrays,
    decoder_part,
    embeddings_part,
    linear_part,
    smooth,
    tower_part,
)
from imgedit_modelkit.vision_towers import DEVIATION, MEAN
from imgedit_plugins.errors import OptionError
from imgedit_plugins.exporting import Array, ExportReport, Part, Source
from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import ExportRequest

_INSTRUCTIONS = ("make the sky darker", "add a little colour to the grass")


def export_parts(request: ExportRequest, job: Job) -> ExportReport | None:
    """Declare a model of the family.

    Args:
        request: its `model` is '' for what the folder holds, or that by name.
        job: progress.

    Raises:
        WeightsError, DataError: there is no model, or a part of it is missing.
        OptionError: the folder holds another model, or one that cannot be exported.
    """
    folder = folders.model_folder(str(request.options.get("weights", "")))
    config = read_config(folder)
    if request.model not in ("", config.model):
        raise OptionError(f"The model in {folder} is {config.model!r}, not {request.model!r}.")
    if config.language is None or config.head is None:
        raise OptionError(
            f"The model in {folder} is {config.model!r}, which cannot be exported yet.",
            hint="mgie and lgie can.",
        )
    job.report("loading the model")
    llava = load_llava(folder)
    head, visual = load_head(folder)
    sees = config.model != "lgie"
    writer = Writer(llava, head, visual, sees=sees, asked=config.prompt).eval()
    editor = _editor(folder)
    tokenizer, special = described(llava.tokens.tokenizer)
    settings = {
        "language": msgspec.to_builtins(config.language),
        "patches": llava.tower.tokens,
        "longest": llava.longest,
        "special": special,
        "sees": sees,
        "asked": config.prompt,
        "pixels": {
            "size": llava.tower.image_size,
            "mean": list(MEAN),
            "deviation": list(DEVIATION),
        },
        "factor": editor.factor,
        "multiple": editor.factor * 2 ** (len(editor.unet.config.block_out_channels) - 1),
        "scaling": float(editor.vae.config.scaling_factor),
        "scheduler": json.loads(editor.scheduler.to_json_string()),
    }
    shown = (tower_part(llava.tower), _projector(llava)) if sees else ()
    return ExportReport(
        model=config.model,
        parts=(*shown, *_language_parts(writer), *_diffusion_parts(editor)),
        settings=settings,
        files={bundled.TOKENIZER: tokenizer},
        lineage=tuple(_lineage(folder)),
        golden=lambda golden_job: golden_edits(writer, editor, golden_job),
    )


def _editor(folder: Path) -> PictureEditor:
    from diffusers import AutoencoderKL, UNet2DConditionModel

    return PictureEditor(
        load_part(UNet2DConditionModel, folders.part(folder, folders.UNET)),
        load_part(AutoencoderKL, folders.part(folder, folders.VAE)),
        load_scheduler(folders.part(folder, folders.SCHEDULER)),
        saving=Saving(),
    )


def _lineage(folder: Path) -> list[Source]:
    """What a model and those that it was trained from were made of."""
    found = [Source(**msgspec.to_builtins(p)) for f in with_bases(folder) for p in _parts(f)]
    return list(dict.fromkeys(found))


def _parts(folder: Path) -> tuple[Any, ...]:
    return read_config(folder).lineage


# --- the language model -----------------------------------------------------------------------


def _projector(llava: Any) -> Part:
    return linear_part("projector", llava.projector, llava.tower.tokens, llava.tower.width)


class Guiding(nn.Module):
    """The edit head with the embeddings of the visual tokens, which stay the same."""

    def __init__(self, head: nn.Module, visual: Tensor) -> None:
        super().__init__()
        self.head = head
        self.register_buffer("visual", visual.detach().clone())

    def forward(self, states: Tensor) -> Tensor:
        """What the UNet attends to."""
        return torch.as_tensor(self.head(states, self.visual))


def _language_parts(writer: Writer) -> tuple[Part, ...]:
    assert writer.edit_head is not None
    visual = writer.visual_embeddings()
    guiding = Guiding(writer.edit_head, visual)

    def draw(rng: np.random.Generator) -> Arrays:
        shape = (int(rng.integers(1, 3)), *visual.shape)
        return {"states": rng.standard_normal(shape, np.float32) * np.float32(rng.uniform(0.5, 2))}

    head = Part(
        name="edit_head", role="edit-head", module=guiding, draw=draw, outputs=("attended",),
        example={"states": np.zeros((2, *visual.shape), np.float32)},
        dynamic={"states": {0: "batch"}},
    )  # fmt: skip
    llava = writer.llava
    return embeddings_part(llava.table), decoder_part(llava.language_model), head


# --- the diffusion model ----------------------------------------------------------------------


class Noise(nn.Module):
    """A UNet that gives a tensor."""

    def __init__(self, unet: Any) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, latents: Tensor, time: Tensor, attended: Tensor) -> Tensor:
        """The predicted noise."""
        return torch.as_tensor(
            self.unet(latents, time, encoder_hidden_states=attended, return_dict=False)[0]
        )


class Encoder(nn.Module):
    """A VAE's encoder: pictures in 0..1 in, the posterior's mode out, not scaled."""

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, pictures: Tensor) -> Tensor:
        """Latents of pictures."""
        return torch.as_tensor(self.vae.encode(2.0 * pictures - 1.0).latent_dist.mode())


class Pictures(nn.Module):
    """A VAE's decoder: scaled latents in, pictures in 0..1 out."""

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, latents: Tensor) -> Tensor:
        """Pictures of latents."""
        made = self.vae.decode(latents / self.vae.config.scaling_factor, return_dict=False)[0]
        return torch.as_tensor((made * 0.5 + 0.5).clamp(0, 1))


def _diffusion_parts(editor: PictureEditor) -> tuple[Part, ...]:
    unet, vae = editor.unet, editor.vae
    channels, width = int(unet.config.in_channels), editor.width
    step, factor = 2 ** (len(unet.config.block_out_channels) - 1), editor.factor

    def sides(rng: np.random.Generator, multiple: int) -> tuple[int, int]:
        high, wide = (int(number) for number in rng.integers(2, 5, 2))
        return high * multiple, wide * multiple

    def noise(rng: np.random.Generator) -> Arrays:
        batch, tokens = (int(number) for number in rng.integers((1, 2), (4, 9)))
        return {
            "latents": rng.standard_normal((batch, channels, *sides(rng, step)), np.float32),
            "time": rng.uniform(0, 999, 1).astype(np.float32),
            "attended": rng.standard_normal((batch, tokens, width), np.float32),
        }

    def pictures(rng: np.random.Generator) -> Arrays:
        return {"pictures": smooth(rng, int(rng.integers(1, 3)), *sides(rng, factor))}

    def latents(rng: np.random.Generator) -> Arrays:
        shape = (int(rng.integers(1, 3)), channels // 2, *sides(rng, 1))
        return {"latents": rng.standard_normal(shape, np.float32)}

    sized = {0: "batch", 2: "height", 3: "width"}
    zeros: Callable[..., NDArray[np.float32]] = lambda *shape: np.zeros(shape, np.float32)  # noqa: E731
    return (
        Part(
            name="unet", role="unet", module=Noise(unet), draw=noise, outputs=("predicted",),
            example={
                "latents": zeros(3, channels, 2 * step, 3 * step),
                "time": np.array([500], np.float32), "attended": zeros(3, 5, width),
            },
            dynamic={"latents": sized, "attended": {0: "batch", 1: "tokens"}},
        ),
        Part(
            name="vae_encoder", role="vae-encoder", module=Encoder(vae), draw=pictures,
            outputs=("latents",), example={"pictures": zeros(2, 3, 2 * factor, 3 * factor)},
            dynamic={"pictures": sized},
        ),
        Part(
            name="vae_decoder", role="vae-decoder", module=Pictures(vae), draw=latents,
            outputs=("pictures",), example={"latents": zeros(2, channels // 2, 4, 6)},
            dynamic={"latents": sized},
        ),
    )  # fmt: skip


# --- whole edits ------------------------------------------------------------------------------


def golden_edits(writer: Writer, editor: PictureEditor, job: Job) -> Arrays:
    """Edits by the original, small and in few steps, with all that goes into them.

    Returns:
        For edit N: ``N/picture`` (height, width, 3) uint8, ``N/instruction``, ``N/pixels`` that the
        tower sees, ``N/tokens`` that are written, ``N/first`` and ``N/noise`` (steps, ...), and
        ``N/edited`` (height, width, 3) in 0..1.
    """
    rng = np.random.default_rng(8)
    side = bundled.GOLDEN_LATENTS * editor.factor
    found: Arrays = {}
    for number, instruction in enumerate(_INSTRUCTIONS):
        job.report("making golden edits", number, len(_INSTRUCTIONS))
        seen = smooth(rng, 1, side, side + 8 * editor.factor)[0].transpose(1, 2, 0)
        picture = np.rint(seen * 255).astype(np.uint8)
        found |= {
            f"{number}/{name}": array
            for name, array in _golden_edit(writer, editor, picture, instruction, number).items()
        }
    return found


def _golden_edit(
    writer: Writer, editor: PictureEditor, picture: Any, instruction: str, seed: int
) -> Arrays:
    llava = writer.llava
    prompt = llava.tokens.encode(writer.prompt(instruction))
    written = llava.write(prompt, writer.look(picture), longest=bundled.GOLDEN_TOKENS)
    states, _ = llava.predicted(written)
    conditioning = writer.conditioning(states[None])
    shape = (1, int(editor.vae.config.latent_channels), *_latent_sides(editor, picture))
    first = torch.randn(shape, generator=torch.Generator().manual_seed(seed + 100))
    edited = _edited(editor, picture, conditioning, first, seed)
    # The scheduler draws from the generator of the seed, one latent after the other.
    generator = torch.Generator().manual_seed(seed)
    noise = [torch.randn(shape, generator=generator)[0] for _ in range(bundled.GOLDEN_STEPS)]
    return {
        "picture": picture,
        "instruction": np.array(instruction),
        "pixels": pixels_of([picture], llava.tower.image_size)[0].numpy(),
        "tokens": np.array(written.tokens, np.int64),
        "first": first[0].numpy(),
        "noise": torch.stack(noise).numpy(),
        "edited": edited,
    }


def _edited(
    editor: PictureEditor, picture: Any, conditioning: Conditioning, first: Tensor, seed: int
) -> Array:
    pixels = torch.from_numpy(picture.astype(np.float32) / 255).permute(2, 0, 1)[None]
    sampling = Sampling(steps=bundled.GOLDEN_STEPS)
    made = editor.edit(pixels, conditioning, sampling, seeds=[seed], noise=first)
    return np.ascontiguousarray(made[0].permute(1, 2, 0).numpy())


def _latent_sides(editor: PictureEditor, picture: Any) -> tuple[int, int]:
    height, width = picture.shape[:2]
    return height // editor.factor, width // editor.factor
