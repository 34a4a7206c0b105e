"""The published files of MGIE at tiny size: real classes, their names, drawn weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from imgedit_mgie.edit_head import EditHead
from imgedit_mgie.folders import Head
from imgedit_mgie.plugin import import_weights
from imgedit_modelkit.diffusion.testing import (
    save_tiny_instruct_pix2pix,
    stable_diffusion_scheduler,
    tiny_unet,
    tiny_vae,
)
from imgedit_modelkit.testing import realistic, tiny_llama, tiny_tokenizer
from imgedit_plugins.jobs import Job
from imgedit_plugins.picture_files import save_picture
from imgedit_plugins.pictures import Picture
from imgedit_plugins.requests import Options, WeightsReport, WeightsRequest

WIDTH, FEATURES = 32, 32
HEAD = Head(width=WIDTH, hidden=16, layers=2, heads=4, feedforward=24, queries=5, features=FEATURES)
LLAVA_TOKENS = ["<im_patch>", "<im_start>", "<im_end>"]
VISUAL = [f"[IMG{n}]" for n in range(8)]
VISION = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2,
    "image_size": 28, "patch_size": 7, "projection_dim": 16,
}  # fmt: skip

TEXTS = [
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the user's questions. USER: ASSISTANT:",
    "what will this image be like if 'make it red'",
    "how to edit this image if 'make the sky darker'",
    "The pizza includes tomatoes. Fresh herbs lie on top.",
    "The sky is darker and the grass is green.",
] * 3


def tokenizer() -> Any:
    """LLaVA's: LLaMA's kind, and three tokens for pictures."""
    made = tiny_tokenizer(TEXTS, size=300)
    made.add_tokens(LLAVA_TOKENS, special_tokens=True)
    return made


def llama(known: Any, *, seed: int = 0) -> Any:
    return tiny_llama(known, width=WIDTH, seed=seed)


def llava_10(folder: Path, *, seed: int = 0, pickled: bool = False) -> Path:
    """LLaVA 1.0 as published: LLaMA's names, a linear projector, `model_type` 'llava'."""
    known = tokenizer()
    model = llama(known, seed=seed)
    known.save_pretrained(folder)
    draw = torch.Generator().manual_seed(seed + 50)
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    tensors["model.mm_projector.weight"] = torch.randn(WIDTH, 16, generator=draw) / 4
    tensors["model.mm_projector.bias"] = torch.randn(WIDTH, generator=draw) / 10
    config = json.loads(model.config.to_json_string())
    config |= {
        "model_type": "llava", "architectures": ["LlavaLlamaForCausalLM"],
        "mm_vision_tower": "openai/clip-vit-large-patch14", "mm_hidden_size": 16,
        "mm_vision_select_layer": -2, "mm_use_im_start_end": True, "use_mm_proj": True,
        "pad_token_id": -1,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    _save(folder, tensors, pickled=pickled)
    return folder


def _save(folder: Path, tensors: dict[str, torch.Tensor], *, pickled: bool) -> None:
    """In two files, as large models are."""
    from safetensors.torch import save_file

    names = sorted(tensors)
    for number, some in enumerate((names[::2], names[1::2]), 1):
        part = {name: tensors[name].contiguous() for name in some}
        if pickled:
            torch.save(part, folder / f"pytorch_model-{number:05d}-of-00002.bin")
        else:
            save_file(part, folder / f"model-{number:05d}-of-00002.safetensors")


def delta(folder: Path, base: Path, *, seed: int = 0) -> tuple[Path, dict[str, torch.Tensor]]:
    """LLaVA as a difference from a LLaMA with fewer tokens; also what it comes to."""
    llava_10(folder / "whole", seed=seed)
    whole = all_tensors(folder / "whole")
    known = tiny_tokenizer(TEXTS, size=300)
    llama_ = tiny_llama(known, width=WIDTH, seed=seed)
    with torch.no_grad():  # a LLaVA is a LLaMA that has moved a little
        for name, parameter in llama_.named_parameters():
            theirs = (
                whole[name][: len(parameter)]
                if "embed" in name or "lm_head" in name
                else whole[name]
            )
            parameter.copy_(theirs + 0.02 * torch.randn(parameter.shape))
    llama_.save_pretrained(base)
    known.save_pretrained(base)
    difference = {}
    for name, tensor in whole.items():
        difference[name] = tensor.clone()
        if name in llama_.state_dict():
            part = llama_.state_dict()[name]
            difference[name][tuple(slice(0, n) for n in part.shape)] -= part
    target = folder / "delta"
    target.mkdir()
    for path in (folder / "whole").iterdir():
        if path.suffix != ".safetensors":
            (target / path.name).write_bytes(path.read_bytes())
    _save(target, difference, pickled=True)
    return target, whole


def all_tensors(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    found: dict[str, torch.Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        found |= load_file(path)
    return found


def clip(folder: Path, *, seed: int = 7) -> Path:
    """CLIP as OpenAI publishes it: both halves in one file."""
    from transformers import CLIPConfig, CLIPModel

    text = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
            "num_attention_heads": 2, "vocab_size": 50, "projection_dim": 16}  # fmt: skip
    model = realistic(
        CLIPModel(CLIPConfig(text_config=text, vision_config=VISION, projection_dim=16)), seed=seed
    )
    model.save_pretrained(folder)
    return folder


def llava_15(folder: Path, *, seed: int = 0) -> tuple[Path, Any]:
    """LLaVA 1.5 as transformers saves it, and the model."""
    from transformers import CLIPVisionConfig, LlavaConfig, LlavaForConditionalGeneration

    known = tiny_tokenizer(TEXTS, size=300)
    known.add_tokens(["<image>"], special_tokens=True)
    text = llama(known).config
    text.vocab_size = len(known) + 20  # rows to spare, as the published one has
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**VISION), text_config=text,
        image_token_index=known.convert_tokens_to_ids("<image>"), image_seq_length=16,
    )  # fmt: skip
    model = realistic(LlavaForConditionalGeneration(config), seed=seed).eval()
    model.save_pretrained(folder)
    known.save_pretrained(folder)
    return folder, model


