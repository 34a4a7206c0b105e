"""What goes into a hook and what comes out: small frozen types, validated on construction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from imgedit_plugins.pictures import Picture, mask_fault
from imgedit_plugins.plan import EditPlan

OptionValue = bool | int | float | str
Options = dict[str, OptionValue]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


class _Frozen(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True
    )


class PredictRequest(_Frozen):
    """Input of `predict_operations`.

    Attributes:
        source: the picture before the edit.
        edited: the picture after it, if there is one.
        instruction: the edit in words, if there is one.
        options: values of the manifest's options for this hook, defaults filled in.
        seed: for anything random.
    """

    source: Picture
    edited: Picture | None = None
    instruction: str | None = None
    options: Options = {}
    seed: Seed = 0

    @property
    def inputs(self) -> frozenset[str]:
        """The names of the inputs that are there, for routing."""
        return _present(self, ("source", "edited", "instruction"))

    def in_srgb(self, warn: Callable[[str], None]) -> PredictRequest:
        """The same request with both pictures in sRGB, which operations are defined on.

        Two pictures can only be compared in one colour space, and a plan that was found in
        another one would render differently.

        Args:
            warn: told where a colour profile is of no use, so that values are taken as sRGB.
        """
        from imgedit_plugins.colour_profiles import to_srgb

        edited = None if self.edited is None else to_srgb(self.edited, on_warning=warn)
        pictures = {"source": to_srgb(self.source, on_warning=warn), "edited": edited}
        return self.model_copy(update=pictures)


class ApplyRequest(_Frozen):
    """Input of `apply_edit`.

    Attributes:
        picture: what to edit.
        instruction: the edit in words, if there is one.
        plan: the edit as a plan, if there is one.
        mask: (height, width) uint8; 0 keeps the picture, 255 takes the edit, None edits it all.
        options, seed: as in `PredictRequest`.
    """

    picture: Picture
    instruction: str | None = None
    plan: EditPlan | None = None
    mask: NDArray[np.uint8] | None = None
    options: Options = {}
    seed: Seed = 0

    @model_validator(mode="after")
    def _mask_fits(self) -> ApplyRequest:
        if self.mask is not None and (fault := mask_fault(self.picture, self.mask)):
            raise ValueError(fault)
        return self

    @property
    def inputs(self) -> frozenset[str]:
        """The names of the inputs that are there, for routing."""
        return _present(self, ("picture", "instruction", "plan", "mask"))


class Candidate(_Frozen):
    """One edited picture.

    Attributes:
        picture: the result, whole: what the plan does is in it.
        offset: (x, y) of its top-left pixel in the original picture, in pixels.
        seed: what made this candidate.
        layer: what of it lies above what the result's plan makes of the picture, of the picture's
            size and with alpha: transparent where the plan alone gives the result. None where the
            candidate stands for itself.
    """

    picture: Picture
    offset: tuple[int, int] = (0, 0)
    seed: Seed = 0
    layer: Picture | None = None

    @model_validator(mode="after")
    def _layer_fits(self) -> Candidate:
        one = self.layer
        if one is not None and not (
            one.has_alpha and one.pixels.shape[:2] == self.picture.pixels.shape[:2]
        ):
            raise ValueError("a candidate's layer has its picture's size, and an alpha channel")
        return self


class EditResult(_Frozen):
    """Output of `apply_edit`: candidates, and/or a plan.

    Attributes:
        candidates: best first.
        plan: what operations can express of the edit: all of it, or, where candidates have
            a `layer`, what lies below that.
        explanation: for the user, such as an expressive instruction.
        warnings: sentences for the user.
        exact_first: the candidates were painted, and the core is to find out what of them
            operations can express (`imgedit_plugins.exact_first`). It is False afterwards.
    """

    candidates: tuple[Candidate, ...] = ()
    plan: EditPlan | None = None
    explanation: str = ""
    warnings: tuple[str, ...] = ()
    exact_first: bool = False

    @property
    def is_layered(self) -> bool:
        """Whether the candidates lie above the plan, instead of standing for themselves."""
        return any(one.layer is not None for one in self.candidates)

    @model_validator(mode="after")
    def _has_something(self) -> EditResult:
        if not self.candidates and self.plan is None:
            raise ValueError("an EditResult needs a candidate or a plan (None means 'not mine')")
        layers = {one.layer is not None for one in self.candidates}
        if len(layers) > 1 or (layers == {True} and self.plan is None):
            raise ValueError("layers lie above a plan, and all candidates have one or none has")
        return self


class _FolderRequest(_Frozen):
    out: Path
    options: Options = {}
    seed: Seed = 0


class TrainRequest(_FolderRequest):
    """Input of `train`: a data folder in, a run folder out."""

    data: Path

    @property
    def inputs(self) -> frozenset[str]:
        """The names of the inputs that are there, for routing."""
        return frozenset({"data"})


class TrainReport(_Frozen):
    """Output of `train`: where the run folder is and its last figures."""

    run: Path
    metrics: dict[str, float] = {}


class EvaluateRequest(_Frozen):
    """Input of `evaluate`: a data folder; figures come back, nothing is written into it.

    Attributes:
        data: the folder.
        baseline: published figures are wanted beside the measured ones.
        worst: so many of the worst examples are wanted with their pictures, of each method.
        options, seed: as in `PredictRequest`.
    """

    data: Path
    baseline: bool = False
    worst: Annotated[int, Field(ge=0)] = 0
    options: Options = {}
    seed: Seed = 0

    @property
    def inputs(self) -> frozenset[str]:
        """The names of the inputs that are there, for routing."""
        return frozenset({"data"})


class Table(_Frozen):
    """One table of figures; a cell is text, a number, or None where there is nothing to say."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | int | float | None, ...], ...]


