"""Writing with a decoder part: embeddings in, logits and hidden states out, a cache in between.

A decoder part takes ``embeds`` (1, length, width) and, for each layer, ``past_key_N`` and
``past_value_N`` (1, heads, cached, head width); it gives ``logits`` (1, vocabulary) of the last
position, ``states`` (1, length, width) and ``key_N``, ``value_N`` with the new positions in them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from imgedit_exporters.runtime.providers import PROVIDERS
from imgedit_exporters.runtime.sessions import Bundle
from imgedit_exporters.runtime.texts import Decode, Text
from imgedit_plugins.errors import WeightsError

Floats = NDArray[np.float32]
Choose = Callable[[Floats], int]
"""The next token, from logits of the whole vocabulary; -inf for what may not be written. It leaves
the logits as they are."""


@dataclass(frozen=True)
class Step:
    """What a decoder makes of some positions.

    Attributes:
        logits: (vocabulary,) of the token that follows the last position.
        states: (length, width): hidden states of the positions.
        cache: for the next step; values of onnxruntime, on the session's device.
    """

    logits: Floats
    states: Floats
    cache: tuple[Any, ...]


class Reads(Protocol):
    """A decoder."""

    def __call__(self, embeds: Floats, cache: tuple[Any, ...] = ()) -> Step:
        """Read some positions behind those of a cache.

        Args:
            embeds: (length, width).
            cache: of an earlier step, or () to begin.
        """
        ...

    def first(self, cache: tuple[Any, ...], count: int) -> tuple[Any, ...]:
        """The cache of its first `count` positions, which later steps leave as it is."""
        ...


class Decoder:
    """A decoder part.

    Args:
        session: of onnxruntime.
        device: where the cache is kept, 'cpu' or 'cuda'.

    Raises:
        WeightsError: the part has other inputs.
    """

    def __init__(self, session: Any, device: str = "cpu") -> None:
        self._session, self._device = session, device
        inputs = {one.name: one for one in session.get_inputs()}
        self._past = tuple(name for name in inputs if name.startswith("past_"))
        self._present = tuple(
            one.name for one in session.get_outputs() if one.name not in ("logits", "states")
        )
        if "embeds" not in inputs or len(self._past) != len(self._present) or not self._past:
            raise WeightsError("This part is no decoder: it has no embeddings or no cache.")
        shape = inputs[self._past[0]].shape
        self._empty = (1, int(shape[1]), 0, int(shape[3]))

    def __call__(self, embeds: Floats, cache: tuple[Any, ...] = ()) -> Step:
        """Read some positions behind those of a cache.

        Args:
            embeds: (length, width).
            cache: of an earlier step, or () to begin.
        """
        from onnxruntime import OrtValue

        binding = self._session.io_binding()
        binding.bind_cpu_input("embeds", np.ascontiguousarray(embeds[None], np.float32))
        if not cache:
            empty = np.zeros(self._empty, np.float32)
            cache = tuple(OrtValue.ortvalue_from_numpy(empty) for _ in self._past)
        for name, value in zip(self._past, cache, strict=True):
            binding.bind_ortvalue_input(name, value)
        for name in ("logits", "states"):
            binding.bind_output(name, "cpu")
        for name in self._present:
            binding.bind_output(name, self._device)
        self._session.run_with_iobinding(binding)
        logits, states, *present = binding.get_outputs()
        return Step(logits.numpy()[0], states.numpy()[0], tuple(present))

    def first(self, cache: tuple[Any, ...], count: int) -> tuple[Any, ...]:
        """The cache of its first `count` positions; it goes by way of the CPU."""
        from onnxruntime import OrtValue

        # Copied always: onnxruntime does not hold on to the memory of an array that is a view.
        kept = (np.array(value.numpy()[:, :, :count]) for value in cache)
        return tuple(OrtValue.ortvalue_from_numpy(one, self._device) for one in kept)


def decoder_of(bundle: Bundle, part: str = "decoder") -> Reads:
    """The decoder part of a bundle, its cache where the part runs.

    It remembers what it read last, until the part is let go of.

    Raises:
        WeightsError: there is none, or it is no decoder.
    """
    from imgedit_exporters.runtime.prefixes import Remembering

    return bundle.made_of(part, lambda session: Remembering(_decoder(session)))


def _decoder(session: Any) -> Reads:
    from imgedit_exporters.runtime.fused import FusedDecoder, is_fused

    cuda = session.get_providers()[0] == PROVIDERS["cuda"]
    kind = FusedDecoder if is_fused(session) else Decoder
    return kind(session, "cuda" if cuda else "cpu")


@dataclass(frozen=True)
class Rules:
    """When writing ends, and what may not be written.

    Attributes:
        end: the token that ends a text.
        longest: tokens after which it is broken off.
        ngram: no sequence of so many tokens is written that stands there already, prompt included;
            0 for no such rule.
        complete: told all new tokens; whether they are enough.
        choose: greedy by default; see `sampling`.
        on_token: told how many there are; what it raises ends the work.
        decode: the text of tokens, for the following and `Written.text`.
        stops: strings that end the text before them, however they fall on tokens.
        on_text: told the text piece by piece, see `Text`.
        probable: whether `Written.probabilities` are wanted, which take a little time.

    Raises:
        ValueError: there is something to do with the text, and no `decode`.
    """

    end: int
    longest: int = 96
    ngram: int = 0
    complete: Callable[[Sequence[int]], bool] = lambda _: False
    choose: Choose = field(default=lambda logits: int(logits.argmax()))
    on_token: Callable[[int], None] = lambda _: None
    decode: Decode | None = None
    stops: tuple[str, ...] = ()
    on_text: Callable[[str], None] | None = None
    probable: bool = False

    def __post_init__(self) -> None:
        if self.decode is None and (self.stops or self.on_text):
            raise ValueError("stop strings and streaming need `decode`")

    def text(self) -> Text:
        """A text by these rules that has not begun."""
        return Text(self.decode or (lambda _: ""), self.stops, self.on_text or (lambda _: None))


@dataclass(frozen=True)
class Written:
    """One text.

    Attributes:
        tokens: the new ones, the one that ended it included.
        states: (prompt + new tokens - 1, width): hidden states of all that was read.
        probabilities: of each token, by the decoder alone, before any rule; () without
            `Rules.probable`.
        text: of the tokens before the end and before a stop string; '' without `Rules.decode`.
    """

    tokens: tuple[int, ...]
    states: Floats
    probabilities: tuple[float, ...]
    text: str = ""


def write(
    decoder: Reads,
    embeds: Floats,
    rules: Rules,
    *,
    embed: Callable[[list[int]], Floats],
    prompt: Sequence[int] = (),
) -> Written:
    """A text behind a prompt.

    Args:
        decoder: see there.
        embeds: (length, width) of the prompt.
        rules: when it ends.
        embed: (tokens, width) of tokens.
        prompt: its tokens, for `Rules.ngram`.
    """
    ids, new, states, chances = list(prompt), list[int](), [], []
    text, step = rules.text(), decoder(embeds)
    spare = np.empty(step.logits.shape, np.float32)
    while True:
        states.append(step.states)
        logits = step.logits.astype(np.float32, copy=False)
        token = rules.choose(_without(logits, repeating(ids, rules.ngram)))
        if rules.probable:
            chances.append(_chance(logits, token, spare))
        ids.append(token)
        new.append(token)
        rules.on_token(len(new))
        over = token == rules.end or text.read(new)
        if over or len(new) >= rules.longest or rules.complete(new):
            return Written(tuple(new), np.concatenate(states), tuple(chances), text.end())
        step = decoder(embed([token]), step.cache)


def repeating(ids: Sequence[int], ngram: int) -> list[int]:
    """The tokens that would write a sequence of `ngram` tokens for the second time."""
    if ngram < 2 or len(ids) < ngram - 1:
        return []
    tail = list(ids[len(ids) - ngram + 1 :])
    ends = range(ngram - 1, len(ids))
    return [ids[i] for i in ends if list(ids[i - ngram + 1 : i]) == tail]


def sampling(seed: int, *, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> Choose:
    """A choice by chance, the same for the same seed.

    Args:
        seed: of the generator.
        temperature: above 0; below 1 the likely becomes likelier.
        top_k: only so many of the likeliest tokens; 0 for all.
        top_p: only the likeliest that together have this probability.

    Raises:
        ValueError: the temperature is not above 0.
    """
    if temperature <= 0:
        raise ValueError(f"a temperature is above 0, not {temperature}")
    rng = np.random.default_rng(seed)

    def choose(logits: Floats) -> int:
        chances = _softmax(logits / temperature)
        order = np.argsort(-chances, kind="stable")[: top_k or None]
        kept = chances[order]
        before = np.cumsum(kept) - kept
        kept = np.where(before < top_p * kept.sum(), kept, 0.0)
        return int(order[rng.choice(len(order), p=kept / kept.sum())])

    return choose


def _without(logits: Floats, tokens: Sequence[int]) -> Floats:
    """Logits of which some tokens may not be written."""
    if not tokens:
        return logits
    allowed = logits.copy()
    allowed[tokens] = -np.inf
    return allowed


def _chance(logits: Floats, token: int, spare: Floats) -> float:
    """The probability of a token, in a fraction of the time that those of all would take.

    `spare` is memory like that of the logits: to ask for it at each token takes as long as the sum.
    """
    np.exp(np.subtract(logits, logits.max(), out=spare), out=spare)
    return float(spare[token] / spare.sum())


def _softmax(logits: Floats) -> NDArray[np.float64]:
    raised = np.exp(logits.astype(np.float64) - logits.max())
    return np.asarray(raised / raised.sum(), np.float64)
