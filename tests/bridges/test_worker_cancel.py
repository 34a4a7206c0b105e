"""Cancelling takes less than a second in every phase, whatever the plugin does."""

from __future__ import annotations

import time

import pytest
from worker_home import alive, does, until, wait_for, whoami

from imgedit_bridges.client import JobCancelledError


def cancelled_after(client, job):
    began = time.monotonic()
    client.cancel(job)
    until(client, job, "cancelled")
    return time.monotonic() - began


def test_a_queued_job(client):
    running = client.submit(does(client, "patient"))
    until(client, running, "waiting")
    queued = client.submit(does(client, "whoami"))
    assert cancelled_after(client, queued) < 0.3
    assert cancelled_after(client, running) < 0.5


def test_a_job_that_checks_keeps_its_process(client):
    before = whoami(client)
    job = client.submit(does(client, "patient"))
    until(client, job, "waiting")
    assert cancelled_after(client, job) < 0.5
    assert whoami(client) == before


@pytest.mark.parametrize(
    ("what", "stage"), [("sleeps", "sleeping"), ("spins", "spinning"), ("holds", "holding")]
)
def test_a_job_that_ignores_it_is_ended_with_its_process(client, what, stage):
    before = whoami(client)
    job = client.submit(does(client, what))
    until(client, job, stage)
    assert cancelled_after(client, job) < 1.0
    assert not alive(before)
    assert whoami(client) != before


@pytest.mark.parametrize("phase", ["loading", "compiling", "stepping"])
def test_a_job_in_each_phase_of_a_model(client, phase):
    options = {"seconds": 30.0 if phase == "loading" else 1.5}
    job = client.submit(does(client, "phases", options=options))
    until(client, job, phase)
    assert cancelled_after(client, job) < 1.0
    assert whoami(client)


def test_a_job_whose_process_is_still_starting(home):
    client = home.started()
    job = client.submit(does(client, "patient"))
    assert cancelled_after(client, job) < 1.0
    assert whoami(client)


def test_what_a_cancelled_job_has_written_is_removed(home):
    client = home.started()
    whoami(client)
    before = set(home.pixel_files())
    request = does(client, "leaves")
    job = client.submit(request)
    wait_for(lambda: len(home.pixel_files()) > len(before) + 1)
    client.cancel(job)
    until(client, job, "cancelled")
    left = set(home.pixel_files()) - before - {request.inputs["picture"].pixels}
    assert left == set()


def test_cancelling_twice_and_after_the_end_is_no_fault(client):
    job = client.submit(does(client, "sleeps"))
    until(client, job, "sleeping")
    client.cancel(job)
    client.cancel(job)
    until(client, job, "cancelled")
    client.cancel(job)
    client.cancel(job)
    assert whoami(client)


def test_a_cancellation_that_comes_late_does_not_hit_the_next_job(client):
    for _ in range(10):
        job = client.submit(does(client, "whoami"))
        client.cancel(job)
        assert whoami(client)


def test_run_cancels_when_asked(client):
    began = time.monotonic()
    with pytest.raises(JobCancelledError):
        client.run(does(client, "patient"), cancelled=lambda: True)
    assert time.monotonic() - began < 1.5
