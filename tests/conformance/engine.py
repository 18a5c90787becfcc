"""The engine on the database of this test run, told the same events."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db.models import F

from pools import claims, explain, sizing
from pools.limits import InvalidLimit
from pools.models import Change, Gate, Hold, PoolSettings, Waiter
from pools.reasons import Explanation
from runs import granularity, launch, recover, retry, run_limits, states, tag_limits, transitions, workforce
from runs.definitions import DefinitionError
from runs.models import Op, Run, TagRule, Worker
from runs.verdict import Verdict
from tests import builders
from tests.builders import ADA
from tests.conformance import story
from tests.conformance.model import POOL_CHECK, RESERVE_AFTER
from tests.conformance.story import JobText, Seen

REFUSALS = (
    InvalidLimit,
    run_limits.InvalidMaximum,
    tag_limits.InvalidTagLimit,
    launch.CannotLaunch,
    DefinitionError,
    granularity.InvalidGranularity,
    granularity.WouldDeadlock,
    sizing.NoSuchPool,
)


class Engine:
    """Every public method is an event of the language, carried out by the verb that people would use."""

    def __init__(self) -> None:
        self.runs: dict[str, int] = {}
        self.jobs: dict[str, JobText] = {}
        PoolSettings.objects.update(check_at_queue=True)  # as migrations leave it

    # --- runs -----------------------------------------------------------------------------------------

    def launch(self, name: str, job: JobText, tags: Mapping[str, str]) -> None:
        run = launch.launch(job.to_job(), who="ada", door="cli", tags=tags)
        self.runs[name], self.jobs[name] = run.pk, job

    def cancel(self, name: str) -> None:
        assert transitions.cancel_run(self.runs[name], "ada")

    def priority(self, name: str, priority: int) -> None:
        assert transitions.set_priority(self.runs[name], priority)

    # --- ops ------------------------------------------------------------------------------------------

    def starts(self, name: str) -> None:
        builders.start(self.op(name))

    def ends(self, name: str) -> None:
        builders.end(self._started(name))

    def fails(self, name: str) -> None:
        op = self._started(name)
        run, key = name.split(".")
        (text,) = [text for text in self.jobs[run].ops if text.key == key]
        policy = retry.RetryPolicy(text.retries, story.RETRY_DELAY if text.later else None)
        builders.end(op, Verdict.failure("it broke", retry.delay_before_next(policy, op.attempt - op.crashes)))

    def stops(self, name: str) -> None:
        builders.end(self._started(name), Verdict.canceled())

    def is_given_back(self, name: str) -> None:
        op = self._started(name)
        assert transitions.give_back(op.pk, op.token or 0)

    def dies(self, name: str) -> None:
        op = self._started(name)
        assert transitions.op_died(op.pk, op.token or 0, "its process died")

    def loses_its_lease(self, name: str) -> None:
        builders.lapse(self.op(name))
        assert recover.expire_leases() == 1

    def retries_are_due(self) -> None:
        for op in Op.objects.filter(state=states.UP_FOR_RETRY):
            builders.due(op)
        transitions.retry_due()

    def op(self, name: str) -> Op:
        run, key = name.split(".")
        return Op.objects.get(run=self.runs[run], key=key)

    def _started(self, name: str) -> Op:
        op = self.op(name)
        if op.state == states.ADMITTED:
            builders.start(op)
        return op

    # --- limits ---------------------------------------------------------------------------------------

    def set_maximum(self, maximum: object) -> None:
        run_limits.set_maximum(maximum, ADA)

    def set_rule(self, rule: story.TagRule, limit: object) -> None:
        run_limits.set_rule(tag_limits.parse_one(rule.entry(limit)), ADA)

    def drop_rule(self, rule: story.TagRule) -> None:
        found = TagRule.objects.get(key=rule.key, value=rule.value, per_value=rule.each)
        run_limits.delete_rule(found.pk, ADA)

    def set_pool(self, pool: str, limit: object) -> None:
        sizing.set_limit(pool, limit, ADA)

    def set_default_limit(self, limit: object) -> None:
        sizing.set_default_limit(limit, ADA)

    def pause(self, pool: str) -> None:
        sizing.pause(pool, ADA)

    def resume(self, pool: str) -> None:
        sizing.resume(pool, ADA)

    def delete_pool(self, pool: str) -> None:
        sizing.delete(pool, ADA)

    def set_granularity(self, pool: str | None, wanted: str | None) -> None:
        if pool is None:
            granularity.set_default(wanted, ADA)
        else:
            granularity.set_for_pool(pool, wanted, ADA)

    def set_check(self, enabled: bool) -> None:
        sizing.set_check_at_queue(enabled, ADA)

    def set_buffer(self, buffer: object) -> None:
        sizing.set_run_buffer(buffer, ADA)

    def set_workers(self, queue: str, count: int) -> None:
        alive = list(Worker.objects.filter(queue=queue).order_by("id").values_list("id", flat=True))
        if count > len(alive):
            builders.workers(count - len(alive), queue)
        elif count < len(alive):
            workforce.dismiss(alive[count:])

    def time_passes(self, seconds: int) -> None:
        """All that has happened was so much earlier; the clock looks who was overtaken for too long."""
        earlier = timedelta(seconds=seconds)
        Hold.objects.update(asked_at=F("asked_at") - earlier)
        Waiter.objects.update(since=F("since") - earlier)
        Op.objects.exclude(ready_at=None).update(ready_at=F("ready_at") - earlier)
        Run.objects.update(queued_at=F("queued_at") - earlier)
        claims.reserve(RESERVE_AFTER)

    # --- what is seen ---------------------------------------------------------------------------------

    def refuses(self, verb: str, arguments: tuple[Any, ...]) -> None:
        """The verb must refuse this, and write nothing, not even in the ledger."""
        before = (self.seen(), Change.objects.count())
        try:
            getattr(self, verb)(*arguments)
        except REFUSALS:
            assert (self.seen(), Change.objects.count()) == before, "it refused and changed something"
        else:
            raise AssertionError("it was not refused")

    def seen(self) -> Seen:
        runs = {pk: name for name, pk in self.runs.items()}
        found = {f"run:{pk}": (runs[pk], state) for pk, state in Run.objects.values_list("id", "state")}
        for pk, run, key, state in Op.objects.values_list("id", "run", "key", "state"):
            found[f"op:{pk}"] = (f"{runs[run]}.{key}", state)
        told = explain.waiting(list(Waiter.objects.values_list("holder", flat=True)))
        waiting = {found[holder][0]: self._missing(waiter.explanation) for holder, waiter in told.items()}
        used = Gate.objects.exclude(in_use=0).values_list("kind", "key", "label", "in_use")
        in_use = {self._gate(kind, key, label): slots for kind, key, label, slots in used}
        return Seen(dict(found.values()), waiting, in_use)

    def _missing(self, explanation: Explanation) -> frozenset[str]:
        """What a candidate waits for, in the words of the scenarios."""
        gates = [check.gate for check in explanation.blocking]
        names = [self._gate(gate.kind, gate.key, gate.label) for gate in gates]
        return frozenset([*names, POOL_CHECK] if explanation.without_prospect else names)

    def _gate(self, kind: str, key: str, label: str) -> str:
        run = next((name for name, pk in self.runs.items() if key.startswith(f"run:{pk}:")), "")
        return story.gate_name(kind, key, label, run)
