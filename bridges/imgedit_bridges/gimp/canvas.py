"""Layers, filters, selections and plans of an open image: what talks to GIMP's core."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import gi

gi.require_version("Gegl", "0.4")
gi.require_version("Gimp", "3.0")
from gi.repository import Gegl, Gimp  # noqa: E402

from imgedit_bridges.client import BridgeError  # noqa: E402
from imgedit_bridges.edits import is_plan  # noqa: E402
from imgedit_bridges.gimp.forms import (  # noqa: E402
    OPERATIONS,
    PLAIN,
    PLAIN_INSTEAD,
    Filter,
    Turn,
)
from imgedit_bridges.protocol import PictureRef  # noqa: E402

PARASITE = "imgedit-plan"
EXPLANATION = "imgedit-explanation"
_UNDOABLE = 2  # Gimp.PARASITE_UNDOABLE, which GObject introspection does not show everywhere
_LINEAR_GREY = "GIMP built-in D65 Linear Grayscale"
_BAND = 512  # rows

# --- images and layers ------------------------------------------------------------------------


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


def is_plain(layer: Any) -> bool:
    """Whether a layer above it would hide it wholly and take its place."""
    modes = (Gimp.LayerMode.NORMAL, Gimp.LayerMode.NORMAL_LEGACY)
    usual = layer.get_mode() in modes and layer.get_opacity() == 100 and not layer.get_mask()
    return usual and is_opaque(layer)


def check_layer(layer: Any) -> None:
    """Refuse what is no layer of an image that can be edited.

    Raises:
        BridgeError: it floats, or the image is indexed.
    """
    if layer.is_floating_sel():
        raise BridgeError(
            "The selection floats.", hint="Anchor it (Layer > Anchor Layer) and try again."
        )
    if layer.is_indexed():
        raise BridgeError(
            f"“{name_of(layer.get_image())}” is an indexed image: an edit needs other colours "
            "than those of its palette.",
            hint="Choose Image > Mode > RGB and try again.",
        )


def check_locks(layer: Any, *, moves: bool) -> None:
    """Refuse to edit what the user has locked.

    Raises:
        BridgeError: the layer's pixels are locked, or its position and the edit moves it.
    """
    what = "pixels" if layer.get_lock_content() else "position"
    if what == "pixels" or (moves and layer.get_lock_position()):
        raise BridgeError(
            f"The {what} of the layer “{layer.get_name()}” {'are' if what == 'pixels' else 'is'} "
            "locked.",
            hint="Unlock it in the list of layers and try again.",
        )


def is_srgb(image: Any) -> bool:
    """Whether the image's colours are those of sRGB, in whatever precision."""
    label = image.get_effective_color_profile().get_label() or ""
    return "sRGB" in label or label == _LINEAR_GREY


def name_of(image: Any) -> str:
    """As the user knows it."""
    file = image.get_file() or image.get_imported_file()
    return str(file.get_basename() if file is not None else image.get_name())


def other_images(image: Any) -> list[Any]:
    """All other open images but indexed ones."""
    return [
        one
        for one in Gimp.get_images()
        if one.get_id() != image.get_id() and one.get_base_type() != Gimp.ImageBaseType.INDEXED
    ]


def warn(warnings: Iterable[str]) -> None:
    """Tell the user, where GIMP tells such things."""
    if told := "\n".join(warnings):
        Gimp.message(told)


def selected_layers(image: Any) -> list[Any]:
    """The selected layers, or the only one where none is selected."""
    chosen = list(image.get_selected_layers())
    layers = list(image.get_layers())
    return chosen or (layers if len(layers) == 1 else [])


def new_layer(image: Any, ref: PictureRef, name: str) -> Any:
    """An empty layer for a result, not yet in the image."""
    grey = image.get_base_type() == Gimp.ImageBaseType.GRAY
    alpha = ref.channels in (2, 4)
    kind = getattr(Gimp.ImageType, f"{'GRAY' if grey else 'RGB'}{'A' if alpha else ''}_IMAGE")
    return Gimp.Layer.new(image, name, ref.width, ref.height, kind, 100.0, Gimp.LayerMode.NORMAL)


def take_place(layer: Any, other: Any) -> None:
    """Let `other` show in the way that `layer` does, which is hidden."""
    mode = layer.get_mode()
    other.set_mode(Gimp.LayerMode.NORMAL if mode == Gimp.LayerMode.PASS_THROUGH else mode)
    other.set_opacity(layer.get_opacity())
    layer.set_visible(False)


