"""The models of the family as rows of a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from imgedit_mgie import setting
from imgedit_mgie.editing import Work, place_of
from imgedit_mgie.evaluation.settings import Settings
from imgedit_mgie.evaluation.words import Words
from imgedit_mgie.folders import FILE, model_folder, read_config, with_bases
from imgedit_mgie.models import Models
from imgedit_mgie.prompts import Asked
from imgedit_mgie.setting import Setting, language_parts, painter_parts
from imgedit_modelkit.devices import choose_device, choose_precision, stored_bytes
from imgedit_modelkit.diffusion.files import vae_factor
from imgedit_modelkit.diffusion.guidance import Guidance
from imgedit_modelkit.diffusion.places import Place
from imgedit_modelkit.evaluation.answers import Answer, Answering, Computing, Copy, Results
from imgedit_modelkit.evaluation.items import Item
from imgedit_modelkit.evaluation.journal import folder_stamps
from imgedit_modelkit.evaluation.methods import COPY, RESULTS, Method
from imgedit_modelkit.fingerprints import seed_of
from imgedit_modelkit.regions.boxes import Box
from imgedit_modelkit.regions.resampling import Map
from imgedit_modelkit.tensor_files import numbers_in
from imgedit_plugins.errors import OptionError
from imgedit_plugins.jobs import Job
from imgedit_plugins.pictures import Picture
from imgedit_plugins.requests import ApplyRequest, Options


def answering(method: Method, settings: Settings, job: Job) -> Answering:
    """The row at work; models are loaded with the first answer.

    Raises:
        WeightsError, DataError: folders are missing or hold something else.
        OptionError: an option does not go with the model.
    """
    if method.kind == COPY:
        return Copy()
    if method.kind in ("instruction", "told"):
        return Words(method)
    texts = settings.work == "texts"
    if method.kind == RESULTS:
        return Results(Path(method.given), settings.size, pictures=not texts)
    if texts:
        return _Writing(method, settings, job)
    return _Editing(method, settings, job)


class _Model(Computing):
    """What editing and writing have in common."""

    def __init__(self, method: Method, settings: Settings, found: Setting) -> None:
        self._method, self._settings, self._setting = method, settings, found
        asked = method.asked
        if found.writer is not None and not asked:
            asked = read_config(found.writer).prompt
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
        self._job = job
        self._models: Models | None = None

    def answers(
        self, item: Item, source: Map, number: int, guidances: Sequence[float], job: Job
    ) -> Iterator[Answer]:
        """The edited picture as the model makes it, nothing of the input put back."""
        request = self.request(item, source, number)
        whole = Box(0, 0, self._settings.size, self._settings.size)
        work = Work(self._loaded(request), request, [whole] * len(guidances), job)
        text = float(self._settings.options["guidance"])
        for guidance in guidances:
            edited = work.paint(source, Guidance(text, guidance))[0]
            yield Answer(work.expressive, edited)

    def _loaded(self, request: ApplyRequest) -> Models:
        if self._models is None:
            side = self._settings.size
            place = place_of(request, self._setting, 1, (side, side), self._job)
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
        writer.asked = cast("Asked", self._asked)
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
    return [one for place in places for one in folder_stamps(place)]
