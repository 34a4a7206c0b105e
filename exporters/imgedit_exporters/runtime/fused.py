"""Decoders in onnxruntime-genai's form: a cache in buffers that past and present share.

Such a part takes ``inputs_embeds`` (1, length, width), ``attention_mask`` (1, cached + length) and,
for each layer N, ``past_key_values.N.key`` and ``.value`` (1, heads, size, head width); it gives
``logits`` (1, 1, vocabulary) of the last position, ``hidden_states`` (1, length, width) and
``present.N.key``, ``present.N.value``. All may be in float16. Where past and present are the same
buffers, larger than what is in them, a step writes its own positions alone and copies nothing.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgedit_exporters.runtime.decoding import Floats, Step
from imgedit_exporters.runtime.providers import CPU
from imgedit_exporters.runtime.sessions import run
from imgedit_plugins.errors import WeightsError
from imgedit_plugins.exporting import Array, Arrays

EMBEDS, MASK, STATES = "inputs_embeds", "attention_mask", "hidden_states"
_ANSWERS = ("logits", STATES)
_Places = tuple[tuple[str, type[np.floating[Any]], tuple[int, ...]], ...]
"""Name, type and shape of each of `_ANSWERS`."""

_PAST, _PRESENT = "past_key_values.", "present."

BLOCK = 64
"""Buffers have room for a multiple of so many positions."""

_AHEAD = 128
"""Positions that a new buffer has room for at least, behind those that are asked for: most texts of
this project end before, and are never copied."""

_LARGE = 1 << 22
"""Bytes from which on numpy asks for pages of 2 MiB."""


def is_fused(session: Any) -> bool:
    """Whether a session is a decoder in this form."""
    return any(one.name == EMBEDS for one in session.get_inputs())


class FusedDecoder:
    """A decoder part in this form; used as `decoding.Decoder` is. Threads may share it.

    Args:
        session: of onnxruntime.
        device: where the cache is kept, 'cpu' or 'cuda'. In float32 it is always 'cpu', since
            onnxruntime's fused attention computes float32 nowhere else.

    Raises:
        WeightsError: the part has other inputs.
    """

    def __init__(self, session: Any, device: str = "cpu") -> None:
        self._session, form = session, _Form(session)
        self._form, self._device = form, device if form.dtype == np.float16 else "cpu"
        self._lock = threading.Lock()

    def __call__(self, embeds: Floats, cache: tuple[Any, ...] = ()) -> Step:
        """Read some positions behind those of a cache.

        Args:
            embeds: (length, width).
            cache: of an earlier step, or () to begin. Its positions stay what they are, whatever
                is read behind it.
        """
        held = cache[0] if cache else _Held(_Buffers(), 0)
        total = held.count + len(embeds)
        buffers = self._claimed(held, total)
        binding = buffers.binding
        binding.bind_cpu_input(EMBEDS, np.ascontiguousarray(embeds[None], self._form.dtype))
        binding.bind_cpu_input(MASK, buffers.mask[:, :total])
        if len(embeds) == 1 and self._form.places is not None:
            logits, states = self._one(buffers, self._form.places)
        else:
            logits, states = self._some(buffers)
        return Step(logits, states, (_Held(buffers, total),))

    def _some(self, buffers: _Buffers) -> tuple[Floats, Floats]:
        """What comes of any number of positions, in memory that onnxruntime asks for."""
        binding, buffers.answers = buffers.binding, ()
        for name in _ANSWERS:
            binding.bind_output(name, "cpu")
        self._session.run_with_iobinding(binding)
        # The caches are among the outputs, and to make an object of each takes long.
        made = binding.get_outputs_as_ortvaluevector()
        logits, states = (
            one.numpy()[0].astype(np.float32, copy=False) for one in (made[0], made[1])
        )
        return logits[-1], states

    def _one(self, buffers: _Buffers, places: _Places) -> tuple[Floats, Floats]:
        """The same of one position, in memory that is bound once: most steps are such."""
        if not buffers.answers:
            buffers.answers = tuple(np.empty(shape, dtype) for _, dtype, shape in places)
            for (name, dtype, shape), array in zip(places, buffers.answers, strict=True):
                buffers.binding.bind_output(name, "cpu", 0, dtype, shape, array.ctypes.data)
        self._session.run_with_iobinding(buffers.binding)
        logits, states = buffers.answers
        return logits[0, -1].astype(np.float32), states[0].astype(np.float32)

    def first(self, cache: tuple[Any, ...], count: int) -> tuple[Any, ...]:
        """The cache of the first `count` positions of another, with room of its own behind it."""
        held = cache[0]
        if not 0 <= count <= held.count:
            raise ValueError(f"a cache of {held.count} positions has no first {count}")
        if count == held.buffers.filled:
            return (held,)
        return (_Held(self._copy(held.buffers, count, count), count),)

    def _claimed(self, held: _Held, total: int) -> _Buffers:
        """Buffers that nobody else writes behind a cache in; a copy where there are others."""
        buffers = held.buffers
        with self._lock:
            if held.count == buffers.filled and total <= buffers.size:
                buffers.filled = total
                return buffers
        return self._copy(buffers, held.count, total)

    def _copy(self, before: _Buffers, count: int, total: int) -> _Buffers:
        """Buffers with the first `count` positions of others, and room for `total` and more."""
        # Twice as large each time, so that a long text is copied few times.
        size = -(-max(total + _AHEAD, min(2 * count, total + 1024)) // BLOCK) * BLOCK
        values = {
            name: self._room(before.values.get(name), count, size) for name in self._form.past
        }
        made = _Buffers(values, total, size, self._session.io_binding())
        for name in _ANSWERS:  # they come first in what the binding gives
            made.binding.bind_output(name, "cpu")
        for past, present in zip(self._form.past, self._form.present, strict=True):
            made.binding.bind_ortvalue_input(past, values[past])
            made.binding.bind_ortvalue_output(present, values[past])
        return made

    def _room(self, before: Any, count: int, size: int) -> Any:
        """A buffer with the first `count` positions of another one."""
        from onnxruntime import OrtValue

        heads, width = self._form.sizes
        room = in_small_pages((1, heads, size, width), self._form.dtype)
        if count:
            room[:, :, :count] = before.numpy()[:, :, :count]
        return OrtValue.ortvalue_from_numpy(room, self._device, 0)


def in_small_pages(shape: tuple[int, ...], dtype: type[np.floating[Any]]) -> NDArray[Any]:
    """Zeros in memory that is not asked for in pages of 2 MiB, as numpy's large arrays are.

    A token is written to as many places as there are heads, far from each other, so each would
    have such a page cleared; and the system looks long for them where memory is in pieces.
    """
    count = math.prod(shape)
    size = count * np.dtype(dtype).itemsize
    if size < _LARGE or not hasattr(mmap, "MADV_NOHUGEPAGE"):
        return np.zeros(shape, dtype)
    memory = mmap.mmap(-1, size)
    with contextlib.suppress(OSError):  # a system without pages of 2 MiB
        memory.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(memory, dtype, count).reshape(shape)


class _Buffers:
    """The keys and values of all layers, with room behind them.

    Attributes:
        values: by the name of the input.
        filled: positions that somebody has written, or is about to.
        size: positions that there is room for.
        binding: of the session, to these.
        mask: (1, size) of ones.
        answers: logits and hidden states of one position, where they are bound to.
    """

    def __init__(
        self,
        values: dict[str, Any] | None = None,
        filled: int = 0,
        size: int = 0,
        binding: Any = None,
    ) -> None:
        self.values = values or {}
        self.filled, self.size, self.binding = filled, size, binding
        self.mask = np.ones((1, size), np.int64)
        self.answers: tuple[NDArray[Any], ...] = ()


@dataclass(frozen=True)
class _Held:
    """A cache: the first `count` positions of buffers."""

    buffers: _Buffers
    count: int

    def tensor_size_in_bytes(self) -> int:
        """What its positions take, called as onnxruntime's values call it."""
        whole: int = sum(one.tensor_size_in_bytes() for one in self.buffers.values.values())
        return whole * self.count // max(self.buffers.size, 1)


