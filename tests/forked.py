"""Processes that begin at once, since the server they are forked from has imported torch.

`torchrun` and `accelerate launch` import it three times, which takes longer than the tests' tiny
trainings; `in_two` starts two processes as torchrun does, with the same environment and store.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
import tempfile
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path

PROCESSES = multiprocessing.get_context("forkserver")
# What commands and trainings import sooner or later.
PROCESSES.set_forkserver_preload([
    "torch._dynamo", "torch.distributed.fsdp", "imgedit_modelkit.loop", "imgedit_plugins.cli",
    "imgedit_reverse_design.minigpt4.model",
    "transformers.models.llava.modeling_llava", "transformers.models.llama.modeling_llama",
    "transformers.models.clip.modeling_clip", "diffusers.models.unets.unet_2d_condition",
    "diffusers.models.autoencoders.autoencoder_kl", "peft",
])  # fmt: skip
TOO_LONG = 300  # seconds


def in_two(
    begin: Callable[[dict[str, str], Path], ForkServerProcess],
) -> tuple[list[int | None], str, str]:
    """Run two processes that find each other as torchrun's do; where one fails, both end.

    Args:
        begin: starts one with more variables of the environment, and a folder for `tell_into`.

    Returns:
        Their exit codes, and what both wrote to the standard output and the standard error.
    """
    import torch

    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    with tempfile.TemporaryDirectory() as place:
        processes = []
        for rank in ("0", "1"):
            (told := Path(place) / rank).mkdir()
            environ = {
                "RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2",
                "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port),
                "TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "0",
            }  # fmt: skip
            processes.append(begin(environ, told))
        left = processes
        while left:
            ended = wait([process.sentinel for process in left], TOO_LONG)
            for process in left:
                if not ended or any(one.exitcode for one in processes):
                    process.kill()
            left = [process for process in left if process.is_alive()]
        out, error = (
            "".join(path.read_text("utf-8") for path in sorted(Path(place).glob(f"*/{name}")))
            for name in ("stdout", "stderr")
        )
    return [process.exitcode for process in processes], out, error


def tell_into(told: Path | None) -> None:
    """Have what this process writes in `stdout` and `stderr` of a folder, or nowhere."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        place = os.open(told / name if told else os.devnull, os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(place, number)
        os.close(place)


def together(program: Path, *arguments: object) -> tuple[list[int | None], str]:
    """Run a Python file in two processes; their exit codes, and what they printed."""

    def begin(environ: dict[str, str], told: Path) -> ForkServerProcess:
        given = (program, [*map(str, arguments)], environ, told)
        process = PROCESSES.Process(target=_run, args=given)
        process.start()
        return process

    codes, out, error = in_two(begin)
    return codes, out if codes == [0, 0] else out + error


def _run(program: Path, arguments: list[str], environ: dict[str, str], told: Path) -> None:
    os.environ |= environ
    tell_into(told)
    sys.argv = [str(program), *arguments]
    runpy.run_path(str(program), run_name="__main__")
