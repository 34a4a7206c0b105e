"""An edit plan inside a picture's XMP packet, beside whatever else the packet says.

The plan is one property, `Plan`, of a namespace of its own: the JSON text of the plan. It is put
in, found and taken out by byte positions, so that the rest of the packet stays byte for byte.
Packets: XMP specification part 1 (ISO 16684-1:2019), sections 7.3 to 7.5.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.parsers import expat
from xml.sax.saxutils import escape

from imgedit_plugins.errors import PlanError

if TYPE_CHECKING:
    from imgedit_plugins.pictures import Picture
    from imgedit_plugins.plan import EditPlan

Warn = Callable[[str], None]

NAMESPACE = "urn:x-imgedit-plugins:xmp:1#"
"""Of the property that holds a plan."""

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_ROOT, _DESCRIPTION, _ABOUT = f"{_RDF} RDF", f"{_RDF} Description", f"{_RDF} about"
_PLAN = f"{NAMESPACE} Plan"

_ATTRIBUTE = rb"""\s+([^\s=]+)\s*=\s*("[^"]*"|'[^']*')"""
_PACKET = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
    b'<rdf:RDF xmlns:rdf="' + _RDF.encode() + b'">\n</rdf:RDF>\n</x:xmpmeta>\n'
    b'<?xpacket end="w"?>'
)


class MalformedXmpError(ValueError):
    """An XMP packet is no well-formed XML in UTF-8, or has no rdf:RDF."""


# --- packets ----------------------------------------------------------------------------------


def embed_plan(xmp: bytes | None, plan_json: str) -> bytes:
    """An XMP packet with this plan in it, in the place of an earlier one if there is one.

    Args:
        xmp: the packet; None for a new one.
        plan_json: the plan's JSON text.

    Raises:
        MalformedXmpError: the packet cannot be read, so nothing can be put into it safely.
    """
    packet = without_plan(xmp or _PACKET)
    found = _parse(packet)
    # The prefixes are declared here, since the packet may use others.
    text = escape(plan_json, {"\r": "&#13;"}).encode("ascii", "xmlcharrefreplace")
    about = escape(found.about, {'"': "&quot;"}).encode("utf-8")
    added = b'<rdf:Description xmlns:rdf="%s" rdf:about="%s" xmlns:imgedit="%s">' % (
        _RDF.encode(), about, NAMESPACE.encode(),
    )  # fmt: skip
    added += b"<imgedit:Plan>" + text + b"</imgedit:Plan></rdf:Description>"
    end = found.end
    if found.empty:  # <rdf:RDF .../>
        tag = packet[found.start : end]
        name = tag[1:].split(maxsplit=1)[0].removesuffix(b"/>")
        return packet[: end - 2] + b">" + added + b"</" + name + b">" + packet[end:]
    return packet[:end] + added + packet[end:]


def embedded_plan(xmp: bytes | None) -> str | None:
    """The JSON text of the plan in an XMP packet; None if it holds none.

    Raises:
        MalformedXmpError: the packet seems to hold a plan and cannot be read.
    """
    if xmp is None or NAMESPACE.encode() not in xmp:
        return None
    plans = _parse(xmp).plans
    return plans[0].text if plans else None


def without_plan(xmp: bytes) -> bytes:
    """An XMP packet without the plan in it; the same bytes if it holds none.

    Raises:
        MalformedXmpError: the packet seems to hold a plan and cannot be read.
    """
    if NAMESPACE.encode() not in xmp:
        return xmp
    for place in sorted(_parse(xmp).plans, key=lambda place: place.start, reverse=True):
        xmp = xmp[: place.start] + xmp[place.end :]
    return xmp


@dataclass
class _Place:
    """A plan: its text, and the bytes that go when it is taken out."""

    text: str
    start: int
    end: int


@dataclass
class _Element:
    name: str
    start: int
    attributes: dict[str, str]
    parts: list[str] = field(default_factory=list)  # names of the elements inside
    text: str = ""


