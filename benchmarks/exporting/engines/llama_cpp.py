"""llama.cpp through llama-cpp-python's C interface: text, greedily. Needs numpy beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.exporting.shapes import Lengths, prompt


def prepare(task: Mapping[str, Any]) -> Callable[[int], dict[str, Any]]:
    """A GGUF file."""
    import llama_cpp

    api: Any = llama_cpp
    lengths = Lengths(**task["lengths"])
    api.llama_backend_init()
    model = api.llama_model_load_from_file(
        str(task["file"]).encode(), api.llama_model_default_params()
    )
    settings = api.llama_context_default_params()
    settings.n_ctx, settings.n_batch = lengths.prompt + lengths.new + 8, lengths.prompt
    settings.n_threads = settings.n_threads_batch = task["threads"]
    context = api.llama_init_from_model(model, settings)
    if not model or not context:
        raise SystemExit(f"llama.cpp cannot load {task['file']}")

    def read(ids: list[int]) -> int:
        tokens = (api.llama_token * len(ids))(*ids)
        if code := api.llama_decode(context, api.llama_batch_get_one(tokens, len(ids))):
            raise SystemExit(f"llama_decode gives {code}")
        logits = api.llama_get_logits_ith(context, -1)
        return int(np.ctypeslib.as_array(logits, (task["vocabulary"],)).argmax())

    def work(number: int) -> dict[str, Any]:
        api.llama_memory_clear(api.llama_get_memory(context), True)
        ids, written, times = (
            prompt(task["vocabulary"], lengths, number),
            list[int](),
            list[float](),
        )
        started = time.perf_counter()
        while len(written) < lengths.new:
            written.append(read(written[-1:] or ids))
            times.append(time.perf_counter())
        return {"first": times[0] - started, "rest": times[-1] - times[0], "tokens": written}

    return work
