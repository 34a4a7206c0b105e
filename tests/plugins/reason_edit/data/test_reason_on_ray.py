"""`data reason_edit make` on a Ray cluster of two nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = [pytest.mark.torch, pytest.mark.slow]

from making import content, run  # noqa: E402

from imgedit_modelkit.testing import two_ray_nodes  # noqa: E402


@pytest.mark.filterwarnings("ignore")
def test_two_nodes_make_the_same_rows(pairs: Path, wise: str, tmp_path: Path) -> None:
    given = {"part": "I", "pairs": str(pairs), "endpoint": wise, "count": 7}
    run(tmp_path / "here", **given)
    with two_ray_nodes() as address:
        report = run(tmp_path / "there", **given, address=address, workers=2)
        again = run(tmp_path / "there", **given, address=address, workers=2)
    assert (report.rows, again.resumed) == (7, 7)
    assert content(tmp_path / "there") == content(tmp_path / "here")
