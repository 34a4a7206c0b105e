"""The models of pictures with drawn weights, as diffusers saves them and as a bundle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.exporting.pictures import SIZES, Sizes
from imgedit_exporters.exporting import export
from imgedit_exporters.writing import Wanted
from imgedit_mgie.edit_head import EditHead
from imgedit_mgie.exporting import Guiding
from imgedit_mgie.folders import Head
from imgedit_modelkit.diffusion.editor import PictureEditor
from imgedit_modelkit.diffusion.saving import Saving
from imgedit_modelkit.export_diffusion import diffusion_parts, diffusion_settings
from imgedit_modelkit.export_parts import tower_part
from imgedit_modelkit.vision_towers import TowerConfig, VisionTower
from imgedit_plugins.exporting import ExportReport, Part
from imgedit_plugins.jobs import Job


def prepare(task: Mapping[str, Any]) -> Callable[[int], dict[str, Any]]:
    """Writes ``unet``, ``vae``, ``scheduler``, the rest, and ``bundle``, in a folder."""
    folder, sizes = Path(task["folder"]), SIZES[task["sizes"]]

    def work(_: int) -> dict[str, Any]:
        torch.manual_seed(8)
        editor = _editor(sizes)
        for name in ("unet", "vae", "scheduler"):
            getattr(editor, name).save_pretrained(folder / name, max_shard_size="100GB")
        tower, guiding = vision_tower(sizes), edit_head(sizes)
        torch.save(tower.state_dict(), folder / "tower.pt")
        torch.save(guiding.state_dict(), folder / "edit_head.pt")
        report = ExportReport(
            model="editor",
            parts=(*diffusion_parts(editor), tower_part(tower), _head_part(guiding, sizes)),
            settings=diffusion_settings(editor),
        )
        wanted = Wanted(golden=2, force=True)
        export(report, "benchmark", folder / "bundle", wanted, None, Job())
        return {}

    return work


def vision_tower(sizes: Sizes) -> VisionTower:
    """A CLIP tower as LLaVA's."""
    return VisionTower(TowerConfig(kind="clip", vision=dict(sizes.tower), layer=-2))


def edit_head(sizes: Sizes) -> Guiding:
    """MGIE's edit head with visual tokens."""
    head = EditHead(Head(**sizes.head))
    return Guiding(head, torch.randn(sizes.states) * 0.02).eval()


def _editor(sizes: Sizes) -> PictureEditor:
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel

    vae: Any = AutoencoderKL
    unet: Any = UNet2DConditionModel
    ddim: Any = DDIMScheduler
    # Deterministic, so that all make the same picture of the same noise; Stable Diffusion's betas.
    scheduler = ddim(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    made = (unet(**sizes.unet).eval(), vae(**sizes.vae).eval(), scheduler)
    return PictureEditor(*made, saving=Saving())


def _head_part(guiding: Guiding, sizes: Sizes) -> Part:
    shape = (2, *sizes.states)
    return Part(
        name="edit_head",
        role="edit-head",
        module=guiding,
        draw=lambda rng: {"states": rng.standard_normal(shape, np.float32)},
        outputs=("attended",),
        example={"states": np.zeros(shape, np.float32)},
        dynamic={"states": {0: "batch"}},
    )
