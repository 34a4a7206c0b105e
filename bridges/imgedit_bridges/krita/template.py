"""Filter layers and a group for them as a Krita document, from which Krita clones them.

Curves cannot be set through Krita's Python: it ignores them (5.2). What a .kra file says about a
filter is taken as it stands, whatever the filter; so is a mask, which a group that is in no
document does not accept.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from imgedit_bridges.krita.forms import Filter

_NAME = "imgedit"

_MODELS = {"U8": "RGBA", "U16": "RGBA16"}  # as .kra files name them
_KIND = "application/x-krita"
_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE DOC PUBLIC '-//KDE//DTD krita 2.0//EN' 'http://www.calligra.org/DTD/krita-2.0.dtd'>
<DOC xmlns="http://www.calligra.org/DTD/krita" syntaxVersion="2.0" editor="Krita"
 kritaVersion="5.2.9">
<IMAGE mime="application/x-kra" name={name} width="1" height="1" x-res="100" y-res="100"
 colorspacename={space} profile={profile}>
"""
_COMMON = 'visible="1" locked="0" x="0" y="0"'
_NO_TILES = "VERSION 2\nTILEWIDTH 64\nTILEHEIGHT 64\nPIXELSIZE 1\nDATA 0\n"


def document(filters: Sequence[Filter], *, masked: bool, depth: str, profile: str) -> bytes:
    """A .kra of one pixel with filter layers, which act on pictures of any size, and a group.

    The layers are not in the group: Krita crashes when a layer is taken out of a group that is in
    no document, and others may have to come below them.

    Args:
        filters: the first one becomes the lowest layer; the group lies on top of all.
        masked: whether the group has a transparency mask, which hides all.
        depth: of its RGB colours, 'U8' or 'U16'.
        profile: of its colours.
    """
    layers = [_layer(one, number) for number, one in enumerate(filters)]
    mask = f'<mask name="Selection" nodetype="transparencymask" filename="mask" {_COMMON}/>'
    group = (
        f'<layer name="{_NAME}" nodetype="grouplayer" filename="group" opacity="255"'
        f' compositeop="normal" passthrough="0" collapsed="0" channelflags="" {_COMMON}>'
        f"{f'<layers>{mask}</layers>' if masked else ''}</layer>"
    )
    listed = "\n".join([group, *reversed(layers)])  # the top one comes first
    named = {"name": _NAME, "space": _MODELS[depth], "profile": profile}
    head = _HEAD.format(**{name: quoteattr(value) for name, value in named.items()})
    text = f"{head}<layers>\n{listed}\n</layers></IMAGE></DOC>\n"
    entries = {"mimetype": _KIND.encode(), "maindoc.xml": text.encode()}
    for number, one in enumerate(filters):
        entries[f"{_NAME}/layers/layer{number}.filterconfig"] = _settings(one)
        entries |= _selection(f"layer{number}", 255)
    if masked:
        entries |= _selection("mask", 0)
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w") as file:
        for name, data in entries.items():
            file.writestr(name, data)
    return kept.getvalue()


def _layer(one: Filter, number: int) -> str:
    return (
        f'<layer name={quoteattr(one.name)} nodetype="adjustmentlayer" filename="layer{number}"'
        f' filtername={quoteattr(one.filter)} filterversion="{one.version}" opacity="255"'
        f' compositeop="copy" collapsed="0" channelflags="" {_COMMON}/>'
    )


def _settings(one: Filter) -> bytes:
    lines = [
        f"<param name={quoteattr(name)}>{escape(_value(value))}</param>"
        for name, value in one.properties.items()
    ]
    inner = "\n".join(lines)
    text = f'<!DOCTYPE params>\n<params version="{one.version}">\n{inner}\n</params>\n'
    return text.encode()


def _value(value: float | int | str | bool) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else f"{value:.9g}"


def _selection(name: str, default: int) -> dict[str, bytes]:
    """A mask without pixels of its own: `default`, 0..255, everywhere and for ever."""
    path = f"{_NAME}/layers/{name}.pixelselection"
    return {path: _NO_TILES.encode(), f"{path}.defaultpixel": bytes([default])}
