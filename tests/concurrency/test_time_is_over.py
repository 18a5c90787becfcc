"""Real ops whose time is over, in real processes: what they make of it does not matter, they are stopped."""

from __future__ import annotations

import os
import signal
import time

import pytest

from pools.models import Hold
from runs import outputs
from runs.models import OpEvent
from tests.builders import states_of, the_op
from tests.concurrency.deployments import ends, is_there, seconds_since
from tests.servers import wait_for

pytestmark = [pytest.mark.django_db(transaction=True)]

AT_ONCE = 5.0  # seconds, with room for a busy machine


def test_ops_whose_time_is_over_are_stopped_whatever_they_do(deployment):
    (deployment.folder / "impatient.py").write_text("from controlplane.settings import *\nCANCEL_GRACE_SECONDS = 1.0\n")
    deployment.worker(5, env={"DJANGO_SETTINGS_MODULE": "impatient", "PYTHONPATH": str(deployment.folder)})
    run = deployment.launch("bounded")
    deaf = deployment.noted("started-too_slow_and_deaf-1")
    ends(run, "failure")
    assert states_of(run) == {
        "too_slow": "failure",
        "too_slow_and_deaf": "failure",
        "too_slow_and_content": "failure",
        "too_slow_once": "success",
        "in_time": "success",
    }
    assert deployment.noted("cleaned-too_slow-1")
    assert the_op(run, "too_slow").error == "timed out after 0.5 s"
    assert the_op(run, "too_slow_and_deaf").error == "timed out after 0.5 s; killed: it did not stop"
    assert the_op(run, "too_slow_and_content").error == "timed out after 0.3 s"
    assert the_op(run, "too_slow_once").attempt == 2
    assert not is_there(deaf)
    assert set(OpEvent.objects.values_list("kind", flat=True)) == {"timed_out"}
    assert OpEvent.objects.filter(op__key="too_slow_once").count() == 1
    assert not Hold.objects.exists()
    assert outputs.of_run(run.pk, {"in_time"}) == {"in_time": f"{run.uid}:in_time"}


def test_a_crash_is_forgiven_once_and_its_signal_is_named(deployment):
    deployment.worker(1, env={"CRASH_RETRIES": "1"})
    run = deployment.launch("one_waits")
    killed = time.monotonic()
    os.kill(deployment.noted("started-waits-1"), signal.SIGKILL)
    second = deployment.noted("started-waits-2")
    assert seconds_since(killed) < AT_ONCE
    os.kill(second, signal.SIGSEGV)
    ends(run, "failure")
    assert the_op(run).error == "its process died (signal 11, SIGSEGV)"
    assert list(OpEvent.objects.order_by("id").values_list("kind", "text")) == [
        ("crashed", "its process died (signal 9, SIGKILL)"),
        ("crashed", "its process died (signal 11, SIGSEGV)"),
    ]
    wait_for(lambda: not Hold.objects.exists(), "a slot is stuck")
