"""Documents, nodes and pixels: what the worker sees of a document, and what comes back.

Pixels are asked for and given as sRGB-encoded values of 8 or 16 bits. What a document holds
otherwise is converted by Krita's own colour management, a few rows at a time. What takes long is
a generator, to be carried out by a `background.Task`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from krita import Krita

from imgedit_bridges.client import BridgeError, Client
from imgedit_bridges.krita import waiting
from imgedit_bridges.krita.background import Steps, Work
from imgedit_bridges.krita.bands import (
    CONVERTED_PIXELS,
    PIXELS,
    SAMPLE_BYTES,
    Frame,
    is_opaque,
    to_krita,
)
from imgedit_bridges.krita.qt import QByteArray, QtCore
from imgedit_bridges.protocol import PictureRef

SRGB = "sRGB-elle-V2-srgbtrc.icc"
_NOT_ENCODED = ("g10", "linear", "scrgb", "esrgb")


@dataclass(frozen=True)
class Space:
    """A colour space of Krita's."""

    model: str
    depth: str
    profile: str

    @classmethod
    def of(cls, holder: Any) -> Space:
        """That of a node or document."""
        return cls(holder.colorModel(), holder.colorDepth(), holder.colorProfile())

    @property
    def exact(self) -> bool:
        """Whether its values are sRGB-encoded ones of 8 or 16 bits."""
        name = self.profile.lower()
        encoded = "srgb" in name and not any(word in name for word in _NOT_ENCODED)
        return self.model == "RGBA" and self.depth in ("U8", "U16") and encoded

    @property
    def at_once(self) -> int:
        """How many of its pixels are read or written between two events of the interface."""
        return PIXELS if self.exact else CONVERTED_PIXELS

    @property
    def dtype(self) -> str:
        """How its pixels travel."""
        return "uint8" if self.depth == "U8" else "uint16"

    @property
    def travelling(self) -> Space:
        """The space of what travels."""
        return self if self.exact else Space("RGBA", self.dtype.replace("uint", "U"), SRGB)


@dataclass(frozen=True)
class Source:
    """Something that can be edited.

    Attributes:
        document: that it is in.
        node: a layer or group; or what lies on top of a stack.
        stack: whether everything below in the same group belongs to it: so with a pass-through
            group, which has no pixels of its own.
    """

    document: Any
    node: Any
    stack: bool = False


# --- what there is ----------------------------------------------------------------------------


def frame_of(document: Any) -> Frame:
    """The document's own rectangle."""
    return Frame(0, 0, document.width(), document.height())


def extent(source: Source) -> Frame:
    """Where a source has pixels, within the document.

    Raises:
        BridgeError: nowhere.
    """
    whole = frame_of(source.document)
    if source.stack:
        return whole
    found = source.node.bounds()
    inside = whole.common(Frame(found.x(), found.y(), found.width(), found.height()))
    if inside.empty:
        raise BridgeError(
            f"The layer “{source.node.name()}” has no pixels within the picture.",
            hint="Choose another layer.",
        )
    return inside


def below(node: Any) -> Any:
    """The layer right below a node in its group; None where there is none."""
    siblings = layers_of(node.parentNode())
    place = next(i for i, one in enumerate(siblings) if same(one, node))
    return siblings[place - 1] if place else None


def layers_of(group: Any) -> list[Any]:
    """The layers of a group, the lowest first; masks are none."""
    return [one for one in group.childNodes() if not one.type().endswith("mask")]


def same(one: Any, other: Any) -> bool:
    """Whether two objects stand for one node: Krita makes a new one at each call."""
    return bool(one.uniqueId() == other.uniqueId())


def place_of(node: Any) -> tuple[int, ...]:
    """A node's place in the tree; a higher one is nearer to the viewer."""
    places: list[int] = []
    while (parent := node.parentNode()) is not None:
        places.append(next(i for i, one in enumerate(parent.childNodes()) if same(one, node)))
        node = parent
    return tuple(reversed(places))


