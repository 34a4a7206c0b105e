"""Processes that begin at once, since the server they are forked from has imported torch.

`torchrun` and `accelerate launch` import it three times, which takes longer than the tests' tiny
trainings; `together` starts two processes as torchrun does, with the same environment and store.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import runpy
import sys
import tempfile
from multiprocessing.connection import wait
from pathlib import Path

PROCESSES = multiprocessing.get_context("forkserver")
# What a training imports sooner or later.
PROCESSES.set_forkserver_preload(
    [
        "torch._dynamo",
        "torch.distributed.fsdp",
        "imgedit_modelkit.loop",
        "imgedit_reverse_design.minigpt4.model",
        "peft",
    ]
)


def together(program: Path, *arguments: object) -> tuple[list[int | None], str]:
    """Run a program in two processes; where one fails, the other is ended.

    Args:
        program: a Python file.
        arguments: of the program.

    Returns:
        Their exit codes, and what they printed.
    """
    import torch

    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder) / str(rank) for rank in range(2)]
        processes = [
            PROCESSES.Process(target=_run, args=(rank, store.port, output, program, arguments))
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
        told = "".join(output.read_text("utf-8") for output in outputs if output.exists())
    return [process.exitcode for process in processes], told


def _run(rank: int, port: int, output: Path, program: Path, arguments: tuple[object, ...]) -> None:
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
    sys.argv = [str(program), *map(str, arguments)]
    with output.open("w", encoding="utf-8") as told, contextlib.redirect_stdout(told):
        runpy.run_path(str(program), run_name="__main__")
