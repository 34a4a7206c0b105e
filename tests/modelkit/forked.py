"""Processes that begin at once, since the server they are forked from has imported torch.

`torchrun` and `accelerate launch` import it three times, which takes longer than the tests' tiny
trainings; `together` starts two processes as torchrun does, with the same environment and store.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
from multiprocessing.connection import wait
from pathlib import Path

PROCESSES = multiprocessing.get_context("forkserver")
# What a training imports sooner or later.
PROCESSES.set_forkserver_preload(
    ["torch._dynamo", "torch.distributed.fsdp", "imgedit_modelkit.loop"]
)


def together(folder: Path, *arguments: object) -> tuple[list[int | None], str]:
    """Run `train_in_processes` in two processes; where one fails, the other is ended.

    Args:
        folder: for what they print.
        arguments: of the program.

    Returns:
        Their exit codes, and what they printed.
    """
    import torch

    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    folder.mkdir(parents=True, exist_ok=True)
    outputs = [folder / f"{rank}.txt" for rank in range(2)]
    processes = [
        PROCESSES.Process(target=_train, args=(rank, store.port, output, [*map(str, arguments)]))
        for rank, output in enumerate(outputs)
    ]
    for process in processes:
        process.start()
    left = processes
    while left:
        ended = wait([process.sentinel for process in left], timeout=300)
        for process in left:
            if not ended or any(one.exitcode for one in processes):
                process.kill()
        left = [process for process in left if process.is_alive()]
    codes = [process.exitcode for process in processes]
    return codes, "".join(output.read_text("utf-8") for output in outputs)


def _train(rank: int, port: int, output: Path, arguments: list[str]) -> None:
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "TORCHELASTIC_RESTART_COUNT": "0",
    }
    sys.path.insert(0, str(Path(__file__).parent))
    from train_in_processes import main

    with output.open("w", encoding="utf-8") as told, contextlib.redirect_stdout(told):
        main(arguments)
