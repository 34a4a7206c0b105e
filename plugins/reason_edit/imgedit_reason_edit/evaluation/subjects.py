"""What can be asked of `evaluate reason_edit`: one entry for each table or figure of the paper.

Jin et al. 2024, 'ReasonPix2Pix: Instruction Reasoning Dataset for Advanced Image Editing'.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Work = Literal["edits", "sentence", "judged", "votes"]


@dataclass(frozen=True)
class Subject:
    """One table or figure.

    Attributes:
        title: of the table.
        work: what is done for it: pictures are edited by their instructions and measured; all are
            edited by one sentence; edits are judged by a model; or votes of people are counted.
        models: what is compared if nobody says; '' where it must be said.
        sheets: whether its pictures are shown side by side, and not the worst of each row.
        charted: whether CLIP-I is drawn from row to row, as in figure 15.
        statement: what the paper says of it beside its numbers.
    """

    title: str
    work: Work = "edits"
    models: str = "reason_pix2pix"
    sheets: bool = False
    charted: bool = False
    statement: str = ""


SUBJECTS = {
    "results": Subject("Direct and reasoning instructions (table 3)"),
    "parts": Subject(
        "Trained on parts of the data (figures 12 and 15a)",
        models="",
        sheets=True,
        charted=True,
        statement="CLIP-I rises from InstructPix2Pix to Part I, to Parts I and II, and to all "
        "three (section 4.4 and figure 15a, whose values are drawn and not written).",
    ),
    "fine-tuning": Subject(
        "Without and with fine-tuning (figures 13 and 15b)",
        models="",
        sheets=True,
        charted=True,
        statement="The language model without fine-tuning improves CLIP-I a little over "
        "InstructPix2Pix, and fine-tuning obviously (section 4.4 and figure 15b, whose values are "
        "drawn and not written).",
    ),
    "sheets": Subject("Rows side by side (figures 9 to 13)", sheets=True),
    "sentence": Subject("One sentence for all pictures (figure 14)", "sentence", sheets=True),
    "judged": Subject("Judged by a vision-language model", "judged"),
    "study": Subject("Chosen as the best by people (table 4)", "votes", ""),
}
"""By the value of the option 'table'."""

TABLES = tuple(SUBJECTS)