# --- reading ----------------------------------------------------------------------------------


class Reader:
    """A source's pixels; to be closed."""

    def __init__(self, source: Source) -> None:
        self._copy: Any = None
        self._source = source

    def open(self) -> Steps:
        """Have everything computed that will be read."""
        yield from waiting.settled(self._source.document)
        if self._source.stack:
            self._copy = self._source.document.clone()
            if _isolate(self._copy, self._copy.nodeByUniqueID(self._source.node.uniqueId())):
                yield from waiting.repaint(self._copy)

    @property
    def space(self) -> Space:
        """Of the pixels as they are."""
        return Space.of(self._copy or self._source.node)

    def read(self, frame: Frame) -> bytes:
        """Blue, green, red, alpha in `space.travelling`."""
        area = (frame.x, frame.y, frame.width, frame.height)
        if self._copy is not None:
            data = self._copy.pixelData(*area)
        else:
            data = self._source.node.projectionPixelData(*area)
        return converted(bytes(data), frame, self.space, self.space.travelling)

    def close(self) -> None:
        """Let go of what was made for reading."""
        if self._copy is not None:
            self._copy.setModified(False)
            self._copy.close()


def _isolate(document: Any, node: Any) -> bool:
    """Leave visible only `node` and what lies below it in its group; whether that changes it."""
    group = node.parentNode()
    siblings = layers_of(group)
    hidden = siblings[next(i for i, one in enumerate(siblings) if same(one, node)) + 1 :]
    while not same(group, document.rootNode()):
        group.setOpacity(255)
        group.setBlendingMode("normal")
        hidden += [one for one in layers_of(group.parentNode()) if not same(one, group)]
        group = group.parentNode()
    seen = [one for one in hidden if one.visible()]
    for one in seen:
        one.setVisible(False)
    return bool(seen) or not same(node.parentNode(), document.rootNode())


def opaque(source: Source) -> Steps:
    """Whether a source fills the document and no pixel is transparent, not even partly."""
    if extent(source) != frame_of(source.document):
        return False
    reader = Reader(source)
    try:
        yield from reader.open()
        for band in frame_of(source.document).bands(reader.space.at_once):
            if not is_opaque(reader.read(band), SAMPLE_BYTES[reader.space.dtype]):
                return False
            yield
        return True
    finally:
        reader.close()


def upload(client: Client, source: Source, frame: Frame) -> Steps:
    """Copy a source's pixels into a pixel file; returns its `PictureRef`.

    Raises:
        BridgeError: there is no room or no worker.
    """
    reader = Reader(source)
    try:
        yield from reader.open()
        dtype = reader.space.dtype
        ref = PictureRef("0" * 32, frame.width, frame.height, 4, dtype, order="bgr")
        file = yield Work(lambda _: client.new_pixels(ref.file_bytes))
        with file:
            at = 0
            for band in frame.bands(reader.space.at_once):
                data = reader.read(band)
                file.write(at, data)
                at += len(data)
                yield
            return replace(ref, pixels=file.id)
    finally:
        reader.close()


# --- writing ----------------------------------------------------------------------------------


def new_layer(client: Client, document: Any, ref: PictureRef, frame: Frame, name: str) -> Steps:
    """A paint layer with a result's pixels, which is in no document yet.

    The user's own layers are never written to: Krita cannot undo that.

    Args:
        client: of the worker that has the pixels.
        document: whose colours the layer gets.
        ref: the result.
        frame: where its pixels go; of the result's size.
        name: of the layer.

    Raises:
        BridgeError: the result has expired.
    """
    layer = document.createNode(name, "paintlayer")
    space = Space.of(layer)
    sample = SAMPLE_BYTES[ref.dtype]
    from_space = Space("RGBA", ref.dtype.replace("uint", "U"), SRGB)
    row = ref.pixel_bytes // ref.height
    with client.open_picture(ref) as file:
        as_is = space.exact and space.dtype == ref.dtype
        for band in frame.bands(PIXELS if as_is else CONVERTED_PIXELS):
            top = band.y - frame.y
            values = memoryview(file.data)[top * row : (top + band.height) * row]
            data = to_krita(values, ref.channels, sample, ref.order)
            if not as_is:
                data = converted(bytes(data), band, from_space, space)
            # Krita would make a copy of bytes, before it copies them into its tiles.
            wrapped = QByteArray.fromRawData(data)
            layer.setPixelData(wrapped, band.x, band.y, band.width, band.height)
            del wrapped, data, values  # the mapping can end
            yield
    return layer


