"""Where a run's time went: the parts add up, by the clock and for all ops together, whatever happened."""

from __future__ import annotations

import pytest
from django.utils import timezone

from pools import sizing
from runs import lineage, queries, run_limits, spans, states, time_split, transitions
from runs.models import Run
from runs.time_split import Part, TimeSplit
from runs.verdict import CRASHED
from tests.builders import (
    ADA,
    due,
    end,
    fail,
    in_state,
    job,
    launched_run,
    let_pass,
    op,
    pool,
    start,
    started_run,
    tag_rule,
    the_op,
    workers,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]


def split(run: Run) -> TimeSplit:
    run.refresh_from_db()
    return time_split.of_run(run, queries.ops_of(run), queries.why_queued(run))


def minutes(parts: list[Part]) -> dict[str, int]:
    return {part.kind: round(part.seconds / 60) for part in parts if round(part.seconds / 60)}


def by_limit(parts: list[Part], kind: str) -> dict[tuple[str, str] | None, int]:
    (found,) = [part for part in parts if part.kind == kind]
    assert sum(part.seconds for part in found.limits) == pytest.approx(found.seconds)
    return {part.limit: round(part.seconds / 60) for part in found.limits}


def whole(run: Run) -> float:
    return ((run.ended_at or timezone.now()) - run.queued_at).total_seconds()


def test_a_queued_run_waits_in_the_queue_by_limit():
    run_limits.set_maximum(0, ADA)
    run = launched_run(tags={"team": "growth"})
    let_pass(60 * 3)
    tag_rule("team", 0)
    run_limits.set_maximum(5, ADA)
    let_pass(60 * 4)
    found = split(run)
    assert minutes(found.run) == {time_split.QUEUED: 7}
    assert by_limit(found.run, time_split.QUEUED) == {("runs", "runs in progress"): 3, ("run_tag", "team"): 4}
    (queued,) = found.run
    assert [(part.limit[0], part.grows) for part in queued.limits] == [("run_tag", 1), ("runs", 0)]
    assert found.whole.grows == 1
    assert found.together.seconds == 0


def test_ops_wait_by_limit_while_others_run():
    pool("db", 1)
    workers(3)
    run = started_run(job(op("a", pool="db"), op("b", pool="db"), op("c")))
    for row in in_state(states.ADMITTED, run):
        start(row)
    let_pass(60 * 6)
    end(the_op(run, "c"))
    let_pass(60 * 2)
    found = split(run)
    assert minutes(found.run) == {spans.RUNNING: 8}
    assert minutes(found.ops) == {spans.RUNNING: 14, spans.WAITING: 8}
    assert by_limit(found.ops, spans.WAITING) == {("pool", "db"): 8}
    assert {part.kind: part.grows for part in found.ops} == {spans.RUNNING: 1, spans.WAITING: 1}
    assert [part.grows for part in found.ops[1].limits] == [1]
    assert found.together.grows == 2


def test_a_run_that_is_over_does_not_grow():
    pool("db", 0)
    workers(1)
    run = started_run(job(op("a", pool="db"), op("b", after=["a"])))
    let_pass(60 * 5)
    sizing.set_limit("db", 1, ADA)
    start(the_op(run, "a"))
    let_pass(60 * 3)
    end(the_op(run, "a"))
    start(the_op(run, "b"))
    let_pass(60 * 2)
    end(the_op(run, "b"))
    let_pass(60 * 100)
    found = split(run)
    assert minutes(found.run) == {spans.RUNNING: 5, spans.WAITING: 5}
    assert found.whole.seconds == pytest.approx(whole(run), rel=0.01)
    assert (found.whole.grows, found.together.grows) == (0, 0)


def test_delays_between_attempts_are_apart():
    workers(1)
    run = started_run(job(op("a")))
    start(the_op(run))
    let_pass(60 * 4)
    fail(the_op(run), retry_in=1200)
    let_pass(60 * 9)
    found = split(run)
    assert minutes(found.run) == {spans.RUNNING: 4, spans.DELAYED: 9}
    assert [part.grows for part in found.run] == [0, 1]
    due(the_op(run))
    transitions.retry_due()
    start(the_op(run))
    let_pass(60 * 1)
    end(the_op(run))
    assert minutes(split(run).run) == {spans.RUNNING: 5, spans.DELAYED: 9}


def test_an_attempt_that_crashed_counts_and_its_op_waits_again():
    workers(1)
    pool("db", 1)
    run = started_run(job(op("a", pool="db", crash_retries=1)))
    row = the_op(run)
    start(row)
    let_pass(60 * 4)
    sizing.set_limit("db", 0, ADA)
    transitions.op_died(row.pk, the_op(run).token, "it was killed", CRASHED)
    let_pass(60 * 3)
    found = split(run)
    assert minutes(found.run) == {spans.RUNNING: 4, spans.WAITING: 3}
    assert by_limit(found.run, spans.WAITING) == {("pool", "db"): 3}


def test_of_a_run_that_was_canceled_in_the_queue_the_limit_is_not_known():
    run_limits.set_maximum(0, ADA)
    run = launched_run()
    let_pass(60 * 3)
    transitions.cancel_run(run.pk, "ada")
    (queued,) = split(run).run
    assert (round(queued.seconds / 60), list(queued.limits), queued.grows) == (3, [], 0)


def test_ops_that_were_canceled_while_they_waited():
    workers(2)
    pool("db", 1)
    run = started_run(job(op("a", pool="db"), op("b", pool="db"), op("c", pool="db")))
    start(the_op(run, "a"))
    let_pass(60 * 3)
    end(the_op(run, "a"))
    start(the_op(run, "b"))
    let_pass(60 * 2)
    transitions.cancel_run(run.pk, "ada")
    end(the_op(run, "b"))
    found = split(run)
    assert minutes(found.ops) == {spans.RUNNING: 5, spans.WAITING: 8}
    assert by_limit(found.ops, spans.WAITING) == {("pool", "db"): 3, None: 5}


def test_what_is_shown_adds_up_to_the_second():
    parts = [Part(kind, seconds) for kind, seconds in (("a", 3.7), ("b", 4.7), ("c", 12.9), ("d", 0.2))]
    assert [(part.kind, part.seconds) for part in time_split.rounded(parts)] == [("a", 4), ("b", 4), ("c", 13)]
    short = [Part("a", 3.77), Part("b", 0.16, limits=[Part("b", 0.09), Part("b", 0.07)])]
    found = time_split.rounded(short)
    assert [part.seconds for part in found] == [3.8, 0.1]
    assert [part.seconds for part in found[1].limits] == [0.1]


def test_the_last_success_of_the_same_is_what_a_run_compares_with():
    workers(1)

    def carried_out(of, ok: bool = True) -> Run:
        run = started_run(of)
        start(the_op(run))
        end(the_op(run)) if ok else fail(the_op(run))
        return run

    same = job(op("a"))
    good = carried_out(same)
    carried_out(same, ok=False)
    carried_out(job(op("other")))
    assert lineage.kin(started_run(same)).before == good
    assert lineage.kin(good).before is None
