"""What is in force, in the shape of the configuration file. Reads only; applying what it says changes nothing."""

from __future__ import annotations

from typing import Any

import yaml
from django.db.models import Q, QuerySet

from pools.models import Pool, PoolSettings
from runs import in_force, run_limits
from runs.models import RunQueue
from runs.tag_limits import PER_VALUE, TagLimit


def document() -> dict[str, Any]:
    """The file of what is in force. Every setting has its key; pools are listed if anything was set for them."""
    maximum = RunQueue.objects.get().max_concurrent_runs
    settings = PoolSettings.objects.get()
    return {
        "concurrency": {
            "runs": {
                "max_concurrent_runs": run_limits.NO_LIMIT if maximum is None else maximum,
                "tag_concurrency_limits": [_rule(rule.limit) for rule in in_force.rules()],
                "block_op_concurrency_limited_runs": {"enabled": settings.check_at_queue},
            },
            "pools": {
                "default_limit": settings.default_limit,
                "granularity": settings.granularity,
                "op_granularity_run_buffer": settings.run_buffer,
                "limits": {pool.name: _pool(pool) for pool in pools_with_something_of_their_own()},
            },
        }
    }


def as_yaml(found: Any, flow: bool = False) -> str:
    """A document as the text of a file; with `flow`, in one line."""
    return yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=10_000, default_flow_style=flow)


def pools_with_something_of_their_own() -> QuerySet[Pool]:
    """The pools that are more than a name which ops mention, by name."""
    plain = Q(limit=None, granularity="", description="", paused_at=None)
    return Pool.objects.exclude(plain).order_by("name")


def _rule(rule: TagLimit) -> dict[str, Any]:
    if rule.per_value:
        return {"key": rule.key, "value": {PER_VALUE: True}, "limit": rule.limit}
    value = {} if rule.value is None else {"value": rule.value}
    return {"key": rule.key, **value, "limit": rule.limit}


def _pool(pool: Pool) -> int | dict[str, int | str]:
    """Its limit, or a mapping where it has a granularity of its own; one without either is only listed."""
    if pool.limit is not None and not pool.granularity:
        return pool.limit
    limit = {} if pool.limit is None else {"limit": pool.limit}
    return {**limit, **({"granularity": pool.granularity} if pool.granularity else {})}
