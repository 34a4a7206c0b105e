"""transformers' LLaMA: text, greedily; eager or with torch.compile, in float32 or bfloat16."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks.exporting.llama import drawn
from benchmarks.exporting.shapes import Lengths, Shape, prompt


def prepare(task: Mapping[str, Any]) -> Callable[[int], dict[str, Any]]:
    """A saved model, or where there is none one with drawn weights."""
    from transformers import LlamaForCausalLM

    torch.set_num_threads(task["threads"])
    dtype = getattr(torch, task["dtype"])
    lengths, shape = Lengths(**task["lengths"]), Shape.of(task["shape"])
    kind: Any = LlamaForCausalLM
    if task["folder"]:
        model = kind.from_pretrained(Path(task["folder"]), dtype=dtype).eval()
    else:
        model = drawn(shape, shape.layers, dtype)
    if task["compiled"]:
        return _compiled(model, shape, lengths)

    @torch.inference_mode()
    def work(number: int) -> dict[str, Any]:
        cache: Any = None
        written: list[int] = []
        times: list[float] = []
        ids = prompt(shape.vocabulary, lengths, number)
        started = time.perf_counter()
        while len(written) < lengths.new:
            read = torch.tensor([written[-1:] or ids])
            made = model(read, past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache = made.past_key_values
            written.append(int(made.logits[0, -1].argmax()))
            times.append(time.perf_counter())
        return {"first": times[0] - started, "rest": times[-1] - times[0], "tokens": written}

    return work


def _compiled(model: Any, shape: Shape, lengths: Lengths) -> Callable[[int], dict[str, Any]]:
    """With a cache of a fixed size, as compiling wants it."""
    from transformers import StaticCache

    static: Any = StaticCache
    step: Any = torch.compile(model, dynamic=False)
    size = lengths.prompt + lengths.new

    @torch.inference_mode()
    def work(number: int) -> dict[str, Any]:
        cache = static(config=model.config, max_cache_len=size)
        written: list[int] = []
        times: list[float] = []
        ids = prompt(shape.vocabulary, lengths, number)
        started, begin = time.perf_counter(), 0
        while len(written) < lengths.new:
            read = torch.tensor([written[-1:] or ids])
            places = torch.arange(begin, begin + read.shape[1])[None]
            made = step(
                read, past_key_values=cache, use_cache=True, logits_to_keep=1, position_ids=places
            )
            begin += read.shape[1]
            written.append(int(made.logits[0, -1].argmax()))
            times.append(time.perf_counter())
        return {"first": times[0] - started, "rest": times[-1] - times[0], "tokens": written}

    return work
