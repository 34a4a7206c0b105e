"""The messages between editors and the worker: names, limits, and reading them strictly.

Both sides use this module; whatever comes from the other side goes through it before anything
else looks at it. Faults are told with their place in the message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from imgedit_bridges.errors import MessageError

PROTOCOL = 1
"""The newest version of the protocol that this code speaks."""

PROTOCOLS = (1,)
"""All versions that it speaks."""

HOST = "imgedit.local"
"""The only `Host` that the worker answers to, over the socket and over TCP alike."""

CLIENT_HEADER = "Imgedit-Client"
"""Which editor asks; jobs of several editors take turns."""

MAX_BODY = 1 << 20  # bytes of JSON
MAX_SIDE = 1 << 19  # pixels
MAX_FILE = 1 << 34  # bytes of a pixel file
MAX_TEXT = 10_000  # characters of an instruction or option
MAX_OPTIONS = 100
MAX_SEED = 2**63 - 1
MAX_STRENGTH = 2.0

BEAT_SECONDS = 1.0
"""A stream of events says at least so often that the worker lives."""

SAMPLE_BYTES = {"uint8": 1, "uint16": 2, "float32": 4}
ORDERS = ("rgb", "bgr")
FINAL = frozenset({"done", "failed", "cancelled"})
"""Events after which nothing comes."""

_ID = re.compile(r"[0-9a-f]{32}")
_PLUGIN = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_OPTION = re.compile(r"[a-z][a-z0-9-]{0,63}")
_CLIENT = re.compile(r"[A-Za-z0-9._-]{1,40}")


@dataclass(frozen=True)
class HookFields:
    """What a request for one kind of job may hold.

    Attributes:
        pictures: names of its pictures, the first of which must be there.
        fields: names of its other fields.
        required: those of them that must be there.
        wishes: what more the job may tell, and its result hold, to who asks for it: `FEATURES`.
    """

    pictures: tuple[str, ...]
    fields: tuple[str, ...]
    required: tuple[str, ...] = ()
    wishes: tuple[str, ...] = ()

    @property
    def optional(self) -> tuple[str, ...]:
        """All that may be there beside the pictures."""
        return (*self.fields, *self.wishes)


FEATURES = ("layers", "previews")
"""What this code knows beyond the first form of the protocol; a worker names them in its greeting,
and they are not asked for where it does not."""

HOOKS = {
    "predict_operations": HookFields(
        ("source", "edited"), ("plugin", "instruction", "options", "seed")
    ),
    "apply_edit": HookFields(
        ("picture", "mask"),
        ("plugin", "instruction", "plan", "options", "seed"),
        wishes=FEATURES,
    ),
    "render": HookFields(("picture", "mask"), ("plan", "strength"), ("plan",)),
}
"""Kinds of jobs: two hooks of plugins, and the core's own rendering of a plan."""


@dataclass(frozen=True)
class PictureRef:
    """A picture in a pixel file.

    The file holds the pixels row by row from its beginning, channels interleaved (grey, grey +
    alpha, RGB or RGBA, alpha not premultiplied), samples in the machine's byte order; the colour
    profile follows right after the last pixel.

    Attributes:
        pixels: id of the file.
        width, height: in pixels.
        channels: 1 to 4.
        dtype: 'uint8' 0..255, 'uint16' 0..65535 or 'float32' 0..1.
        icc_bytes: length of the colour profile; 0 means sRGB.
        order: 'bgr' where blue comes first, as in Krita; of a result, that of the picture asked
            with.
    """

    pixels: str
    width: int
    height: int
    channels: int
    dtype: str
    icc_bytes: int = 0
    order: str = "rgb"

    @property
    def pixel_bytes(self) -> int:
        """Length of the pixels."""
        return self.width * self.height * self.channels * SAMPLE_BYTES[self.dtype]

    @property
    def file_bytes(self) -> int:
        """Length of the file."""
        return self.pixel_bytes + self.icc_bytes

    def to_json(self) -> dict[str, Any]:
        """As it stands in a message."""
        return dict(vars(self))


