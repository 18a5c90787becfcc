"""Compares a configuration with what is in force, and writes what differs with the verbs of each limit."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from pools import sizing
from pools.models import Pool, PoolSettings
from pools.sizing import Author, Conflict, NoSuchPool
from runs import granularity, in_force, run_limits
from runs.config import exporting
from runs.config.kinds import DEFAULT
from runs.config.shape import PATHS
from runs.config.values import UNSET, Configuration, InvalidConfiguration
from runs.granularity import WouldDeadlock
from runs.models import RunQueue, TagRule
from runs.run_limits import NoSuchRule
from runs.tag_limits import TagLimit

NONE = "none"  # no limit of its own, no such rule
DELETED = "deleted"  # what becomes of a pool that `--prune` removes

Value: TypeAlias = "int | bool | str | Mapping[str, int | str | bool | None] | None"


class Phase(enum.IntEnum):
    """The order in which differences are written.

    Between two of them nobody starts whom the old limits and the new ones would both hold back: under the
    narrower limits he is held back at the old granularity (as before) and at the new one (as afterwards).
    """

    NARROWER = 0
    GRANULARITY = 1
    WIDER = 2


@dataclass(frozen=True)
class Difference:
    """One thing that a file would change. None is no limit, and no such rule."""

    path: str
    before: Value
    after: Value
    phase: Phase
    write: Callable[[Author], object] = field(repr=False)
    none: str = NONE  # how None is written
    switches: Mapping[str, str] = field(default_factory=dict)  # pools, and their granularity afterwards

    def __str__(self) -> str:
        return f"{self.path}: {self._shown(self.before)} -> {self._shown(self.after)}"

    def _shown(self, value: Value) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, Mapping):
            return ", ".join(f"{name} {self._shown(part)}" for name, part in value.items())
        return self.none if value is None else str(value)


class Refused(Exception):
    """The engine refused a change. The text names its path, its value and the reason, and says what was written."""


def differences(wanted: Configuration, prune: bool = False) -> list[Difference]:
    """What the configuration would change, in the order of the file; `prune`: pools that are not listed go.

    Raises InvalidConfiguration for `prune` without a list of pools.
    """
    found = [
        *_maximum(wanted),
        *_rules(wanted),
        *_settings(wanted),
        *_pools(wanted),
    ]
    return [*found, *_unlisted(wanted)] if prune else found


def apply(found: Sequence[Difference], author: Author) -> None:
    """Write differences, each in a transaction of its own that admits whoever then fits.

    The order is that of `Phase`. Raises Refused when a change of granularity could make runs wait for each
    other for ever: that is looked up for all of them before the first is written. Applying the same file
    again goes on where a lost database stopped it.
    """
    _refuse_deadlock(found)
    in_order = sorted(found, key=lambda difference: difference.phase)
    for written, difference in enumerate(in_order):
        try:
            difference.write(author)
        except (WouldDeadlock, Conflict) as error:
            raise Refused(_refusal(difference, error, written, len(found))) from error


def _refuse_deadlock(found: Sequence[Difference]) -> None:
    switching = [difference for difference in found if difference.switches]
    if not switching:
        return
    switches = {pool: after for difference in switching for pool, after in difference.switches.items()}
    try:
        granularity.refuse_deadlock(switches)
    except WouldDeadlock as error:
        raise Refused(_refusal(switching[0], error, 0, len(found))) from error


def _refusal(difference: Difference, error: Exception, written: int, count: int) -> str:
    were = "was" if written == 1 else "were"
    done = f"{written} of {count} changes {were} written before it" if written else "Nothing was changed"
    return f"{difference} is not allowed: {str(error).rstrip('.')}. {done}."


def _maximum(wanted: Configuration) -> Iterator[Difference]:
    after = wanted.max_concurrent_runs
    if after is UNSET:
        return
    before = RunQueue.objects.get().max_concurrent_runs
    if after != before:
        as_written = run_limits.NO_LIMIT if after is None else after
        write = partial(run_limits.set_maximum, as_written)
        path = PATHS["max_concurrent_runs"]
        yield Difference(path, before, after, _phase(before, after), write, str(run_limits.NO_LIMIT))


def _rules(wanted: Configuration) -> Iterator[Difference]:
    if wanted.tag_rules is UNSET:
        return
    rows = TagRule.objects.exclude(phase=in_force.LEAVING).order_by("id")
    now = {in_force.as_rule(row).limit.identity: row for row in rows}
    for rule in wanted.tag_rules:
        row = now.pop(rule.identity, None)
        if row is None or row.limit != rule.limit:
            before = None if row is None else row.limit
            write = partial(run_limits.set_rule, rule)
            yield Difference(_rule_path(rule), before, rule.limit, _phase(before, rule.limit), write)
    for row in now.values():
        path = _rule_path(in_force.as_rule(row).limit)
        yield Difference(path, row.limit, None, Phase.WIDER, partial(_delete_rule, row.pk))


def _delete_rule(rule_id: int, author: Author) -> None:
    try:
        run_limits.delete_rule(rule_id, author)
    except NoSuchRule:
        pass  # somebody else deleted it meanwhile: it is as the file says


def _rule_path(rule: TagLimit) -> str:
    return f"{PATHS['tag_rules']}[{rule.label}]"


def _settings(wanted: Configuration) -> Iterator[Difference]:
    """What is set for all pools."""
    now = PoolSettings.objects.get()
    check, limit, held_by, buffer = wanted.check_at_queue, wanted.default_limit, wanted.granularity, wanted.run_buffer
    if check is not UNSET and check != now.check_at_queue:
        phase = Phase.NARROWER if check else Phase.WIDER
        write = partial(sizing.set_check_at_queue, check)
        yield Difference(PATHS["check_at_queue"], now.check_at_queue, check, phase, write)
    if limit is not UNSET and limit != now.default_limit:
        write = partial(sizing.set_default_limit, limit)
        yield Difference(PATHS["default_limit"], now.default_limit, limit, _phase(now.default_limit, limit), write)
    if held_by is not UNSET and held_by != now.granularity:
        write, switches = partial(granularity.set_default, held_by), {granularity.ALL: held_by}
        path = PATHS["granularity"]
        yield Difference(path, now.granularity, held_by, Phase.GRANULARITY, write, switches=switches)
    if buffer is not UNSET and buffer != now.run_buffer:
        write = partial(sizing.set_run_buffer, buffer)
        yield Difference(PATHS["run_buffer"], now.run_buffer, buffer, _phase(now.run_buffer, buffer), write)


def _pools(wanted: Configuration) -> Iterator[Difference]:
    if wanted.pools is UNSET:
        return
    default = PoolSettings.objects.get().default_limit
    own = {pool.name: pool for pool in Pool.objects.all()}
    for name, listed in wanted.pools.items():
        pool = own.get(name)
        path = f"{PATHS['pools']}.{name}"
        limit = pool.limit if pool else None
        if listed.limit is not UNSET and listed.limit != limit:
            phase = _phase(default if limit is None else limit, listed.limit)
            yield Difference(path, limit, listed.limit, phase, partial(sizing.set_limit, name, listed.limit))
        before = pool.granularity if pool else ""
        if listed.granularity is not UNSET and listed.granularity != before:
            yield Difference(
                f"{path}.granularity",
                before or DEFAULT,
                listed.granularity or DEFAULT,
                Phase.GRANULARITY,
                partial(granularity.set_for_pool, name, listed.granularity or None),
                switches={name: listed.granularity or _granularity_of_all(wanted)},
            )


def _unlisted(wanted: Configuration) -> Iterator[Difference]:
    if wanted.pools is UNSET:
        path = PATHS["pools"]
        allowed = "list pools, or write {} to remove all"
        raise InvalidConfiguration([f"{path}: missing, and --prune removes what is not listed there: {allowed}."])
    default = PoolSettings.objects.get().default_limit
    for pool in exporting.pools_with_something_of_their_own():
        if pool.name in wanted.pools:
            continue
        before: dict[str, int | str | bool | None] = {"limit": pool.limit}
        if pool.granularity:
            before["granularity"] = pool.granularity
        if pool.paused_at:
            before["paused"] = True
        yield Difference(
            f"{PATHS['pools']}.{pool.name}",
            before,
            DELETED,
            Phase.WIDER if pool.paused_at else _phase(pool.limit, default),
            partial(_delete_pool, pool.name),
            switches={pool.name: _granularity_of_all(wanted)} if pool.granularity else {},
        )


def _delete_pool(name: str, author: Author) -> None:
    try:
        sizing.delete(name, author)
    except NoSuchPool:
        pass  # somebody else deleted it meanwhile: it is as the file says


def _granularity_of_all(wanted: Configuration) -> str:
    """The granularity of pools without one of their own, once the file is applied."""
    return PoolSettings.objects.get().granularity if wanted.granularity is UNSET else wanted.granularity


def _phase(before: int | None, after: int | None) -> Phase:
    """None is no limit."""
    narrower = after == before if after is None else before is None or after <= before
    return Phase.NARROWER if narrower else Phase.WIDER
