"""`apply_edit` with a bundle, without torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imgedit_exporters.runtime.painting import Guidance
from imgedit_exporters.runtime.using import Kept, refuse
from imgedit_mgie.bundled import BundledModel, Floats
from imgedit_modelkit.regions.boxes import Fitting
from imgedit_modelkit.regions.editing import edit_region
from imgedit_modelkit.regions.resampling import Map
from imgedit_plugins.errors import OptionError
from imgedit_plugins.jobs import Job
from imgedit_plugins.pictures import RGB8
from imgedit_plugins.requests import ApplyRequest, Candidate, EditResult, Options

MODELS = Kept(BundledModel)


def edit(request: ApplyRequest, folder: Path, job: Job) -> EditResult:
    """Edit a picture, or what is selected of it, with a bundle.

    Args:
        request: with a value for every option of `apply_edit`.
        folder: of the bundle.
        job: progress, warnings, cancellation.

    Returns:
        As `editing.edit`; the seed means other noise than with PyTorch.

    Raises:
        OptionError: an option asks for what bundles cannot do.
        ImgeditError, WeightsError, PluginError: as the bundle's parts raise them.
        JobCancelledError: cancelled; asked after each token and each step.
    """
    options = request.options
    _refuse(options)
    model = MODELS.of(folder, str(options["device"]), job)
    asked = {"e2e": "mgie"}.get(str(options["model"]), options["model"])
    if asked not in ("auto", model.bundle.document.model):
        raise OptionError(f"The bundle in {folder} is {model.bundle.document.model}, not {asked}.")
    fitting = Fitting(
        multiple=model.multiple,
        pixels=int(options["resolution"]) ** 2,
        tiled=bool(options["tiled"]),
    )
    work = _Work(model, request, job)
    edited = edit_region(
        request.picture,
        work.paint,
        mask=request.mask,
        fitting=fitting,
        rebuild=model.rebuild,
        job=job,
    )
    return EditResult(
        candidates=tuple(
            Candidate(picture=one.picture, seed=seed)
            for seed, one in zip(work.seeds, edited, strict=True)
        ),
        explanation=work.expressive,
        exact_first=options["exact"] == "auto",
    )


def _refuse(options: Options) -> None:
    if options["painter"]:
        raise OptionError(
            f"A bundle paints by itself, so it takes no painter, not {options['painter']} either.",
            hint="Leave the option 'painter' out, or name a model's folder as 'weights'.",
        )
    refuse(options, {"precision": "auto", "offload": "auto"})


class _Work:
    """One request: the language model once, then a picture for each candidate."""

    def __init__(self, model: BundledModel, request: ApplyRequest, job: Job) -> None:
        self.model, self.request, self.job = model, request, job
        count = int(request.options["candidates"])
        self.seeds = [(request.seed + number) % 2**63 for number in range(count)]
        self.expressive = ""
        self._guided: tuple[Floats, Floats] | None = None
        options = request.options
        self._guidance = Guidance(float(options["guidance"]), float(options["image-guidance"]))

    def paint(self, pixels: Map) -> NDArray[np.float32]:
        """Candidates of one region, (candidates, height, width, 3)."""
        if self._guided is None:
            self._guided = self._derived(np.rint(pixels * 255).astype(np.uint8))
        options, steps = self.request.options, int(self.request.options["steps"])
        made = []
        for number, seed in enumerate(self.seeds):
            made.append(
                self.model.paint(
                    pixels,
                    self._guided,
                    guidance=self._guidance,
                    steps=steps,
                    noise=seed,
                    name=str(options["scheduler"]),
                    on_step=self._telling(number * steps, steps * len(self.seeds)),
                )
            )
        return np.stack(made)

    def _telling(self, done: int, total: int) -> Callable[[int], None]:
        return lambda step: self.job.report("painting", done + step, total)

    def _derived(self, seen: RGB8) -> tuple[Floats, Floats]:
        options, job, model = self.request.options, self.job, self.model
        instruction = self.request.instruction or ""
        if given := str(options["expressive"]).strip():
            job.report("reading the expressive instruction")
            derived = model.reread(seen, instruction, given)
        else:
            longest = int(options["max-tokens"])
            derived = model.derive(
                seen,
                instruction,
                longest=longest,
                on_token=lambda n: job.report("writing the expressive instruction", n, longest),
            )
            if not derived.complete:
                job.warn(
                    "The language model did not get to its visual tokens, so the last of what it "
                    "wrote guides the edit; a higher max-tokens may help."
                )
        self.expressive = derived.expressive
        return model.conditioning(derived.states)
