"""Killed at random moments, with a server that misbehaves, the data end the same to the byte."""

from __future__ import annotations

import functools
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.torch

from forked import PROCESSES  # noqa: E402
from making import content, left_out, records, run  # noqa: E402
from talking import Moody  # noqa: E402

from imgedit_modelkit.language.endpoint import Endpoint  # noqa: E402
from imgedit_modelkit.language.testing import chat_server  # noqa: E402
from imgedit_plugins.requests import DataReport  # noqa: E402
from imgedit_reason_edit.data import options as its_options  # noqa: E402


def impatient_run(out: Path, **given: Any) -> DataReport:
    """Retries come at once: the faults are many, and the server is near."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(its_options, "Endpoint", functools.partial(Endpoint, pause=0.01))
        return run(out, **given)


class MoodyServer:
    """A moody server in a process of its own.

    No process here is forked from that of the tests: libvips has threads there, which a fork lacks
    and waits for.
    """

    def __init__(self) -> None:
        self._pipe, theirs = PROCESSES.Pipe()
        self._process = PROCESSES.Process(target=self._serve, args=(theirs,))

    @staticmethod
    def _serve(pipe: Any) -> None:
        moody = Moody(seed=7)
        with chat_server(moody) as (address, asked):
            pipe.send(address)
            while pipe.recv():
                pipe.send((moody.moods, len(asked)))

    def __enter__(self) -> MoodyServer:
        self._process.start()
        self.address: str = self._pipe.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.send(False)
        self._process.join(20)

    @property
    def seen(self) -> tuple[dict[str, int], int]:
        """How often each fault occurred, and how many questions came."""
        self._pipe.send(True)
        moods, asked = self._pipe.recv()
        return moods, asked


@pytest.mark.parametrize(
    ("part", "kills"),
    [("I", 6), *(pytest.param(part, 20, marks=pytest.mark.slow) for part in ("I", "III"))],
)
def test_killed_at_random_moments(
    part: str, kills: int, pairs: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    given: dict[str, Any] = {"part": part, "count": 99, "timeout": 1.0, "shard_rows": 5,
                             "batch_size": 2}  # fmt: skip
    if part == "I":
        given |= {"pairs": str(pairs), "candidates": 2}
    else:
        given |= {"v3det": str(request.getfixturevalue("v3det"))}
        given |= request.getfixturevalue("models")
    with MoodyServer() as server:
        given["endpoint"] = server.address
        began = time.monotonic()
        whole = impatient_run(tmp_path / "whole", **given)
        seconds = time.monotonic() - began
        _, questions = server.seen
        runs = _kill_and_resume(tmp_path, given, seconds, kills)
        moods, asked = server.seen
    assert whole.rows >= 6
    # Every kind of fault occurred, and answers that stayed bad cost rows.
    assert {"429", "500", "closed", "late", "half HTTP body"} <= set(moods)
    assert {"half JSON", "wrong schema", "prose", "broken off", "no choices"} <= set(moods)
    assert any(row["rejected"] for row in records(tmp_path / "whole"))
    assert "no usable answer" in whole.details["dropped"]
    if part == "I":
        # What was answered before a kill was not asked for again, but for a batch each time.
        assert asked < (1 + runs) * questions + kills * questions / 4


def _kill_and_resume(tmp_path: Path, given: dict[str, Any], seconds: float, kills: int) -> int:
    """Kill runs until there were enough kills; all that end, and the last, must end the same."""
    draw, killed, number = random.Random(3), 0, 0
    expected = content(tmp_path / "whole")
    while True:
        out = tmp_path / f"run-{number}"
        child = PROCESSES.Process(target=impatient_run, args=(out,), kwargs=given)
        child.start()
        if killed < kills:
            child.join(draw.uniform(0.05, 0.5) * seconds)
            if child.is_alive():
                child.kill()
                killed += 1
        child.join(240)
        assert child.exitcode in (0, -signal.SIGKILL)
        seen = [row["id"] for row in records(out)] + [entry["id"] for entry in left_out(out)]
        assert len(seen) == len(set(seen)), "no record twice"
        if child.exitcode:
            continue
        assert content(out) == expected, "no record lost, and nothing left behind"
        assert not [path for path in out.iterdir() if path.name.startswith(".")]
        number += 1
        if killed == kills:
            return number