class _Form:
    """Names, sizes and type of a decoder in this form."""

    def __init__(self, session: Any) -> None:
        inputs = {one.name: one for one in session.get_inputs()}
        outputs = {one.name for one in session.get_outputs()}
        layers = sum(name.startswith(_PAST) for name in inputs) // 2
        kinds = [f"{layer}.{kind}" for layer in range(layers) for kind in ("key", "value")]
        self.past = tuple(f"{_PAST}{kind}" for kind in kinds)
        self.present = tuple(f"{_PRESENT}{kind}" for kind in kinds)
        if (
            not layers
            or set(inputs) != {EMBEDS, MASK, *self.past}
            or not outputs >= {"logits", STATES, *self.present}
        ):
            raise WeightsError(
                "This part is no decoder: it lacks embeddings or a cache, or has other inputs too."
            )
        half = inputs[EMBEDS].type == "tensor(float16)"
        self.dtype: type[np.floating[Any]] = np.float16 if half else np.float32
        _, heads, _, width = inputs[self.past[0]].shape
        self.sizes = (int(heads), int(width))
        self.places = _places(session)


def _places(session: Any) -> _Places | None:
    """What answers of one position take; None where other devices than the CPU make them."""
    outputs = {one.name: one for one in session.get_outputs()}
    sizes = {name: outputs[name].shape[-1] for name in _ANSWERS}
    if session.get_providers() != [CPU] or not all(isinstance(n, int) for n in sizes.values()):
        return None
    half = {name: outputs[name].type == "tensor(float16)" for name in _ANSWERS}
    return tuple(
        (name, np.float16 if half[name] else np.float32, (1, 1, size))
        for name, size in sizes.items()
    )


def answers(session: Any, inputs: Arrays, name: str = "") -> list[Array]:
    """What a part makes of the inputs that its plugin declared, whatever form its graph has.

    Args:
        session: of the part.
        inputs: by name; of a decoder as `decoding` tells.
        name: of the part, for people.

    Returns:
        The declared outputs, in order.

    Raises:
        ImgeditError: the arrays do not fit the part.
    """
    if not is_fused(session):
        return run(session, inputs, name)
    form = _Form(session)
    past = [array for one, array in inputs.items() if one.startswith("past_")]
    embeds = inputs["embeds"]
    total = past[0].shape[2] + embeds.shape[1]
    given = dict(zip(form.past, past, strict=True)) | {EMBEDS: embeds}
    given = {one: array.astype(form.dtype) for one, array in given.items()}
    given[MASK] = np.ones((len(embeds), total), np.int64)
    names = [one.name for one in session.get_outputs()]
    made = dict(zip(names, run(session, given, name), strict=True))
    return [made["logits"][:, -1], made[STATES], *(made[one] for one in form.present)]
