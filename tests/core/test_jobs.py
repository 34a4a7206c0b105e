import dataclasses
import threading
import time

import numpy as np
import pytest

from imgedit_plugins.errors import ImgeditError, JobCancelledError
from imgedit_plugins.jobs import LONGEST_PREVIEW, Job, Progress


def test_progress_goes_to_the_callback():
    told = []
    job = Job(on_progress=told.append)
    job.report("looking")
    job.report("searching", 3, 10)
    assert told == [Progress("looking", 0, 0), Progress("searching", 3, 10)]
    with pytest.raises(dataclasses.FrozenInstanceError):
        told[0].done = 5


def test_warnings_are_kept_and_go_to_the_callback():
    told = []
    job = Job(on_warning=told.append)
    job.warn("Mind the gap.")
    assert job.warnings == told == ["Mind the gap."]


def test_a_job_needs_no_callbacks():
    job = Job()
    job.report("working", 1, 2)
    job.warn("Something.")
    job.check()
    assert job.warnings == ["Something."]
    assert not job.cancelled
    assert Job().warnings == []


def test_a_cancelled_job_stops_at_the_next_report_or_check():
    told = []
    job = Job(on_progress=told.append)
    job.cancel()
    job.cancel()
    assert job.cancelled
    with pytest.raises(JobCancelledError):
        job.check()
    with pytest.raises(JobCancelledError):
        job.report("working", 1, 2)
    assert told == [], "nobody is told about work that was cancelled"
    job.warn("Still possible, for cleaning up.")
    assert isinstance(JobCancelledError(), ImgeditError)
    assert str(JobCancelledError()) == "The job was cancelled."


def test_a_callback_may_cancel_its_job():
    job = Job(on_progress=lambda progress: job.cancel())
    job.report("first")
    with pytest.raises(JobCancelledError):
        job.report("second")


def test_errors_of_a_callback_reach_the_work():
    def broken(progress):
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        Job(on_progress=broken).report("working")


def test_cancelling_from_another_thread_stops_the_work_at_once():
    begun = threading.Event()
    job = Job()
    stopped = []

    def work():
        begun.set()
        try:
            while True:
                job.report("working")
                time.sleep(0.001)
        except JobCancelledError:
            stopped.append(time.monotonic())

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert begun.wait(10)
    asked = time.monotonic()
    job.cancel()
    thread.join(10)
    assert stopped
    assert stopped[0] - asked < 1


def test_warnings_of_many_threads_all_arrive():
    told = []
    job = Job(on_warning=told.append)
    threads = [
        threading.Thread(target=lambda n=n: [job.warn(f"{n}-{i}") for i in range(100)])
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(job.warnings)) == len(told) == 800


# --- previews ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        ((40, 60), (40, 60)),
        ((256, 256), (256, 256)),
        ((600, 300), (256, 128)),
        ((3, 900), (1, 256)),
    ],
)
def test_previews_are_small(size, wanted):
    shown = []
    job = Job(on_preview=shown.append)
    assert job.wants_previews
    job.preview(np.full((*size, 3), 77, np.uint8), (1, 2, 30, 40))
    [preview] = shown
    assert preview.pixels.shape == (*wanted, 3)
    assert max(preview.pixels.shape) <= LONGEST_PREVIEW
    assert (preview.pixels == 77).all()
    assert preview.place == (1, 2, 30, 40)


def test_previews_cost_nothing_where_nobody_looks():
    job = Job()
    assert not job.wants_previews
    job.preview(None, None)  # not even looked at
