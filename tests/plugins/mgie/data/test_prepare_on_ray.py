"""`data mgie prepare` on a Ray cluster of two nodes: the same bytes as on one machine."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = [pytest.mark.torch, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

from test_prepare import ALL, GOOD, content, make  # noqa: E402

from imgedit_plugins.errors import ImgeditError, JobCancelledError  # noqa: E402
from imgedit_plugins.jobs import Job, Progress  # noqa: E402


def test_two_nodes(pairs: Path, models: dict[str, str], tmp_path: Path) -> None:
    from ray.cluster_utils import Cluster

    make(pairs, tmp_path / "here", models)
    nodes = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    try:
        nodes.add_node(num_cpus=1)
        nodes.wait_for_nodes()
        where = {"address": nodes.address, "workers": 2}

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

        weights = Path(models["summariser"]) / "config.json"
        whole = weights.read_text()
        weights.write_text("{")  # what a worker finds wrong comes through as a sentence
        try:
            with pytest.raises(ImgeditError, match="flan-tiny cannot be loaded"):
                make(pairs, tmp_path / "broken", models, **where)
        finally:
            weights.write_text(whole)
    finally:
        nodes.shutdown()