@dataclass(frozen=True)
class JobRequest:
    """A job to do; see `HOOKS` for what goes with what.

    Attributes:
        hook: a key of `HOOKS`.
        inputs: pictures by name; a mask has one uint8 channel, 255 takes the edit.
        plugin: ask this one only.
        plan: the edit as a plan, as decoded JSON; whether it is one is seen when the job runs.
        instruction: the edit in words.
        options: of the plugin.
        seed: for anything random.
        layers: pictures may be layers that lie above what the result's plan makes of the picture;
            without it they are whole.
        previews: the story of the job may show how far the edit is; see `step_previews`.
        strength: 0..2, of `render`.
    """

    hook: str
    inputs: Mapping[str, PictureRef]
    plugin: str | None = None
    plan: Mapping[str, Any] | None = None
    instruction: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    layers: bool = False
    previews: bool = False
    strength: float = 1.0

    def to_json(self) -> dict[str, Any]:
        """As it stands in a message: what is as it would be anyway is left out."""
        given = {name: getattr(self, name) for name in HOOKS[self.hook].optional}
        told = {name: value for name, value in given.items() if value != _DEFAULTS[name]}
        pictures = {name: ref.to_json() for name, ref in self.inputs.items()}
        return {"hook": self.hook, "inputs": pictures, **told}


_DEFAULTS: dict[str, Any] = {
    "plugin": None, "plan": None, "instruction": None, "options": {}, "seed": 0, "layers": False,
    "previews": False, "strength": 1.0,
}  # fmt: skip


# --- reading messages -------------------------------------------------------------------------


