"""Layers, pixels, filters and plans of an open image: everything that talks to GIMP's core.

Pixels are asked for and given as sRGB-encoded values; GEGL converts from and to what the image
holds. Images of more than 8 bits travel as 16 bits.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import gi

gi.require_version("Gegl", "0.4")
gi.require_version("Gimp", "3.0")
from gi.repository import Gegl, Gimp  # noqa: E402

from imgedit_bridges.client import BridgeError, Client  # noqa: E402
from imgedit_bridges.gimp.forms import Filter, Turn  # noqa: E402
from imgedit_bridges.protocol import PictureRef  # noqa: E402

PARASITE = "imgedit-plan"
_UNDOABLE = 2  # Gimp.PARASITE_UNDOABLE, which GObject introspection does not show everywhere
_BAND = 512  # rows

# --- pixels -----------------------------------------------------------------------------------


@contextmanager
def uploaded(client: Client, layers: Sequence[Any]) -> Iterator[list[PictureRef]]:
    """The layers' pixels, their own filters included, in pixel files that end with the block.

    Raises:
        BridgeError: there is no room or no worker.
    """
    refs: list[PictureRef] = []
    try:
        refs.extend(_upload_seen(client, layer) for layer in layers)
        yield refs
    finally:
        for ref in refs:
            with suppress(BridgeError):  # a worker that is gone has removed them
                client.drop_pixels(ref.pixels)


def _upload_seen(client: Client, layer: Any) -> PictureRef:
    image = layer.get_image()
    if not layer.get_filters():
        return _upload(client, layer)
    chosen = image.get_selected_layers()
    image.undo_freeze()
    copy = layer.copy()
    image.insert_layer(copy, layer.get_parent(), image.get_item_position(layer))
    try:
        copy.merge_filters()
        return _upload(client, copy)
    finally:
        image.remove_layer(copy)
        image.set_selected_layers(chosen)
        image.undo_thaw()


def _upload(client: Client, layer: Any) -> PictureRef:
    dtype, channels = _sample(layer), 4 if layer.has_alpha() else 3
    width, height = layer.get_width(), layer.get_height()
    ref = PictureRef("0" * 32, width, height, channels, dtype)
    name = _format(dtype, channels)
    row = ref.pixel_bytes // height
    buffer = layer.get_buffer()
    with client.new_pixels(ref.file_bytes) as file:
        for top in range(0, height, _BAND):
            rows = min(_BAND, height - top)
            area = Gegl.Rectangle.new(0, top, width, rows)
            values = buffer.get(area, 1.0, name, Gegl.AbyssPolicy.NONE)
            file.data[top * row : (top + rows) * row] = bytes(values)
        return PictureRef(file.id, width, height, channels, dtype)


def write(client: Client, ref: PictureRef, layer: Any) -> None:
    """Put a result's pixels into a new layer of its size.

    Raises:
        BridgeError: the result has expired.
    """
    name = _format(ref.dtype, ref.channels)
    row = ref.pixel_bytes // ref.height
    buffer = layer.get_buffer()
    with client.open_picture(ref) as file:
        for top in range(0, ref.height, _BAND):
            rows = min(_BAND, ref.height - top)
            area = Gegl.Rectangle.new(0, top, ref.width, rows)
            buffer.set(area, name, bytes(file.data[top * row : (top + rows) * row]))
    buffer.flush()
    layer.update(0, 0, ref.width, ref.height)


def _sample(layer: Any) -> str:
    # Precisions are numbered by hundreds: 100 to 199 have 8 bits; linear 8 bits need more.
    return "uint8" if int(layer.get_image().get_precision()) in (150, 175) else "uint16"


def _format(dtype: str, channels: int) -> str:
    letters = {1: "Y'", 2: "Y'A", 3: "R'G'B'", 4: "R'G'B'A"}[channels]
    kinds = {"uint8": "u8", "uint16": "u16", "float32": "float"}
    return f"{letters} {kinds[dtype]}"


def is_opaque(layer: Any) -> bool:
    """Whether no pixel of the layer is transparent, not even partly."""
    if not layer.has_alpha():
        return True
    buffer, width, height = layer.get_buffer(), layer.get_width(), layer.get_height()
    for top in range(0, height, _BAND):
        area = Gegl.Rectangle.new(0, top, width, min(_BAND, height - top))
        values = bytes(buffer.get(area, 1.0, "A u8", Gegl.AbyssPolicy.NONE))
        if values.count(b"\xff") < len(values):
            return False
    return True


def is_srgb(image: Any) -> bool:
    """Whether the image's colours are those of sRGB, in whatever precision."""
    return "sRGB" in (image.get_effective_color_profile().get_label() or "")


# --- images and layers ------------------------------------------------------------------------


def other_images(image: Any) -> list[Any]:
    """All other open images in RGB."""
    return [
        one
        for one in Gimp.get_images()
        if one.get_id() != image.get_id() and one.get_base_type() == Gimp.ImageBaseType.RGB
    ]


