"""Random lives of runs on the database: after each event all tables are as they should be, and no state was left
but by a legal move."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from pools import claims, sizing
from pools.models import Gate, Hold, Pool, Waiter
from runs import recover, run_limits, states, transitions, workforce
from runs.models import Op, Run, TagRule, Worker
from runs.retry import RetryPolicy
from runs.verdict import Verdict
from tests.builders import ADA, EACH, due, job, lapse, launched_run, op, pool, tag_rule, workers
from tests.builders import rule as executor_rule
from tests.conftest import clear
from tests.invariants import check_engine

POOLS = ("database", "api")
QUEUES = ("default", "gpu")
KINDS_OF_RULES = ({"value": "a"}, {}, {"per_value": True})
JOBS = (
    job(op("a"), op("b", after=["a"]), op("c", after=["b"]), name="chain"),
    job(
        op("top", pool="database"),
        op("left", after=["top"], pool="api", priority=1),
        op("right", after=["top"], queue="gpu"),
        op("bottom", after=["left", "right"], pool={"database": 2, "api": 1}),
        name="diamond",
    ),
    job(*(op(f"op{n}", pool="database", priority=n % 2) for n in range(5)), max_concurrent=2, name="wide"),
    job(
        *(op(f"op{n}", tags={"kind": "xy"[n % 2]}, pool="api" if n > 2 else None) for n in range(5)),
        tag_rules=[executor_rule("kind", 1, EACH), executor_rule("kind", 1, "x")],
        name="tagged",
    ),
    job(op("shaky", retry=RetryPolicy(max_retries=1)), op("after", after=["shaky"]), op("other"), name="shaky"),
)

picks = st.integers(0, 10**6)


class Runs(RuleBasedStateMachine):
    """Runs are launched, their ops start and end in every way, limits move, workers come and go."""

    def __init__(self) -> None:
        super().__init__()
        clear()
        self.seen: dict[str, dict[int, str]] = {"run": {}, "op": {}}
        self.old_tokens: list[tuple[int, int]] = []
        workers(2)

    # --- helpers ----------------------------------------------------------------------------------

    def pick(self, state: str, number: int) -> Op | None:
        found = list(Op.objects.filter(state=state).order_by("id"))
        return found[number % len(found)] if found else None

    def running(self, number: int) -> Op | None:
        op_row = self.pick(states.RUNNING, number)
        if op_row is not None and op_row.token is not None:
            self.old_tokens.append((op_row.pk, op_row.token))
        return op_row

    def an_unfinished_run(self, number: int) -> Run | None:
        found = list(Run.objects.exclude(state__in=states.RUN_TERMINAL).order_by("id"))
        return found[number % len(found)] if found else None

    # --- runs -------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.seen["run"]) < 8)
    @rule(
        which=st.sampled_from(JOBS),
        team=st.sampled_from([None, "a", "b"]),
        priority=st.integers(-1, 1),
    )
    def launch(self, which, team, priority) -> None:
        launched_run(which, tags={"team": team} if team else {}, priority=priority)

    @rule(number=picks)
    def cancel(self, number) -> None:
        run = self.an_unfinished_run(number)
        if run is not None:
            assert transitions.cancel_run(run.pk, "ada") is (run.state in (states.QUEUED, states.STARTED))

    @rule(number=picks, priority=st.integers(-2, 2))
    def change_priority(self, number, priority) -> None:
        run = self.an_unfinished_run(number)
        if run is not None:
            assert transitions.set_priority(run.pk, priority)

    # --- ops --------------------------------------------------------------------------------------

    @rule(number=picks, how_many=st.integers(1, 4))
    def start(self, number, how_many) -> None:
        for _ in range(how_many):
            op_row = self.pick(states.ADMITTED, number)
            if op_row is not None:
                assert transitions.start(op_row.pk, op_row.token or 0, None, 1)

    @rule(number=picks)
    def succeed(self, number) -> None:
        if op_row := self.running(number):
            assert transitions.complete(op_row.pk, op_row.token or 0, Verdict.success())

    @rule(number=picks, retry_in=st.sampled_from([None, 0, 60]))
    def fail(self, number, retry_in) -> None:
        if op_row := self.running(number):
            assert transitions.complete(op_row.pk, op_row.token or 0, Verdict.failure("it broke", retry_in))

    @rule(number=picks)
    def give_back(self, number) -> None:
        if op_row := self.running(number):
            assert transitions.give_back(op_row.pk, op_row.token or 0)

    @rule(number=picks)
    def die(self, number) -> None:
        if op_row := self.running(number):
            assert transitions.op_died(op_row.pk, op_row.token or 0, "its process died")

    @rule(number=picks, state=st.sampled_from([states.ADMITTED, states.RUNNING]))
    def run_out_of_lease(self, number, state) -> None:
        if op_row := self.pick(state, number):
            self.old_tokens.append((op_row.pk, op_row.token or 0))
            lapse(op_row)
            assert recover.expire_leases() == 1

    @rule()
    def retries_are_due(self) -> None:
        waiting = list(Op.objects.filter(state=states.UP_FOR_RETRY))
        for op_row in waiting:
            due(op_row)
        assert transitions.retry_due() == len(waiting)

    @precondition(lambda self: self.old_tokens)
    @rule(number=picks)
    def speak_late(self, number) -> None:
        op_id, token = self.old_tokens[number % len(self.old_tokens)]
        assert transitions.start(op_id, token, None, 1) is None
        assert not transitions.complete(op_id, token, Verdict.success())
        assert not transitions.give_back(op_id, token)
        assert not transitions.op_died(op_id, token, "late")
        assert not claims.renew([claims.Grant(f"op:{op_id}", token)], 15.0)

    # --- limits -----------------------------------------------------------------------------------

    @rule(name=st.sampled_from(POOLS), limit=st.integers(0, 3))
    def resize(self, name, limit) -> None:
        pool(name, limit)

    @rule(name=st.sampled_from(POOLS), verb=st.sampled_from([sizing.pause, sizing.resume, sizing.delete]))
    def pause_resume_delete(self, name, verb) -> None:
        if Pool.objects.filter(name=name).exists():
            verb(name, ADA)

    @rule(limit=st.sampled_from([None, 0, 1, 3]))
    def change_default(self, limit) -> None:
        sizing.set_default_limit(limit, ADA)

    @rule(maximum=st.sampled_from([-1, 0, 1, 2, 3]))
    def change_maximum(self, maximum) -> None:
        run_limits.set_maximum(maximum, ADA)

    @rule(kind=st.sampled_from(KINDS_OF_RULES), limit=st.integers(0, 2))
    def set_rule(self, kind, limit) -> None:
        tag_rule("team", limit, **kind)

    @rule(number=picks)
    def delete_rule(self, number) -> None:
        found = list(TagRule.objects.order_by("id"))
        if found:
            run_limits.delete_rule(found[number % len(found)].pk, ADA)

    # --- workers ----------------------------------------------------------------------------------

    @rule(queue=st.sampled_from(QUEUES), count=st.integers(1, 3))
    def workers_come(self, queue, count) -> None:
        workers(count, queue)

    @rule(number=picks, count=st.integers(1, 3))
    def workers_go(self, number, count) -> None:
        found = list(Worker.objects.order_by("id").values_list("id", flat=True))
        if found:
            workforce.dismiss([found[(number + n) % len(found)] for n in range(count)])

    @rule()
    def sweep(self) -> None:
        claims.sweep()

    # --- what must be true ------------------------------------------------------------------------

    @invariant()
    def tables_are_as_they_should_be(self) -> None:
        check_engine()

    @invariant()
    def only_legal_moves_were_made(self) -> None:
        for what, model, moves in (("run", Run, states.RUN_MOVES), ("op", Op, states.OP_MOVES)):
            now = dict(model.objects.values_list("id", "state"))
            for key, before in self.seen[what].items():
                assert now[key] in reachable(moves, before), f"{what} {key}: {before} -> {now[key]}"
            self.seen[what] = now

    def teardown(self) -> None:
        """With room everywhere, everything comes to an end and nothing is left over."""
        run_limits.set_maximum(-1, ADA)
        for found in TagRule.objects.all():
            run_limits.delete_rule(found.pk, ADA)
        for found in Pool.objects.all():
            sizing.resume(found.name, ADA)
            pool(found.name, 9)
        sizing.set_default_limit(None, ADA)
        for queue in QUEUES:
            workers(3, queue)
        for _ in range(500):
            if not Run.objects.exclude(state__in=states.RUN_TERMINAL).exists():
                break
            self.retries_are_due()
            self.start(0, 4)
            self.succeed(0)
        check_engine()
        assert not Run.objects.exclude(state__in=states.RUN_TERMINAL).exists()
        assert not Hold.objects.exists()
        assert not Waiter.objects.exists()
        assert not Gate.objects.exclude(in_use=0).exists()


def reachable(moves: dict[str, tuple[str, ...]], start: str) -> set[str]:
    """The states that one transaction may lead to: several moves, each of them legal."""
    found, left = {start}, [start]
    while left:
        for after in moves[left.pop()]:
            if after not in found:
                found.add(after)
                left.append(after)
    return found


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("looks", [1000, 2], ids=["in one transaction", "in many small ones"])
def test_runs_keep_their_invariants(engine, monkeypatch, looks) -> None:
    monkeypatch.setattr("pools.claims.board.LOOKS", looks)
    monkeypatch.setattr("pools.claims.board.AHEAD", 3)
    run_state_machine_as_test(
        Runs,
        settings=settings(
            max_examples=15,
            stateful_step_count=40,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
