"""Bundles by `imgedit_exporters.runtime`: text of a decoder."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.exporting.shapes import Lengths, prompt
from imgedit_exporters.runtime.decoding import Rules, decoder_of, write
from imgedit_exporters.runtime.sessions import Bundle


def prepare(task: Mapping[str, Any]) -> Callable[[int], dict[str, Any]]:
    """A bundle's decoder and embeddings."""
    bundle = Bundle(Path(task["folder"]), device="cpu", threads=task["threads"])
    decoder, lengths = decoder_of(bundle), Lengths(**task["lengths"])

    def embed(ids: list[int]) -> Any:
        return bundle.run("embeddings", [np.array([ids], np.int64)])[0][0]

    def work(number: int) -> dict[str, Any]:
        times: list[float] = []
        rules = Rules(-1, longest=lengths.new, on_token=lambda _: times.append(time.perf_counter()))
        ids = prompt(task["vocabulary"], lengths, number)
        started = time.perf_counter()
        written = write(decoder, embed(ids), rules, embed=embed, prompt=ids)
        return {
            "first": times[0] - started,
            "rest": times[-1] - times[0],
            "tokens": list(written.tokens),
        }

    return work