def selected_layers(image: Any) -> list[Any]:
    """The selected layers, or the only one where none is selected."""
    chosen = list(image.get_selected_layers())
    layers = list(image.get_layers())
    return chosen or (layers if len(layers) == 1 else [])


def new_layer(image: Any, ref: PictureRef, name: str) -> Any:
    """An empty layer for a result, not yet in the image."""
    kind = Gimp.ImageType.RGBA_IMAGE if ref.channels in (2, 4) else Gimp.ImageType.RGB_IMAGE
    return Gimp.Layer.new(image, name, ref.width, ref.height, kind, 100.0, Gimp.LayerMode.NORMAL)


def mix_encoded(layer: Any) -> None:
    """Let the soft places of its mask mix encoded values, as the core does, and not light."""
    if layer.get_mode() == Gimp.LayerMode.NORMAL:
        layer.set_mode(Gimp.LayerMode.NORMAL_LEGACY)


def insert_above(layer: Any, other: Any, name: str) -> None:
    """Put `other` right above `layer`, in the same group."""
    image = layer.get_image()
    image.insert_layer(other, layer.get_parent(), image.get_item_position(layer))
    other.set_name(name)


def turn(layer: Any, one: Turn) -> None:
    """Turn a layer about its middle, or mirror it; no pixel is changed."""
    quarter = Gimp.RotationType
    types = {90: quarter.DEGREES90, 180: quarter.DEGREES180, 270: quarter.DEGREES270}
    if one.degrees:
        layer.transform_rotate_simple(types[one.degrees], True, 0.0, 0.0)
    if one.flip:
        layer.transform_flip_simple(Gimp.OrientationType.HORIZONTAL, True, 0.0)


def add_filter(layer: Any, wanted: Filter) -> Any:
    """Make a live filter on top of the layer's others; returns it."""
    made = Gimp.DrawableFilter.new(layer, wanted.operation, wanted.name)
    config = made.get_config()
    for name, value in wanted.properties.items():
        config.set_property(name, value)
    if wanted.colour is not None:
        config.set_property("value", _colour(wanted.colour))
    made.set_blend_mode(getattr(Gimp.LayerMode, wanted.mode))
    made.set_opacity(wanted.opacity)
    layer.append_filter(made)
    return made


def _colour(encoded: tuple[float, float, float]) -> Any:
    colour = Gegl.Color.new("black")
    colour.set_rgba(*map(_linear, encoded), 1.0)
    return colour


def _linear(value: float) -> float:
    """Linear light of an sRGB-encoded value (IEC 61966-2-1)."""
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


# --- selection --------------------------------------------------------------------------------


def selection_kind(image: Any) -> str:
    """The selection's kind: '' where there is none, 'hard', or 'soft' if it has soft edges."""
    _, there, left, top, right, bottom = Gimp.Selection.bounds(image)
    if not there:
        return ""
    buffer = image.get_selection().get_buffer()
    for y in range(top, bottom, _BAND):
        area = Gegl.Rectangle.new(left, y, right - left, min(_BAND, bottom - y))
        values = bytes(buffer.get(area, 1.0, "Y u8", Gegl.AbyssPolicy.NONE))
        if values.translate(None, b"\x00\xff"):
            return "soft"
    return "hard"


def add_mask(layer: Any) -> None:
    """Give a layer the selection as its mask, and leave the layer itself selected."""
    layer.add_mask(layer.create_mask(Gimp.AddMaskType.SELECTION))
    layer.set_edit_mask(False)


@contextmanager
def nothing_selected(image: Any) -> Iterator[None]:
    """Nothing is selected meanwhile: filters would take the selection as their mask."""
    if Gimp.Selection.is_empty(image):
        yield
        return
    kept = Gimp.Selection.save(image)
    Gimp.Selection.none(image)
    try:
        yield
    finally:
        image.select_item(Gimp.ChannelOps.REPLACE, kept)
        image.remove_channel(kept)


# --- the plan of a layer ----------------------------------------------------------------------


def plan_of(layer: Any) -> dict[str, Any] | None:
    """The plan that a layer carries; None where there is none.

    Raises:
        BridgeError: what it carries is no plan.
    """
    parasite = layer.get_parasite(PARASITE)
    if parasite is None:
        return None
    try:
        plan = json.loads(bytes(parasite.get_data()).rstrip(b"\0").decode("utf-8"))
    except ValueError:
        plan = None
    if not isinstance(plan, dict) or not isinstance(plan.get("operations"), list):
        raise BridgeError(f"The plan of the layer “{layer.get_name()}” is damaged.")
    return plan


def attach_plan(layer: Any, plan: Mapping[str, Any]) -> None:
    """Let a layer carry a plan; kept in .xcf files."""
    data = json.dumps(plan).encode("utf-8")
    flags = Gimp.PARASITE_PERSISTENT | _UNDOABLE
    layer.attach_parasite(Gimp.Parasite.new(PARASITE, flags, data))
