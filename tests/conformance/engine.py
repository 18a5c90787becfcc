"""The engine on the database of this test run, told the same events."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.db.models import F

from pools import claims, explain, sizing
from pools.limits import InvalidLimit
from pools.models import Change, Gate, Hold, Pool, PoolSettings, Waiter
from pools.reasons import Explanation
from runs import granularity, launch, recover, retry, run_limits, states, tag_limits, transitions, workforce
from runs.definitions import DefinitionError
from runs.models import Op, Run, RunQueue, TagRule, Worker
from runs.verdict import Verdict
from tests import builders
from tests.builders import ADA
from tests.conformance import story
from tests.conformance.editors import Subject
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
    sizing.Conflict,
)


class Engine:
    """Every public method is an event of the language, carried out by the verb that people would use."""

    def __init__(self) -> None:
        self.runs: dict[str, int] = {}
        self.jobs: dict[str, JobText] = {}
        self.versions: dict[tuple[str, Subject], int] = {}  # that people have seen
        PoolSettings.objects.update(check_at_queue=True)  # as migrations leave it

    # --- runs -----------------------------------------------------------------------------------------

    def launch(self, name: str, job: JobText, tags: Mapping[str, str]) -> None:
        run = launch.launch(job.to_job(), who="ada", door="cli", tags=tags)
        self.runs[name], self.jobs[name] = run.pk, job

    def cancel(self, name: str) -> None:
        assert transitions.cancel_run(self.runs[name], "ada")

    def priority(self, name: str, priority: int) -> None:
        assert transitions.set_priority(self.runs[name], priority) is not None

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
        op = self.op(name)
        builders.lapse(op)
        grant = claims.Grant(transitions.op_holder(op.pk), op.token or 0)
        assert recover.expire_leases([grant]) == 1  # of no others, whose leases run out on a busy machine

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

    def set_maximum(self, maximum: object, version: int | None = None) -> None:
        run_limits.set_maximum(maximum, ADA, version)

    def set_rule(self, rule: story.TagRule, limit: object, version: int | None = None) -> None:
        run_limits.set_rule(tag_limits.parse_one(rule.entry(limit)), ADA, version)

    def drop_rule(self, rule: story.TagRule) -> None:
        found = TagRule.objects.get(key=rule.key, value=rule.value, per_value=rule.each)
        run_limits.delete_rule(found.pk, ADA)

    def set_pool(self, pool: str, limit: object, version: int | None = None) -> None:
        sizing.set_limit(pool, limit, ADA, version)

    def set_default_limit(self, limit: object, version: int | None = None) -> None:
        sizing.set_default_limit(limit, ADA, version)

    def pause(self, pool: str) -> None:
        with suppress(sizing.AlreadyPaused):
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
        """All that has happened was so much earlier; the clock looks who was overtaken for too long.

        Hours for seconds: a story that a busy machine takes a minute to play is told the same.
        """
        earlier = timedelta(hours=seconds)
        Hold.objects.update(asked_at=F("asked_at") - earlier)
        Waiter.objects.update(since=F("since") - earlier)
        Op.objects.exclude(ready_at=None).update(ready_at=F("ready_at") - earlier)
        Run.objects.update(queued_at=F("queued_at") - earlier)
        claims.reserve(RESERVE_AFTER * 3600)

    # --- two people at once ---------------------------------------------------------------------------

    def looks_at(self, who: str, subject: Subject) -> None:
        self.versions[who, subject] = self._row(*subject).version

    def sets(self, who: str, subject: Subject, value: object) -> None:
        getattr(self, subject[0])(*subject[1:], value, version=self.versions[who, subject])

    def _row(self, verb: str, name: Any = None) -> Any:
        """What people see of it."""
        if verb == "set_rule":
            return TagRule.objects.get(key=name.key, value=name.value, per_value=name.each)
        if verb == "set_pool":
            return Pool.objects.get(name=name)
        return (RunQueue if verb == "set_maximum" else PoolSettings).objects.get()

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

    def place(self, name: str, gate: str) -> int:
        holder = f"op:{self.op(name).pk}" if "." in name else f"run:{self.runs[name]}"
        one = explain.waiting([holder])[holder]
        gates = {self._gate(c.gate.kind, c.gate.key, c.gate.label): c.gate for c in one.explanation.checks}
        return explain.standing(one, gates[gate]).place

    def _missing(self, explanation: Explanation) -> frozenset[str]:
        """What a candidate waits for, in the words of the scenarios."""
        gates = [check.gate for check in explanation.blocking]
        names = [self._gate(gate.kind, gate.key, gate.label) for gate in gates]
        return frozenset([*names, POOL_CHECK] if explanation.without_prospect else names)

    def _gate(self, kind: str, key: str, label: str) -> str:
        run = next((name for name, pk in self.runs.items() if key.startswith(f"run:{pk}:")), "")
        return story.gate_name(kind, key, label, run)
