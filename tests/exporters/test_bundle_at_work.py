"""A bundle's parts while they are used: what is remembered, let go of, and cancelled."""

import gc
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import made_parts
import numpy as np
import pytest

from imgedit_exporters.exporting import Wanted, export
from imgedit_exporters.runtime.idle import Idle
from imgedit_exporters.runtime.results import Results
from imgedit_exporters.runtime.sessions import Bundle
from imgedit_exporters.runtime.using import Kept, bundle_of
from imgedit_plugins.errors import JobCancelledError, WeightsError
from imgedit_plugins.jobs import Job

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("at_work") / "bundle"
    export(made_parts.report(), "mixer", out, Wanted(golden=2), None, Job())
    return out


@pytest.fixture
def bundle(folder):
    return Bundle(folder, device="cpu", threads=1)


@pytest.fixture
def runs(monkeypatch) -> list[str]:
    """The names of parts that are run."""
    found: list[str] = []
    original = Bundle.run

    def run(self, name, inputs):
        found.append(name)
        return original(self, name, inputs)

    monkeypatch.setattr(Bundle, "run", run)
    return found


def inputs(seed: int) -> dict[str, np.ndarray]:
    return made_parts.draw(np.random.default_rng(seed))


def wait_until(condition, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


# --- remembered -------------------------------------------------------------------------------


def test_the_same_arrays_are_run_once(bundle, runs):
    wanted = bundle.run("mix", inputs(1))[0]
    runs.clear()
    (first,) = bundle.remembered("mix", inputs(1))
    (again,) = bundle.remembered("mix", list(inputs(1).values()))
    assert runs == ["mix"]
    np.testing.assert_array_equal(first, wanted)
    assert again is first
    bundle.remembered("mix", inputs(2))
    almost = inputs(1)
    almost["shift"][0] = np.nextafter(almost["shift"][0], 9)
    (other,) = bundle.remembered("mix", almost)
    assert len(runs) == 3
    assert (other != first).any()
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0, 0] = 1.0
    bundle.release()
    bundle.remembered("mix", inputs(1))
    assert len(runs) == 4


def test_no_part_is_loaded_for_what_is_remembered(bundle, monkeypatch):
    (wanted,) = bundle.remembered("mix", inputs(1))
    monkeypatch.setattr(bundle, "session", None)
    assert bundle.remembered("mix", inputs(1))[0] is wanted


def test_only_the_last_few_results_are_kept():
    made: list[int] = []

    def of(results: Results, number: int, size: int = 10) -> None:
        def make():
            made.append(number)
            return [np.full(size, number, np.uint8)]

        (array,) = results.of("part", {"x": np.array([number])}, make)
        assert (array == number).all()

    results = Results(count=3)
    for number in (1, 2, 3, 1, 4, 1, 2):
        of(results, number)
    assert made == [1, 2, 3, 4, 2], "2 was used least recently when 4 came"
    made.clear()
    results = Results(limit=100)
    for number, size in ((1, 50), (2, 40), (1, 50), (3, 101), (1, 50), (4, 20), (1, 50), (2, 40)):
        of(results, number, size)
    assert made == [1, 2, 3, 4, 2], "3 is never kept, and there is no room for 2 beside 4"
    made.clear()
    results.forget("another")
    of(results, 1)
    results.forget("part")
    of(results, 1)
    assert made == [1]


def test_the_same_bytes_of_another_kind_or_part_are_something_else():
    results, made = Results(count=20), []

    def make():
        made.append(1)
        return [np.zeros(1)]

    for array in (np.zeros(4, np.float32), np.zeros((2, 2), np.float32), np.zeros(4, np.int32)):
        results.of("a", {"x": array}, make)
        results.of("b", {"x": array}, make)
        results.of("a", {"y": array}, make)
    assert len(made) == 9
    results.of("a", {"x": np.zeros((4, 2), np.float32)[:, 0]}, make)
    assert len(made) == 9


def test_threads_may_share_results():
    results = Results(count=4, limit=64)

    def of(number: int) -> int:
        return int(results.of("a", {"x": np.array(number)}, lambda: [np.array([number])])[0][0])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(of, list(range(9)) * 50)) == list(range(9)) * 50


# --- let go of --------------------------------------------------------------------------------


def test_parts_are_let_go_of_when_nobody_needs_them(folder):
    bundle = Bundle(folder, device="cpu", threads=1, idle=1.0)
    (wanted,) = bundle.run("mix", inputs(1))
    session = weakref.ref(bundle.session("mix"))
    for _ in range(4):
        time.sleep(0.3)
        bundle.run("mix", inputs(2))
    assert session() is not None, "it was used all the time"
    wait_until(lambda: session() is None)
    np.testing.assert_array_equal(bundle.run("mix", inputs(1))[0], wanted)
    session = weakref.ref(bundle.session("mix"))
    wait_until(lambda: session() is None)


def test_a_bundle_that_waits_is_not_held(folder):
    bundle = Bundle(folder, device="cpu", threads=1, idle=60)
    bundle.run("mix", inputs(1))
    there = weakref.ref(bundle)
    del bundle
    gc.collect()
    assert there() is None


def test_waiting_holds_up_no_end_of_the_process_and_can_be_left_out():
    called = threading.Event()
    never = Idle(0, called.set)
    never.used()
    before = threading.active_count()
    waiting = Idle(60, called.set)
    for _ in range(5):
        waiting.used()
    assert threading.active_count() == before + 1
    assert all(thread.daemon for thread in threading.enumerate()[1:] if "Timer" in thread.name)
    assert not called.is_set()


# --- found ------------------------------------------------------------------------------------


def test_a_bundle_is_found_where_weights_are_kept_too(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("IMGEDIT_WEIGHTS", str(tmp_path))
    assert bundle_of({"weights": str(folder)}, "family", "model") == folder
    assert bundle_of({"weights": ""}, "family", "model") is None
    (tmp_path / "family").mkdir()
    (tmp_path / "family" / "model").symlink_to(folder)
    assert bundle_of({}, "family", "model") == tmp_path / "family" / "model"
    assert bundle_of({"weights": ""}, "family", "another") is None
    assert bundle_of({"weights": str(tmp_path)}, "family", "model") is None


# --- cancelled --------------------------------------------------------------------------------


class Mixer:
    """A composition."""

    def __init__(self, bundle: Bundle) -> None:
        bundle.check_plugin("mixer")
        self.bundle = bundle


def test_a_cancelled_job_loads_no_part(folder):
    kept, stages = Kept(Mixer), []
    cancelled = Job()
    cancelled.cancel()
    with pytest.raises(JobCancelledError):
        kept.of(folder, "cpu", cancelled).bundle.session("mix")
    model = kept.of(folder, "cpu", Job(on_progress=lambda p: stages.append(p.stage)))
    assert model is kept.of(folder, "cpu", Job())
    other = Job()
    other.cancel()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(kept.of, folder, "cpu", other).result()
    model.bundle.run("mix", inputs(1))
    assert not stages, "the job that came last in this thread counts"
    model.bundle.release()
    kept.of(folder, "cpu", Job(on_progress=lambda p: stages.append(p.stage)))
    model.bundle.run("mix", inputs(1))
    assert stages == ["loading mix"]
    model.bundle.run("mix", inputs(2))
    assert stages == ["loading mix"]


def test_a_part_that_is_not_there_is_told(bundle):
    with pytest.raises(WeightsError, match="no part 'unet'"):
        bundle.remembered("unet", [np.zeros(1)])
