"""Compares a configuration with what is in force, and writes what differs with the verbs of each limit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from pools import sizing
from pools.models import Pool, PoolSettings
from pools.sizing import Author
from runs import run_limits
from runs.config.document import DEFAULT_LIMIT, LIMITS, MAXIMUM, RULES, UNSET, Configuration
from runs.models import RunQueue, TagRule
from runs.run_limits import NoSuchRule
from runs.tag_limits import TagLimit

NONE = "none"  # no limit of its own, no such rule


@dataclass(frozen=True)
class Difference:
    """One limit that a file would change."""

    path: str
    before: str
    after: str
    narrows: bool  # nobody may start who could not before
    write: Callable[[Author], object] = field(repr=False)

    def __str__(self) -> str:
        return f"{self.path}: {self.before} -> {self.after}"


def differences(wanted: Configuration) -> list[Difference]:
    """What the configuration would change, in the order of the file."""
    return [*_maximum(wanted), *_rules(wanted), *_default_limit(wanted), *_pool_limits(wanted)]


def apply(found: Sequence[Difference], author: Author) -> None:
    """Write differences, each in a transaction of its own that admits whoever then fits.

    What narrows comes first: between two of them nobody starts whom the old limits and the new ones
    would both hold back. Applying the same file again goes on where a lost database stopped it.
    """
    for difference in sorted(found, key=lambda difference: not difference.narrows):
        difference.write(author)


def _maximum(wanted: Configuration) -> Iterator[Difference]:
    after = wanted.max_concurrent_runs
    if after is UNSET:
        return
    before = RunQueue.objects.get().max_concurrent_runs
    if after != before:
        as_written = run_limits.NO_LIMIT if after is None else after
        shown_before = run_limits.NO_LIMIT if before is None else before
        yield Difference(
            MAXIMUM,
            str(shown_before),
            str(as_written),
            _narrows(before, after),
            partial(run_limits.set_maximum, as_written),
        )


def _rules(wanted: Configuration) -> Iterator[Difference]:
    if wanted.tag_rules is UNSET:
        return
    in_force = {run_limits.as_rule(row).limit.identity: row for row in TagRule.objects.order_by("id")}
    for rule in wanted.tag_rules:
        row = in_force.pop(rule.identity, None)
        if row is None or row.limit != rule.limit:
            before = None if row is None else row.limit
            yield Difference(
                _rule_path(rule),
                _shown(before),
                str(rule.limit),
                _narrows(before, rule.limit),
                partial(run_limits.set_rule, rule),
            )
    for row in in_force.values():
        path = _rule_path(run_limits.as_rule(row).limit)
        yield Difference(path, str(row.limit), NONE, False, partial(_delete_rule, row.pk))


def _delete_rule(rule_id: int, author: Author) -> None:
    try:
        run_limits.delete_rule(rule_id, author)
    except NoSuchRule:
        pass  # somebody else deleted it meanwhile: it is as the file says


def _default_limit(wanted: Configuration) -> Iterator[Difference]:
    after = wanted.default_limit
    if after is UNSET:
        return
    before = PoolSettings.objects.get().default_limit
    if after != before:
        write = partial(sizing.set_default_limit, after)
        yield Difference(DEFAULT_LIMIT, _shown(before), _shown(after), _narrows(before, after), write)


def _pool_limits(wanted: Configuration) -> Iterator[Difference]:
    default = PoolSettings.objects.get().default_limit
    own = dict(Pool.objects.filter(name__in=wanted.pool_limits).values_list("name", "limit"))
    for name, after in wanted.pool_limits.items():
        before = own.get(name)
        if after != before:
            yield Difference(
                f"{LIMITS}.{name}",
                _shown(before),
                str(after),
                _narrows(default if before is None else before, after),
                partial(sizing.set_limit, name, after),
            )


def _rule_path(rule: TagLimit) -> str:
    return f"{RULES}[{rule.label}]"


def _narrows(before: int | None, after: int | None) -> bool:
    """Whether a limit becomes no wider; None is no limit."""
    return after == before if after is None else before is None or after <= before


def _shown(limit: int | None) -> str:
    return NONE if limit is None else str(limit)
