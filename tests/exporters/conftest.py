"""What the tests of the exporters share."""

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny models

# The tiny models are those of the plugins' own tests.
for family in ("mgie", "reverse_design", "reverse_design/minigpt4", "reason_edit/model"):
    sys.path.append(str(Path(__file__).parents[1] / "plugins" / family))
