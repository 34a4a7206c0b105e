"""A decoder's ONNX file with more layers: its middle layer repeated, with weights of its own each.

Their numbers are the same but for the lowest bits of the first one, so that nobody who compares
weights can keep a layer's for all: they lie in the file, and in memory, once for each layer, and
have to be read as often as those of a real model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx

_LAYER = re.compile(r"(layers|past_key_values|present)\.(\d+)(?=[./])")
_CHUNK = 1 << 24


def deepen(path: Path, before: int, after: int) -> None:
    """Rewrite a decoder of genai's builder.

    Args:
        path: of the file, its weights beside it in one other file; both are replaced.
        before: its layers; 3 where there shall be more.
        after: the layers that it shall have.

    Raises:
        ValueError: it has not the layers that it should have.
    """
    if before == after:
        return
    if before != 3 or after < before:
        raise ValueError(f"{path} has {before} layers, and cannot get {after}")
    model = onnx.load(str(path), load_external_data=False)
    graph: Any = model.graph
    for kind in (graph.node, graph.initializer, graph.input, graph.output, graph.value_info):
        made = [copy for one in kind for copy in _copies(one, after)]
        del kind[:]
        kind.extend(made)
    if len({one.name for one in graph.initializer}) != len(graph.initializer):
        raise ValueError(f"{path} has layers that are not named by their number")
    _gather(path, graph.initializer)
    onnx.save(model, str(path))


def _copies(one: Any, after: int) -> Iterator[Any]:
    """What stands for a node or value in the deeper model."""
    own = _LAYER.search(one.name)
    number = int(own.group(2)) if own else 0
    if number == 1:
        for layer in range(1, after - 1):
            yield _moved(one, layer - 1)
    else:
        # The last layer, and what reads what it makes.
        yield _moved(one, after - 3, beginning=1)


def _moved(one: Any, by: int, beginning: int = 0) -> Any:
    """The same with higher numbers of layers, from the layer `beginning` on."""
    made = type(one)()
    made.CopyFrom(one)

    def number(found: re.Match[str]) -> str:
        layer = int(found.group(2))
        return f"{found.group(1)}.{layer + by if layer >= beginning else layer}"

    made.name = _LAYER.sub(number, made.name)
    if isinstance(made, onnx.NodeProto):
        for names in (made.input, made.output):
            names[:] = [_LAYER.sub(number, name) for name in names]
    return made


def _gather(path: Path, initializers: Any) -> None:
    """Give each initializer that lies outside a place of its own."""
    outside = [one for one in initializers if one.external_data]
    if not outside:
        return
    (name,) = {_entries(one)["location"] for one in outside}
    old, new = path.with_name(name), path.with_name(f"{name}.new")
    with old.open("rb") as source, new.open("wb") as target:
        for one in outside:
            entries = _entries(one)
            offset, length = int(entries.get("offset", 0)), int(entries["length"])
            target.seek(-(-target.tell() // 4096) * 4096)
            del one.external_data[:]
            told = {"location": name, "offset": target.tell(), "length": length}
            for key, value in told.items():
                entry = one.external_data.add()
                entry.key, entry.value = key, str(value)
            source.seek(offset)
            first = source.read(1)[0] ^ _number(one.name)
            target.write(bytes([first]))
            length -= 1
            while length:
                chunk = source.read(min(length, _CHUNK))
                target.write(chunk)
                length -= len(chunk)
    new.replace(old)


def _number(name: str) -> int:
    """Of a layer, from 0 to 63; 0 of what belongs to none."""
    found = _LAYER.search(name)
    return int(found.group(2)) & 63 if found else 0


def _entries(one: Any) -> dict[str, str]:
    return {entry.key: entry.value for entry in one.external_data}
