"""What an edit needs: which model of the family, where it lies, and how it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from imgedit_mgie import folders
from imgedit_mgie.folders import Config, model_folder, pix2pix_folder, read_config, with_bases
from imgedit_plugins.errors import OptionError, WeightsError
from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import Options

Model = Literal["mgie", "lgie", "fz", "ft", "instructpix2pix", "painter"]

_TITLES = {
    "mgie": "MGIE",
    "lgie": "LGIE",
    "ft": "FT",
    "instructpix2pix": "a fine-tuned InstructPix2Pix",
}


@dataclass(frozen=True)
class Setting:
    """One way to edit.

    Attributes:
        model: of the family; 'painter' for a pipeline of diffusers.
        writer: folder of the language model, or None where there is none.
        painter: folder of the diffusion model.
        sees: whether the language model sees the picture.
        pipeline: the name of the diffusers pipeline, for 'painter'.
    """

    model: Model
    writer: Path | None
    painter: Path
    sees: bool = True
    pipeline: str = ""

    @property
    def guided(self) -> bool:
        """Whether visual tokens guide the diffusion model, or text."""
        return self.model in ("mgie", "lgie")


def setting_of(options: Options, job: Job) -> Setting:
    """The folders behind an edit's options.

    Raises:
        WeightsError: weights are missing; says which, how large, under which licence, and how to
            get them.
        OptionError: the folder holds another model than the option asks for.
    """
    model = str(options["model"])
    given, other = str(options["weights"]), str(options["painter-weights"])
    if pipeline := str(options["painter"]):
        folder = model_folder(given)
        sees = read_config(_speaking(folder)).model != "lgie"
        return Setting(
            "painter", _speaking(folder), _painter_folder(other, pipeline), sees, pipeline
        )
    if model == "instructpix2pix" and not _is_trained(given, "instructpix2pix"):
        return Setting("instructpix2pix", None, pix2pix_folder(other))
    folder = model_folder(given)
    config = read_config(folder)
    if model == "fz":
        writer = _speaking(folder)
        return Setting("fz", writer, pix2pix_folder(other), read_config(writer).model != "lgie")
    wanted = {"auto": config.model, "e2e": "mgie"}.get(model, model)
    return _own(folder, config, wanted, job)


def writing_setting(folder: Path, *, blind: bool) -> Setting:
    """A model that only writes expressive instructions: that of a folder, or it comes from.

    Args:
        folder: of the model.
        blind: hide the picture from it, even where it was trained with it.

    Raises:
        WeightsError: there is no language model on the way.
    """
    writer = _speaking(folder)
    return Setting("fz", writer, writer, not blind and read_config(writer).model != "lgie")


def _own(folder: Path, config: Config, wanted: str, job: Job) -> Setting:
    """A model whose diffusion model lies in the folder itself."""
    if wanted == "lgie" and config.model == "mgie":
        job.warn("This model was trained with the picture in sight; LGIE hides it from it.")
        return Setting("lgie", folder, folder, sees=False)
    if wanted != config.model:
        raise OptionError(
            f"The model in {folder} is {_TITLES[config.model]}, not {_TITLES[wanted]}.",
            hint=f"`imgedit-plugins train mgie -O model={wanted}` makes one, or leave the option "
            "'model' as it is.",
        )
    if wanted == "instructpix2pix":
        return Setting("instructpix2pix", None, folder)
    if wanted == "ft":
        return Setting("ft", _speaking(folder), folder)
    return Setting(config.model, folder, folder, sees=wanted != "lgie")


def _is_trained(given: str, kind: str) -> bool:
    """Whether the option 'weights' names a folder that was trained as this model."""
    if not given:
        return False
    return read_config(model_folder(given)).model == kind


def _speaking(folder: Path) -> Path:
    """The folder with the language model that a folder is, or comes from.

    Raises:
        WeightsError: there is none on the way.
    """
    for place in with_bases(folder):
        if read_config(place).language is not None:
            return place
    raise WeightsError(f"The model in {folder} has no language model.", path=folder)


def _painter_folder(given: str, pipeline: str) -> Path:
    folder = Path(given) if given else None
    if folder is None or not (folder / "model_index.json").is_file():
        where = f"in {folder}" if folder else "given"
        raise WeightsError(
            f"The weights of {pipeline} are not {where}: a folder as diffusers saves it.",
            path=folder,
            hint="Name it with --option painter-weights=FOLDER; `hf download REPOSITORY "
            "--local-dir FOLDER` gets one, under its publisher's licence.",
        )
    return folder


def language_parts(setting: Setting) -> list[Path]:
    """Files of the language model, for a forecast."""
    if setting.writer is None:
        return []
    names = [folders.LANGUAGE_MODEL, folders.TOWER, folders.PROJECTOR]
    if setting.guided:
        names.append(folders.EDIT_HEAD)
    return [folders.part(setting.writer, name) for name in names]


def painter_parts(setting: Setting) -> list[Path]:
    """Folders of the diffusion model, for a forecast."""
    names = [folders.UNET, folders.VAE] + ([] if setting.guided else [folders.TEXT_ENCODER])
    if setting.model == "painter":
        return [setting.painter]
    return [painter_part(setting.painter, name) for name in names]


def painter_part(folder: Path, name: str) -> Path:
    """Where a part of a diffusion model is, in a folder of ours or of diffusers."""
    return folders.part(folder, name) if (folder / folders.FILE).is_file() else folder / name
