"""A user's home for tests of the worker: folders of its own, a third-party plugin, raw requests."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

from imgedit_bridges import starting
from imgedit_bridges.client import Client
from imgedit_bridges.locations import find_places, lock_holder, read_state
from imgedit_bridges.protocol import HOST, JobRequest

ROOT = Path(__file__).parents[2]
SOURCES = [ROOT / "bridges", ROOT / "core", ROOT / "plugins" / "reverse_design"]

MANIFEST = """
schema = "imgedit-plugin/1"
name = "tested"
title = "Tested plugin"
summary = "Does what the tests of the worker ask for."
hooks = ["apply_edit", "register_operations"]
operations = ["tested-negative"]

[[accepts]]
hook = "apply_edit"
inputs = ["picture", "instruction"]
optional = ["mask", "plan"]

[[actions]]
id = "invert"
label = "Invert…"
hook = "apply_edit"
inputs = ["picture", "selection", "instruction"]
help = "Inverts."

[[options]]
hook = "apply_edit"
name = "table"
type = "path"
default = "/nowhere"
help = "A file."

[[options]]
hook = "apply_edit"
name = "seconds"
type = "number"
default = 0.1
minimum = 0.0
maximum = 60.0
help = "How long each phase takes."
"""

CODE = '''
import ctypes, os, sys, time
import numpy as np
from imgedit_plugins import hookimpl
from imgedit_plugins.errors import PictureError
from imgedit_plugins.operations import Operation
from imgedit_plugins.operations.forms import Curves
from imgedit_plugins.plan import EditPlan, step
from imgedit_plugins.requests import Candidate, EditResult

def invert(request, job):
    pixels = request.picture.pixels.copy()
    pixels[..., :3] = 255 - pixels[..., :3]
    if request.mask is not None:
        pixels = np.where(request.mask[:, :, None] > 0, pixels, request.picture.pixels)
    made = Candidate(picture=request.picture.with_pixels(pixels), offset=(3, 4), seed=request.seed)
    return EditResult(candidates=(made, made), explanation="inverted", warnings=("mind the gap",))

def whoami(request, job):
    return EditResult(plan=EditPlan(), explanation=str(os.getpid()))

def steps(request, job):
    for number in range(25):
        job.report("stepping", number + 1, 25)
        time.sleep(0.02)
    return whoami(request, job)

def flood(request, job):
    for number in range(200_000):
        job.report("flooding " + str(number % 2), number, 200_000)
        if number % 1000 == 0:
            job.warn("water")
    return whoami(request, job)

def patient(request, job):
    job.report("waiting")
    while True:
        job.check()
        time.sleep(0.01)

def sleeps(request, job):
    job.report("sleeping")
    time.sleep(60)

def spins(request, job):
    job.report("spinning")
    while True:
        pass

def holds(request, job):
    job.report("holding")
    ctypes.PyDLL(None).sleep(60)  # keeps the GIL

def phases(request, job):
    """What a plugin with a model goes through; it listens to nobody while it loads and compiles."""
    job.report("loading")
    time.sleep(request.options["seconds"])
    job.report("compiling")
    ctypes.PyDLL(None).usleep(int(1e6 * request.options["seconds"]))  # keeps the GIL
    for number in range(20):
        job.report("stepping", number + 1, 20)
        time.sleep(request.options["seconds"] / 10)
    return whoami(request, job)

def exits(request, job):
    os._exit(3)

def crashes(request, job):
    ctypes.string_at(0)

def eats(request, job):
    job.report("eating")
    return whoami(np.ones(1 << 31), job)

def forks(request, job):
    if os.fork() == 0:
        time.sleep(60)
    os._exit(4)

def reads(request, job):
    while True:
        job.report(f"read {request.picture.pixels.sum()}")
        time.sleep(0.01)

def raises(request, job):
    raise PictureError("The picture is too blue.", hint="Take a red one.")

def prints(request, job):
    print("from Python", flush=True)
    os.write(2, b"from C without an end")
    return whoami(request, job)

def layers(request, job):
    plan = EditPlan(operations=(step("bright", offset=30.0),))
    pixels = request.picture.pixels
    whole = np.full_like(pixels, 9)
    above = np.concatenate([whole, np.full_like(pixels[..., :1], 200)], axis=2)
    made = Candidate(picture=request.picture.with_pixels(whole),
                     layer=request.picture.with_pixels(above), seed=request.seed)
    return EditResult(candidates=(made,), plan=plan, explanation="painted")

def previews(request, job):
    for number in range(60):
        job.report("stepping", number + 1, 60)
        pixels = np.full((600, 900, 3), 0, np.uint8)
        pixels[...] = (number, 7, 9)
        job.preview(pixels, (1, 2, 30, 20))
        time.sleep(0.02)
    return EditResult(plan=EditPlan(), explanation=str(job.wants_previews))

def leaves(request, job):
    """A result of which only the first picture could be written."""
    good = Candidate(picture=request.picture)
    EditResult(candidates=(good,))
    return EditResult(candidates=(good,) * 300)

@hookimpl
def apply_edit(request, job):
    return globals()[request.instruction](request, job)

@hookimpl
def register_operations(vocabulary):
    name = __name__.removesuffix("_plugin.plugin") + "-negative"
    vocabulary.add(
        Operation(name, "Negative", "pointwise", None, "-", "-", form=lambda *_: NEGATIVE)
    )

NEGATIVE = Curves.same(lambda values: 1.0 - values)
'''


class Home:
    """One user: a runtime folder, a configuration folder and an interpreter with a plugin.

    The folder is not pytest's, whose paths are too long for a Unix socket.
    """

    def __init__(self, **settings) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="iw"))
        for name in ("run", "config", "cache", "site"):
            (self.folder / name).mkdir(mode=0o700)
        self.install("tested")
        self.python = self._interpreter()
        self.environ = {
            **os.environ,
            "XDG_RUNTIME_DIR": str(self.folder / "run"),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "IMGEDIT_PLUGINS": "tested,later,reverse_design",
        }
        for name, value in settings.items():
            self.environ[f"IMGEDIT_WORKER_{name.upper()}"] = str(value)
        self.places = find_places(self.environ)

    def install(self, name: str) -> None:
        """Install the plugin under a name."""
        site = self.folder / "site"
        package = site / f"{name}_plugin"
        package.mkdir()
        (package / "__init__.py").write_text("")
        (package / "plugin.py").write_text(CODE)
        (package / "imgedit_plugin.toml").write_text(MANIFEST.replace('"tested', f'"{name}'))
        info = site / f"{name}_plugin-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        point = f"[imgedit_plugins]\n{name} = {name}_plugin.plugin\n"
        (info / "entry_points.txt").write_text(point)

    def _interpreter(self) -> str:
        """The environment's Python with the plugin on its path, as if it were installed there."""
        script = self.folder / "python"
        path = os.pathsep.join(map(str, [self.folder / "site", *SOURCES]))
        script.write_text(f"#!/bin/sh\nPYTHONPATH='{path}' exec '{sys.executable}' \"$@\"\n")
        script.chmod(0o755)
        return str(script)

    def client(self, name: str = "test") -> Client:
        return Client(name, python=self.python, environ=self.environ)

    def started(self) -> Client:
        client = self.client()
        client.connect()
        return client

    @property
    def state(self):
        return read_state(self.places)

    def log(self) -> str:
        return self.places.log.read_text() if self.places.log.exists() else ""

    def pixel_files(self) -> list[str]:
        return sorted(path.name for path in self.places.pixels.iterdir())

    def end(self) -> None:
        # More than once: one that lost a race may take the place of the one that is killed.
        for _ in range(10):
            if (pid := lock_holder(self.places)) is not None:
                starting.end_process(self.places, pid, hangs=True)
            shutil.rmtree(self.folder, ignore_errors=True)
            if not self.folder.exists():
                return
            time.sleep(0.05)


