"""Constrained decoding by JSON Schema: a model that can only write what a schema allows.

Nested objects, ranges of numbers and lengths would be much to write for `constrained_decoding`,
so this is left to llguidance, an engine of several servers of language models: MIT, 3 MB, without
dependencies. Of the others that are kept, xgrammar brings Triton and a tensor runtime along,
Outlines a cache on disk and its own wrappers of models; lm-format-enforcer goes through all tokens
in Python.
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


class JsonForm:
    """A schema together with a tokenizer; may be used for many texts.

    Args:
        schema: JSON Schema.
        tokenizer: of transformers, a fast one.
        decimals: places that numbers have at most: without a limit, a model that is at a loss
            writes digits until its tokens are spent.

    Raises:
        MissingPackageError: llguidance is not installed.
        ImgeditError: the tokenizer is none that can be constrained.
    """

    def __init__(self, schema: Mapping[str, Any], tokenizer: Any, *, decimals: int = 3) -> None:
        if importlib.util.find_spec("llguidance") is None:
            raise MissingPackageError("llguidance", "Constrained decoding by JSON Schema")
        import llguidance

        # A model that likes white space would write nothing else until its tokens are spent.
        options: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
        self.grammar = llguidance.LLMatcher.grammar_from_json_schema(
            json.dumps(_limited(dict(schema), 10.0**-decimals)), overrides=options
        )
        self._tokenizer = tokenizer
        self._tables: dict[int, Any] = {}

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
        matcher = llguidance.LLMatcher(self._tables[size], self.grammar, log_level=0)
        if fault := matcher.get_error():
            raise ImgeditError(f"No answer can have the wanted form: {fault}.")
        return matcher


def _limited(schema: Any, step: float) -> Any:
    """The same schema, its numbers multiples of a step where it does not say of which."""
    if isinstance(schema, list):
        return [_limited(one, step) for one in schema]
    if not isinstance(schema, dict):
        return schema
    limited = {name: _limited(value, step) for name, value in schema.items()}
    if schema.get("type") == "number":
        limited.setdefault("multipleOf", step)
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
