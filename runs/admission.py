"""What a run or an op needs to start: its gates, from its definition, its tags and the limits in force."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from pools.rules import GateSpec, Need
from runs import system_tags
from runs.graph import OpSpec, Plan
from runs.tag_limits import TagLimit

RUNS = "runs"  # the key of the run queue's gate


@dataclass(frozen=True)
class Rule:
    """A tag rule of the run queue. One that is not in force yet counts and limits nothing."""

    id: int
    limit: TagLimit
    in_force: bool = True


@dataclass(frozen=True)
class Granularity:
    """Who holds the slots of a pool: each running op ("op"), or each run from its start to its end ("run")."""

    default: str = "op"
    own: Mapping[str, str] = field(default_factory=dict)  # of the pools that have one of their own

    def of(self, pool: str) -> str:
        return self.own.get(pool) or self.default

    def held_by_run(self, pool: str) -> bool:
        return self.of(pool) == "run"


@dataclass(frozen=True)
class RunNeeds:
    """What a run needs to start: slots, and an outlook for one of its root ops."""

    needs: list[Need]
    prospects: list[list[GateSpec]]


def run_needs(tags: Mapping[str, str], plan: Plan, rules: Iterable[Rule], granularity: Granularity) -> RunNeeds:
    """The gates that a run must pass: the maximum, every rule that matches, the pools that it holds itself.

    Its prospects are the pools that its root ops will ask for. A root op that asks for none can always go on, so
    that a run with one has nothing to look out for.
    """
    needs = [*queue_needs(tags, rules)]
    weights: dict[str, int] = {}
    for op in plan.ops:
        for pool, slots in op.pools.items():
            if granularity.held_by_run(pool):
                weights[pool] = max(slots, weights.get(pool, 0))
    needs += [Need(pool_gate(pool), slots) for pool, slots in sorted(weights.items())]
    roots = [
        [pool_gate(pool) for pool in sorted(op.pools) if not granularity.held_by_run(pool)]
        for op in plan.ops
        if not op.upstream
    ]
    return RunNeeds(needs, roots if all(roots) else [])


def queue_needs(tags: Mapping[str, str], rules: Iterable[Rule]) -> list[Need]:
    """The gates of the run queue alone: the maximum and every rule that matches."""
    needs = [Need(GateSpec("runs", RUNS, "runs in progress"))]
    for rule in rules:
        heading = rule.limit.counts(tags)
        if heading is not None:
            needs.append(Need(rule_gate(rule, heading)))
    return needs


def rule_gate(rule: Rule, heading: str) -> GateSpec:
    """The gate that counts one heading of a rule: the rule itself, or one value of a rule per value."""
    family, limit = rule_family(rule.id), rule.limit.limit if rule.in_force else None
    if rule.limit.per_value:
        return GateSpec("run_tag", _key(family, heading), _label(f"{rule.limit.key}={heading}"), limit, family)
    return GateSpec("run_tag", family, _label(rule.limit.label), limit, family)


def rule_family(rule_id: int) -> str:
    """The family of a rule's gates."""
    return f"rule:{rule_id}"


def pool_gate(name: str) -> GateSpec:
    """The gate of a pool."""
    return GateSpec("pool", f"pool:{name}", name)


def pools_among(keys: Iterable[str]) -> list[str]:
    """The pools whose gates are among these keys."""
    return [key.removeprefix("pool:") for key in keys if key.startswith("pool:")]


def op_needs(run_id: int, plan: Plan, op: OpSpec, held_by_run: Collection[str] = ()) -> list[Need]:
    """The gates that an op of a run must pass: its pools, a living worker of its queue, the run's executor.

    It takes nothing of the pools that its run holds.
    """
    needs = [Need(pool_gate(name), slots) for name, slots in sorted(op.pools.items()) if name not in held_by_run]
    needs.append(Need(workers_gate(op.queue)))
    family = run_family(run_id)
    if plan.max_concurrent:
        needs.append(
            Need(GateSpec("executor", f"{family}:ops", "ops of this run at once", plan.max_concurrent, family))
        )
    for index, rule in enumerate(plan.tag_limits):
        heading = rule.counts(op.tags)
        if heading is not None:
            key = _key(f"{family}:tag:{index}", heading)
            label = _label(f"{rule.key}={heading}" if rule.per_value else rule.label)
            needs.append(Need(GateSpec("executor_tag", key, label, rule.limit, family)))
    return needs


def _key(prefix: str, heading: str) -> str:
    """A gate's key; a long heading stands in it by its hash, so that two never share a gate."""
    return f"{prefix}={heading if len(heading) <= 200 else sha256(heading.encode()).hexdigest()}"


def _label(text: str) -> str:
    return text if len(text) <= 300 else text[:299] + "…"


def run_family(run_id: int) -> str:
    """The family of the gates within one run; they are closed with it."""
    return f"run:{run_id}"


def workers_gate(queue: str) -> GateSpec:
    """The gate of the living workers of an RQ queue. It is born closed: workers open it."""
    return GateSpec("workers", f"workers:{queue}", queue, 0)


def run_priority(tags: Mapping[str, str]) -> int:
    """The priority of a run with these tags; a value that is no whole number counts as 0."""
    return system_tags.as_priority(tags.get(system_tags.PRIORITY, 0)) or 0
