"""The command line in processes of its own, killed and gone on; the page."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:__array__ impl")]

import forked_commands  # noqa: E402
import tiny_reasoned_data as tiny  # noqa: E402
from tiny_reasoned_data import environment, evaluated, forked, given, program  # noqa: E402


def test_everything_from_the_command_line(benchmark, pix2pix, clip, tmp_path):
    """A table, its JSON, its page, and a study of it."""
    rows = f"instructpix2pix:{pix2pix},MagicBrush=magicbrush:{pix2pix}"
    done = program(
        "evaluate", "reason_edit", "--data", benchmark, "--baseline", "--seed", 2,
        *given(models=rows, clip=clip, keep=tmp_path / "keep", limit=2),
        "-o", tmp_path / "out.json", "--report", tmp_path / "page.html", "--worst", 1,
    )  # fmt: skip
    shown = done.stdout
    assert "Direct and reasoning instructions (table 3): reason_edit" in shown
    assert shown.index("InstructPix2Pix") < shown.index("MagicBrush") < shown.index("input itself")
    assert "not reproduced" in shown
    assert "cannot be measured without -O dino" in done.stderr
    assert "Traceback" not in done.stderr
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["details"]["options"]["seed"] == 2
    assert len(found["details"]["samples"]) == 3 * 4
    page = (tmp_path / "page.html").read_text()
    assert page.count("<figure>") == 2 * 2 * 2 * 3, "worst and best of two rows and two kinds"
    assert "<script" not in page
    told = forked(
        "data", "reason_edit", "study", "--results", tmp_path / "keep", "--out",
        tmp_path / "study", "--items", 2, "--people", 2,
    )  # fmt: skip
    assert "has 4 rows" in told.stdout


def test_faults_have_the_house_s_exit_codes(benchmark, tmp_path):
    def run(*options: object, code: int) -> str:
        asked = ("evaluate", "reason_edit", "--data", benchmark, *options)
        return forked(*asked, code=code).stderr

    assert "'mgei' is no row" in run(*given(models="mgei"), code=2)
    assert "there is no folder none" in run(*given(models="magicbrush:none"), code=1)
    assert "Option 'clip'" in run(*given(models="copy", clip=tmp_path), code=1)
    told = run(*given(models="mgie"), code=1)
    assert "There is no MGIE model" in told, "another plugin, and its own words"
    assert "Traceback" not in told


def test_help_and_descriptions_import_no_torch():
    for arguments in (["describe", "reason_edit"], ["data", "reason_edit", "study", "--help"]):
        code = (
            f"import sys; from imgedit_plugins.cli import main; sys.argv[1:] = {arguments!r}\n"
            "try: main()\nexcept SystemExit: pass\n"
            "assert not {'torch', 'cv2', 'imgedit_reason_edit', 'transformers'} & set(sys.modules)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment(), capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    told = program("describe", "reason_edit").stdout
    assert "sentence" in told
    assert "model=reason_pix2pix" in told, "what a menu entry stands for"


def test_a_killed_evaluation_goes_on_to_the_same_figures(pix2pix, tmp_path):
    data = tiny.benchmark(tmp_path / "data", rows=6)
    keep = tmp_path / "keep"
    models = f"instructpix2pix:{pix2pix}"
    asked = ["evaluate", "reason_edit", "--data", str(data), *given(models=models, steps=4)]
    running = forked_commands.begin([*asked, "-O", f"keep={keep}"], environment())
    for _ in range(12000):
        if len([*keep.glob("InstructPix2Pix/*.png")]) >= 3 or running.exitcode is not None:
            break
        time.sleep(0.01)
    running.kill()
    running.join()
    made = {path: path.stat().st_mtime_ns for path in keep.glob("InstructPix2Pix/*.png")}
    assert 3 <= len(made) < 12
    forked(*asked, "-O", f"keep={keep}", "-o", tmp_path / "on.json")
    on = json.loads((tmp_path / "on.json").read_text())["details"]
    whole = evaluated(data, models=models, steps=4).details
    assert on["figures"] == whole["figures"]
    assert on["differences"] == whole["differences"]
    again = {path: path.stat().st_mtime_ns for path in made}
    assert len([path for path in made if made[path] == again[path]]) >= len(made) - 1
