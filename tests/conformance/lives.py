"""The lives of runs and ops in plain Python: what each event does to them. Who is admitted, a subclass decides.

Written from the contract and not from the engine: no database, no lines, no queues of waiters. A subclass is
told who asks, who leaves the line, who gives slots back and that limits changed; it may ignore all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.conformance.candidates import HOLDS, PRIORITY, UNFINISHED, Candidate, Op, Run, place
from tests.conformance.editors import Editors, Subject
from tests.conformance.story import JobText, Seen, TagRule


class Lives:
    """A deployment: its settings, its runs. Every public method is an event of the language."""

    def __init__(self) -> None:
        self.now = 0  # counts events: the order in which they happened
        self.clock = 0  # seconds that passed
        self.runs: dict[str, Run] = {}
        self.ops: dict[str, Op] = {}
        self.maximum: int | None = 10
        self.rules: dict[TagRule, int] = {}
        self.limits: dict[str, int] = {}
        self.default_limit: int | None = None
        self.paused: set[str] = set()
        self.alive: dict[str, int] = {}
        self.default_granularity = "op"
        self.granularities: dict[str, str] = {}
        self.checks_pools = True
        self.buffer = 0
        self.editors = Editors()

    # --- what a subclass is told, and what it is asked ----------------------------------------------

    def asks(self, candidate: Candidate) -> None: ...

    def leaves(self, candidate: Candidate) -> None: ...

    def gives_back(self, holder: Candidate) -> None: ...

    def takes_another_place(self, candidate: Candidate) -> None: ...

    def limits_changed(self) -> None: ...

    def reserves(self) -> None: ...

    def decide(self) -> None:
        """Admit whoever may start: call `admit` for each."""
        raise NotImplementedError

    def seen(self) -> Seen:
        raise NotImplementedError

    def states(self) -> dict[str, str]:
        return {thing.name: thing.state for thing in (*self.runs.values(), *self.ops.values())}

    def granularity(self, pool: str) -> str:
        return self.granularities.get(pool, self.default_granularity)

    def limit_of(self, pool: str) -> int | None:
        return self.limits.get(pool, self.default_limit)

    # --- runs -----------------------------------------------------------------------------------------

    def launch(self, name: str, job: JobText, tags: Mapping[str, str]) -> None:
        self.now += 1
        run = self.runs[name] = Run(name, job, dict(tags), self.now, len(self.runs), self.clock)
        for text in job.ops:
            op = Op(run, text, len(self.ops))
            run.ops.append(op)
            self.ops[op.name] = op
        self.asks(run)
        self.decide()

    def admit(self, candidate: Candidate) -> None:
        """It has what it needs. A run starts, and its root ops ask at once."""
        if isinstance(candidate, Op):
            candidate.state = "admitted"
            return
        candidate.state, candidate.started = "started", True
        candidate.held = {p: slots for p, slots in candidate.pools.items() if self.granularity(p) == "run"}
        for op in candidate.ops:
            if not op.text.after:
                self._ready(op)

    def cancel(self, name: str) -> None:
        self.now += 1
        run = self.runs[name]
        if run.state == "queued":
            self.leaves(run)
        run.state = "canceling"
        for op in run.ops:
            if op.state in UNFINISHED and op.state != "running":
                self._let_go(op)
                op.state = "canceled"
        self._end_if_over(run)
        self.decide()

    def priority(self, name: str, priority: int) -> None:
        self.now += 1
        run = self.runs[name]
        run.tags[PRIORITY] = str(priority)
        for candidate in (run, *run.ops):
            if candidate.state in ("queued", "ready"):
                self.takes_another_place(candidate)
        self.limits_changed()
        self.decide()

    # --- ops ------------------------------------------------------------------------------------------

    def starts(self, name: str) -> None:
        self.now += 1
        op = self.ops[name]
        assert op.state == "admitted", f"{name} is {op.state}"
        op.state, op.attempt = "running", op.attempt + 1

    def ends(self, name: str) -> None:
        op = self._stop(name)
        op.state = "success"
        for other in op.run.ops:
            upstream = [self.ops[f"{op.run.name}.{key}"] for key in other.text.after]
            if other.state == "pending" and all(up.state == "success" for up in upstream):
                self._ready(other)
        self._end_if_over(op.run)
        self.decide()

    def fails(self, name: str) -> None:
        op = self._stop(name)
        if op.attempt - op.crashes > op.text.retries:
            op.state = "failure"
            self._skip_after(op)
        elif op.run.state == "canceling":
            op.state = "canceled"
        elif op.text.later:
            op.state = "up_for_retry"
        else:
            self._ready(op)
        self._end_if_over(op.run)
        self.decide()

    def stops(self, name: str) -> None:
        """A running op of a run that is being canceled was interrupted."""
        op = self._stop(name)
        op.state = "canceled"
        self._end_if_over(op.run)
        self.decide()

    def is_given_back(self, name: str) -> None:
        """Its worker stops; it returns to its place, and no attempt is used."""
        op = self._stop(name)
        if op.run.state == "canceling":
            op.state = "canceled"
            self._end_if_over(op.run)
        else:
            op.attempt -= 1
            self._return(op)
        self.decide()

    def dies(self, name: str) -> None:
        """The process of a running op is gone: the attempt failed."""
        op = self.ops[name]
        if op.run.state == "canceling":
            self.stops(name)
        elif op.crashes < op.text.crashes:
            self._stop(name)
            op.crashes += 1
            self._return(op)
            self.decide()
        else:
            self.fails(name)

    def loses_its_lease(self, name: str) -> None:
        op = self.ops[name]
        if op.state == "running":
            self.dies(name)
        else:
            self.now += 1
            self.gives_back(op)
            self._return(op)
            self.decide()

    def retries_are_due(self) -> None:
        self.now += 1
        for op in self.ops.values():
            if op.state == "up_for_retry":
                self._ready(op)
        self.decide()

    def _stop(self, name: str) -> Op:
        """A running op stops running; one that is admitted is started first."""
        if self.ops[name].state == "admitted":
            self.starts(name)
        self.now += 1
        op = self.ops[name]
        assert op.state == "running", f"{name} is {op.state}"
        self.gives_back(op)
        return op

    def _ready(self, op: Op) -> None:
        """It is a candidate from now on."""
        op.state, op.since, op.asked = "ready", self.now, self.clock
        self.asks(op)

    def _return(self, op: Op) -> None:
        """It is a candidate again, since when it was."""
        op.state = "ready"
        self.asks(op)

    def _let_go(self, op: Op) -> None:
        if op.state == "ready":
            self.leaves(op)
        elif op.state == "admitted":
            self.gives_back(op)

    def _skip_after(self, failed: Op) -> None:
        for op in failed.run.ops:
            if op.state == "pending" and failed.text.key in op.text.after:
                op.state = "skipped"
                self._skip_after(op)

    def _end_if_over(self, run: Run) -> None:
        found = {op.state for op in run.ops}
        if found & UNFINISHED:
            return
        if run.started:
            self.gives_back(run)
        if run.state == "canceling":
            run.state = "canceled"
        else:
            run.state = "failure" if "failure" in found else "canceled" if "canceled" in found else "success"

    # --- limits ---------------------------------------------------------------------------------------

    def set_maximum(self, maximum: int) -> None:
        self.maximum = None if maximum == -1 else maximum
        self._changed()

    def set_rule(self, rule: TagRule, limit: int) -> None:
        self.rules[rule] = limit
        self._changed()

    def drop_rule(self, rule: TagRule) -> None:
        del self.rules[rule]
        self._changed()

    def set_pool(self, pool: str, limit: int) -> None:
        self.limits[pool] = limit
        self._changed()

    def set_default_limit(self, limit: int | None) -> None:
        self.default_limit = limit
        self._changed()

    def pause(self, pool: str) -> None:
        self.paused.add(pool)
        self._changed()

    def resume(self, pool: str) -> None:
        self.paused.discard(pool)
        self._changed()

    def delete_pool(self, pool: str) -> None:
        self.limits.pop(pool, None)
        self.granularities.pop(pool, None)
        self.paused.discard(pool)
        self._changed()

    def set_granularity(self, pool: str | None, granularity: str | None) -> None:
        """Of a pool, None: the default of all; "default" takes a pool's own away."""
        if pool is None:
            self.default_granularity = granularity or "op"
        elif granularity is None:
            self.granularities.pop(pool, None)
        else:
            self.granularities[pool] = granularity
        self._changed()

    def set_check(self, enabled: bool) -> None:
        self.checks_pools = enabled
        self._changed()

    def set_buffer(self, buffer: int) -> None:
        self.buffer = buffer
        self._changed()

    def set_workers(self, queue: str, count: int) -> None:
        """So many workers of a queue are alive. Ops on their way to workers that are not there go back."""
        self.now += 1
        self.alive[queue] = count
        busy = [op for op in self.ops.values() if op.state in HOLDS and op.text.queue == queue]
        on_their_way = sorted((op for op in busy if op.state == "admitted"), key=place, reverse=True)
        for op in on_their_way[: max(len(busy) - count, 0)]:
            self.gives_back(op)
            self._return(op)
        self.limits_changed()
        self.decide()

    # --- two people at once ---------------------------------------------------------------------------

    def looks_at(self, who: str, subject: Subject) -> None:
        self.editors.look(who, subject)

    def sets(self, who: str, subject: Subject, value: Any) -> None:
        """Somebody sets what they have looked at."""
        assert not self._comes_second(who, subject, value), f"{who} was to be told of another change"
        getattr(self, subject[0])(*subject[1:], value)

    def refuses(self, verb: str, arguments: tuple[Any, ...]) -> None:
        """Nothing happens; of two people the second is refused, of whom nobody else knows."""
        if verb == "sets":
            assert self._comes_second(*arguments), f"{arguments[0]} is refused for nothing"

    def _comes_second(self, who: str, subject: Subject, value: Any) -> bool:
        """Whether another change came since they looked, unless it set the same."""
        return self.editors.was_changed_since(who, subject) and self._everything_set().get(subject, (None,))[0] != value

    def _everything_set(self) -> dict[Subject, tuple[Any, ...]]:
        """The value of everything that people set, and what is set beside it, on the same page."""
        of_pools = {*self.limits, *self.granularities, *self.paused}
        beside = (self.default_granularity, self.buffer, self.checks_pools)
        return {
            ("set_maximum",): (-1 if self.maximum is None else self.maximum,),
            ("set_default_limit",): (self.default_limit, *beside),
            **{("set_rule", rule): (limit,) for rule, limit in self.rules.items()},
            **{
                ("set_pool", pool): (self.limits.get(pool), self.granularities.get(pool), pool in self.paused)
                for pool in of_pools
            },
        }

    # --- time -----------------------------------------------------------------------------------------

    def time_passes(self, seconds: int) -> None:
        """Nothing happens but that the clock looks who was overtaken for too long."""
        self.now += 1
        self.clock += seconds
        self.reserves()
        self.decide()

    def _changed(self) -> None:
        self.now += 1
        self.editors.now_set(self._everything_set())
        self.limits_changed()
        self.decide()
