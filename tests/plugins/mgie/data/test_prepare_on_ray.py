"""`data mgie prepare` on a Ray cluster of two nodes: the same bytes as on one machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.torch, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

from test_prepare import ALL, GOOD, content, make  # noqa: E402

from imgedit_modelkit.testing import two_ray_nodes  # noqa: E402
from imgedit_plugins.errors import ImgeditError, JobCancelledError  # noqa: E402
from imgedit_plugins.jobs import Job, Progress  # noqa: E402


def test_two_nodes(pairs: Path, models: dict[str, str], tmp_path: Path) -> None:
    make(pairs, tmp_path / "here", models)
    with two_ray_nodes() as address:
        where = {"address": address, "workers": 2}

        def stop(progress: Progress) -> None:
            if progress.stage == "describing pairs" and progress.done >= 5:
                job.cancel()

        job = Job(on_progress=stop)
        with pytest.raises(JobCancelledError):
            make(pairs, tmp_path / "there", models, job, **where)
        assert list((tmp_path / "there").glob("shard-*"))
        seen: list[Progress] = []
        report = make(pairs, tmp_path / "there", models, Job(on_progress=seen.append), **where)
        assert report.rows == GOOD
        assert report.resumed > 0
        assert seen[-1] == Progress("describing pairs", ALL, ALL)
        assert content(tmp_path / "there") == content(tmp_path / "here")
        _what_a_worker_finds_wrong_is_told(pairs, models, tmp_path / "broken", where)


def _what_a_worker_finds_wrong_is_told(
    pairs: Path, models: dict[str, str], out: Path, where: dict[str, Any]
) -> None:
    config = Path(models["summariser"]) / "config.json"
    whole = config.read_text()
    config.write_text("{")
    try:
        with pytest.raises(ImgeditError, match="flan-tiny cannot be loaded"):
            make(pairs, out, models, **where)
    finally:
        config.write_text(whole)
