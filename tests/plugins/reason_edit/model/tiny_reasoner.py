"""The published parts of ReasonPix2Pix at tiny size: real classes, drawn weights; and data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np

from imgedit_modelkit import fingerprints
from imgedit_modelkit.diffusion.testing import stable_diffusion_scheduler, tiny_unet, tiny_vae
from imgedit_modelkit.testing import realistic, tiny_llama, tiny_tokenizer
from imgedit_plugins.jobs import Job
from imgedit_plugins.picture_files import save_picture
from imgedit_plugins.pictures import Picture
from imgedit_plugins.requests import Options, WeightsReport, WeightsRequest
from imgedit_reason_edit.data.shards import write_shard
from imgedit_reason_edit.plugin import import_weights

WIDTH, FEATURES = 32, 24
TEXTS = [
    "USER: ASSISTANT: what would a bee like to sit on? the owner wants something for the rain",
    "Turn the red block to a blue block. user assistant",
] * 3
VISION = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2,
    "image_size": 28, "patch_size": 7,
}  # fmt: skip
COLOURS = {"red": (200, 30, 30), "green": (30, 180, 40), "blue": (40, 60, 210)}


def llava(folder: Path, *, seed: int = 0) -> Path:
    """LLaVA 1.5: CLIP, a projector and a LLaMA; its prompts are laid out as vicuna's."""
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    known = tiny_tokenizer(TEXTS, size=200)
    known.add_tokens(["<image>"], special_tokens=True)
    known.add_special_tokens({"pad_token": "<pad>"})
    text = tiny_llama(known, width=WIDTH).config
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**VISION, projection_dim=16), text_config=text,
        image_token_index=known.convert_tokens_to_ids("<image>"), image_seq_length=16,
    )  # fmt: skip
    realistic(LlavaForConditionalGeneration(config), seed=seed).save_pretrained(folder)
    size = {"shortest_edge": 28}, {"height": 28, "width": 28}
    processor = CLIPImageProcessor(size=size[0], crop_size=size[1])
    LlavaProcessor(
        processor, known, patch_size=7, vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def pix2pix(folder: Path, *, channels: int = 8) -> Path:
    """Stable Diffusion as diffusers saves it; with 4 channels one that sees no picture."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    tiny_unet(channels=channels, width=FEATURES, seed=3).save_pretrained(folder / "unet")
    tiny_vae().save_pretrained(folder / "vae")
    stable_diffusion_scheduler().save_pretrained(folder / "scheduler")
    letters = "abcdefghijklmnopqrstuvwxyzT.?"
    tokens = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{x}</w>" for x in letters)]
    words = folder / "words"
    words.mkdir()
    (words / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}))
    (words / "merges.txt").write_text("#version: 0.2\n")
    known = CLIPTokenizer(str(words / "vocab.json"), str(words / "merges.txt"), model_max_length=24)
    known.save_pretrained(folder / "tokenizer")
    config = CLIPTextConfig(
        vocab_size=len(tokens), hidden_size=FEATURES, intermediate_size=32,
        num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=24,
        bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    realistic(CLIPTextModel(config), seed=5).save_pretrained(folder / "text_encoder")
    (folder / "model_index.json").write_text("{}")
    return folder


def imported(
    files: dict[str, Path], out: Path, job: Job | None = None, **options: Any
) -> WeightsReport:
    """What the plugin's hook makes of files."""
    settings: Options = {"precision": "fp32", **options}
    request = WeightsRequest(
        weights="reason-pix2pix", files=files, out=out, options=settings, seed=5
    )
    report = import_weights(request, job or Job())
    assert report is not None
    return report


def picture(size: int = 48, seed: int = 0) -> np.ndarray:
    """A smooth picture with a coloured block."""
    y, x = np.mgrid[0:size, 0:size]
    rng = np.random.default_rng(seed)
    planes = [
        127 + 80 * np.sin(x / w + a) * np.cos(y / h) for w, h, a in rng.uniform(5, 20, (3, 3))
    ]
    pixels = np.stack(planes, axis=2)
    pixels[size // 4 : size // 2, size // 4 : size // 2] = rng.integers(0, 256, 3)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def data_set(
    folder: Path,
    part: str = "I",
    rows: int = 12,
    *,
    size: int = 48,
    layout: Literal["folders", "tar"] = "folders",
) -> Path:
    """What `data reason_edit make` writes, in one shard, by its own writer of shards."""
    shard = folder / "shard-00000"
    shard.mkdir(parents=True)
    records = []
    for number in range(rows):
        seed = number + 100 * ("I", "II", "III").index(part)
        colour = list(COLOURS)[number % 3]
        source = picture(size, seed)
        edited = source.copy()
        edited[size // 4 : size // 2, size // 4 : size // 2] = COLOURS[colour]
        names = [f"{number:07d}_{side}.png" for side in ("input", "edited")]
        for name, pixels in zip(names, (source, edited), strict=True):
            save_picture(Picture(pixels), shard / name)
        records.append({
            "input_file_name": names[0], "edited_file_name": names[1], "id": number, "part": part,
            "instruction": f"what would a {colour} bee like to sit on?",
            "direct_instruction": f"Turn the block to a {colour} block.",
            "input_caption": "a block", "edited_caption": f"a {colour} block",
            "category": "block", "target": f"{colour} block",
            "box": [0, 0, size, size], "candidates": [], "distance": 1.0,
            "source": f"{part}/{number // 2}",  # two rows of each picture
            "source_sha256": f"{seed:064x}",
            "input_sha256": fingerprints.of_file(shard / names[0]),
            "edited_sha256": fingerprints.of_file(shard / names[1]),
        })  # fmt: skip
    write_shard(shard, records, [], layout)
    record = {
        "schema": "imgedit-reason-edit-data/1", "pictures": rows,
        "request": {"count": rows, "shard_rows": rows},
    }  # fmt: skip
    (folder / "make.json").write_text(json.dumps(record))
    return folder
