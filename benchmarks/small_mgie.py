"""A small MGIE in a model folder, and rows to train it on: real classes, drawn weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from imgedit_mgie import folders
from imgedit_mgie.data.layout import KIND
from imgedit_mgie.edit_head import EditHead
from imgedit_mgie.folders import Config, Head, Language, write_config
from imgedit_mgie.llava import projector
from imgedit_modelkit.diffusion.files import write_part
from imgedit_modelkit.diffusion.testing import stable_diffusion_scheduler
from imgedit_modelkit.model_folders import no_progress_bars
from imgedit_modelkit.shards.work import ROWS
from imgedit_modelkit.tensor_files import save_tensors
from imgedit_modelkit.testing import realistic, save_tiny_language_model, tiny_llama, tiny_tokenizer
from imgedit_modelkit.vision_towers import VisionTower
from imgedit_plugins.picture_files import save_picture
from imgedit_plugins.pictures import Picture

WIDTH, SEEN, FEATURES = 128, 96, 64
LANGUAGE = Language(
    vision={
        "hidden_size": SEEN, "intermediate_size": 2 * SEEN, "num_hidden_layers": 4,
        "num_attention_heads": 4, "image_size": 48, "patch_size": 8, "projection_dim": SEEN,
    }
)  # fmt: skip
_HEAD = Head(width=WIDTH, hidden=64, layers=2, heads=4, feedforward=128, queries=8,
             features=FEATURES)  # fmt: skip
_COLOURS = {"red": (200, 30, 30), "green": (30, 180, 40), "blue": (40, 60, 210)}
_SAID = [
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the user's questions. USER: ASSISTANT:",
    "what will this image be like if 'make it red'",
    "The block in the picture is painted green and all the rest stays as it was before.",
] * 3


def tokenizer() -> Any:
    """With the tokens of pictures and the visual ones."""
    made = tiny_tokenizer(_SAID, size=300)
    own = [LANGUAGE.patch, LANGUAGE.start, LANGUAGE.end, *LANGUAGE.visual]
    made.add_tokens(own, special_tokens=True)
    return made


def unet() -> Any:
    """A UNet of three levels that sees a picture."""
    from diffusers import UNet2DConditionModel

    kind: Any = UNet2DConditionModel
    made = kind(
        sample_size=16,
        in_channels=8,
        out_channels=4,
        block_out_channels=(32, 64, 96),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=FEATURES,
        attention_head_dim=4,
        norm_num_groups=8,
    )
    return realistic(made, seed=3)


def vae() -> Any:
    """A VAE of three levels: its factor is 4."""
    from diffusers import AutoencoderKL

    kind: Any = AutoencoderKL
    made = kind(
        block_out_channels=(8, 16, 32),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=64,
    )
    return realistic(made, seed=4)


def model_folder(out: Path) -> Path:
    """Write all parts of an MGIE."""
    known = tokenizer()
    llama = tiny_llama(known, width=WIDTH, layers=3)
    with no_progress_bars():
        save_tiny_language_model(out / folders.LANGUAGE_MODEL, known, llama)
    modules = {
        folders.TOWER: VisionTower(LANGUAGE.tower()),
        folders.PROJECTOR: projector(LANGUAGE, SEEN, WIDTH),
        folders.EDIT_HEAD: EditHead(_HEAD),
    }
    for number, (name, module) in enumerate(modules.items()):
        save_tensors(out / name, realistic(module, seed=number).state_dict())
    for name, part in ((folders.UNET, unet()), (folders.VAE, vae())):
        write_part(out / name, part.config, part.state_dict())
    stable_diffusion_scheduler().save_pretrained(out / folders.SCHEDULER)
    write_config(out, Config(language=LANGUAGE, head=_HEAD))
    return out


def data_set(out: Path, rows: int = 32, size: int = 96) -> Path:
    """Write what `data mgie prepare` makes: a block takes the colour that is asked for."""
    shard = out / "shard-00000"
    shard.mkdir(parents=True)
    lines = []
    for number in range(rows):
        colour = list(_COLOURS)[number % len(_COLOURS)]
        names = [f"{number:08d}_{side}.png" for side in ("input", "goal")]
        for name, pixels in zip(names, _pair(number, size, _COLOURS[colour]), strict=True):
            save_picture(Picture(pixels), shard / name)
        said = f"The block is painted {colour} and all the rest stays as it was."
        told = dict.fromkeys(("expressive", "summarised", "answer"), said)
        files = dict(zip(("input_file_name", "goal_file_name"), names, strict=True))
        row = {"id": number, "source": names[0], "instruction": f"make it {colour}"}
        lines.append(json.dumps(row | files | told) + "\n")
    (shard / ROWS).write_text("".join(lines), "utf-8")
    record = {"schema": KIND.schema, "pairs": rows, "request": {"shard_rows": rows}}
    (out / KIND.record).write_text(json.dumps(record), "utf-8")
    return out


def _pair(seed: int, size: int, colour: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A smooth picture with a block, and the same with the block in a colour."""
    y, x = np.mgrid[0:size, 0:size]
    draw = np.random.default_rng(seed)
    waves = [
        127 + 80 * np.sin(x / w + a) * np.cos(y / h) for w, h, a in draw.uniform(5, 20, (3, 3))
    ]
    source = np.clip(np.stack(waves, axis=2), 0, 255).astype(np.uint8)
    block = (slice(size // 4, size // 2),) * 2
    source[block] = draw.integers(0, 256, 3)
    goal = source.copy()
    goal[block] = colour
    return source, goal
