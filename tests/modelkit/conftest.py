"""What the model kit's tests share."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny models, many processes
