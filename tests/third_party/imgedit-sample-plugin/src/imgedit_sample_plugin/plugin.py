"""The hooks. Everything heavy is imported inside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgedit_plugins import hookimpl

if TYPE_CHECKING:
    from imgedit_plugins.jobs import Job
    from imgedit_plugins.operations import Vocabulary
    from imgedit_plugins.plan import EditPlan
    from imgedit_plugins.requests import ApplyRequest, EditResult, PredictRequest


@hookimpl
def register_operations(vocabulary: Vocabulary) -> None:
    """Add 'sample-posterise'."""
    from imgedit_sample_plugin.posterise import OPERATION

    vocabulary.add(OPERATION)


@hookimpl
def apply_edit(request: ApplyRequest, job: Job) -> EditResult | None:
    """Posterise when the instruction asks for it."""
    if "posteri" not in (request.instruction or "").lower():
        return None

    from imgedit_plugins.requests import Candidate, EditResult

    edited = _posterised(request, job)
    picture = request.picture.with_pixels(edited)
    return EditResult(candidates=(Candidate(picture=picture, seed=request.seed),))


@hookimpl
def predict_operations(request: PredictRequest, job: Job) -> EditPlan | None:
    """Try every number of levels; abstain if none gives the edited picture exactly."""
    if request.edited is None:
        return None

    import numpy as np

    from imgedit_plugins.plan import EditPlan, Residual, step
    from imgedit_sample_plugin.posterise import MOST, OPERATION

    source, edited = request.source.rgb8(), request.edited.rgb8()
    for levels in range(2, MOST + 1):
        job.report("trying levels", levels, MOST)
        if np.array_equal(OPERATION.render(source, {"levels": levels}, {}), edited):
            found = step("sample-posterise", levels=levels)
            return EditPlan(
                operations=(found,),
                residual=Residual(psnr_db=None, explained=1.0),
                explanation=OPERATION.describe(found.parameters),
            )
    return EditPlan(abstained=True)


def _posterised(request: ApplyRequest, job: Job):
    """The edited pixels: row blocks, so that the job can be cancelled between them."""
    import numpy as np

    from imgedit_sample_plugin.posterise import posterise

    before = request.picture.pixels
    channels = request.picture.color.shape[2]
    peak = np.iinfo(before.dtype).max if before.dtype.kind == "u" else 1.0
    random = np.random.default_rng(request.seed)
    after = before.copy()
    for top in range(0, before.shape[0], 64):
        job.report("posterising", top, before.shape[0])
        rows = slice(top, top + 64)
        values = before[rows, :, :channels] / peak
        noise = random.uniform(-0.5, 0.5, values.shape) if request.options.get("dither") else 0.0
        edited = posterise(values, int(request.options.get("levels", 4)), noise)
        if request.mask is not None:
            weight = request.mask[rows, :, None] / 255.0
            edited = np.where(weight == 0, values, values + (edited - values) * weight)
        if before.dtype.kind == "u":
            edited = np.rint(edited * peak)
        after[rows, :, :channels] = edited.astype(before.dtype)
    return after
