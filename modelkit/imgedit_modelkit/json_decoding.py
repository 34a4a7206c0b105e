"""Constrained decoding by JSON Schema: a model that can only write what a schema allows.

Nested objects, ranges of numbers and lengths would be much to write for `constrained_decoding`
(which is for texts that are no JSON), so this is left to llguidance, an engine of several servers
of language models: MIT, 3 MB, without dependencies. Of the others that are kept, xgrammar brings
Triton and a tensor runtime along, Outlines a cache on disk and its own wrappers of models;
lm-format-enforcer goes through all tokens in Python.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import LogitsProcessor

from imgedit_modelkit.errors import MissingPackageError
from imgedit_plugins.errors import ImgeditError

_PLAIN = r'^[^"\\\x00-\x1f\x7f-\x9f]*$'
"""Texts that stand in JSON as they are: each is written in one way only."""

_KEPT = 8
"""Forms that are remembered."""


class JsonForms:
    """The forms that a tokenizer can write; what is known of the tokenizer serves all of them.

    Args:
        tokenizer: of transformers, a fast one.
        decimals: places that numbers have at most: without a limit, a model that is at a loss
            writes digits until its tokens are spent.

    Raises:
        MissingPackageError: llguidance is not installed.
    """

    def __init__(self, tokenizer: Any, *, decimals: int = 3) -> None:
        if importlib.util.find_spec("llguidance") is None:
            raise MissingPackageError("llguidance", "Constrained decoding by JSON Schema")
        self._tokenizer, self._step = tokenizer, 10.0**-decimals
        self._tables: dict[int, Any] = {}
        self._known: dict[str, JsonForm] = {}

    def form(self, schema: Mapping[str, Any]) -> JsonForm:
        """The form of a schema, whose texts have no quotes, backslashes and control characters."""
        key = json.dumps(_limited(dict(schema), self._step))
        if key not in self._known:
            while len(self._known) >= _KEPT:
                del self._known[next(iter(self._known))]
            self._known[key] = JsonForm(key, self)
        return self._known[key]

    def table(self, size: int) -> Any:
        """The tokenizer as llguidance sees it, for a model whose output has that many tokens.

        Raises:
            ImgeditError: it is none that can be constrained.
        """
        import llguidance.hf

        if size not in self._tables:
            try:
                self._tables[size] = llguidance.hf.from_tokenizer(self._tokenizer, n_vocab=size)
            except (ValueError, RuntimeError) as error:
                told = " ".join(str(error).split())[:200]
                raise ImgeditError(
                    f"This language model's tokenizer cannot be held to a form: {told}.",
                    hint="Turn constrained decoding off.",
                ) from error
        return self._tables[size]


class JsonForm:
    """A schema together with a tokenizer, as `JsonForms` makes it; may be used for many texts."""

    def __init__(self, schema: str, forms: JsonForms) -> None:
        import llguidance

        # A model that likes white space would write nothing else until its tokens are spent.
        options: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
        self._grammar = llguidance.LLMatcher.grammar_from_json_schema(schema, overrides=options)
        self._forms = forms

    def processor(self, prompt_tokens: int) -> LogitsProcessor:
        """A fresh processor for one text of one call of `generate`.

        Args:
            prompt_tokens: how many of the ids that arrive are those of the prompt.
        """
        return _Processor(self, prompt_tokens)

    def matcher(self, size: int) -> Any:
        """What follows one text, for a model whose output has that many tokens.

        Raises:
            ImgeditError: the schema or the tokenizer cannot be used.
        """
        import llguidance

        matcher = llguidance.LLMatcher(self._forms.table(size), self._grammar, log_level=0)
        if fault := matcher.get_error():
            raise ImgeditError(f"No answer can have the wanted form: {fault}.")
        return matcher


def _limited(schema: Any, step: float) -> Any:
    """The same schema, its numbers multiples of a step and its texts plain where it is free."""
    if isinstance(schema, list):
        return [_limited(one, step) for one in schema]
    if not isinstance(schema, dict):
        return schema
    limited = {name: _limited(value, step) for name, value in schema.items()}
    if schema.get("type") == "number":
        limited.setdefault("multipleOf", step)
    if schema.get("type") == "string" and not {"enum", "const", "pattern", "format"} & set(schema):
        limited["pattern"] = _PLAIN
    return limited


class _Processor(LogitsProcessor):
    """Minus infinity for every token that the schema does not allow; for batches of one."""

    def __init__(self, form: JsonForm, prompt_tokens: int) -> None:
        self._form = form
        self._read = prompt_tokens
        self._matcher: Any = None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        if len(input_ids) != 1:
            raise ValueError(f"one text at a time, not {len(input_ids)}")
        if self._matcher is None:
            self._matcher = self._form.matcher(scores.shape[-1])
        new = input_ids[0, self._read :].tolist()
        if new and not self._matcher.is_stopped() and not self._matcher.consume_tokens(new):
            raise ImgeditError(
                f"Constrained decoding lost its way: {self._matcher.get_error() or 'no reason'}."
            )
        self._read += len(new)
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        allowed = np.unpackbits(bits, bitorder="little")[: scores.shape[-1]].astype(bool)
        mask = torch.from_numpy(allowed).to(scores.device)
        return scores.masked_fill(~mask, -torch.inf)
