"""What the executor and the plugins in it print: line by line into the worker's log."""

from __future__ import annotations

import logging
import os
import threading
import time
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from typing import Any

log = logging.getLogger("imgedit.executor")

_LONGEST = 2000  # bytes of a line
_LINES_PER_SECOND = 200


class OutputPipe:
    """A pipe whose one end becomes a child's standard output and error, and whose other is read.

    Where there are no POSIX descriptors there is none: the child's output is not kept.
    """

    def __init__(self, context: SpawnContext) -> None:
        self._reader: Connection[Any, Any] | None = None
        self.writer: Connection[Any, Any] | None = None
        if os.name == "posix":
            self._reader, self.writer = context.Pipe(duplex=False)

    def started(self) -> None:
        """The child has its end: give ours up and read."""
        if self.writer is not None:
            self.writer.close()
        threading.Thread(target=self._read, daemon=True, name="executor-output").start()

    def _read(self) -> None:
        if self._reader is None:
            return
        allowed, second, rest = _LINES_PER_SECOND, time.monotonic(), b""
        while True:
            try:
                data = os.read(self._reader.fileno(), 65_536)
            except OSError:
                data = b""
            *lines, rest = (rest + data).split(b"\n")
            if not data or len(rest) > _LONGEST:
                lines, rest = [*lines, rest], b""
            if time.monotonic() - second >= 1.0:
                allowed, second = _LINES_PER_SECOND, time.monotonic()
            for line in lines:
                if line.strip() and allowed >= 0:
                    allowed -= 1
                    text = line[:_LONGEST].decode("utf-8", "replace").rstrip()
                    log.info("%s", text if allowed >= 0 else "(more lines are left out)")
            if not data:
                self._reader.close()
                return
