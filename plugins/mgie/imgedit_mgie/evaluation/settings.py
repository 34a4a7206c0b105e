"""The options of `evaluate mgie`, checked before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from imgedit_mgie.evaluation.layout import LAYOUT
from imgedit_mgie.evaluation.methods import methods_of
from imgedit_mgie.evaluation.subjects import SUBJECTS, TABLES, Subject
from imgedit_modelkit.evaluation import settings as kit
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
class Settings(kit.Settings):
    """What is evaluated, and how.

    Attributes:
        options: of `apply_edit`, complete; weights and model are each row's own.
    """

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
        layout=LAYOUT,
        data=request.data,
        table=table,
        work=SUBJECTS[table].work,
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
        curve=curve,
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
