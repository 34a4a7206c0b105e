"""onnxruntime-genai with a model of its own builder: text, greedily."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.exporting.shapes import Lengths, prompt


def prepare(task: Mapping[str, Any]) -> Callable[[int], dict[str, Any]]:
    """A model's folder; the number of threads is written into its configuration."""
    import onnxruntime_genai as og

    folder, lengths = Path(task["folder"]), Lengths(**task["lengths"])
    path = folder / "genai_config.json"
    config = json.loads(path.read_text("utf-8"))
    config["model"]["decoder"]["session_options"]["intra_op_num_threads"] = task["threads"]
    path.write_text(json.dumps(config), "utf-8")
    kind: Any = og
    model = kind.Model(str(folder))

    def work(number: int) -> dict[str, Any]:
        parameters = kind.GeneratorParams(model)
        parameters.set_search_options(
            max_length=lengths.prompt + lengths.new,
            min_length=lengths.prompt + lengths.new,
            do_sample=False,
        )
        generator = kind.Generator(model, parameters)
        ids, times = prompt(task["vocabulary"], lengths, number), list[float]()
        started = time.perf_counter()
        generator.append_tokens(ids)
        for _ in range(lengths.new):
            generator.generate_next_token()
            times.append(time.perf_counter())
        written = [int(token) for token in generator.get_sequence(0)[lengths.prompt :]]
        return {"first": times[0] - started, "rest": times[-1] - times[0], "tokens": written}

    return work
