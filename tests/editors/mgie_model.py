"""MGIE for the editors: a model, and a Python with PyTorch that a worker in the root runs on.

IMGEDIT_TEST_MGIE names the folder of a model (or of its training run) to use instead of a tiny one
with drawn weights.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from editor_root import PROJECT
from krita_session import Extension

VARIABLE = "IMGEDIT_TEST_MGIE"
PYTHON = Path(sys.prefix) / "bin" / "python"


def binds() -> list[Path]:
    """What the root must have of this machine: this Python, the project, the model.

    The root has no PyTorch of its own: there is one for this Python already. A Python that lies
    among the system's files would hide the root's, and is left out.
    """
    places = [Path(sys.base_prefix), Path(sys.prefix), PROJECT, *_given()]
    kept: list[Path] = []
    for place in places:
        if place.parts[:2] != ("/", "usr") and place not in kept:
            kept.append(place)
    return kept


def check() -> None:
    """Say why a worker in the root cannot run on this Python, if it cannot."""
    if Path(sys.base_prefix).parts[:2] == ("/", "usr"):
        pytest.skip(f"the Python in {sys.base_prefix} cannot be used in the root: it is a system's")


def gimp_with(gimp: Any, root: Any, environment: Mapping[str, str]) -> Any:
    """GIMP with the plug-in, whose worker runs on this Python.

    Args:
        gimp: the fixture.
        root: the fixture.
        environment: of GIMP, and so of the worker that it starts.
    """
    gimp.environment.update(environment)
    command = [str(PYTHON), "-m", "imgedit_plugins.cli", "install", "gimp"]
    root.call([*command, "--profile", f"{gimp.home}/GIMP"], seconds=120)
    return gimp


def krita_with(krita: Any, root: Any, environment: Mapping[str, str]) -> Extension:
    """Krita with the extension, in the same way."""
    krita.environment.update(environment)
    resources = f"{krita.home}/.local/share/krita"
    command = [str(PYTHON), "-m", "imgedit_plugins.cli", "install", "krita"]
    root.call([*command, "--profile", resources], seconds=120)
    return Extension(krita, f"{resources}/pykrita/imgedit")


def quick_vae() -> Any:
    """A VAE with a factor of 16, for editors let a model work at 512 pixels."""
    from diffusers import AutoencoderKL

    from imgedit_modelkit.testing import realistic

    vae = AutoencoderKL(
        block_out_channels=(8, 8, 8, 8, 16),
        down_block_types=("DownEncoderBlock2D",) * 5,
        up_block_types=("UpDecoderBlock2D",) * 5,
        latent_channels=4,
        norm_num_groups=4,
    )
    return realistic(vae, seed=1).eval()


def put(folder: Path) -> Path:
    """A folder for IMGEDIT_WEIGHTS with the model in it.

    Args:
        folder: at the same path in the root; it is filled.
    """
    weights = folder / "weights"
    place = weights / "mgie" / "mgie"
    place.parent.mkdir(parents=True)
    if given := _given():
        place.symlink_to(given[0])
        return weights
    _make_tiny(folder / "files", place)
    return weights


def put_bundle(folder: Path) -> Path:
    """A folder for IMGEDIT_WEIGHTS with a bundle of the model in it, which needs no PyTorch."""
    sys.path += [str(PROJECT / "tests" / "exporters"), str(PROJECT / "tests" / "plugins" / "mgie")]
    import mgie_exported

    weights = folder / "weights"
    (weights / "mgie").mkdir(parents=True)
    given = _given()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mgie_exported, "small_vae", quick_vae)
        model = given[0] if given else mgie_exported.model(folder / "files")
    mgie_exported.exported(model, weights / "mgie" / "mgie")
    return weights


def _given() -> list[Path]:
    """The folder that was named, and those that it refers to."""
    if not (named := os.environ.get(VARIABLE)):
        return []
    from imgedit_mgie.folders import model_folder, with_bases

    return list(with_bases(model_folder(str(Path(named).absolute()))))


def _make_tiny(files: Path, place: Path) -> None:
    """By the import of files under the published names."""
    sys.path.append(str(PROJECT / "tests" / "plugins" / "mgie"))
    import tiny_mgie

    parts = tiny_mgie.published(files)
    quick_vae().save_pretrained(parts["diffusion"] / "vae")
    tiny_mgie.imported(parts, place)
