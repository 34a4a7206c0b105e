"""What a job came to, as its last event tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imgedit_bridges.errors import MessageError
from imgedit_bridges.protocol import PictureRef, parse_picture
from imgedit_bridges.transport import WorkerGoneError


@dataclass(frozen=True)
class ResultPicture:
    """One edited picture of a result.

    Attributes:
        ref: where its pixels are; `Client.open_picture` maps them.
        offset: (x, y) of its top-left pixel in the original picture.
        seed: what made it.
    """

    ref: PictureRef
    offset: tuple[int, int] = (0, 0)
    seed: int = 0


@dataclass(frozen=True)
class Result:
    """What a job came to.

    Attributes:
        plan: the edit plan as decoded JSON, if there is one.
        pictures: edited pictures, best first.
        explanation: for the user.
        warnings: sentences for the user.
        layered: whether the pictures are layers that lie above what the plan makes.
    """

    plan: Mapping[str, Any] | None
    pictures: tuple[ResultPicture, ...]
    explanation: str
    warnings: tuple[str, ...]
    layered: bool = False


def read_result(data: object) -> Result:
    """The result in a 'done' event.

    Raises:
        BridgeError: it is none.
    """
    if not isinstance(data, dict) or not isinstance(data.get("pictures", []), list):
        raise WorkerGoneError("The worker told something else than a result.")
    plan = data.get("plan")
    return Result(
        plan=plan if isinstance(plan, dict) else None,
        pictures=tuple(_picture(one) for one in data.get("pictures", [])),
        explanation=str(data.get("explanation") or ""),
        warnings=tuple(str(w) for w in data.get("warnings") or ()),
        layered=data.get("layered") is True and isinstance(plan, dict),
    )


def _picture(data: object) -> ResultPicture:
    if not isinstance(data, dict):
        raise MessageError("pictures", "a picture is an object")
    layout = {k: v for k, v in data.items() if k not in ("offset", "seed")}
    x, y = data.get("offset") or (0, 0)
    return ResultPicture(
        parse_picture(layout, "pictures"), (int(x), int(y)), int(data.get("seed", 0))
    )
