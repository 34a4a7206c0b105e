"""`data mgie prepare` with a vision-language model behind a server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.torch

from imgedit_mgie.data.prepare import prepare  # noqa: E402
from imgedit_mgie.data.prepared import read_prepared  # noqa: E402
from imgedit_modelkit.language.testing import Said, chat_server, text  # noqa: E402
from imgedit_plugins.jobs import Job  # noqa: E402
from imgedit_plugins.requests import DataRequest  # noqa: E402


def test_prepare_with_an_endpoint(pairs: Path, models: dict[str, str], tmp_path: Path) -> None:
    def answer(body: dict[str, Any], _: Mapping[str, str]) -> Said:
        question = body["messages"][0]["content"][0]["text"]
        if "'make the sky 3'" in question:
            return text("Alternatively, nothing.")  # nothing of it is usable
        return text(f"The sky is red. It is warm light. {question} Alternatively, no.")

    with chat_server(answer) as (address, _):
        options = {
            "pairs": str(pairs), "endpoint": address, "endpoint-model": "llava",
            "summariser": models["summariser"], "shard-rows": 5, "batch-size": 3,
        }  # fmt: skip
        job = Job()
        report = prepare(DataRequest(recipe="prepare", out=tmp_path / "out", options=options), job)
    assert (report.rows, report.details["skipped"]) == (12, 6)
    rows = read_prepared(tmp_path / "out", Job())
    assert {row.expressive for row in rows} == {"The sky is red. It is warm light."}
    assert {row.provenance["describer"] for row in rows} == {f"llava at {address}"}
    reasons = [
        entry["reason"]
        for path in (tmp_path / "out").glob("shard-*/skipped.json")
        for entry in json.loads(path.read_text())
    ]
    assert reasons.count("the model's answer has no usable sentence") == 2
    pictures_there = {path.name for path in (tmp_path / "out").glob("shard-*/*.jpg")}
    assert len(pictures_there) == 24