def copy_mask(layer: Any, other: Any) -> None:
    """Give `other`, which has the same size, the mask of `layer`, if it has one."""
    if (mask := layer.get_mask()) is None:
        return
    made = other.create_mask(Gimp.AddMaskType.WHITE)
    other.add_mask(made)
    source, target = mask.get_buffer(), made.get_buffer()
    width, height = layer.get_width(), layer.get_height()
    for top in range(0, height, _BAND):
        area = Gegl.Rectangle.new(0, top, width, min(_BAND, height - top))
        target.set(area, "Y float", bytes(source.get(area, 1.0, "Y float", Gegl.AbyssPolicy.NONE)))
    target.flush()
    made.update(0, 0, width, height)
    other.set_apply_mask(layer.get_apply_mask())
    other.set_edit_mask(False)


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


@functools.cache
def _refused() -> frozenset[str]:
    """Operations of `forms` that this GIMP lets no plug-in make filters of; 3.0 refuses none."""
    if (Gimp.MAJOR_VERSION, Gimp.MINOR_VERSION) < (3, 1):
        return frozenset()
    image = Gimp.Image.new(1, 1, Gimp.ImageBaseType.RGB)
    try:
        kind, mode = Gimp.ImageType.RGB_IMAGE, Gimp.LayerMode.NORMAL
        layer = Gimp.Layer.new(image, "", 1, 1, kind, 100.0, mode)
        image.insert_layer(layer, None, 0)
        tried = (*OPERATIONS, PLAIN_INSTEAD)
        return frozenset(one for one in tried if not _can_be_made(layer, one))
    finally:
        image.delete()


def _can_be_made(layer: Any, operation: str) -> bool:
    try:
        return Gimp.DrawableFilter.new(layer, operation, operation) is not None
    except TypeError:  # 'constructor returned NULL'
        return False


def hidden_operations() -> frozenset[str]:
    """Operations of `forms` that nothing in this GIMP stands for."""
    refused = _refused()
    return refused if PLAIN_INSTEAD in refused else refused - {PLAIN}


def add_filter(layer: Any, wanted: Filter) -> Any:
    """Make a live filter on top of the layer's others; returns it."""
    instead = wanted.operation == PLAIN and PLAIN in _refused()
    operation = PLAIN_INSTEAD if instead else wanted.operation
    made = Gimp.DrawableFilter.new(layer, operation, wanted.name)
    _set_values(made, wanted)
    made.set_blend_mode(getattr(Gimp.LayerMode, wanted.mode))
    layer.append_filter(made)
    return made


def set_filter(made: Any, wanted: Filter) -> None:
    """Give a layer's filter other values, without an undo step; operation and mode stay."""
    _set_values(made, wanted)
    made.update()


def _set_values(made: Any, wanted: Filter) -> None:
    config = made.get_config()
    for name, value in wanted.properties.items():
        config.set_property(name, value)
    if wanted.colour is not None:
        config.set_property("value", _colour(wanted.colour))
    made.set_opacity(wanted.opacity)


def is_turned_round(layer: Any, names: Sequence[str]) -> bool:
    """Whether the layer's filters of these names, lowest first, have another order.

    Redo puts each filter that comes back at the bottom, in GIMP 3.0.
    """
    there = [one.get_name() for one in reversed(layer.get_filters()) if one.get_name() in names]
    return there != list(names) and sorted(there) == sorted(names)


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
    if not is_plan(plan):
        raise BridgeError(
            f"The plan of the layer “{layer.get_name()}” is damaged.",
            hint="Undo what changed it, or edit a copy of the layer before the edit.",
        )
    kept: dict[str, Any] = plan
    return kept


def explanation_of(layer: Any) -> str:
    """What a plugin said about the layer that it made; may be empty."""
    parasite = layer.get_parasite(EXPLANATION)
    data = b"" if parasite is None else bytes(parasite.get_data())
    told = data.rstrip(b"\0").decode("utf-8", "replace")
    try:
        found = json.loads(told)
    except ValueError:
        found = None
    return found if isinstance(found, str) else told  # as older versions wrote it


def attach_explanation(layer: Any, text: str) -> None:
    """Let a layer say how it was made; kept in .xcf files."""
    data = json.dumps(text).encode("ascii")  # the introspection of 3.0 takes bytes below 128 only
    flags = Gimp.PARASITE_PERSISTENT | _UNDOABLE
    layer.attach_parasite(Gimp.Parasite.new(EXPLANATION, flags, data))


def attach_plan(layer: Any, plan: Mapping[str, Any]) -> None:
    """Let a layer carry a plan; kept in .xcf files."""
    data = json.dumps(plan).encode("utf-8")
    flags = Gimp.PARASITE_PERSISTENT | _UNDOABLE
    layer.attach_parasite(Gimp.Parasite.new(PARASITE, flags, data))
