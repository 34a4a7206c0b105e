"""What rendering a 24-megapixel picture takes of memory, in a process of its own."""

import json
import subprocess
import sys

import pytest

from imgedit_plugins.plan import EditPlan, step


def plan(*operations) -> EditPlan:
    return EditPlan(operations=operations)


PROBE = """
import json, resource, sys
import numpy as np
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import parse_plan
from imgedit_plugins.render import render_plan

plan, dtype, masked, strength = json.loads(sys.argv[1])
tile = np.random.default_rng(0).random((100, 6000, 3), np.float32)
tile = tile if dtype == "float32" else (tile * np.iinfo(dtype).max).astype(dtype)
pixels = np.empty((4000, 6000, 3), dtype)
pixels.reshape(40, 100, 6000, 3)[:] = tile
mask = np.empty((4000, 6000), np.uint8)
mask[:, ::2], mask[:, 1::2] = 255, 100

def render(rows):
    chosen = mask[:rows] if masked else None
    picture = Picture(pixels[:rows])
    return render_plan(picture, parse_plan(plan), mask=chosen, strength=strength)

render(300)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
result = render(4000)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
unit = 1 if sys.platform == "darwin" else 1024
print((after - before) * unit - result.pixels.nbytes)
"""
MEMORY_PLANS = {
    "tables": plan(step("bright", offset=12), step("contrast", gain=1.1), step("summer")),
    "mixed": plan(step("bright", offset=12), step("sepia"), step("saturate", factor=1.3),
                  step("contrast", gain=0.9), step("grayscale")),
}  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="getrusage is not there")
@pytest.mark.parametrize(
    ("edit", "dtype", "masked", "strength"),
    [
        ("mixed", "uint8", False, 1.0),
        ("mixed", "uint8", True, 0.7),
        pytest.param("tables", "uint8", False, 1.0, marks=pytest.mark.slow),
        pytest.param("tables", "uint16", False, 1.0, marks=pytest.mark.slow),
        pytest.param("tables", "float32", False, 1.0, marks=pytest.mark.slow),
        pytest.param("mixed", "uint16", False, 1.0, marks=pytest.mark.slow),
        pytest.param("mixed", "uint16", True, 0.7, marks=pytest.mark.slow),
        pytest.param("mixed", "float32", False, 1.0, marks=pytest.mark.slow),
        pytest.param("mixed", "float32", True, 1.5, marks=pytest.mark.slow),
    ],
)
def test_pointwise_plans_need_input_output_and_64_mib(edit, dtype, masked, strength):
    """Of 24 megapixels: what a process takes more than before, the result not counted."""
    told = json.dumps([MEMORY_PLANS[edit].to_json(), dtype, masked, strength])
    done = subprocess.run(
        [sys.executable, "-c", PROBE, told], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) <= 64 << 20, f"{int(done.stdout) / (1 << 20):.0f} MiB"
