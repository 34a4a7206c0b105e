"""What a trained model makes of the test pictures, by the plugin's own `apply_edit`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.mgie_learning.finetuning import MANIFEST
from benchmarks.tiny_editing import scenes
from benchmarks.tiny_editing.scoring import difference, family_of
from imgedit_mgie import plugin
from imgedit_mgie.data.prepared import PreparedRow
from imgedit_plugins.jobs import Job
from imgedit_plugins.options import resolve_options
from imgedit_plugins.picture_files import open_picture, save_picture
from imgedit_plugins.pictures import RGB8
from imgedit_plugins.requests import ApplyRequest


@dataclass(frozen=True)
class Painting:
    """How test pictures are edited, as the options of `apply`.

    Attributes:
        pictures: of each family, the first ones.
        steps: of the diffusion model.
        guidance, image_guidance: towards text and picture.
    """

    pictures: int = 20
    steps: int = 5
    guidance: float = 1.5
    image_guidance: float = 1.5


@dataclass(frozen=True)
class Scored:
    """One test picture and what became of it.

    Attributes:
        id, family: of the row.
        instruction: that was given.
        said: the expressive instruction that the model wrote.
        error: mean absolute difference from the goal, in 0..1.
        copied: the same of the input picture.
        right: whether `said` is the row's expressive instruction.
    """

    id: int
    family: str
    instruction: str
    said: str
    error: float
    copied: float
    right: bool


def edited(
    model: Path, picture: Path, instruction: str, seed: int, painting: Painting
) -> tuple[RGB8, str]:
    """A picture edited by a model folder or a run folder, and what the model wrote."""
    given: dict[str, Any] = {
        "weights": str(model),
        "resolution": scenes.SIDE,
        "steps": painting.steps,
        "guidance": painting.guidance,
        "image-guidance": painting.image_guidance,
        "max-tokens": 32,
        "device": "cpu",
        "precision": "fp32",
        "offload": "none",
    }
    request = ApplyRequest(
        picture=open_picture(picture),
        instruction=instruction,
        options=resolve_options(MANIFEST.options_for("apply_edit"), given),
        seed=seed,
    )
    result = plugin.apply_edit(request, Job())
    assert result is not None
    return result.candidates[0].picture.rgb8(), result.explanation


def scored(
    model: Path,
    rows: Sequence[PreparedRow],
    instructions: Sequence[str],
    out: Path | None,
    painting: Painting,
    job: Job,
) -> list[dict[str, Any]]:
    """Every row edited, with these instructions; figures for JSON.

    Args:
        model: a run folder.
        rows: of the test.
        instructions: one for each row.
        out: gets the pictures, named by the rows' numbers, where it is given.
        painting: how.
        job: progress.
    """
    found = []
    for number, (row, instruction) in enumerate(zip(rows, instructions, strict=True)):
        job.report("editing", number, len(rows))
        made, said = edited(model, row.source, instruction, row.id, painting)
        before, goal = (open_picture(path).rgb8() for path in (row.source, row.edited))
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            from imgedit_plugins.pictures import Picture

            save_picture(Picture(made), out / f"{row.id}.png")
        one = Scored(
            row.id, family_of(row), instruction, said, difference(made, goal),
            difference(before, goal), said == row.expressive,
        )  # fmt: skip
        found.append(asdict(one))
    return found