class _Found:
    """What `_parse` collects: where rdf:RDF ends, of what it speaks, and the plans in it.

    `end` is where its end tag starts or, for an empty element, where the element ends.
    """

    def __init__(self, packet: bytes) -> None:
        self.packet, self.plans, self.about = packet, list[_Place](), ""
        self.start, self.end, self.empty = -1, -1, False
        self._open: list[_Element] = []
        self._prefixes: set[str] = set()
        self.parser = parser = expat.ParserCreate("utf-8", namespace_separator=" ")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartNamespaceDeclHandler = self._namespace
        parser.StartElementHandler = self._starts
        parser.CharacterDataHandler = self._text
        parser.EndElementHandler = self._ends

    def _doctype(self, *_: Any) -> None:
        raise MalformedXmpError("a document type, which XMP has none of")

    def _namespace(self, prefix: str | None, uri: str) -> None:
        if uri == NAMESPACE and prefix:
            self._prefixes.add(prefix)

    def _starts(self, name: str, attributes: dict[str, str]) -> None:
        inside = self._open[-1] if self._open else None
        element = _Element(name, self.parser.CurrentByteIndex, attributes)
        if inside is not None:
            inside.parts.append(name)
        self._open.append(element)
        if name == _DESCRIPTION and inside is not None and inside.name == _ROOT:
            self.about = self.about or attributes.get(_ABOUT, attributes.get("about", ""))
            if _PLAN in attributes:
                self._attribute(element)

    def _text(self, text: str) -> None:
        self._open[-1].text += text

    def _attribute(self, element: _Element) -> None:
        """A plan that another program wrote anew as an attribute of a description."""
        at = re.compile(rb"<[^\s/>]+").match(self.packet, element.start)
        while at and (at := re.compile(_ATTRIBUTE).match(self.packet, at.end())):
            prefix, _, name = at[1].decode("utf-8").partition(":")
            if name == "Plan" and prefix in self._prefixes:
                text = element.attributes[_PLAN]
                self.plans.append(_Place(text, at.start(), at.end()))
                return

    def _ends(self, name: str) -> None:
        element, at = self._open.pop(), self.parser.CurrentByteIndex
        # For an empty element expat gives the place behind it.
        bare = not element.parts and not element.text
        empty = bare and self.packet[at - 2 : at] == b"/>"
        if name == _ROOT and self.end < 0:
            self.start, self.end, self.empty = element.start, at, empty
        above = [e.name for e in self._open[-2:]]
        end = at if empty else self.packet.index(b">", at) + 1
        if name == _PLAN and above == [_ROOT, _DESCRIPTION]:
            self.plans.append(_Place(element.text, element.start, end))
        elif name == _DESCRIPTION and above[-1:] == [_ROOT] and _holds_only_a_plan(element):
            self.plans[-1].start, self.plans[-1].end = element.start, end


def _holds_only_a_plan(description: _Element) -> bool:
    return description.parts == [_PLAN] and set(description.attributes) <= {_ABOUT, "about"}


def _parse(xmp: bytes) -> _Found:
    # Some programs end a packet with zeros.
    packet = xmp.rstrip(b"\0")
    found = _Found(packet)
    try:
        found.parser.Parse(packet, True)
    except (expat.ExpatError, LookupError, UnicodeDecodeError) as error:
        raise MalformedXmpError(str(error)) from error
    if found.end < 0:
        raise MalformedXmpError("no rdf:RDF")
    return found


# --- pictures ---------------------------------------------------------------------------------


def with_plan(picture: Picture, plan: EditPlan, *, on_warning: Warn | None = None) -> Picture:
    """The picture with `plan` in its XMP metadata, where `plan` is what was just done to it.

    If the picture brought a plan along, the two are composed, since both were done; a plan that
    does not compose (other definitions, damaged) is replaced with a warning. Malformed XMP is left
    as it is, also with a warning.

    Raises:
        PlanError: `plan` abstained.
    """
    if plan.abstained:
        raise PlanError("A plan that abstained says nothing to keep in a picture.")
    warn = on_warning or _silent
    xmp = picture.metadata.xmp
    try:
        whole = _after(embedded_plan(xmp), plan, warn)
        packet = embed_plan(xmp, whole.to_json(indent=None).strip())
    except MalformedXmpError as error:
        warn(f"The picture's XMP data are malformed ({error}), so the plan was not put into them.")
        return picture
    return dataclasses.replace(picture, metadata=dataclasses.replace(picture.metadata, xmp=packet))


def _silent(_: str) -> None:
    return None


def _after(earlier: str | None, plan: EditPlan, warn: Warn) -> EditPlan:
    """The plan of all that was done."""
    from imgedit_plugins.plan import parse_plan
    from imgedit_plugins.plan_algebra import compose

    if earlier is None:
        return plan
    try:
        first = parse_plan(earlier)
        return compose(first, plan) if first.operations else plan
    except PlanError as error:
        reason = error.message.rstrip(".")
        warn(f"The plan that the picture brought along was replaced, not continued: {reason}.")
        return plan


def plan_in_file(path: str | os.PathLike[str]) -> EditPlan:
    """The plan in the XMP of a picture file, or in an XMP sidecar file; decodes no pixels.

    Raises:
        PictureReadError: the file cannot be read.
        PlanError: it holds no plan, or one that is not valid.
    """
    from imgedit_plugins.picture_files.reading import read_xmp
    from imgedit_plugins.plan import parse_plan

    path = Path(path)
    try:
        text = embedded_plan(read_xmp(path))
    except MalformedXmpError as error:
        raise PlanError(f"{path}: its XMP data are malformed: {error}.") from error
    if text is None:
        raise PlanError(
            f"{str(path)!r} holds no edit plan.",
            hint="`imgedit-plugins apply --embed-plan` puts the plan into the pictures it makes.",
        )
    try:
        return parse_plan(text)
    except PlanError as error:
        raise PlanError(f"{path}: {error.message}", problems=error.problems) from error
