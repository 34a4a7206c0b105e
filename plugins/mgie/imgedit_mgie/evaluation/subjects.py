"""What can be asked of `evaluate mgie`: one entry for each table or figure of the paper.

Fu et al. 2024, 'Guiding Instruction-based Image Editing via Multimodal Large Language Models'.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Work = Literal["edits", "trade-off", "texts"]


@dataclass(frozen=True)
class Subject:
    """One table or figure.

    Attributes:
        title: of the table.
        work: what is done for it: pictures are edited and scored; the same at several image
            guidances; or expressive instructions are written and scored.
        models: what is compared if nobody says.
        asks: the questions that each model is asked; '' for its own.
        sizes: whether the table says how large the language models are.
    """

    title: str
    work: Work
    models: str = "auto,copy"
    asks: tuple[str, ...] = ("",)
    sizes: bool = False


SUBJECTS = {
    "results": Subject("Edited pictures", "edits"),
    "zero-shot": Subject("Zero-shot editing (table 1)", "edits", "instructpix2pix,auto,copy"),
    "fine-tuned": Subject("Fine-tuned editing (table 2)", "edits", "auto,copy"),
    "ablations": Subject("FZ, FT and E2E (table 3)", "edits", "fz,auto,copy"),
    "trade-off": Subject("Edit against input consistency (figure 3)", "trade-off", "auto"),
    "instructions": Subject(
        "CLIP-S of instructions and pictures (figure 4)", "texts", "instruction,auto"
    ),
    "sizes": Subject("CLIP-S by size of the model (figure 9)", "texts", "auto", sizes=True),
    "forms": Subject(
        "CLIP-S of full, short and summarised instructions (figure 10)",
        "texts",
        "told:full,told:short,told:summarised",
    ),
    "prompts": Subject(
        "CLIP-S by the question 'how' or 'what' (figure 11)", "texts", "auto", ("how", "what")
    ),
}
"""By the value of the option 'table'."""

TABLES = tuple(SUBJECTS)

ALPHA_X = "\u03b1_X"
"""What the paper calls the guidance towards the text."""
