"""Pixels of a layer to the worker and back, with a double of the layer and a real worker."""

import importlib
import os
import signal
import sys
import time
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from imgedit_bridges.client import BridgeError
from imgedit_bridges.locations import lock_holder
from imgedit_bridges.protocol import JobRequest

PLAN = {"schema": "imgedit-plan/1", "operations": [{"name": "invert", "parameters": {}}]}


@pytest.fixture
def transfer(monkeypatch):
    """The module, with as much of GIMP's binding as it takes to import it and read a buffer."""
    binding, repository = ModuleType("gi"), ModuleType("gi.repository")
    binding.require_version = lambda *_: None
    repository.Gegl = SimpleNamespace(
        Rectangle=SimpleNamespace(new=lambda *numbers: numbers),
        AbyssPolicy=SimpleNamespace(NONE=0),
    )
    repository.Gimp = SimpleNamespace()
    for name, module in (("gi", binding), ("gi.repository", repository)):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "imgedit_bridges.gimp.transfer", raising=False)
    yield importlib.import_module("imgedit_bridges.gimp.transfer")
    sys.modules.pop("imgedit_bridges.gimp.transfer", None)


class Buffer:
    def __init__(self, pixels):
        self.pixels = pixels

    def get(self, area, scale, form, abyss):
        x, y, width, height = area
        assert (scale, form, x) == (1.0, "R'G'B' u8", 0)
        return self.pixels[y : y + height, :width].tobytes()

    def set(self, area, form, data):
        x, y, width, height = area
        rows = np.frombuffer(data, np.uint8).reshape(height, width, 3)
        self.pixels[y : y + height, x : x + width] = rows

    def flush(self):
        pass


class Layer:
    """An opaque 8-bit RGB layer without filters and mask."""

    def __init__(self, pixels):
        self.buffer = Buffer(pixels)
        self.updated = None

    def get_image(self):
        return SimpleNamespace(get_precision=lambda: 150)

    def get_width(self):
        return self.buffer.pixels.shape[1]

    def get_height(self):
        return self.buffer.pixels.shape[0]

    def get_buffer(self):
        return self.buffer

    def update(self, *area):
        self.updated = area

    def get_filters(self):
        return []

    def get_mask(self):
        return None

    def has_alpha(self):
        return False

    is_gray = is_group_layer = has_alpha


@pytest.fixture
def layer():
    return Layer(np.random.default_rng(3).integers(0, 256, (700, 50, 3), np.uint8))


def render(picture):
    return JobRequest("render", {"picture": picture}, plan=PLAN)


def told(stage, share):
    return True


def test_pixels_go_and_come_in_bands(transfer, client, layer):
    job, result = transfer.run_on(client, [layer], render, told)
    made = Layer(np.zeros_like(layer.buffer.pixels))
    transfer.write(client, result.pictures[0].ref, made)
    client.forget(job)
    np.testing.assert_array_equal(made.buffer.pixels, 255 - layer.buffer.pixels)
    assert made.updated == (0, 0, 50, 700)


def ended(home, pid):
    os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + 5
    while lock_holder(home.places) == pid and time.monotonic() < until:
        time.sleep(0.01)


def test_a_worker_that_is_replaced_after_the_pixels_gets_them_again(transfer, home, layer):
    client = home.started()
    killed = []

    def request(picture):
        if not killed:
            killed.append(client.worker)
            ended(home, client.worker)
        return render(picture)

    _, result = transfer.run_on(client, [layer], request, told)
    made = Layer(np.zeros_like(layer.buffer.pixels))
    transfer.write(client, result.pictures[0].ref, made)
    np.testing.assert_array_equal(made.buffer.pixels, 255 - layer.buffer.pixels)
    assert client.worker not in (None, *killed)


def test_a_job_that_was_refused_is_not_asked_for_twice(transfer, home, layer):
    client = home.started()
    asked = []

    def request(picture):
        asked.append(picture)
        return JobRequest("render", {"picture": picture}, plan={"operations": [1]})

    with pytest.raises(BridgeError):
        transfer.run_on(client, [layer], request, told)
    assert len(asked) == 1
    assert home.pixel_files() == []


def test_results_go_with_the_block_however_it_ends(transfer, home, layer):
    client = home.started()

    def half_done():
        with transfer.jobs_of(client) as jobs:
            for _ in range(2):
                job, result = transfer.run_on(client, [layer], render, told)
                jobs.done.append(job)
            assert home.pixel_files() != []
            client.open_picture(result.pictures[0].ref).close()
            raise KeyError("in the middle")

    with pytest.raises(KeyError):
        half_done()
    assert home.pixel_files() == []


def test_a_worker_that_is_gone_is_no_fault_of_what_is_done(transfer, home, layer):
    client = home.started()
    with transfer.jobs_of(client) as jobs:
        job, _ = transfer.run_on(client, [layer], render, told)
        jobs.done.append(job)
        ended(home, client.worker)


def test_pixels_that_cannot_be_read_leave_no_file(transfer, home, layer):
    client = home.started()
    layer.buffer.pixels = layer.buffer.pixels[:, :, :2]  # fewer bytes than a band has
    layer.buffer.get = lambda *_: b"x" * 10**9
    with pytest.raises(Exception, match=r".+"):
        transfer.run_on(client, [layer], render, told)
    assert home.pixel_files() == []


def test_a_window_that_fails_ends_its_job(transfer, client, layer, monkeypatch):
    monkeypatch.setattr(transfer.running, "_LOOK_SECONDS", 0.001)

    def fails(stage, share):
        raise RuntimeError("the window")

    began = time.monotonic()
    with pytest.raises(RuntimeError, match="the window"):
        transfer.run_on(client, [layer], render, fails)
    assert time.monotonic() - began < 10
    assert client.connect()
