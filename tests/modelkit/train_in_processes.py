"""Trains the tiny task under torchrun or accelerate launch: OUT [CANCEL_AT]."""

import dataclasses
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from tiny_task import CONFIG, TinyTask

from imgedit_modelkit.training import train
from imgedit_plugins.errors import JobCancelledError
from imgedit_plugins.jobs import Job


def main() -> None:
    out, cancel_at = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    job = Job(on_progress=lambda p: job.cancel() if p.done == cancel_at else None)
    config = dataclasses.replace(CONFIG, batch_size=2)
    try:
        train(TinyTask(noisy=False), config, out, job)
    except JobCancelledError:
        print("cancelled", flush=True)


if __name__ == "__main__":
    main()
