"""Undoes a change of a limit: sets back what the ledger says was there before, by the verb that made the change.

So an undo is a change like any other: recorded, admitting whoever then fits, and itself to be undone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from pools import claims, pauses, sizing
from pools.models import Change
from pools.sizing import DELETED, Author, NoSuchPool, Overtaken
from runs import granularity, presets, run_limits
from runs.presets import InvalidPreset, NoSuchPreset
from runs.run_limits import NoSuchRule
from runs.tag_limits import TagLimit

Undo = Callable[[Change, Author], object]


class NoSuchChange(LookupError):
    """The ledger has no line of this number."""

    def __init__(self, change_id: int) -> None:
        super().__init__(f"There is no change {change_id}.")


class CannotRevert(Exception):
    """The ledger does not say what was there before, or nothing was. Nothing was written."""


def revert(change_id: int, author: Author) -> Change:
    """Undo a change, and return the line that says so: the last one, if it took several.

    1. Nothing newer may have been written about the same; a deletion is about all that its subject has.
    2. The verb that made the change sets the value back. It looks again under the admission lock.
    3. A deleted pool gets back, one after the other, its granularity, its pause, its limit and its description.

    Raises NoSuchChange, CannotRevert, Overtaken (a Conflict, which has the newer change), or what the verb raises:
    WouldDeadlock from granularity.
    """
    change = Change.objects.filter(pk=change_id).first()
    if change is None:
        raise NoSuchChange(change_id)
    _refuse_if_overtaken(change)
    undo = _undo_of(change)
    try:
        undo(change, _author(author, change))
    except (NoSuchPool, NoSuchRule, NoSuchPreset, InvalidPreset):
        _refuse_if_overtaken(change)  # somebody deleted it meanwhile
        raise
    made = change.reverted_by.order_by("-id").first()
    if made is None:
        _refuse_if_overtaken(change)
        raise CannotRevert(f"Change {change.pk} can't be undone: there is nothing to set back.")
    return made


def _refuse_if_overtaken(change: Change) -> None:
    newer = sizing.overtaking(change).first()
    if newer is not None:
        raise Overtaken(change, newer)


def _author(author: Author, change: Change) -> Author:
    """The author of the undo. A pause gets its old reason back, if no other is given."""
    reason = author.why.strip() or str(change.detail.get("reason", ""))
    why = f"reverts change {change.pk}" + (f": {reason}" if reason else "")
    return Author(author.who, author.door, why, reverts=change)


def _undo_of(change: Change) -> Undo:
    kind = change.subject.partition(":")[0]
    undo = _UNDO.get((kind, change.field))
    if undo is None or (kind == "rule" and "key" not in change.detail):
        raise CannotRevert(f"Change {change.pk} can't be undone: it does not say enough about what was before.")
    return undo


# --- what was there before ----------------------------------------------------------------------------


def _pool_limit(change: Change, author: Author) -> None:
    if change.before == NONE:
        sizing.unset_limit(_pool(change), author)
    else:
        sizing.set_limit(_pool(change), change.before, author)


def _description(change: Change, author: Author) -> None:
    sizing.describe(_pool(change), change.before, author)


def _paused(change: Change, author: Author) -> None:
    if change.before == change.after:
        pauses.change(_pool(change), author, _end_that_comes(change.detail))
    elif change.before == "yes":
        sizing.pause(_pool(change), author, _end_that_comes(change.detail))
    else:
        sizing.resume(_pool(change), author)


def _end_that_comes(was: Mapping[str, Any]) -> datetime | None:
    """When a pause was to end; None if it had no end, or one that has gone by."""
    end = datetime.fromisoformat(was["until"]) if was.get("until") else None
    return end if end and end > claims.clock_time() else None


def _granularity(change: Change, author: Author) -> None:
    granularity.set_for_pool(_pool(change), None if change.before == "default" else change.before, author)


def _deleted_pool(change: Change, author: Author) -> None:
    """Give back what was set. The granularity comes first, for it may be refused; it also makes the pool."""
    name, was = _pool(change), change.detail or {"limit": None if change.before == NONE else int(change.before)}
    if was.get("limit") is None and not (was.get("granularity") or was.get("paused") or was.get("description")):
        return
    granularity.set_for_pool(name, was.get("granularity") or None, author)
    if was.get("paused"):
        sizing.pause(name, author, _end_that_comes(was))
    if was.get("limit") is not None:
        sizing.set_limit(name, was["limit"], author)
    if was.get("description"):
        sizing.describe(name, was["description"], author)


def _default_limit(change: Change, author: Author) -> None:
    sizing.set_default_limit(None if change.before == NONE else change.before, author)


def _default_granularity(change: Change, author: Author) -> None:
    granularity.set_default(change.before, author)


def _run_buffer(change: Change, author: Author) -> None:
    sizing.set_run_buffer(change.before, author)


def _check_at_queue(change: Change, author: Author) -> None:
    sizing.set_check_at_queue(change.before == "on", author)


def _maximum(change: Change, author: Author) -> None:
    run_limits.set_maximum(run_limits.NO_LIMIT if change.before == NONE else change.before, author)


def _rule(change: Change, author: Author) -> None:
    """Set a rule's limit back. One that was added goes, one that was deleted comes back."""
    was = change.detail
    if change.before:
        run_limits.set_rule(TagLimit(was["key"], int(change.before), was["value"], was["per_value"]), author)
        return
    row = run_limits.find(was)
    if row is None:
        raise NoSuchRule(f"There is no rule {change.subject.partition(':')[2]}.")
    run_limits.delete_rule(row.pk, author)


def _preset(change: Change, author: Author) -> None:
    """Let a preset hold again what it held. One that was added goes, one that was deleted comes back."""
    was = change.detail
    preset = presets.named(was["job"], was["name"])
    if change.field == DELETED:
        presets.add(was["job"], was["name"], was["document"], author)
    elif preset is None:
        raise NoSuchPreset(f"There is no preset {was['name']} of {was['job']}.")
    elif change.before:
        presets.change(preset, was["document"], author)
    else:
        presets.delete(preset, author)


NONE = "none"  # how the ledger writes no limit

_UNDO: dict[tuple[str, str], Undo] = {
    ("pool", "limit"): _pool_limit,
    ("pool", "description"): _description,
    ("pool", "paused"): _paused,
    ("pool", "granularity"): _granularity,
    ("pool", DELETED): _deleted_pool,
    ("pools", "default_limit"): _default_limit,
    ("pools", "granularity"): _default_granularity,
    ("pools", sizing.RUN_BUFFER): _run_buffer,
    ("pools", "check_at_queue"): _check_at_queue,
    ("runs", "max_concurrent_runs"): _maximum,
    ("rule", "limit"): _rule,
    ("rule", DELETED): _rule,
    ("preset", presets.FIELD): _preset,
    ("preset", DELETED): _preset,
}


def _pool(change: Change) -> str:
    return change.subject.partition(":")[2]