def diffusion(folder: Path, *, channels: int = 8) -> Path:
    """A folder of diffusers with UNet, VAE and scheduler."""
    tiny_unet(channels=channels, width=FEATURES, seed=3).save_pretrained(folder / "unet")
    tiny_vae().save_pretrained(folder / "vae")
    stable_diffusion_scheduler().save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text("{}")
    return folder


def mllm(*, seed: int = 11, emb: bool = True) -> dict[str, torch.Tensor]:
    """What `mllm.pt` holds, in half precision as that is."""
    draw = torch.Generator().manual_seed(seed)
    rows = len(tokenizer()) + len(VISUAL)
    found = {
        "model.embed_tokens.weight": torch.randn(rows, WIDTH, generator=draw) / 4,
        "lm_head.weight": torch.randn(rows, WIDTH, generator=draw) / 4,
    }
    head = realistic(EditHead(HEAD), seed=seed)
    found |= {f"edit_head.{name}": tensor for name, tensor in head.state_dict().items()}
    if emb:
        found["emb"] = found["model.embed_tokens.weight"][-8:]
    return {name: tensor.detach().half().clone() for name, tensor in found.items()}


def unet(*, seed: int = 12) -> dict[str, torch.Tensor]:
    """What `unet.pt` holds: a UNet's plain names."""
    made = tiny_unet(width=FEATURES, seed=seed)
    return {name: tensor.half() for name, tensor in made.state_dict().items()}


def published(folder: Path) -> dict[str, Path]:
    """All parts of an import, by name."""
    files = {
        "llava": llava_10(folder / "LLaVA-7B-v1"),
        "mllm": folder / "mllm.pt",
        "unet": folder / "unet.pt",
        "clip": clip(folder / "clip"),
        "diffusion": diffusion(folder / "pix2pix"),
    }
    torch.save(mllm(), files["mllm"])
    torch.save(unet(), files["unet"])
    return files


def imported(files: dict[str, Path], out: Path, **options: Any) -> WeightsReport:
    """What the plugin's hook makes of files."""
    settings: Options = {"fresh": False, "precision": "fp16", **options}
    request = WeightsRequest(weights="mgie", files=files, out=out, options=settings, seed=5)
    report = import_weights(request, Job())
    assert report is not None
    return report


def picture(height: int = 40, width: int = 56, seed: int = 0) -> Picture:
    """A smooth picture with a coloured block."""
    y, x = np.mgrid[0:height, 0:width]
    rng = np.random.default_rng(seed)
    planes = [
        127 + 80 * np.sin(x / w + a) * np.cos(y / h) for w, h, a in rng.uniform(5, 20, (3, 3))
    ]
    pixels = np.stack(planes, axis=2)
    pixels[height // 4 : height // 2, width // 4 : width // 2] = rng.integers(0, 256, 3)
    return Picture(np.clip(pixels, 0, 255).astype(np.uint8))


COLOURS = {"red": (200, 30, 30), "green": (30, 180, 40), "blue": (40, 60, 210)}


def data_set(folder: Path, rows: int = 12, size: int = 48) -> Path:
    """What `data mgie prepare` writes, in one shard: a block takes the colour that is asked for."""
    shard = folder / "shard-00000"
    shard.mkdir(parents=True)
    lines = []
    for number in range(rows):
        source = picture(size, size, seed=number).pixels
        colour = list(COLOURS)[number % 3]
        goal = source.copy()
        goal[size // 4 : size // 2, size // 4 : size // 2] = COLOURS[colour]
        names = [f"{number:08d}_{side}.png" for side in ("input", "goal")]
        for name, pixels in zip(names, (source, goal), strict=True):
            save_picture(Picture(pixels), shard / name)
        text = f"The block is {colour}. The rest stays as it was."
        row = {
            "id": number, "source": names[0], "input_file_name": names[0],
            "goal_file_name": names[1], "instruction": f"make it {colour}", "expressive": text,
            "summarised": f"The block is {colour}.", "answer": f"{text} Nobody is there.",
        }  # fmt: skip
        lines.append(json.dumps(row) + "\n")
    (shard / "metadata.jsonl").write_text("".join(lines))
    record = {
        "schema": "imgedit-mgie-data/1", "pairs": rows, "request": {"shard_rows": rows}
    }  # fmt: skip
    (folder / "prepare.json").write_text(json.dumps(record))
    return folder


def pix2pix(folder: Path) -> Path:
    """InstructPix2Pix as diffusers saves it: a real pipeline of tiny parts."""
    return save_tiny_instruct_pix2pix(folder, width=FEATURES)
