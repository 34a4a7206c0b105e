"""The model folder that MGIE's training begins with: all parts of it, as the plugin reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.mgie_learning.sizes import Sizes
from imgedit_mgie import folders
from imgedit_mgie.edit_head import EditHead
from imgedit_mgie.folders import Config, Head, Language, write_config
from imgedit_mgie.llava import Llava
from imgedit_modelkit import fingerprints
from imgedit_modelkit.configurations import Part
from imgedit_modelkit.random_states import kept
from imgedit_modelkit.tensor_files import save_tensors
from imgedit_modelkit.testing import save_tiny_language_model

_SEED = 11


def write_base(
    out: Path,
    llava: tuple[Llava, Language, Any],
    diffusion: tuple[Any, Any],
    lineage: dict[str, Path],
    sizes: Sizes,
) -> Path:
    """Write the folder; the edit head begins at random.

    Args:
        out: the folder.
        llava: with how it sees, and its tokenizer.
        diffusion: UNet and VAE.
        lineage: what a part is -> the weights that it was taken from.
        sizes: of the edit head.
    """
    model, language, tokenizer = llava
    unet, vae = diffusion
    head = Head(
        width=sizes.width,
        hidden=sizes.head,
        layers=sizes.head_layers,
        feedforward=2 * sizes.head,
        queries=sizes.queries,
        features=sizes.attended,
    )
    out.mkdir(parents=True, exist_ok=True)
    save_tiny_language_model(out / folders.LANGUAGE_MODEL, tokenizer, model.language_model)
    save_tensors(out / folders.TOWER, model.tower.state_dict())
    save_tensors(out / folders.PROJECTOR, model.projector.state_dict())
    with kept(_SEED):
        save_tensors(out / folders.EDIT_HEAD, EditHead(head).state_dict())
    unet.save_pretrained(out / folders.UNET)
    vae.save_pretrained(out / folders.VAE)
    sizes.scheduler().save_pretrained(out / folders.SCHEDULER)
    parts = tuple(
        Part(name, path.name, fingerprints.of_file(path), "", "benchmarks.mgie_learning")
        for name, path in lineage.items()
    )
    write_config(out, Config(language=language, head=head, lineage=parts))
    return out
