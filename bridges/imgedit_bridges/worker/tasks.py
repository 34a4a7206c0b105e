"""What each kind of job does: pictures out of pixel files, a hook or the renderer, results back."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from imgedit_bridges import pixels
from imgedit_bridges.pixels import PixelFile, PixelFileError
from imgedit_bridges.protocol import PictureRef, parse_picture
from imgedit_bridges.worker.settings import WorkerError
from imgedit_plugins.errors import OptionError
from imgedit_plugins.pictures import Picture, Pixels
from imgedit_plugins.plan import EditPlan, parse_plan
from imgedit_plugins.requests import ApplyRequest, EditResult, PredictRequest

if TYPE_CHECKING:
    from imgedit_plugins.jobs import Job
    from imgedit_plugins.plugins import PluginManager

_BAND = 128  # rows: few enough that they stay in the caches


@dataclass(frozen=True)
class Task:
    """One job.

    Attributes:
        folder: of the pixel files.
        announce: told of each pixel file before it is made, so that none is left behind.
    """

    folder: Path
    announce: Callable[[dict[str, Any]], None]

    def run(self, message: Mapping[str, Any], manager: PluginManager, job: Job) -> dict[str, Any]:
        """The result, as it stands in the 'done' event.

        Args:
            message: a job as `protocol.JobRequest.to_json` gives it, each picture with the
                'identity' of its file.
            manager: the plugins.
            job: progress and cancellation.

        Raises:
            ImgeditError: whatever the core and the plugins tell the user.
        """
        job.check()
        is_render = message["hook"] == "render"
        inputs = {
            name: self._picture(data, any_order=is_render)
            for name, data in message["inputs"].items()
        }
        match message["hook"]:
            case "predict_operations":
                return self._predict(message, inputs, manager, job)
            case "apply_edit":
                return self._apply(message, inputs, manager, job)
            case _:
                return self._render(message, inputs, manager, job)

    def _predict(
        self,
        message: Mapping[str, Any],
        inputs: Mapping[str, Picture],
        manager: PluginManager,
        job: Job,
    ) -> dict[str, Any]:
        _check_paths("predict_operations", message, manager)
        request = PredictRequest(
            source=inputs["source"],
            edited=inputs.get("edited"),
            instruction=message.get("instruction"),
            options=message.get("options", {}),
            seed=message.get("seed", 0),
        )
        plan: EditPlan = manager.call("predict_operations", request, job, message.get("plugin"))
        return _told(job, plan=plan, explanation=plan.explanation)

    def _apply(
        self,
        message: Mapping[str, Any],
        inputs: Mapping[str, Picture],
        manager: PluginManager,
        job: Job,
    ) -> dict[str, Any]:
        _check_paths("apply_edit", message, manager)
        request = ApplyRequest(
            picture=inputs["picture"],
            instruction=message.get("instruction"),
            plan=_plan(message, manager),
            mask=_mask(inputs),
            options=message.get("options", {}),
            seed=message.get("seed", 0),
        )
        result: EditResult = manager.call("apply_edit", request, job, message.get("plugin"))
        order = message["inputs"]["picture"].get("order", "rgb")
        layered = message.get("layers", False) and result.is_layered
        shown = [one.layer if layered else one.picture for one in result.candidates]
        pictures = [
            {**self._put(picture, order), "offset": list(one.offset), "seed": one.seed}
            for one, picture in zip(result.candidates, shown, strict=True)
            if picture is not None
        ]
        for warning in result.warnings:
            job.warn(warning)
        plan = None if result.is_layered and not layered else result.plan
        told = _told(job, plan=plan, pictures=pictures, explanation=result.explanation)
        return {**told, "layered": True} if layered else told

    def _render(
        self,
        message: Mapping[str, Any],
        inputs: Mapping[str, Picture],
        manager: PluginManager,
        job: Job,
    ) -> dict[str, Any]:
        from imgedit_plugins.render import render_plan

        plan = _plan(message, manager)
        if plan is None:
            raise WorkerError("There is no plan to render.")
        picture, how = inputs["picture"], {"strength": message.get("strength", 1.0), "job": job}
        wanted = message["inputs"]["picture"].get("order", "rgb")
        order = _order(picture, wanted)
        spare = message.get("spare")
        if picture.is_grey or any(o.operation.kind == "geometric" for o in plan.operations):
            made = render_plan(picture, plan, mask=_mask(inputs), order=order, **how)
            told = self._put(made, wanted, spare, order)
        else:  # the result is of the picture's shape, and need not be copied
            ref, out = self._file_for(picture, wanted, spare)
            render_plan(picture, plan, mask=_mask(inputs), out=out, order=order, **how)
            told = _sent(ref, out, order)
        job.check()
        return _told(job, pictures=[{**told, "offset": [0, 0], "seed": 0}])

    # --- pixel files --------------------------------------------------------------------------

    def _picture(self, data: Mapping[str, Any], *, any_order: bool = False) -> Picture:
        """A picture in a pixel file, red first unless `any_order` and `_order` say otherwise."""
        layout = {name: value for name, value in data.items() if name != "identity"}
        ref = parse_picture(layout)
        device, inode = data["identity"]
        try:
            file = pixels.open_file(
                self.folder, ref.pixels, ref.file_bytes, identity=(device, inode)
            )
        except PixelFileError as error:
            raise WorkerError(error.message, hint=error.hint) from error
        # The mapping lives as long as an array looks into it.
        count = ref.width * ref.height * ref.channels
        values = np.frombuffer(file.data, ref.dtype, count)
        values = values.reshape(ref.height, ref.width, ref.channels)
        icc = bytes(file.data[ref.pixel_bytes :]) or None
        picture = Picture(values, icc_profile=icc)
        as_is = ref.order == (_order(picture, ref.order) if any_order else "rgb")
        return picture if as_is else picture.with_pixels(_swapped(values))

    def _put(
        self,
        picture: Picture,
        wanted: str,
        spare: Mapping[str, Any] | None = None,
        order: str = "rgb",
    ) -> dict[str, Any]:
        """Write a picture, whose pixels have this order, into a pixel file as is wanted.

        Returns:
            Its reference.
        """
        ref, target = self._file_for(picture, wanted, spare)
        target[...] = picture.pixels
        return _sent(ref, target, order)

    def _file_for(
        self, picture: Picture, order: str, spare: Mapping[str, Any] | None
    ) -> tuple[PictureRef, Pixels]:
        """A pixel file for such a picture, `spare` where it fits, its profile in it.

        Returns:
            Its reference, and its pixels, which `_sent` brings into the order that is wanted.
        """
        icc = picture.icc_profile or b""
        height, width, channels = picture.pixels.shape
        order = order if channels >= 3 else "rgb"
        dtype = picture.pixels.dtype.name
        ref = PictureRef("0" * 32, width, height, channels, dtype, len(icc), order)
        with self._new_file(ref.file_bytes, spare) as file:
            file.write(ref.pixel_bytes, icc)
            target = np.frombuffer(file.data, picture.pixels.dtype, picture.pixels.size)
        return replace(ref, pixels=file.id), target.reshape(picture.pixels.shape)

    def _new_file(self, size: int, spare: Mapping[str, Any] | None) -> PixelFile:
        if spare and spare["bytes"] == size:
            file_id, (device, inode) = spare["pixels"], spare["identity"]
            identity = (device, inode)
        else:
            file_id, identity = secrets.token_hex(16), None
            self.announce({"event": "making", "pixels": file_id})
        try:
            identity = identity or pixels.create(self.folder, file_id, size)
            return pixels.open_file(self.folder, file_id, size, writable=True, identity=identity)
        except PixelFileError as error:
            raise WorkerError(error.message, hint=error.hint) from error


def _order(picture: Picture, order: str) -> Literal["rgb", "bgr"]:
    """The order in which a picture's pixels are rendered: its own, where the core can do that."""
    if order == "bgr" and not picture.is_grey and picture.icc_profile is None:
        return "bgr"
    return "rgb"


