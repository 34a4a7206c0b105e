"""`imgedit-plugins` in processes that begin at once, forked from a server with its libraries.

A command that uses a model imports PyTorch, transformers and diffusers first, which takes several
times as long as what the tests' tiny models do then; `torchrun` does it in three processes. Here
commands have processes, environments, output and exit codes of their own, too, and import the
plugins themselves. Each plugin has some real ones (`python -m imgedit_plugins.cli`) besides.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path

PROCESSES = multiprocessing.get_context("forkserver")
# In a run of all tests the list that is given last counts: here is that of tests/modelkit, too.
PROCESSES.set_forkserver_preload([
    "torch._dynamo", "torch.distributed.fsdp", "imgedit_modelkit.loop", "imgedit_plugins.cli",
    "imgedit_reverse_design.minigpt4.model",
    "transformers.models.llava.modeling_llava", "transformers.models.llama.modeling_llama",
    "transformers.models.clip.modeling_clip", "diffusers.models.unets.unet_2d_condition",
    "diffusers.models.autoencoders.autoencoder_kl", "peft",
])  # fmt: skip
TOO_LONG = 300  # seconds


def begin(
    arguments: Sequence[object], environ: Mapping[str, str], told: Path | None = None
) -> ForkServerProcess:
    """Start a command.

    Args:
        arguments: its own.
        environ: all of its environment.
        told: a folder for `stdout` and `stderr`; without it nobody hears what it says.
    """
    process = PROCESSES.Process(target=_command, args=([*map(str, arguments)], {**environ}, told))
    process.start()
    return process


def run(
    arguments: Sequence[object], environ: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    with tempfile.TemporaryDirectory() as folder:
        process = begin(arguments, environ, Path(folder))
        process.join(TOO_LONG)
        if process.exitcode is None:
            process.kill()
            process.join()
        out, error = ((Path(folder) / n).read_text("utf-8") for n in ("stdout", "stderr"))
        return subprocess.CompletedProcess([*arguments], process.exitcode or 0, out, error)


def run_in_two(arguments: Sequence[object], environ: Mapping[str, str]) -> str:
    """Run a command in two processes that find each other as torchrun's do; what both printed.

    Where one fails the other is ended, and that is an AssertionError.
    """
    import torch

    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    with tempfile.TemporaryDirectory() as folder:
        processes = []
        for rank in ("0", "1"):
            (told := Path(folder) / rank).mkdir()
            place = {
                "RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2",
                "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port),
                "TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "0",
            }  # fmt: skip
            processes.append(begin(arguments, {**environ, **place}, told))
        left = processes
        while left:
            ended = wait([process.sentinel for process in left], TOO_LONG)
            for process in left:
                if not ended or any(one.exitcode for one in processes):
                    process.kill()
            left = [process for process in left if process.is_alive()]
        out, error = (
            "".join((Path(folder) / rank / name).read_text("utf-8") for rank in ("0", "1"))
            for name in ("stdout", "stderr")
        )
    assert [process.exitcode for process in processes] == [0, 0], error[-3000:]
    return out


def _command(arguments: list[str], environ: dict[str, str], told: Path | None) -> None:
    """In the process: be `imgedit-plugins`."""
    from imgedit_plugins.cli import main

    os.environ.clear()
    os.environ.update(environ)
    for number, name in ((1, "stdout"), (2, "stderr")):
        place = os.open(told / name if told else os.devnull, os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(place, number)
        os.close(place)
    sys.argv = ["imgedit-plugins", *arguments]
    main()
