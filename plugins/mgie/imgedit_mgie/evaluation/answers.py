"""What each kind of row makes of an item: a picture, or an expressive instruction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from imgedit_mgie import setting
from imgedit_mgie.diffusion_files import vae_factor
from imgedit_mgie.editing import Work, place_of
from imgedit_mgie.evaluation.items import Item
from imgedit_mgie.evaluation.layout import TEXTS
from imgedit_mgie.evaluation.methods import Method
from imgedit_mgie.evaluation.results import picture_in, stamps_of_pictures, texts_in
from imgedit_mgie.evaluation.settings import Settings
from imgedit_mgie.folders import FILE, model_folder, read_config, with_bases
from imgedit_mgie.models import Models
from imgedit_mgie.rows import square
from imgedit_mgie.setting import Place, Setting, language_parts, painter_parts
from imgedit_modelkit.devices import choose_device, choose_precision, stored_bytes
from imgedit_modelkit.diffusion.guidance import Guidance
from imgedit_modelkit.evaluation.journal import stamp
from imgedit_modelkit.fingerprints import seed_of
from imgedit_modelkit.regions.resampling import Map
from imgedit_modelkit.tensor_files import numbers_in
from imgedit_plugins.errors import DataError, OptionError
from imgedit_plugins.jobs import Job
from imgedit_plugins.picture_files import open_picture
from imgedit_plugins.pictures import Picture
from imgedit_plugins.requests import ApplyRequest, Options


@dataclass(frozen=True)
class Answer:
    """What was made of an item; a picture where pictures are asked for."""

    expressive: str
    pixels: Map | None = None


class Answering(Protocol):
    """One row at work."""

    @property
    def stamp(self) -> Any:
        """What changes when its answers do; JSON."""
        ...

    @property
    def varies(self) -> bool:
        """Whether seeds and guidance change anything."""
        ...

    @property
    def parameters(self) -> int:
        """Of the language model; 0 where there is none."""
        ...

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where its weights or its results lie."""
        ...

    def answers(
        self, item: Item, source: Map, number: int, guidances: Sequence[float], job: Job
    ) -> Iterator[Answer]:
        """One answer for each image guidance.

        Args:
            item: what is edited.
            source: its picture, (size, size, 3) in 0..1.
            number: which of the seeds.
            guidances: for the image.
            job: cancellation, and warnings about this item.

        Raises:
            ImgeditError: there is none.
        """
        ...


def answering(method: Method, settings: Settings, job: Job) -> Answering:
    """The row at work; models are loaded with the first answer.

    Raises:
        WeightsError, DataError: folders are missing or hold something else.
        OptionError: an option does not go with the model.
    """
    if method.kind == "copy":
        return _Copy()
    if method.kind in ("instruction", "told"):
        return _Words(method)
    if method.kind == "results":
        return _Results(Path(method.given), settings)
    if settings.subject.work == "texts":
        return _Writing(method, settings, job)
    return _Editing(method, settings, job)


class _Still:
    """A row that computes nothing."""

    varies = False
    parameters = 0
    folders: tuple[Path, ...] = ()


class _Copy(_Still):
    stamp = "copy"

    def answers(
        self, item: Item, source: Map, number: int, guidances: Sequence[float], job: Job
    ) -> Iterator[Answer]:
        """The input itself."""
        del item, number, job
        yield from (Answer("", source) for _ in guidances)


class _Words(_Still):
    def __init__(self, method: Method) -> None:
        self._form = method.given
        self.stamp = ["words", self._form]

    def answers(
        self, item: Item, source: Map, number: int, guidances: Sequence[float], job: Job
    ) -> Iterator[Answer]:
        """The instruction itself, or what the data tells in a form."""
        del source, number, job
        text = item.told.get(self._form, "") if self._form else item.instruction
        if not text:
            raise DataError(
                f"The data has no {self._form} instruction for {item.name}.",
                hint="`data mgie prepare` makes data that has.",
            )
        yield from (Answer(text) for _ in guidances)


class _Results(_Still):
    """Pictures and texts that are there already."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        if not folder.is_dir():
            raise DataError(f"There is no folder {folder} of results.", path=folder)
        self._folder, self._size, self.folders = folder, settings.size, (folder,)
        self._pictures = settings.subject.work != "texts"
        self._texts = texts_in(folder)
        if not self._pictures and not self._texts:
            raise DataError(f"{folder} has no {TEXTS}.", path=folder)
        pictures = stamps_of_pictures(folder) if self._pictures else []
        self.stamp = ["results", str(folder.resolve()), self._texts, pictures]

    def answers(
        self, item: Item, source: Map, number: int, guidances: Sequence[float], job: Job
    ) -> Iterator[Answer]:
        """The picture of the item's name, its middle square where it is none."""
        del source, number, job
        text = self._texts.get(item.name, "")
        if not self._pictures:
            if not text:
                raise DataError(f"{self._folder / TEXTS} has no text for {item.name}.")
            yield from (Answer(text) for _ in guidances)
            return
        pixels = square(open_picture(picture_in(self._folder, item.name)), self._size)
        yield from (Answer(text, pixels) for _ in guidances)


