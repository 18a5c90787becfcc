"""`manage.py concurrency runs`, `rule`, `rule-delete`, `queue-check`: what is about the run queue."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from pools import limits, queries, sizing
from pools.limits import shown
from runs import run_limits, tag_limits
from runs.management.concurrency.action import Actions, author, changed
from runs.management.plain_command import PlainCommand
from runs.models import RunQueue, TagRule
from runs.run_limits import NoSuchRule
from runs.tag_limits import PER_VALUE, TagLimit

CHECK = "block_op_concurrency_limited_runs"


def add(actions: Actions) -> None:
    """Declare these actions."""
    found = actions.add("runs", "Set how many runs may be in progress.", _runs)
    found.add_argument("maximum", metavar="N|none", help="0 or more; 0 lets nothing start; none (or -1): no limit")
    found = actions.add("rule", "Limit the runs in progress with a tag.", _rule, "KEY")
    _add_values(found)
    found.add_argument("limit", metavar="LIMIT", help="0 or more; 0 lets none start")
    _add_values(actions.add("rule-delete", "Delete the limit on runs with a tag.", _rule_delete, "KEY"))
    found = actions.add("queue-check", "Say whether runs wait in the queue while their pools are full.", _check)
    found.add_argument("enabled", metavar="on|off")


def _add_values(parser: ArgumentParser) -> None:
    values = parser.add_mutually_exclusive_group()
    values.add_argument("--value", metavar="V", help="only runs with this value of the tag")
    values.add_argument("--each", action="store_true", help="each value of the tag has this limit for itself")


def _runs(command: PlainCommand, options: dict[str, Any]) -> None:
    before = RunQueue.objects.get().max_concurrent_runs
    wanted = run_limits.NO_LIMIT if options["maximum"] == "none" else options["maximum"]
    after = run_limits.set_maximum(wanted, author(options)).max_concurrent_runs
    changed(command, "max_concurrent_runs", before, after)


def _rule(command: PlainCommand, options: dict[str, Any]) -> None:
    number = limits.whole(options["limit"])
    rule = _asked_for(options, options["limit"] if number is None else number)
    before = _row(rule)
    after = run_limits.set_rule(rule, author(options))
    changed(command, f"rule {rule.label}", before.limit if before else None, after.limit)


def _rule_delete(command: PlainCommand, options: dict[str, Any]) -> None:
    rule = _asked_for(options, 0)
    row = _row(rule)
    if row is None:
        raise NoSuchRule(f"There is no rule {rule.label!r}.")
    run_limits.delete_rule(row.pk, author(options))
    command.stdout.write(f"rule {rule.label}: deleted, it was {row.limit}.")


def _asked_for(options: dict[str, Any], limit: object) -> TagLimit:
    value = {PER_VALUE: True} if options["each"] else options["value"]
    return tag_limits.parse_one({"key": options["key"], "value": value, "limit": limit}, "rule")


def _row(rule: TagLimit) -> TagRule | None:
    return TagRule.objects.filter(key=rule.key, value=rule.value, per_value=rule.per_value).first()


def _check(command: PlainCommand, options: dict[str, Any]) -> None:
    if options["enabled"] not in ("on", "off"):
        raise CommandError(f"queue-check: {shown(options['enabled'])} is not allowed: use on or off.")
    before = queries.pool_settings().check_at_queue
    after = sizing.set_check_at_queue(options["enabled"] == "on", author(options)).check_at_queue
    changed(command, CHECK, before, after)