def is_id(text: object) -> bool:
    """Whether this can be the id of a job or a pixel file: 32 lower-case hexadecimal digits."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def is_client(text: object) -> bool:
    """Whether this can be the name by which a client tells itself from others."""
    return isinstance(text, str) and _CLIENT.fullmatch(text) is not None


def parse_pixels(data: object) -> int:
    """The size of a new pixel file, from the body ``{"bytes": 123}``.

    Raises:
        MessageError: anything else stands there.
    """
    fields = _fields("", data, required=("bytes",))
    return whole("bytes", fields["bytes"], 1, MAX_FILE)


def parse_job(data: object) -> JobRequest:
    """The job that a body asks for.

    Raises:
        MessageError: a field is missing, unknown, of the wrong type or out of range, or the mask
            has another size than the picture.
    """
    if not isinstance(data, dict):
        raise MessageError("", f"a job is an object, not {_kind(data)}")
    hook = data.get("hook")
    if not isinstance(hook, str) or hook not in HOOKS:
        raise MessageError("hook", f"one of {', '.join(HOOKS)} is needed, not {_short(hook)}")
    form = HOOKS[hook]
    _fields("", data, required=("hook", "inputs", *form.required), optional=form.optional)
    given = {
        name: _FIELDS[name](data[name]) for name in form.optional if data.get(name) is not None
    }
    return JobRequest(hook, _inputs(data["inputs"], form), **given)


def _inputs(data: object, form: HookFields) -> dict[str, PictureRef]:
    first, *others = form.pictures
    fields = _fields("inputs", data, required=(first,), optional=others)
    pictures = {name: parse_picture(ref, f"inputs.{name}") for name, ref in fields.items()}
    if mask := pictures.get("mask"):
        picture = pictures[first]
        if (mask.channels, mask.dtype) != (1, "uint8"):
            raise MessageError("inputs.mask", "a mask has one channel of uint8")
        if (mask.width, mask.height) != (picture.width, picture.height):
            raise MessageError(
                "inputs.mask",
                f"it has {mask.width} x {mask.height} pixels, "
                f"the picture {picture.width} x {picture.height}",
            )
    return pictures


def parse_picture(data: object, place: str = "") -> PictureRef:
    """The picture that a message refers to.

    Raises:
        MessageError: as in `parse_job`.
    """
    required = ("pixels", "width", "height", "channels", "dtype")
    fields = _fields(place, data, required=required, optional=("icc_bytes", "order"))
    if not is_id(fields["pixels"]):
        raise MessageError(f"{place}.pixels", f"an id is needed, not {_short(fields['pixels'])}")
    dtype = fields["dtype"]
    if not isinstance(dtype, str) or dtype not in SAMPLE_BYTES:
        known = ", ".join(SAMPLE_BYTES)
        raise MessageError(f"{place}.dtype", f"one of {known} is needed, not {_short(dtype)}")
    ref = PictureRef(
        pixels=fields["pixels"],
        width=whole(f"{place}.width", fields["width"], 1, MAX_SIDE),
        height=whole(f"{place}.height", fields["height"], 1, MAX_SIDE),
        channels=whole(f"{place}.channels", fields["channels"], 1, 4),
        dtype=dtype,
        icc_bytes=whole(f"{place}.icc_bytes", fields.get("icc_bytes", 0), 0, MAX_FILE),
        order=_order(f"{place}.order", fields.get("order", "rgb"), fields["channels"]),
    )
    if ref.file_bytes > MAX_FILE:
        raise MessageError(place, f"the picture has {ref.file_bytes} bytes, more than {MAX_FILE}")
    return ref


def _order(place: str, value: object, channels: object) -> str:
    if not isinstance(value, str) or value not in ORDERS:
        raise MessageError(place, f"one of {', '.join(ORDERS)} is needed, not {_short(value)}")
    if value != "rgb" and channels not in (3, 4):
        raise MessageError(place, "a picture in grey has no other order")
    return value


def _plugin(value: object) -> str:
    if not isinstance(value, str) or not _PLUGIN.fullmatch(value):
        raise MessageError("plugin", f"{_short(value)} is no name of a plugin")
    return value


def _plan(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MessageError("plan", f"a plan is an object, not {_kind(value)}")
    return value


def _text(place: str, value: object) -> str:
    if not isinstance(value, str):
        raise MessageError(place, f"a text is needed, not {_kind(value)}")
    if len(value) > MAX_TEXT:
        raise MessageError(place, f"it has {len(value)} characters, more than {MAX_TEXT}")
    return value


def _options(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MessageError("options", f"an object is needed, not {_kind(value)}")
    if len(value) > MAX_OPTIONS:
        raise MessageError("options", f"there are {len(value)}, more than {MAX_OPTIONS}")
    for name, one in value.items():
        if not _OPTION.fullmatch(name):
            raise MessageError("options", f"{_short(name)} is no name of an option")
        if isinstance(one, str):
            _text(f"options.{name}", one)
        elif not isinstance(one, bool | int | float):
            raise MessageError(
                f"options.{name}", f"a text, number or truth value is needed, not {_kind(one)}"
            )
    return value


def _truth(place: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise MessageError(place, f"true or false is needed, not {_kind(value)}")
    return value


def _strength(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MessageError("strength", f"a number is needed, not {_kind(value)}")
    if not 0.0 <= value <= MAX_STRENGTH:
        raise MessageError("strength", f"it must be between 0 and 2, not {_short(value)}")
    return float(value)


_FIELDS: dict[str, Any] = {
    "plugin": _plugin,
    "plan": _plan,
    "instruction": lambda value: _text("instruction", value),
    "options": _options,
    "seed": lambda value: whole("seed", value, 0, MAX_SEED),
    "layers": lambda value: _truth("layers", value),
    "previews": lambda value: _truth("previews", value),
    "strength": _strength,
}


def _fields(
    place: str, data: object, *, required: Iterable[str], optional: Iterable[str] = ()
) -> dict[str, Any]:
    """The object itself, once it is known to have all fields that it needs and no others."""
    if not isinstance(data, dict):
        raise MessageError(place, f"an object is needed, not {_kind(data)}")
    for name in required:
        if name not in data:
            raise MessageError(f"{place}.{name}".lstrip("."), "this field is missing")
    for name in data:
        if name not in (*required, *optional):
            raise MessageError(place, f"there is no field {_short(name)} here")
    return data


def whole(place: str, value: object, low: int, high: int) -> int:
    """The whole number at a place of a message.

    Raises:
        MessageError: another value stands there, or one out of range.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise MessageError(place, f"a whole number is needed, not {_kind(value)}")
    if not low <= value <= high:
        raise MessageError(place, f"it must be between {low} and {high}, not {_short(value)}")
    return value


def _short(value: object) -> str:
    told = repr(value)
    return told if len(told) <= 60 else f"{told[:59]}…"


_KINDS = {dict: "an object", list: "a list", str: "a text", bool: "a truth value", int: "a number",
          float: "a number", type(None): "nothing"}  # fmt: skip


def _kind(value: object) -> str:
    return _KINDS.get(type(value), type(value).__name__)
