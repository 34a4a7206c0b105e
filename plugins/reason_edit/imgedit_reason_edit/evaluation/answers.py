"""Rows that edit: plugins, asked through the core, and pipelines of diffusers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from imgedit_modelkit.devices import choose_device, choose_precision, stored_bytes
from imgedit_modelkit.diffusion.guidance import Guidance
from imgedit_modelkit.diffusion.instruction_pipelines import PipelinePainter, pipeline_class
from imgedit_modelkit.evaluation.answers import Answer, Answering, Computing, Copy, Results
from imgedit_modelkit.evaluation.items import Item
from imgedit_modelkit.evaluation.journal import folder_stamps
from imgedit_modelkit.evaluation.methods import COPY, RESULTS, Method
from imgedit_modelkit.fingerprints import seed_of
from imgedit_modelkit.regions.resampling import Map
from imgedit_modelkit.squares import square
from imgedit_plugins import weights
from imgedit_plugins.batch.edits import PluginEdit
from imgedit_plugins.batch.running import Turn
from imgedit_plugins.errors import OptionError, WeightsError
from imgedit_plugins.jobs import Job
from imgedit_plugins.manifest import OptionSpec
from imgedit_plugins.options import resolve_options
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plugins import PluginManager
from imgedit_plugins.requests import ApplyRequest, EditResult, OptionValue
from imgedit_reason_edit.evaluation.methods import OWN, PIPELINE, PIX2PIX, options_in
from imgedit_reason_edit.evaluation.settings import Settings
from imgedit_reason_edit.model.folders import model_folder, with_bases
from imgedit_reason_edit.requirements import NAME

_INPUTS = frozenset({"picture", "instruction"})

_PLAN = "plan"


def answering(method: Method, settings: Settings) -> Answering:
    """The row at work; models are loaded with the first answer.

    Raises:
        OptionError: an option is none of the row's plugin.
        NoPluginError: the plugin does not edit by instructions.
        WeightsError, DataError: there is no such folder.
    """
    if method.kind == COPY:
        return Copy()
    if method.kind == RESULTS:
        return Results(Path(method.given), settings.size)
    if method.kind in PIX2PIX or method.kind.endswith("Pipeline"):
        return PipelineRow(method, settings)
    return PluginRow(method, settings)


class _Row(Computing):
    """What plugins and pipelines have in common."""

    def __init__(self, method: Method, settings: Settings) -> None:
        self._settings = settings
        self.folders = (Path(method.given),) if method.given else ()
        missing = next((folder for folder in self.folders if not folder.is_dir()), None)
        if missing is not None:
            raise WeightsError(f"{method.title}: there is no folder {missing}.", path=missing)

    def seed(self, item: Item, number: int) -> int:
        """Each item and number has a first noise of its own, the same for all rows."""
        return seed_of("evaluate", self._settings.seed + number, item.name)


class PluginRow(_Row):
    """A plugin; what it makes of the square is what `apply` would save."""

    def __init__(self, method: Method, settings: Settings) -> None:
        super().__init__(method, settings)
        self._manager = PluginManager.discover()
        own = method.kind in OWN
        self._plugin = NAME if own else method.kind
        (info,) = self._manager.route("apply_edit", _INPUTS, self._plugin)
        specs = self._manager.options_for(info, "apply_edit")
        given = _wishes({spec.name: spec for spec in specs}, settings)
        if own:
            given["model"] = method.kind
            if method.kind != _PLAN:
                self.folders = tuple(with_bases(model_folder(method.given)))
        if method.given:
            given["weights"] = method.given
        try:
            self._options = resolve_options(specs, given | options_in(method.asked))
        except OptionError as error:
            told = f"The row {method.title!r}: {error.message}"
            raise OptionError(told, hint=error.hint) from error
        # Without a folder the plugin takes what lies at the usual place.
        places = self.folders or (weights.home() / self._plugin,)
        files = [folder_stamps(folder) for folder in places]
        self.stamp: Any = ["plugin", self._plugin, sorted(self._options.items()), files]

    def answers(
        self, item: Item, source: Map, number: int, guidances: Sequence[float], job: Job
    ) -> Iterator[Answer]:
        """The first candidate, or the plan rendered, with what the plugin says of it."""
        edit = PluginEdit(
            self._ask,
            instruction=item.instruction,
            options=self._options,
            seed=self.seed(item, number),
        )
        for _ in guidances:
            turn = Turn(job)
            made = edit(_picture(source), None, turn).picture
            yield Answer(turn.told.explanation, square(made, self._settings.size))

    def _ask(self, request: ApplyRequest, job: Job) -> EditResult:
        result: EditResult = self._manager.call("apply_edit", request, job, self._plugin)
        return result


def _wishes(known: Mapping[str, OptionSpec], settings: Settings) -> dict[str, str | OptionValue]:
    """What every plugin is asked for, as far as it has such options.

    Models work at the size of the square, and their pictures stay as they paint them: what
    operations could do of an edit takes time to find out and changes nothing here.
    """
    wishes: dict[str, str | OptionValue] = dict(settings.options)
    if "resolution" in known:
        wishes["resolution"] = max(settings.size, int(known["resolution"].minimum or 0))
    if "exact" in known and "off" in known["exact"].choices:
        wishes["exact"] = "off"
    return {name: value for name, value in wishes.items() if name in known}


class PipelineRow(_Row):
    """A pipeline of diffusers that edits a picture by an instruction."""

    def __init__(self, method: Method, settings: Settings) -> None:
        super().__init__(method, settings)
        self._name = PIPELINE if method.kind in PIX2PIX else method.kind
        pipeline_class(self._name)
        (self._folder,) = self.folders
        if not (self._folder / "model_index.json").is_file():
            raise WeightsError(
                f"{method.title}: {self._folder} holds no pipeline as diffusers saves it (it has "
                "no model_index.json).",
                path=self._folder,
            )
        options: Mapping[str, OptionValue] = settings.options
        self._steps = int(options["steps"])
        self._guidance = float(options["guidance"])
        told = sorted((n, v) for n, v in options.items() if n != "image-guidance")
        self.stamp: Any = ["pipeline", self._name, told, folder_stamps(self._folder)]
        self._painter: PipelinePainter | None = None

    def answers(
        self, item: Item, source: Map, number: int, guidances: Sequence[float], job: Job
    ) -> Iterator[Answer]:
        """What the pipeline makes of the square."""
        painter = self._loaded()
        seed = self.seed(item, number)
        for at in guidances:
            guidance = Guidance(self._guidance, at)
            made = painter.paint(
                source, item.instruction, steps=self._steps, guidance=guidance, seed=seed, job=job
            )
            yield Answer("", made)

    def _loaded(self) -> PipelinePainter:
        if self._painter is None:
            options = self._settings.options
            device = choose_device(str(options["device"]))
            stored = stored_bytes(self._folder)
            dtype = choose_precision(str(options["precision"]), device, stored)
            self._painter = PipelinePainter.load(
                self._name, self._folder, dtype=dtype, device=device, offload="none"
            )
        return self._painter

    def release(self) -> None:
        """Free the memory; the next answer loads the pipeline again."""
        self._painter = None


def _picture(pixels: Map) -> Picture:
    return Picture(np.rint(pixels * 255).astype(np.uint8))
