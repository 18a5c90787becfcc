"""At what a pool's slots are held, by each running op or by each run from its start to its end, and switching it live.

A run keeps the granularity that it started with. Queued runs get needs that fit the new one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from pools import claims, limits, sizing
from pools.models import Pool, PoolSettings
from pools.sizing import Author, Conflict, record
from runs import in_force, plans, relining, states
from runs.admission import Granularity
from runs.models import PlanPool, Run

OP, RUN = "op", "run"
ALLOWED = (OP, RUN)
ALL = ""  # in place of a pool's name: the default of all


class InvalidGranularity(ValueError):
    """A granularity that is not allowed. The text names the value and what is allowed."""


class WouldDeadlock(Exception):
    """A switch that could let runs wait for each other for ever. Nothing was written; the text names the runs."""


def parse(value: object, what: str = "granularity") -> str:
    """`value` as a granularity. Raises InvalidGranularity."""
    if value not in ALLOWED:
        raise InvalidGranularity(f"{what}: {value!r} is not allowed: use op or run.")
    return str(value)


def set_default(value: object, author: Author, version: int | None = None) -> PoolSettings:
    """Set the granularity of every pool that has none of its own.

    Raises InvalidGranularity, WouldDeadlock, or Conflict when another change came between, unless it set the same.
    """
    wanted = parse(value)
    relining.finish()
    with claims.desk() as desk:
        settings = PoolSettings.objects.get()
        if version is not None and settings.version != version and settings.granularity != wanted:
            raise Conflict(sizing.DEFAULT, settings.version, settings.granularity, sizing.latest_change(sizing.DEFAULT))
        if settings.granularity != wanted:
            refuse_deadlock({ALL: wanted})
            PoolSettings.objects.filter(version=settings.version).update(
                granularity=wanted, version=settings.version + 1
            )
            relining.switch(desk, _following())
            record(desk, author, sizing.DEFAULT, "granularity", settings.granularity, wanted)
    relining.finish()
    settings.refresh_from_db()
    return settings


def set_for_pool(name: str, value: object, author: Author, version: int | None = None) -> Pool:
    """Set a pool's own granularity; None: the default of all pools. The pool is created if need be.

    Raises InvalidGranularity, InvalidLimit for its name, WouldDeadlock, or Conflict as `set_default` does.
    """
    name, wanted = limits.pool_name(name), "" if value is None else parse(value)
    relining.finish()
    with claims.desk() as desk:
        pool = sizing.sight(desk, name)
        if version is not None and pool.version != version and pool.granularity != wanted:
            subject = sizing.subject(name)
            raise Conflict(subject, pool.version, pool.granularity or "default", sizing.latest_change(subject))
        if pool.granularity != wanted:
            refuse_deadlock({name: wanted or PoolSettings.objects.get().granularity})
            sizing.update(pool, granularity=wanted)
            relining.switch(desk, [name])
            record(
                desk,
                author,
                sizing.subject(name),
                "granularity",
                pool.granularity or "default",
                wanted or "default",
            )
    relining.finish()
    pool.refresh_from_db()
    return pool


def _following() -> list[str]:
    """The pools that ops of queued runs use and that have no granularity of their own."""
    own = Pool.objects.exclude(granularity="").values("name")
    plans_of_queued = Run.objects.filter(state=states.QUEUED).values("plan")
    found = PlanPool.objects.filter(plan__in=plans_of_queued).exclude(pool__in=own)
    return sorted(set(found.values_list("pool", flat=True)))


def falls_back(desk: claims.Desk, pool: Pool) -> None:
    """A pool that had a granularity of its own is being forgotten. Raises WouldDeadlock."""
    if pool.granularity:
        after = in_force.granularity()
        before = Granularity(after.default, {**after.own, pool.name: pool.granularity})
        _refuse(before, after)
        relining.switch(desk, [pool.name])


def refuse_deadlock(switched: Mapping[str, str]) -> None:
    """Refuse to switch pools (name, granularity; ALL: the default) where runs could then wait for each other for ever.

    A run in progress holds pool B from start to end, and its ops take slots of A one by one. If now runs held A
    from start to end and their ops took B, an older and a newer run could each hold what the other waits for.
    Raises WouldDeadlock.
    """
    now = in_force.granularity()
    own = {pool: granularity for pool, granularity in switched.items() if pool != ALL}
    _refuse(now, Granularity(switched.get(ALL, now.default), {**now.own, **own}))


def _refuse(now: Granularity, then: Granularity) -> None:
    stuck = [
        run.short for run in Run.objects.filter(state__in=states.RUN_IN_PROGRESS) if _keeps_opposite(run, now, then)
    ]
    if stuck:
        names = ", ".join(stuck[:5]) + (f" and {len(stuck) - 5} more" if len(stuck) > 5 else "")
        raise WouldDeadlock(
            f"granularity: not switched: it would be the opposite of what runs in progress keep for two pools that "
            f"they use ({names}), so that they and newer runs could wait for each other. Try again when they are over."
        )


def _keeps_opposite(run: Run, now: Granularity, then: Granularity) -> bool:
    """Whether a switch makes newer runs hold two pools just the other way round than this one does."""
    held = set(json.loads(run.pools_held))
    pools = sorted(plans.load(run.plan_id).pools)
    keeps = {pool: RUN if pool in held else OP for pool in pools}
    return any(
        keeps[a] != keeps[b] and (then.of(a), then.of(b)) == (keeps[b], keeps[a])
        for a in pools
        for b in pools
        if then.of(a) != now.of(a)
    )
