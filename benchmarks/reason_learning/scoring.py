"""What a trained model makes of the test pictures, by the plugin's own `apply_edit`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.reason_learning.finetuning import MANIFEST, Run
from benchmarks.tiny_editing import scenes
from benchmarks.tiny_editing.scoring import difference, family_of, within
from imgedit_modelkit.readers.stored import open_stored
from imgedit_plugins.jobs import Job
from imgedit_plugins.options import resolve_options
from imgedit_plugins.picture_files import save_picture
from imgedit_plugins.pictures import RGB8, Picture
from imgedit_plugins.requests import ApplyRequest
from imgedit_reason_edit import plugin
from imgedit_reason_edit.data.reading import ReasonRow


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
        error: mean absolute difference from the goal, in 0..1.
        copied: the same of the input picture.
        changed: the same as `error` where input and goal differ.
        unchanged: the same as `copied` there.
    """

    id: int
    family: str
    instruction: str
    error: float
    copied: float
    changed: float
    unchanged: float


def edited(
    model: Path, kind: str, picture: Picture, instruction: str, seed: int, painting: Painting
) -> RGB8:
    """A picture edited by a run folder or a model folder of that kind."""
    given: dict[str, Any] = {
        "model": kind,
        "weights": str(model),
        "exact": "off",
        "resolution": scenes.SIDE,
        "steps": painting.steps,
        "guidance": painting.guidance,
        "image-guidance": painting.image_guidance,
        "device": "cpu",
        "precision": "fp32",
        "offload": "none",
    }
    request = ApplyRequest(
        picture=picture,
        instruction=instruction,
        options=resolve_options(MANIFEST.options_for("apply_edit"), given),
        seed=seed,
    )
    result = plugin.apply_edit(request, Job())
    assert result is not None
    return result.candidates[0].picture.rgb8()


def compared(row: ReasonRow, instruction: str, made: RGB8) -> Scored:
    """What was made of a row's picture against its goal."""
    before, goal = (open_stored(one).rgb8() for one in (row.source, row.edited))
    region = (before != goal).any(2)
    return Scored(
        row.id, family_of(row), instruction,
        error=difference(made, goal), copied=difference(before, goal),
        changed=within(made, goal, region), unchanged=within(before, goal, region),
    )  # fmt: skip


def scored(
    model: Path,
    run: Run,
    rows: Sequence[ReasonRow],
    instructions: Sequence[str],
    out: Path,
    painting: Painting,
    job: Job,
) -> list[dict[str, Any]]:
    """Every row edited, with these instructions; figures for JSON.

    Args:
        model: a run folder.
        run: what it trained.
        rows: of the test.
        instructions: one for each row.
        out: gets the pictures, named by the rows' numbers.
        painting: how.
        job: progress.
    """
    out.mkdir(parents=True, exist_ok=True)
    found = []
    for number, (row, instruction) in enumerate(zip(rows, instructions, strict=True)):
        job.report("editing", number, len(rows))
        source = open_stored(row.source)
        made = edited(model, run.kind, source, instruction, row.id, painting)
        save_picture(Picture(made), out / f"{row.id}.png")
        found.append(asdict(compared(row, instruction, made)))
    return found