class Chart(_Frozen):
    """One figure against another.

    Attributes:
        title: heading.
        x, y: what the axes show, with the unit.
        lines: name -> points (x, y), x rising.
        note: a sentence below it.
        marks: name -> what is written at each of its points, such as a setting; for some lines.
    """

    title: str
    x: str
    y: str
    lines: dict[str, tuple[tuple[float, float], ...]]
    note: str = ""
    marks: dict[str, tuple[str, ...]] = {}

    @model_validator(mode="after")
    def _marks_fit(self) -> Chart:
        for name, marks in self.marks.items():
            if len(marks) != len(self.lines.get(name, ())):
                raise ValueError(f"line {name!r} needs as many marks as it has points")
        return self


class Case(_Frozen):
    """One scored example with its pictures.

    Attributes:
        title: heading.
        told: (what, text) pairs, such as ('True edit', 'Brighter by 50 codes.').
        pictures: (what, note, picture), in the order in which they are looked at.
    """

    title: str
    told: tuple[tuple[str, str], ...] = ()
    pictures: tuple[tuple[str, str, Picture], ...] = ()


class EvaluateReport(_Frozen):
    """Output of `evaluate`: tables for people, and everything behind them for programs.

    Attributes:
        tables: for people.
        details: for programs; must be JSON.
        charts: for the HTML report.
        cases: the worst examples, or others worth a look, for the HTML report; never part of the
            JSON.
    """

    tables: tuple[Table, ...]
    details: dict[str, Any] = {}
    charts: tuple[Chart, ...] = ()
    cases: tuple[Case, ...] = Field(default=(), exclude=True)


class DataRequest(_FolderRequest):
    """Input of `make_data`: the recipe's name, its options, and the folder to write."""

    recipe: str

    @property
    def inputs(self) -> frozenset[str]:
        """The names of the inputs that are there, for routing."""
        return frozenset({"recipe"})


class DataReport(_Frozen):
    """Output of `make_data`: how many rows the data set has, and how many were there before."""

    folder: Path
    rows: int
    resumed: int = 0
    details: dict[str, Any] = {}


class WeightsRequest(_FolderRequest):
    """Input of `import_weights`: the manifest's weights id and the files that the user has."""

    weights: str
    files: dict[str, Path]

    @property
    def inputs(self) -> frozenset[str]:
        """The names of the inputs that are there, for routing."""
        return frozenset({"weights"})


class WeightsReport(_Frozen):
    """Output of `import_weights`: the written files and the keys that did not fit."""

    files: tuple[Path, ...]
    missing_keys: tuple[str, ...] = ()
    unexpected_keys: tuple[str, ...] = ()


class ExportRequest(_Frozen):
    """Input of `export_parts`: which of the plugin's models to declare."""

    model: str = ""
    options: Options = {}

    @property
    def inputs(self) -> frozenset[str]:
        """The names of the inputs that are there, for routing."""
        return frozenset({"model"}) if self.model else frozenset()


class BundleRequest(_Frozen):
    """Input of `verify_bundle`: the folder of a bundle that `export_parts` declared."""

    bundle: Path
    options: Options = {}

    @property
    def inputs(self) -> frozenset[str]:
        """The names of the inputs that are there, for routing."""
        return frozenset({"bundle"})


def _present(request: BaseModel, names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(name for name in names if getattr(request, name) is not None)
