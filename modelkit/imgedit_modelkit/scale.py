"""The same function over many items, in this process or on a Ray cluster.

On a cluster each worker is a process that makes its function once (and with it loads its models),
then takes one item after another. All nodes need this environment and, where items are files, a
shared disk. Items must be safe to do twice: Ray repeats those of a node that is lost.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from imgedit_plugins.errors import ImgeditError, PluginError

Make = Callable[[], Callable[[int], dict[str, Any]]]
"""Makes the function that does one item. On a cluster it is pickled, and what it returns is not."""


@dataclass(frozen=True)
class Cluster:
    """Where the work is done.

    Attributes:
        address: of a Ray cluster ('auto' for the one this machine belongs to, 'local' for one that
            is started here and ended afterwards), or '' for this process.
        workers: processes that work at the same time; 1 without an address.
        gpus: GPUs that each of them has for itself.
    """

    address: str = ""
    workers: int = 1
    gpus: float = 0.0


def each(make: Make, items: Sequence[int], cluster: Cluster) -> Iterator[dict[str, Any]]:
    """What the function gives for each item: in their order here, as they get done on a cluster.

    Errors of the kind `ImgeditError` come through; the work may be left at any item.

    Args:
        make: makes the function; its result is a dictionary of what JSON can hold.
        items: numbers.
        cluster: where.

    Raises:
        PluginError: Ray is asked for and not installed, or there is no cluster.
    """
    if not cluster.address:
        function = make()
        yield from map(function, items)
    elif items:
        yield from _on_ray(make, items, cluster)


@contextlib.contextmanager
def connected(cluster: Cluster) -> Iterator[None]:
    """Keep the connection to a cluster over several calls of `each`; nothing without an address.

    Raises:
        PluginError: as `each`.
    """
    if not cluster.address:
        yield
        return
    with _connected(cluster.address):
        yield


def _on_ray(make: Make, items: Sequence[int], cluster: Cluster) -> Iterator[dict[str, Any]]:
    with _connected(cluster.address):
        import ray

        logging.getLogger("ray.data").setLevel(logging.ERROR)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        # One item a block, so that each is told as soon as it is done.
        data = ray.data.from_items(list(items), override_num_blocks=len(items))
        done = data.map_batches(
            _Worker,
            fn_constructor_args=(make,),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=min(cluster.workers, len(items))),
            num_gpus=cluster.gpus,
        )
        for row in done.iter_rows():
            if row["message"]:
                raise ImgeditError(row["message"], hint=row["hint"])
            yield json.loads(row["result"])


class _Worker:
    """One process of the cluster."""

    def __init__(self, make: Make) -> None:
        self._make = make
        self._function: Callable[[int], dict[str, Any]] | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        (item,) = batch["item"]
        try:
            # Not when constructed: Ray repeats a construction that fails for ever.
            self._function = self._function or self._make()
            result = json.dumps(self._function(int(item)))
        except ImgeditError as error:
            return {"result": [""], "message": [error.message], "hint": [error.hint]}
        return {"result": [result], "message": [""], "hint": [""]}


@contextlib.contextmanager
def _connected(address: str) -> Iterator[None]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError:
        raise PluginError(
            "Working on a cluster needs the package ray, which is not installed.",
            hint="Run: pip install 'imgedit-plugins[scale]'",
        ) from None
    if ray.is_initialized():  # by the caller, whose it stays
        yield
        return
    try:
        _reach(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError) as error:
        told = str(error).strip().splitlines()[0].rstrip(".")
        raise PluginError(
            f"There is no Ray cluster at {address!r}: {told}.",
            hint="Start one with `ray start --head`, or give the address 'local'.",
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Fail at once where nothing listens at HOST:PORT; Ray itself tries for minutes.

    Raises:
        OSError: nothing does.
    """
    host, _, port = address.rpartition("/")[2].rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=10).close()
