"""The options of `evaluate mgie`, checked before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from imgedit_mgie.evaluation.methods import Method, methods_of
from imgedit_mgie.evaluation.subjects import SUBJECTS, TABLES, Subject
from imgedit_modelkit.evaluation.rows import choice, whole
from imgedit_modelkit.readers.instructed import SETS
from imgedit_modelkit.readers.splits import SPLITS
from imgedit_plugins.errors import OptionError
from imgedit_plugins.requests import EvaluateRequest, Options

PREPARED = "prepared"
"""What `data mgie prepare` makes, as a data set."""

SMALLEST = 11
"""Pixels that SSIM needs."""


@dataclass(frozen=True)
class Settings:
    """What is evaluated, and how.

    Attributes:
        data: folder of the data set.
        table: name of the subject.
        set_name: of the data set; '' to be told by its files.
        split, limit: which rows.
        every_instruction: whether each of a pair's instructions makes a row, or only the first.
        methods: the rows of the table.
        size: side of the square that is edited and scored, in pixels.
        seed, seeds: of the first noise; how many of them for each edit.
        image_guidances: rising; one, or those of the curve.
        keep: folder for what is finished; None for none.
        options: of `apply_edit`, complete; weights and model are each row's own.
    """

    data: Path
    table: str
    set_name: str
    split: str
    limit: int
    every_instruction: bool
    methods: tuple[Method, ...]
    size: int
    seed: int
    seeds: int
    image_guidances: tuple[float, ...]
    keep: Path | None
    options: Options

    @property
    def subject(self) -> Subject:
        """The table or figure."""
        return SUBJECTS[self.table]


def settings_of(request: EvaluateRequest) -> Settings:
    """The settings of a request, whose options are complete.

    Raises:
        OptionError: a value cannot be used.
    """
    options = request.options
    table = choice(options, "table", TABLES)
    size = whole(options, "size")
    if size < SMALLEST:
        raise OptionError(f"Option 'size' must be {SMALLEST} or more, not {size}.")
    keep = str(options["keep"])
    curve = SUBJECTS[table].work == "trade-off"
    return Settings(
        data=request.data,
        table=table,
        set_name=choice(options, "set", ("", "auto", *SETS, PREPARED)).replace("auto", ""),
        split=choice(options, "split", ("all", *SPLITS)),
        limit=whole(options, "limit"),
        every_instruction=choice(options, "instructions", ("all", "first")) == "all",
        methods=methods_of(str(options["models"]), SUBJECTS[table]),
        size=size,
        seed=request.seed,
        seeds=whole(options, "seeds"),
        image_guidances=(
            _rising(str(options["image-guidances"]))
            if curve
            else (float(options["image-guidance"]),)
        ),
        keep=Path(keep) if keep else None,
        options=_of_edits(options),
    )


def _rising(text: str) -> tuple[float, ...]:
    """Numbers from 1 to 5, each once."""
    try:
        found = sorted({float(part) for part in text.split(",")})
    except ValueError:
        found = []
    if not found or not all(1 <= value <= 5 for value in found):
        raise OptionError(
            f"Option 'image-guidances' must be numbers from 1 to 5 with commas, not {text!r}."
        )
    return tuple(found)


def _of_edits(options: Options) -> Options:
    """What each edit is asked for."""
    names = ("guidance", "image-guidance", "steps", "scheduler", "painter-weights", "device",
             "precision", "offload", "max-tokens")  # fmt: skip
    fixed: Options = {
        "candidates": 1,
        "expressive": "",
        "painter": "",
        "tiled": False,
        "resolution": options["size"],
    }
    return {name: options[name] for name in names} | fixed
