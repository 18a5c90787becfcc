"""Changes the run queue's limits: its maximum and its tag rules. The twin of `pools.sizing` for runs.

Each verb is one transaction under the admission lock: check, write, record, admit whoever now fits. A
new rule counts the runs in progress from its first moment, and stops none of them; `relining` moves those that wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from pools import claims, limits
from pools.rules import GateSpec
from pools.sizing import DELETED, Author, Conflict, first_version, latest_change, record
from runs import admission, in_force, relining, system_tags
from runs.models import RunQueue, TagRule
from runs.tag_limits import InvalidTagLimit, TagLimit

MAXIMUM = "runs"  # the ledger's name for the maximum
NO_LIMIT = -1  # how the configuration file writes "no limit"


class InvalidMaximum(ValueError):
    """A maximum of the run queue that is not allowed."""


class NoSuchRule(LookupError):
    """No tag rule has this id."""


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

    A new rule counts the runs in progress at once, and is in force when this returns. Raises InvalidTagLimit for a
    tag that can't be counted, and Conflict when `version` is given and another change came between, unless it set
    the same.
    """
    if limit.key == system_tags.PRIORITY:
        raise InvalidTagLimit(f"key: {limit.key!r} is not allowed: a run's priority changes while it waits.")
    _until_gone(limit)
    with claims.desk() as desk:
        row = _row(limit)
        if version is not None and (row is None or row.version != version):
            if row is not None and row.limit == limit.limit:
                return row
            current = None if row is None else row.limit
            raise Conflict(subject(limit), row.version if row else 0, current, latest_change(subject(limit)))
        if row is None:
            row = TagRule.objects.create(
                key=limit.key,
                value=limit.value,
                per_value=limit.per_value,
                limit=limit.limit,
                phase=in_force.ENTERING,
                version=first_version(),
            )
            relining.enter(desk, row)
            record(desk, author, subject(limit), "limit", "", str(limit.limit), _identity(limit))
        elif row.limit != limit.limit:
            TagRule.objects.filter(pk=row.pk, version=row.version).update(limit=limit.limit, version=row.version + 1)
            if row.phase == in_force.FORCE:
                for gate_id in desk.family(admission.rule_family(row.pk)):
                    desk.resize(gate_id, limit.limit)
            record(desk, author, subject(limit), "limit", str(row.limit), str(limit.limit), _identity(limit))
    relining.finish()
    row.refresh_from_db()
    return row


def delete_rule(rule_id: int, author: Author) -> None:
    """Remove a tag rule; waiting runs that it held back are let go at once. Raises NoSuchRule."""
    with claims.desk() as desk:
        row = TagRule.objects.filter(pk=rule_id).exclude(phase=in_force.LEAVING).first()
        if row is None:
            raise NoSuchRule(f"There is no tag rule {rule_id}.")
        relining.leave(desk, row)
        rule = in_force.as_rule(row).limit
        record(desk, author, subject(rule), DELETED, str(row.limit), "", _identity(rule))
    relining.finish()


def _row(limit: TagLimit) -> TagRule | None:
    return TagRule.objects.filter(key=limit.key, value=limit.value, per_value=limit.per_value).first()


def _until_gone(limit: TagLimit) -> None:
    """A rule that is leaving goes before the same one comes anew."""
    row = _row(limit)
    if row is not None and row.phase == in_force.LEAVING:
        relining.finish()


def subject(limit: TagLimit) -> str:
    """A rule's name in the ledger: its label, and where another rule may have the same label, a mark of its own."""
    key, label = limit.key, limit.label
    if "=" not in key and not key.startswith("each ") and len(label) <= 250:
        return f"rule:{label}"
    mark = sha256(repr(limit.identity).encode()).hexdigest()[:12]
    return f"rule:{label[:250]} #{mark}"


def _identity(limit: TagLimit) -> dict[str, object]:
    """What makes a rule this rule, for the ledger."""
    return {"key": limit.key, "value": limit.value, "per_value": limit.per_value}


def find(identity: Mapping[str, Any]) -> TagRule | None:
    """The rule that a line of the ledger is about, None if it is not in force."""
    found = TagRule.objects.exclude(phase=in_force.LEAVING)
    return found.filter(key=identity["key"], value=identity["value"], per_value=identity["per_value"]).first()


def _shown(maximum: int | None) -> str:
    return "none" if maximum is None else str(maximum)
