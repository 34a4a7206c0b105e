"""The options of `evaluate reason_edit`, checked before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from imgedit_modelkit.evaluation import settings as kit
from imgedit_modelkit.evaluation.rows import choice, whole
from imgedit_modelkit.readers.instructed import SETS
from imgedit_modelkit.readers.splits import SPLITS
from imgedit_plugins.errors import OptionError
from imgedit_plugins.requests import EvaluateRequest, Options
from imgedit_reason_edit.evaluation.layout import DIRECT, LAYOUT, REASONING
from imgedit_reason_edit.evaluation.methods import methods_of
from imgedit_reason_edit.evaluation.subjects import SUBJECTS, TABLES, Subject

OURS, PICTURES = "reason_edit", "pictures"
"""What the recipes 'make' and 'benchmark' write, and a folder of pictures, as data sets."""

BOTH = "both"

SHARED = ("guidance", "image-guidance", "steps", "device", "precision")
"""Options that all rows get, as far as they have them."""


@dataclass(frozen=True)
class Settings(kit.Settings):
    """What is evaluated, and how.

    Attributes:
        group: of instructions; 'both', or one of them.
        sentence: that all pictures are edited by; '' for their own instructions.
        options: of every row.
    """

    group: str
    sentence: str
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
    subject = SUBJECTS[table]
    sentence = str(options["sentence"]).strip()
    if bool(sentence) != (subject.work == "sentence"):
        needs = "needs a sentence" if not sentence else "takes no sentence; table=sentence does"
        raise OptionError(
            f"table={table} {needs}.", hint="As in -O sentence='make it 50 years later'."
        )
    keep = str(options["keep"])
    return Settings(
        layout=LAYOUT,
        data=request.data,
        table=table,
        work=f"sentence: {sentence}" if sentence else subject.work,
        set_name=choice(options, "set", ("", "auto", OURS, *SETS, PICTURES)).replace("auto", ""),
        split=choice(options, "split", ("all", *SPLITS)),
        limit=whole(options, "limit"),
        every_instruction=True,
        methods=methods_of(str(options["models"]), subject),
        size=whole(options, "size"),
        seed=request.seed,
        seeds=whole(options, "seeds"),
        image_guidances=(float(options["image-guidance"]),),
        curve=False,
        keep=Path(keep) if keep else None,
        group=choice(options, "instructions", (BOTH, DIRECT, REASONING)),
        sentence=sentence,
        options={name: options[name] for name in SHARED},
    )
