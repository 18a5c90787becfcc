"""Random lives of whole runs: after each event the engine stands as the slow model says, all tables are as they
should be, and no state was left but by a legal move."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from pools import claims
from pools.models import Gate, Hold, Pool, Waiter
from runs import states, transitions
from runs.models import Op, Run
from runs.verdict import Verdict
from tests.conformance.built import BUILT, GRANULARITY, POOL_CHECK, RESERVATION
from tests.conformance.engine import Engine
from tests.conformance.language import job
from tests.conformance.model import Model
from tests.conformance.story import TagRule
from tests.conftest import clear
from tests.invariants import check_engine
from tests.plugin import DATABASE

POOLS = ("database", "api")
QUEUES = ("default", "gpu")
RULES = tuple(map(TagRule.of, ("team=a", "team", "each team")))
JOBS = (
    job(": a, b after a, c after b"),
    job(
        ": top on database, left on api after top priority 1, right after top queue gpu,"
        " bottom on database*2 + api after left right"
    ),
    job("executor 2: a c e on database, b d on database priority 1"),
    job("tag each kind 1 tag kind=x 1: a c kind=x, b kind=y, d on api kind=y, e on api kind=x"),
    job("executor 2 tag kind=x 1: a c kind=x, b d, e kind=x priority 1, f on api"),
    job(": shaky on database retries 1, other on api retries 1 later, last after shaky"),
    job("executor 1: wide on database*2 retries 1, next on database + api, more on api*2 priority 1 queue gpu"),
)

LAUNCHES = st.tuples(st.sampled_from(JOBS), st.sampled_from([None, "a", "b"]), st.integers(-1, 1))
LIMITS = st.tuples(st.integers(1, 3), st.integers(1, 3))

picks = st.integers(0, 99)  # not more: of larger ranges, Hypothesis picks numbers that it finds in the code of the day


class Runs(RuleBasedStateMachine):
    """Runs are launched, their ops start and end in every way, limits move, workers come and go."""

    def __init__(self) -> None:
        super().__init__()
        clear()
        self.model, self.engine = Model(), Engine()
        self.seen: dict[str, dict[int, str]] = {"run": {}, "op": {}}
        self.old_tokens: list[tuple[int, int]] = []
        self.is_news = False  # whether anything has happened since both were compared
        self.do("set_check", False)
        self.do("set_workers", "default", 4)
        self.do("set_workers", "gpu", 2)

    # --- helpers ----------------------------------------------------------------------------------

    def do(self, verb: str, *arguments: object) -> None:
        """The same event for both."""
        getattr(self.model, verb)(*arguments)
        getattr(self.engine, verb)(*arguments)
        self.is_news = True

    def pick(self, number: int, *wanted: str) -> str | None:
        """One of the ops in these states."""
        found = [name for name, op in self.model.ops.items() if op.state in wanted]
        return found[number % len(found)] if found else None

    def pick_run(self, number: int, *wanted: str) -> str | None:
        found = [name for name, run in self.model.runs.items() if run.state in wanted]
        return found[number % len(found)] if found else None

    def holding(self, number: int, *wanted: str) -> str | None:
        """One of the ops with slots, whose token will soon be an old one."""
        name = self.pick(number, *(wanted or (states.ADMITTED, states.RUNNING)))
        if name is not None:
            op_row = self.engine.op(name)
            self.old_tokens.append((op_row.pk, op_row.token or 0))
        return name

    # --- runs -------------------------------------------------------------------------------------

    @initialize(launches=st.lists(LAUNCHES, min_size=1, max_size=4), check=st.booleans(), pools=LIMITS)
    def launch_some(self, launches, check, pools) -> None:
        if POOL_CHECK in BUILT:
            self.do("set_check", check)
        for pool, limit in zip(POOLS, pools, strict=True):
            self.do("set_pool", pool, limit)
        for launch in launches:
            self.launch(launch)

    @precondition(lambda self: len(self.model.runs) < 16)
    @rule(launch=LAUNCHES)
    def launch(self, launch) -> None:
        which, team, priority = launch
        tags = {"dagster/priority": str(priority)} | ({"team": team} if team else {})
        self.do("launch", f"r{len(self.model.runs)}", which, tags)

    @rule(number=picks)
    def cancel(self, number) -> None:
        if name := self.pick_run(number, states.QUEUED, states.STARTED):
            self.do("cancel", name)

    @rule(number=picks)
    def cancel_twice(self, number) -> None:
        if name := self.pick_run(number, states.CANCELING, *states.RUN_TERMINAL):
            assert not transitions.cancel_run(self.engine.runs[name], "ada")

    @rule(number=picks, priority=st.integers(-2, 2))
    def change_priority(self, number, priority) -> None:
        if name := self.pick_run(number, states.QUEUED, states.STARTED, states.CANCELING):
            self.do("priority", name, priority)

    # --- ops --------------------------------------------------------------------------------------

    @rule(number=picks, how_many=st.integers(1, 4))
    def start(self, number, how_many) -> None:
        for _ in range(how_many):
            if name := self.pick(number, states.ADMITTED):
                self.do("starts", name)

    @rule(number=picks, how_many=st.integers(1, 3))
    def succeed(self, number, how_many) -> None:
        for _ in range(how_many):
            if name := self.holding(number):
                self.do("ends", name)

    @rule(number=picks, how=st.sampled_from(["fails", "dies", "is_given_back"]))
    def end_otherwise(self, number, how) -> None:
        if name := self.holding(number):
            self.do(how, name)

    @rule(number=picks)
    def stop(self, number) -> None:
        name = self.holding(number, states.RUNNING)
        if name and self.model.ops[name].run.state == states.CANCELING:
            self.do("stops", name)
        elif name:
            self.do("ends", name)

    @rule(number=picks)
    def run_out_of_lease(self, number) -> None:
        if name := self.holding(number):
            self.do("loses_its_lease", name)

    @precondition(lambda self: self.pick(0, states.UP_FOR_RETRY))
    @rule()
    def retries_are_due(self) -> None:
        self.do("retries_are_due")

    @precondition(lambda self: self.old_tokens)
    @rule(number=picks)
    def speak_late(self, number) -> None:
        op_id, token = self.old_tokens[number % len(self.old_tokens)]
        assert transitions.start(op_id, token, None, 1) is None
        assert not transitions.complete(op_id, token, Verdict.success('{"json": "late"}'))
        assert not transitions.give_back(op_id, token)
        assert not transitions.op_died(op_id, token, "late")
        assert not claims.renew([claims.Grant(f"op:{op_id}", token)], 15.0)

    # --- limits -----------------------------------------------------------------------------------

    @rule(pool=st.sampled_from(POOLS), limit=st.integers(0, 3))
    def resize(self, pool, limit) -> None:
        self.do("set_pool", pool, limit)

    @rule(pool=st.sampled_from(POOLS), verb=st.sampled_from(["pause", "resume", "resume"]))
    def pause_or_resume(self, pool, verb) -> None:
        if Pool.objects.filter(name=pool).exists():
            self.do(verb, pool)

    @rule(pool=st.sampled_from(POOLS))
    def delete(self, pool) -> None:
        if pool not in self.model.granularities and Pool.objects.filter(name=pool).exists():
            self.do("delete_pool", pool)

    @rule(limit=st.sampled_from([None, 0, 1, 3]))
    def change_default(self, limit) -> None:
        self.do("set_default_limit", limit)

    @rule(maximum=st.sampled_from([-1, 0, 1, 2, 3, 5]))
    def change_maximum(self, maximum) -> None:
        self.do("set_maximum", maximum)

    @rule(which=st.sampled_from(RULES), limit=st.integers(0, 3))
    def set_rule(self, which, limit) -> None:
        self.do("set_rule", which, limit)

    @rule(number=picks)
    def drop_rule(self, number) -> None:
        if found := list(self.model.rules):
            self.do("drop_rule", found[number % len(found)])

    @precondition(lambda _: GRANULARITY in BUILT)
    @rule(pool=st.sampled_from([None, *POOLS]), granularity=st.sampled_from(["op", "run"]))
    def switch_granularity(self, pool, granularity) -> None:
        if self.model.would_deadlock(pool, granularity):
            self.engine.refuses("set_granularity", (pool, granularity))
        else:
            self.do("set_granularity", pool, granularity)

    @precondition(lambda _: POOL_CHECK in BUILT)
    @rule(enabled=st.booleans())
    def switch_check(self, enabled) -> None:
        self.do("set_check", enabled)

    @precondition(lambda _: POOL_CHECK in BUILT)
    @rule(buffer=st.integers(0, 2))
    def change_buffer(self, buffer) -> None:
        self.do("set_buffer", buffer)

    @precondition(lambda _: RESERVATION in BUILT)
    @rule(seconds=st.sampled_from([30, 60]))
    def time_passes(self, seconds) -> None:
        self.do("time_passes", seconds)

    # --- workers ----------------------------------------------------------------------------------

    @rule(queue=st.sampled_from(QUEUES), count=st.sampled_from([0, 1, 2, 4, 8, 16]))
    def workers_come_or_go(self, queue, count) -> None:
        self.do("set_workers", queue, count)

    @rule()
    def sweep(self) -> None:
        claims.sweep()

    # --- what must be true ------------------------------------------------------------------------

    @invariant()
    def engine_and_model_see_the_same(self) -> None:
        if not self.is_news:
            return
        assert self.engine.seen() == self.model.seen()
        check_engine()
        self.check_moves()
        self.is_news = False

    def check_moves(self) -> None:
        """Only legal moves were made."""
        for what, model, moves in (("run", Run, states.RUN_MOVES), ("op", Op, states.OP_MOVES)):
            now = dict(model.objects.values_list("id", "state"))
            for key, before in self.seen[what].items():
                assert now[key] in reachable(moves, before), f"{what} {key}: {before} -> {now[key]}"
            self.seen[what] = now

    def teardown(self) -> None:
        """With room everywhere, everything comes to an end and nothing is left over."""
        self.do("set_maximum", -1)
        for which in list(self.model.rules):
            self.do("drop_rule", which)
        for found in Pool.objects.all():
            self.do("resume", found.name)
            self.do("set_pool", found.name, 9)
        self.do("set_default_limit", None)
        for queue in QUEUES:
            self.do("set_workers", queue, 9)
        for _ in range(500):
            if not self.pick_run(0, *states.RUN_IN_PROGRESS, states.QUEUED):
                break
            self.do("retries_are_due")
            self.succeed(0, 4)
        assert self.engine.seen() == self.model.seen()
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
def test_runs_agree_with_the_model(engine, monkeypatch, looks) -> None:
    monkeypatch.setattr("pools.claims.board.LOOKS", looks)
    monkeypatch.setattr("pools.claims.board.AHEAD", 3)
    run_state_machine_as_test(
        Runs,
        settings=settings(
            max_examples=25 if DATABASE == "sqlite" else 10,  # PostgreSQL takes three times as long for each
            stateful_step_count=60,
            derandomize="RANDOM_SCHEDULES" not in os.environ,  # a verdict can be had again; set it to look further
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