# --- jobs -------------------------------------------------------------------------------------


def put(client: Client, pixels: np.ndarray, icc: bytes = b""):
    height, width, channels = pixels.shape
    data = np.ascontiguousarray(pixels)
    return client.put_picture(data.data, width, height, channels, pixels.dtype.name, icc)


def got(client: Client, picture) -> np.ndarray:
    ref = picture.ref
    with client.open_picture(ref) as file:
        values = np.frombuffer(file.data, ref.dtype, ref.width * ref.height * ref.channels)
        return values.reshape(ref.height, ref.width, ref.channels).copy()


def small(value: int = 7) -> np.ndarray:
    return np.full((5, 6, 3), value, np.uint8)


def does(client: Client, what: str, pixels: np.ndarray | None = None, **fields) -> JobRequest:
    """A job of the tested plugin."""
    picture = put(client, small() if pixels is None else pixels)
    return JobRequest("apply_edit", {"picture": picture}, instruction=what, **fields)


def until(client: Client, job: str, wanted: str) -> list[dict]:
    """The events of a job up to one that is wanted."""
    seen = []
    for event in client.events(job):
        seen.append(event)
        if event["event"] == wanted or event.get("stage") == wanted:
            break
    assert seen[-1]["event"] == wanted or seen[-1].get("stage") == wanted, seen
    return seen


def whoami(client: Client) -> int:
    """The process that does jobs, found out by a job, so that one can be sure that it works."""
    _, result = client.run(does(client, "whoami"))
    return int(result.explanation)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return True


def group(leader: int) -> list[int]:
    """The processes of a group that live."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, group_id = path.read_text().rpartition(")")[2].split()[:3]
            if int(group_id) == leader and state != "Z":
                found.append(int(path.parent.name))
    return found


def wait_for(condition, seconds: float = 5.0) -> float:
    """How long it took until the condition held."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "it did not happen in time"
        time.sleep(0.01)
    return time.monotonic() - began


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not alive(pid))


# --- raw requests -----------------------------------------------------------------------------


def connect(state, seconds: float = 5.0) -> socket.socket:
    kind, _, where = state.address.partition(":")
    if kind == "unix":
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.settimeout(seconds)
        made.connect(where)
        return made
    host, _, port = where.rpartition(":")
    return socket.create_connection((host, int(port)), seconds)


def raw(state, method: str, path: str, body: bytes = b"", **headers) -> tuple[int, dict]:
    """One request with exactly these headers, None leaving one out; its status and answer."""
    given = {
        "Host": HOST,
        "Authorization": f"Bearer {state.token}",
        "Connection": "close",
        **({"Content-Type": "application/json"} if method == "POST" else {}),
        **({"Content-Length": str(len(body))} if body or method == "POST" else {}),
    }
    given.update({name.replace("_", "-").title(): value for name, value in headers.items()})
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items() if value is not None)
    with connect(state) as line:
        with suppress(BrokenPipeError, ConnectionResetError):
            line.sendall(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body)
        return read_answer(line)


def read_answer(line: socket.socket) -> tuple[int, dict]:
    data = b""
    with suppress(ConnectionResetError):
        while part := line.recv(65_536):
            data += part
    if not data:
        return 0, {}
    head, _, body = data.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    with suppress(ValueError):
        return status, json.loads(body)
    return status, {}
