"""What `data reason_edit make` and `benchmark` write: names, parts and their published sizes."""

from __future__ import annotations

from imgedit_modelkit.shards.work import Kind

MADE = Kind("imgedit-reason-edit-data/1", "make.json", "data reason_edit make", "pictures")
BENCHMARK = Kind(
    "imgedit-reason-edit-benchmark/1", "benchmark.json", "data reason_edit benchmark", "pictures"
)

SIZES = {"I": 8013, "II": 4141, "III": 28058}
"""Rows of each part, as published (table 2)."""

BENCHMARK_SIZE = 1000
"""Pictures of the benchmark, as published (section 4.1)."""

TAR = "pairs.tar"
"""In a shard's folder, where pictures and rows are in one file."""

INPUT, EDITED = "input", "edited"
"""Which of a row's two pictures; `datasets` makes columns of these names."""


class Dropped:
    """Why a picture did not become a row; they are counted by these names."""

    DAMAGED = "damaged"
    ALIKE = "too alike"
    CAPTION = "no caption"
    CATEGORY = "no category"
    BOX = "no box"
    ANSWER = "no usable answer"
    PAINTING = "not painted"
