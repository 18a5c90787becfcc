"""What a run or an op needs to start: its gates, from its definition, its tags and the limits in force."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from pools.rules import GateSpec, Need
from runs import system_tags
from runs.graph import OpSpec, Plan
from runs.tag_limits import TagLimit

RUNS = "runs"  # the key of the run queue's gate


@dataclass(frozen=True)
class Rule:
    """A tag rule of the run queue, as it is in force."""

    id: int
    limit: TagLimit


def run_needs(tags: Mapping[str, str], rules: Iterable[Rule]) -> list[Need]:
    """The gates of the run queue that a run with these tags must pass: the maximum and every rule that matches."""
    needs = [Need(GateSpec("runs", RUNS, "runs in progress"))]
    for rule in rules:
        heading = rule.limit.counts(tags)
        if heading is not None:
            needs.append(Need(rule_gate(rule, heading)))
    return needs


def rule_gate(rule: Rule, heading: str) -> GateSpec:
    """The gate that counts one heading of a rule: the rule itself, or one value of a rule per value."""
    family = rule_family(rule.id)
    if rule.limit.per_value:
        return GateSpec(
            "run_tag", _key(family, heading), _label(f"{rule.limit.key}={heading}"), rule.limit.limit, family
        )
    return GateSpec("run_tag", family, _label(rule.limit.label), rule.limit.limit, family)


def rule_family(rule_id: int) -> str:
    """The family of a rule's gates."""
    return f"rule:{rule_id}"


def op_needs(run_id: int, plan: Plan, op: OpSpec) -> list[Need]:
    """The gates that an op of a run must pass: its pools, a living worker of its queue, the run's executor."""
    needs = [Need(GateSpec("pool", f"pool:{name}", name), slots) for name, slots in sorted(op.pools.items())]
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
