"""Changes the run queue's limits: its maximum and its tag rules. The twin of `pools.sizing` for runs.

Each verb is one transaction under the admission lock: check, write, record, admit whoever now fits. A
new rule counts the runs in progress from its first moment, and stops none of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pools import claims, limits
from pools.rules import GateSpec
from pools.sizing import Author, Conflict, latest_change, record
from runs import admission, states, transitions
from runs.admission import Rule
from runs.models import Run, RunQueue, TagRule
from runs.tag_limits import TagLimit

MAXIMUM = "runs"  # the ledger's name for the maximum
NO_LIMIT = -1  # how the configuration file writes "no limit"


class InvalidMaximum(ValueError):
    """A maximum of the run queue that is not allowed."""


class NoSuchRule(LookupError):
    """No tag rule has this id."""


def rules() -> list[Rule]:
    """The tag rules in force."""
    return [as_rule(row) for row in TagRule.objects.order_by("id")]


def as_rule(row: TagRule) -> Rule:
    """A row as the rule that it is."""
    return Rule(row.pk, TagLimit(row.key, row.limit, row.value, row.per_value))


def set_maximum(maximum: object, author: Author, version: int | None = None) -> RunQueue:
    """Set how many runs may be in progress; -1: no limit, 0: nothing starts.

    Raises InvalidMaximum, or Conflict when another change came between, unless it set the same.
    """
    number = parse_maximum(maximum)
    with claims.desk() as desk:
        queue = RunQueue.objects.get()
        if version is not None and queue.version != version:
            if queue.max_concurrent_runs == number:
                return queue
            raise Conflict(MAXIMUM, queue.version, queue.max_concurrent_runs, latest_change(MAXIMUM))
        if queue.max_concurrent_runs != number:
            RunQueue.objects.filter(version=queue.version).update(max_concurrent_runs=number, version=queue.version + 1)
            gates = desk.open_gates([GateSpec("runs", admission.RUNS, "runs in progress")])
            desk.resize(gates[admission.RUNS], number)
            record(desk, author, MAXIMUM, "max_concurrent_runs", _shown(queue.max_concurrent_runs), _shown(number))
    queue.refresh_from_db()
    return queue


def parse_maximum(value: object) -> int | None:
    """A maximum as a number, None for no limit (-1). Raises InvalidMaximum."""
    number = limits.whole(value)
    if number is None or not NO_LIMIT <= number <= 2**31 - 1:
        raise InvalidMaximum(
            f"max_concurrent_runs: {value!r} is not allowed: use a whole number, 0 or more, or -1 for no limit."
        )
    return None if number == NO_LIMIT else number


def set_rule(limit: TagLimit, author: Author, version: int | None = None) -> TagRule:
    """Add a tag rule, or change the limit of the rule for the same key and values.

    Raises Conflict when `version` is given and another change came between, unless it set the same.
    """
    with claims.desk() as desk:
        row = TagRule.objects.filter(key=limit.key, value=limit.value, per_value=limit.per_value).first()
        if row is None:
            row = TagRule.objects.create(key=limit.key, value=limit.value, per_value=limit.per_value, limit=limit.limit)
            _put_in_force(desk, as_rule(row))
            record(desk, author, subject(limit), "limit", "", str(limit.limit))
            return row
        if version is not None and row.version != version:
            if row.limit == limit.limit:
                return row
            raise Conflict(subject(limit), row.version, row.limit, latest_change(subject(limit)))
        if row.limit != limit.limit:
            TagRule.objects.filter(pk=row.pk, version=row.version).update(limit=limit.limit, version=row.version + 1)
            for gate_id in desk.family(admission.rule_family(row.pk)):
                desk.resize(gate_id, limit.limit)
            record(desk, author, subject(limit), "limit", str(row.limit), str(limit.limit))
    row.refresh_from_db()
    return row


def delete_rule(rule_id: int, author: Author) -> None:
    """Remove a tag rule; waiting runs that it held back are let go at once. Raises NoSuchRule."""
    with claims.desk() as desk:
        row = TagRule.objects.filter(pk=rule_id).first()
        if row is None:
            raise NoSuchRule(f"There is no tag rule {rule_id}.")
        rule = as_rule(row)
        remaining = [other for other in rules() if other.id != rule_id]
        _line_up(desk, rule, remaining)
        for gate_id in desk.family(admission.rule_family(rule_id)):
            desk.remove_gate(gate_id)
        TagRule.objects.filter(pk=rule_id).delete()
        record(desk, author, subject(rule.limit), "deleted", str(row.limit), "")


def subject(limit: TagLimit) -> str:
    """A rule's name in the ledger."""
    return f"rule:{limit.label}"[:300]


def _put_in_force(desk: claims.Desk, rule: Rule) -> None:
    """A new rule's gates are born open, count those in progress, and only then get their limit."""
    in_progress: dict[str, list[int]] = {}
    for run_id, tags in _runs_with(rule.limit, states.RUN_IN_PROGRESS):
        heading = rule.limit.counts(tags)
        if heading is not None:
            in_progress.setdefault(heading, []).append(run_id)
    for heading, run_ids in in_progress.items():
        spec = admission.rule_gate(rule, heading)
        gate_id = desk.open_gates([GateSpec(spec.kind, spec.key, spec.label, None, spec.family)])[spec.key]
        desk.count_in(gate_id, [transitions.run_holder(run_id) for run_id in run_ids])
        desk.resize(gate_id, spec.limit)
    _line_up(desk, rule, rules())


def _line_up(desk: claims.Desk, rule: Rule, in_force: Sequence[Rule]) -> None:
    """Move the queued runs that a rule counts to the lanes that the rules in force now give them."""
    for run_id, tags in _runs_with(rule.limit, (states.QUEUED,)):
        if rule.limit.counts(tags) is not None:
            desk.move(transitions.run_holder(run_id), admission.run_needs(tags, in_force))


def _runs_with(limit: TagLimit, run_states: Sequence[str]) -> list[tuple[int, Mapping[str, str]]]:
    tagged = {"runtag__key": limit.key} | ({"runtag__value": limit.value} if limit.value is not None else {})
    found = Run.objects.filter(state__in=run_states, **tagged)
    return list(found.order_by("id").values_list("id", "tags"))


def _shown(maximum: int | None) -> str:
    return "none" if maximum is None else str(maximum)