def _sent(ref: PictureRef, pixels: Pixels, order: str = "rgb") -> dict[str, Any]:
    """Bring a result's pixels from this order into the one that its reference tells."""
    if ref.order != order:
        from imgedit_plugins.render.strips import in_parallel

        def swap(top: int) -> int:
            band = pixels[top : top + _BAND]
            band[...] = _swapped(band)
            return len(band)

        in_parallel(swap, range(0, ref.height, _BAND), lambda _: None)
    return ref.to_json()


def _swapped(pixels: Pixels) -> Pixels:
    """The same with red and blue exchanged."""
    import cv2

    code = cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
    return np.asarray(cv2.cvtColor(pixels, code), pixels.dtype)


def _plan(message: Mapping[str, Any], manager: PluginManager) -> EditPlan | None:
    if (data := message.get("plan")) is None:
        return None
    return parse_plan(data, vocabulary=manager.vocabulary())


def _mask(inputs: Mapping[str, Picture]) -> np.ndarray[Any, np.dtype[np.uint8]] | None:
    mask = inputs.get("mask")
    return None if mask is None else mask.pixels[:, :, 0]


def _check_paths(hook: str, message: Mapping[str, Any], manager: PluginManager) -> None:
    """Refuse paths that mean another file here than in the editor.

    Raises:
        OptionError: an option that is a path is not an absolute one.
    """
    given: Mapping[str, Any] = message.get("options", {})
    for info in manager.plugins:
        if info.manifest is None or message.get("plugin") not in (None, info.name):
            continue
        for spec in info.manifest.options_for(hook):
            value = given.get(spec.name)
            if spec.type != "path" or not isinstance(value, str) or not value:
                continue
            if "\0" in value or not Path(value).is_absolute():
                raise OptionError(
                    f"The option {spec.name!r} must be an absolute path, not {value!r}."
                )


def _told(
    job: Job,
    *,
    plan: EditPlan | None = None,
    pictures: list[dict[str, Any]] | None = None,
    explanation: str = "",
) -> dict[str, Any]:
    from imgedit_bridges.worker.child import clean

    return {
        "plan": None if plan is None else plan.model_dump(mode="json", by_alias=True),
        "pictures": pictures or [],
        "explanation": clean(explanation),
        "warnings": [clean(warning) for warning in job.warnings[:100]],
    }
