"""What an edit by a trained model needs: which kind, and where its parts lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from imgedit_plugins.errors import OptionError
from imgedit_reason_edit.model import folders
from imgedit_reason_edit.model.folders import Encoder, Kind, model_folder, part, read_config
from imgedit_reason_edit.requirements import NAME

if TYPE_CHECKING:
    from imgedit_plugins.jobs import Job
    from imgedit_plugins.requests import Options


@dataclass(frozen=True)
class Setting:
    """One way to edit.

    Attributes:
        kind: what guides the diffusion model.
        folder: of the model.
        encoder: the language model; None for 'clip'.
    """

    kind: Kind
    folder: Path
    encoder: Encoder | None = None

    @property
    def sees(self) -> bool:
        """Whether the language model sees the picture."""
        return self.kind == "reason_pix2pix"

    def part(self, name: str) -> Path:
        """Where a part lies.

        Raises:
            DataError: neither in the folder nor in what it was trained from.
        """
        return part(self.folder, name)


def setting_of(options: Options, job: Job) -> Setting:
    """The model behind an edit's options; one that nobody has trained is warned of.

    Raises:
        WeightsError: there is none; says how to get it.
        OptionError: the folder holds another kind than the option asks for.
    """
    kind = cast("Kind", options["model"])
    folder = model_folder(str(options["weights"]))
    config = read_config(folder)
    if (config.trained or config.encoder is None) and config.model != kind:
        raise OptionError(
            f"The model in {folder} is {config.model}, not {kind}.",
            hint=f"`imgedit-plugins train {NAME} -O model={kind}` makes one.",
        )
    if not config.trained:
        job.warn(untrained(f"The model in {folder}", kind))
    return Setting(kind, folder, None if kind == "clip" else config.encoder)


def untrained(which: str, kind: str) -> str:
    """What is told of a model that was imported and not trained."""
    told = (
        "it edits as well as the diffusion model that it was imported from"
        if kind == "clip"
        else "what the language model makes of the instruction means nothing to the diffusion "
        "model yet"
    )
    return f"{which} was imported and has not been trained: {told} (the paper's “no fine-tuning”)."


def language_parts(setting: Setting) -> list[Path]:
    """Files of the language model, for a forecast."""
    if setting.encoder is None:
        return []
    return [setting.part(folders.MLLM), setting.part(folders.PROJECTION)]


def painter_parts(setting: Setting) -> list[Path]:
    """Folders of the diffusion model, for a forecast."""
    names = [folders.UNET, folders.VAE]
    if setting.encoder is None:
        names.append(folders.TEXT_ENCODER)
    return [setting.part(name) for name in names]
