"""What a job came to, as the editors' side reads it in the worker's last event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imgedit_bridges.errors import MessageError
from imgedit_bridges.protocol import PictureRef, layout_of, parse_picture
from imgedit_bridges.transport import WorkerGoneError


@dataclass(frozen=True)
class ResultPicture:
    """One edited picture of a result.

    Attributes:
        ref: where its pixels are; `Client.open_picture` maps them.
        offset: (x, y) of its top-left pixel in the original picture.
        seed: what made it.
        title: of a layer.
        plan: that made a layer of what is below it, as decoded JSON.
    """

    ref: PictureRef
    offset: tuple[int, int] = (0, 0)
    seed: int = 0
    title: str = ""
    plan: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Result:
    """What a job came to.

    Attributes:
        plan: the edit plan as decoded JSON, if there is one.
        pictures: edited pictures, best first.
        layers: the best of them taken apart, lowest first, to be put in its place; may be none.
        explanation: for the user.
        warnings: sentences for the user.
    """

    plan: Mapping[str, Any] | None
    pictures: tuple[ResultPicture, ...]
    explanation: str
    warnings: tuple[str, ...]
    layers: tuple[ResultPicture, ...] = ()


def read_result(data: object) -> Result:
    """The result in a 'done' event.

    Raises:
        BridgeError: it is none.
    """
    if not isinstance(data, dict) or not isinstance(data.get("pictures", []), list):
        raise WorkerGoneError("The worker told something else than a result.")
    plan = data.get("plan")
    pictures = tuple(_picture(one) for one in data.get("pictures", []))
    layers = data.get("layers", 0)
    if not isinstance(layers, int) or not 0 <= layers <= len(pictures):
        raise MessageError("layers", f"there are {len(pictures)} pictures")
    single = len(pictures) - layers
    return Result(
        plan=plan if isinstance(plan, dict) else None,
        pictures=pictures[:single],
        explanation=str(data.get("explanation") or ""),
        warnings=tuple(str(w) for w in data.get("warnings") or ()),
        layers=pictures[single:],
    )


def _picture(data: object) -> ResultPicture:
    if not isinstance(data, dict):
        raise MessageError("pictures", "a picture is an object")
    x, y = data.get("offset") or (0, 0)
    plan = data.get("plan")
    return ResultPicture(
        parse_picture(layout_of(data), "pictures"),
        (int(x), int(y)),
        int(data.get("seed", 0)),
        title=str(data.get("title") or ""),
        plan=plan if isinstance(plan, dict) else None,
    )
