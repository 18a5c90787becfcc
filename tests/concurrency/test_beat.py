"""The beat of a launcher renews the living first: what waits for the admission lock, or fails, costs nobody a lease."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db.utils import OperationalError

from pools import claims
from pools.models import Hold
from runs import transitions, workforce
from runs.heartbeat import Child
from runs.models import Op, Worker
from runs.worker import Slate
from tests.builders import started_run, state_of, the_op, workers
from tests.concurrency.test_stopping_fenced_work import OneProcess, process  # noqa: F401  a fixture

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]

NOT_THERE = 2**22 + 1  # more than any pid
SOON = timedelta(seconds=1)


def lease_of(op: Op) -> datetime:
    return Hold.objects.filter(holder=transitions.op_holder(op.pk)).values_list("lease_until", flat=True)[0]


@pytest.fixture
def one_lives_one_died(checked: None, process: int) -> tuple[OneProcess, Op, Op]:  # noqa: F811
    """A launcher with an op whose process lives, its lease about to run out, and one whose process is gone."""
    (worker, _) = workers(2)
    ops = []
    for pid in (process, NOT_THERE):
        op = the_op(started_run())
        assert transitions.start(op.pk, op.token or 0, worker.pk, pid)
        ops.append(the_op(op.run))
    Hold.objects.update(lease_until=claims.clock_time() + SOON)
    return OneProcess(worker), ops[0], ops[1]


@pytest.mark.parametrize("error", [OperationalError("canceling statement due to lock timeout"), OverflowError("?")])
def test_a_dead_op_that_can_not_be_counted_out_costs_the_living_no_lease(
    one_lives_one_died: tuple[OneProcess, Op, Op], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    launcher, living, dead = one_lives_one_died
    seen: list[datetime] = []

    def fails(*_: Any) -> bool:
        seen.append(lease_of(living))
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(transitions, "op_died", fails)
        launcher._look_after_all()
    assert seen, "nobody tried"
    assert seen[0] > claims.clock_time() + 3 * SOON, "the burial came first"
    assert state_of(dead.run) == "running"
    launcher._look_after_all()  # it is not forgotten
    assert state_of(dead.run) == "failure"
    assert state_of(living.run) == "running"


def test_a_dead_worker_that_can_not_be_counted_out_costs_the_living_no_lease(
    one_lives_one_died: tuple[OneProcess, Op, Op], monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher, living, _ = one_lives_one_died
    other = Worker.objects.latest("id")
    launcher._dead = [(Child(NOT_THERE, other.pk, other.queue, 0.0, Slate()), "signal 9")]

    seen: list[datetime] = []

    def fails(*_: Any) -> None:
        seen.append(lease_of(living))
        raise OperationalError("canceling statement due to lock timeout")

    with monkeypatch.context() as patched:
        patched.setattr(workforce, "bury", fails)
        launcher._look_after_all()
    assert seen[0] > claims.clock_time() + 3 * SOON, "the burial came first"
    launcher._look_after_all()
    assert not Worker.objects.filter(pk=other.pk).exists()


def test_while_many_are_counted_out_the_living_are_renewed_again(
    one_lives_one_died: tuple[OneProcess, Op, Op], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each may wait for the admission lock, and all of them longer than a lease lasts."""
    launcher, living, dead = one_lives_one_died

    seen: list[datetime] = []

    def waits_long(*_: Any) -> None:
        seen.append(lease_of(living))
        launcher.ops._renewed_at -= 60
        Hold.objects.update(lease_until=claims.clock_time() + SOON)

    monkeypatch.setattr(transitions, "op_died", waits_long)
    for reason in ("a first one", "a second one"):
        launcher.ops.fail(dead, reason)
    assert len(seen) == 2
    assert min(seen) > claims.clock_time() + 3 * SOON