class _Model:
    """What editing and writing have in common."""

    varies = True

    def __init__(self, method: Method, settings: Settings, found: Setting) -> None:
        self._method, self._settings, self._setting = method, settings, found
        if found.writer is not None and method.asked:
            asked = method.asked
        else:
            asked = read_config(found.writer).prompt if found.writer else ""
        self._asked = asked
        options = settings.options
        folders = dict.fromkeys(folder for folder in (found.writer, found.painter) if folder)
        self.folders = tuple(folders)
        self.stamp: Any = [
            found.model,
            found.sees,
            asked,
            [_stamps(folder) for folder in folders],
            sorted((name, value) for name, value in options.items() if name not in _NO_MATTER),
        ]

    @property
    def parameters(self) -> int:
        """Of language model, tower and projector."""
        return sum(map(numbers_in, language_parts(self._setting)))

    def request(self, item: Item, source: Map, number: int) -> ApplyRequest:
        """One edit of the item; each item and number has a first noise of its own."""
        pixels = np.rint(source * 255).astype(np.uint8)
        return ApplyRequest(
            picture=Picture(pixels),
            instruction=item.instruction,
            options=self._settings.options,
            seed=seed_of("evaluate", self._settings.seed + number, item.name),
        )


_NO_MATTER = frozenset({"image-guidance", "offload", "painter-weights"})
"""Options that change nothing, or that a task knows by itself."""


class _Editing(_Model):
    """A model of the family, on the square that the paper edits."""

    def __init__(self, method: Method, settings: Settings, job: Job) -> None:
        super().__init__(method, settings, setting_of_row(method, settings.options, job))
        factor = vae_factor(painter_parts(self._setting)[1])
        if settings.size % factor:
            raise OptionError(
                f"Option 'size' must be a multiple of {factor} for {method.title}, "
                f"not {settings.size}."
            )
        self._models: Models | None = None

    def answers(
        self, item: Item, source: Map, number: int, guidances: Sequence[float], job: Job
    ) -> Iterator[Answer]:
        """The edited picture as the model makes it, nothing of the input put back."""
        request = self.request(item, source, number)
        work = Work(self._loaded(request, job), request, len(guidances), job)
        text = float(self._settings.options["guidance"])
        for guidance in guidances:
            edited = work.paint(source, Guidance(text, guidance))[0]
            yield Answer(work.expressive, edited)

    def _loaded(self, request: ApplyRequest, job: Job) -> Models:
        if self._models is None:
            side = self._settings.size
            place = place_of(request, self._setting, 1, (side, side), job)
            self._models = Models(self._setting, place)
        return self._models


class _Writing(_Model):
    """The language model of a row alone."""

    def __init__(self, method: Method, settings: Settings, job: Job) -> None:
        del job
        folder = model_folder(method.given)
        found = setting.writing_setting(folder, blind=method.kind == "lgie")
        super().__init__(method, settings, found)

    def answers(
        self, item: Item, source: Map, number: int, guidances: Sequence[float], job: Job
    ) -> Iterator[Answer]:
        """The expressive instruction; the user's own where the model writes none."""
        del number
        options = self._settings.options
        device = choose_device(str(options["device"]))
        stored = sum(
            stored_bytes(path) if path.is_dir() else path.stat().st_size
            for path in language_parts(self._setting)
        )
        dtype = choose_precision(str(options["precision"]), device, stored)
        writer = Models(self._setting, Place(device, dtype)).writer()
        writer.asked = self._asked  # type: ignore[assignment]
        seen = np.rint(source * 255).astype(np.uint8)
        derived = writer.derive(
            seen,
            item.instruction,
            longest=int(options["max-tokens"]),
            on_token=lambda _: job.check(),
        )
        if not derived.expressive:
            job.warn("The language model wrote no expressive instruction.")
        yield from (Answer(derived.expressive or item.instruction) for _ in guidances)


def setting_of_row(method: Method, options: Options, job: Job) -> Setting:
    """The folders behind a row that edits.

    Raises:
        WeightsError, OptionError: as `setting.setting_of`.
    """
    given, painter = method.given, str(options["painter-weights"])
    is_pipeline = method.kind == "instructpix2pix" and (Path(given) / "model_index.json").is_file()
    if given and is_pipeline:
        given, painter = "", given
    asked: Options = {
        **options,
        "model": method.kind,
        "weights": given,
        "painter-weights": painter,
    }
    return setting.setting_of(asked, job)


def _stamps(folder: Path) -> list[Any]:
    """Of all files that a model folder's answers hang on."""
    places = [folder]
    if (folder / FILE).is_file():
        places = list(with_bases(folder))
    files = [p for place in places for p in sorted(place.rglob("*")) if p.suffix in _WEIGHTS]
    return [stamp(path) for path in files]


_WEIGHTS = (".safetensors", ".json", ".model", ".txt")