def converted(data: bytes, frame: Frame, held: Space, wanted: Space) -> bytes:
    """Pixels of one colour space in another, by Krita's colour management.

    Raises:
        BridgeError: Krita cannot do that.
    """
    if held == wanted:
        return data
    app = Krita.instance()
    strip = app.createDocument(
        frame.width, frame.height, "imgedit", held.model, held.depth, held.profile, 72.0
    )
    try:
        layer = strip.topLevelNodes()[0]
        layer.setPixelData(data, 0, 0, frame.width, frame.height)
        # Not the layer: that conversion is off by up to 37 codes, and crashes outside a document.
        done = strip.setColorSpace(wanted.model, wanted.depth, wanted.profile)
        strip.waitForDone()
        if not done or Space.of(layer).model != wanted.model:
            raise BridgeError(
                f"Krita cannot convert {held.model} with the profile “{held.profile}” into "
                f"{wanted.model} with “{wanted.profile}”.",
                hint="Convert the picture to sRGB (Image > Convert Image Color Space) and "
                "try again.",
            )
        return bytes(layer.pixelData(0, 0, frame.width, frame.height))
    finally:
        # What tells of the conversion's progress must go first: Krita 5.3 would crash with it.
        QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
        strip.setModified(False)
        strip.close()


# --- selection --------------------------------------------------------------------------------


def write_selection(document: Any, mask: Any) -> Steps:
    """Give a mask that hides all and is in no document yet the document's selection."""
    selection = document.selection()
    area = Frame(selection.x(), selection.y(), selection.width(), selection.height())
    inside = area.common(frame_of(document))
    for band in inside.bands() if not inside.empty else ():
        data = selection.pixelData(band.x, band.y, band.width, band.height)
        mask.setPixelData(data, band.x, band.y, band.width, band.height)
        yield


def upload_selection(client: Client, document: Any, frame: Frame) -> Steps:
    """Copy the document's selection into a pixel file; returns its `PictureRef`."""
    selection = document.selection()
    ref = PictureRef("0" * 32, frame.width, frame.height, 1, "uint8")
    file = yield Work(lambda _: client.new_pixels(ref.file_bytes))
    with file:
        at = 0
        for band in frame.bands():
            data = bytes(selection.pixelData(band.x, band.y, band.width, band.height))
            file.data[at : at + len(data)] = data
            at += len(data)
            yield
        return PictureRef(file.id, frame.width, frame.height, 1, "uint8")


def has_selection(document: Any) -> bool:
    """Whether something is selected."""
    selection = document.selection()
    return selection is not None and selection.width() > 0 and selection.height() > 0


# --- documents --------------------------------------------------------------------------------


def other_documents(document: Any) -> list[Any]:
    """All other open documents."""
    return [one for one in Krita.instance().documents() if one != document]


def selected_nodes(document: Any) -> list[Any]:
    """The document's selected layers; the only one where none is, as without a window."""
    window = Krita.instance().activeWindow()
    view = window.activeView() if window else None
    if view is not None and view.document() == document:
        chosen: Sequence[Any] = view.selectedNodes()
        if chosen:
            return list(chosen)
    if (active := document.activeNode()) is not None:
        return [active]
    layers = layers_of(document.rootNode())
    return layers if len(layers) == 1 else []
