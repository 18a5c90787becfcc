"""Occupancy and lines, and the ledger, for people to see. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Exists, IntegerField, OuterRef, Q, QuerySet, Subquery, Sum, Value
from django.db.models.expressions import RawSQL
from django.db.models.lookups import Exact

from pools import lines, rules
from pools.firsts import any_of, rows_of_each, values
from pools.lines import COUNT_TO
from pools.models import Change, Gate, Hold, Pool, PoolSettings, Waiter
from pools.sizing import DELETED, overtaking

MOST_AT_A_GLANCE = 12  # pools on the overview


@dataclass(frozen=True)
class PoolView:
    """A pool as a page shows it. `limit` None: unlimited; `own_limit` None and `granularity` "": on the default."""

    name: str
    description: str
    limit: int | None
    own_limit: int | None
    in_use: int
    waiting: int
    oldest: datetime | None
    paused_at: datetime | None
    paused_by: str
    pause_reason: str
    paused_until: datetime | None
    version: int
    own_granularity: str  # op, run; "": the one of all pools
    default_granularity: str  # the one of all pools
    kept: int  # slots reserved for one that others have overtaken for too long
    kept_for: str  # its holder; "": nothing is kept

    @property
    def paused(self) -> bool:
        return self.paused_at is not None

    @property
    def free(self) -> int | None:
        return None if self.limit is None else max(0, self.limit - self.in_use)

    @property
    def full(self) -> bool:
        return self.limit is not None and self.in_use >= self.limit

    @property
    def over(self) -> int:
        """Holders beyond a limit that was lowered under them."""
        return 0 if self.limit is None else max(0, self.in_use - self.limit)

    @property
    def waiting_shown(self) -> str:
        return counted(self.waiting)


def counted(number: int) -> str:
    """A capped count in words: "17", "1 000+"."""
    return "1 000+" if number > COUNT_TO else str(number)


def pools() -> list[PoolView]:
    """All pools, those with a line first, then the fullest."""
    return _busiest_first(_with_line(Gate.objects.filter(kind="pool")))


def pool_names(most: int) -> list[str]:
    """The names of the first pools, in their order."""
    return list(Pool.objects.order_by("name").values_list("name", flat=True)[:most])


def _busiest_first(gates: Iterable[Gate]) -> list[PoolView]:
    def busiest(pool: PoolView) -> tuple[int, float, str]:
        share = pool.in_use / pool.limit if pool.limit else float(pool.in_use > 0)
        return (-pool.waiting, -share, pool.name)

    return sorted(map(_pool_view, gates), key=busiest)


def pool(name: str) -> PoolView | None:
    """One pool, None if nobody has named it."""
    gate = _with_line(Gate.objects.filter(kind="pool", pool__name=name)).first()
    return _pool_view(gate) if gate else None


def _with_line(gates: QuerySet[Gate]) -> QuerySet[Gate]:
    """Gates with their pools, with how many each has no room for, and since when the one that waits longest waits."""
    granularity = PoolSettings.objects.values("granularity")[:1]
    return gates.select_related("pool").annotate(
        line=lines.count(), oldest=lines.oldest(), granularity=Subquery(granularity)
    )


def _pool_view(gate: Gate) -> PoolView:
    pool = gate.pool
    return PoolView(
        name=pool.name,
        description=pool.description,
        limit=gate.limit,
        own_limit=pool.limit,
        in_use=gate.in_use,
        waiting=gate.line,  # type: ignore[attr-defined]
        oldest=gate.oldest,  # type: ignore[attr-defined]
        paused_at=pool.paused_at,
        paused_by=pool.paused_by,
        pause_reason=pool.pause_reason,
        paused_until=pool.paused_until,
        version=pool.version,
        own_granularity=pool.granularity,
        default_granularity=gate.granularity,  # type: ignore[attr-defined]
        kept=gate.reserved,
        kept_for=gate.reserved_for,
    )


@dataclass(frozen=True)
class Picture:
    """Gates by their ids, and the settings of all pools.

    Read by one query, so that a page can show pools, run limits and workers as they stood at one moment. `also`: what
    was asked for beside them, by the same query; empty if there are no gates.
    """

    gates: Mapping[int, Gate]
    check_at_queue: bool
    run_buffer: int
    default_limit: int | None
    granularity: str
    also: Mapping[str, Any] = field(default_factory=dict)

    def of(self, *kinds: str) -> list[Gate]:
        """The gates of some kinds, in the order of their keys."""
        return [gate for gate in self.gates.values() if gate.kind in kinds]

    @property
    def pools(self) -> list[PoolView]:
        """All pools, those with a line first, then the fullest."""
        return _busiest_first(self.of("pool"))


NOTHING = Picture({}, False, 0, None, "")  # nobody asked for gates
Also = Mapping[str, RawSQL]  # subqueries by their names


def picture(keys: Iterable[str] | None = None, also: Also | None = None) -> Picture:
    """How all that is shared stands now, each gate with its `line`; with `keys`, only those of these gates."""
    shared = Gate.objects.filter(kind__in=rules.SHARED_KINDS)
    return _picture(_with_line(shared if keys is None else shared.filter(key__in=list(keys))), also or {})


def picture_of(gate_ids: Iterable[int], holders: Sequence[str] | None = None, also: Also | None = None) -> Picture:
    """These gates; with `holders` also those of which they have slots, each with its `line`, and with `mine`: how many.

    Gates of one run are among them, which nobody shares.
    """
    gates = Gate.objects.select_related("pool")
    if holders is None:
        return _picture(gates.filter(pk__in=list(gate_ids)), also or {})
    holds = Hold.objects.filter(holder__in=holders)
    mine = holds.filter(gate=OuterRef("pk")).order_by().values("gate").annotate(slots=Sum("slots")).values("slots")
    wanted = list(gate_ids)
    parts = [Gate.objects.filter(pk__in=wanted).values("id")] if wanted else []
    concerned = gates.filter(pk__in=any_of(*parts, holds.values("gate_id")))
    return _picture(concerned.annotate(line=lines.count(), mine=Subquery(mine)), also or {})


def _picture(found: QuerySet[Gate], also: Also) -> Picture:
    settings = PoolSettings.objects.all()
    of_all = ("check_at_queue", "run_buffer", "default_limit", "granularity")
    known = {f"all_{name}": Subquery(settings.values(name)[:1]) for name in of_all}
    gates = {gate.pk: gate for gate in found.annotate(**known, **also).order_by("key")}
    first: Any = next(iter(gates.values()), None)
    if first is None:
        row = pool_settings()
        return Picture({}, row.check_at_queue, row.run_buffer, row.default_limit, row.granularity)
    told = {name: getattr(first, name) for name in also}
    return Picture(gates, bool(first.all_check_at_queue), first.all_run_buffer, first.all_default_limit,
                   first.all_granularity, told)  # fmt: skip


def pool_settings() -> PoolSettings:
    """The settings of all pools."""
    return PoolSettings.objects.get()


def settings_with_followers() -> PoolSettings:
    """The same, with how many pools follow them: `on_limit`, `on_granularity`."""
    on_limit, on_granularity = Pool.objects.filter(limit=None), Pool.objects.filter(granularity="")
    return PoolSettings.objects.annotate(on_limit=CountOf(on_limit), on_granularity=CountOf(on_granularity)).get()


class CountOf(Subquery):
    """How many rows a query has. Unlike an aggregate it counts no further than the query's own limit."""

    template = "(SELECT count(*) FROM (%(subquery)s) AS counted)"
    output_field = IntegerField()


def gates(*kinds: str, most: int = COUNT_TO) -> list[Gate]:
    """The gates of some kinds, each with its `line`: how many it has no room for, up to `most` + 1."""
    return list(Gate.objects.filter(kind__in=kinds).annotate(line=lines.count(most)).order_by("key"))


def gates_where(most: int, **which: object) -> list[Gate]:
    """The first of some gates, each with its `line` up to COUNT_TO + 1."""
    return list(Gate.objects.filter(**which).annotate(line=lines.count()).order_by("id")[:most])


def use(*kinds: str) -> list[tuple[str, str, int, int | None]]:
    """What is in use of the gates of some kinds: (kind, label, in use, limit) each. No lines are counted."""
    return list(Gate.objects.filter(kind__in=kinds).values_list("kind", "label", "in_use", "limit"))


def holds(gate_key: str, most: int = 200) -> list[Hold]:
    """Who holds slots of a gate, longest first."""
    return list(Hold.objects.filter(gate__key=gate_key).order_by("since", "id")[:most])


def line(gate_key: str, most: int = 50) -> list[Waiter]:
    """Who stands in line at a gate, in the order in which they would be let in."""
    return list(lines.first(gate_key, most))


def holders_of(gate_ids: Iterable[int], most: int = 10) -> dict[int, list[Hold]]:
    """Who holds slots of each of these gates, longest first, `most` of each."""
    gates = list(gate_ids)
    found: dict[int, list[Hold]] = {}
    if not gates:
        return found
    of_gate = "SELECT h.{} FROM pools_hold h WHERE h.gate_id = gates.column1 ORDER BY h.since, h.id LIMIT %s"
    first = rows_of_each(f"{values('bigint', len(gates))} AS gates", "pools_hold", of_gate)
    for hold in Hold.objects.raw(first, [*gates, most]):
        found.setdefault(hold.gate_id, []).append(hold)
    return {gate_id: sorted(holds, key=lambda hold: (hold.since, hold.pk)) for gate_id, holds in found.items()}


def changes(*subjects: str, most: int = 20, before: int | None = None) -> list[Change]:
    """The newest lines of the ledger, about some subjects or all; with `before`, those older than that one.

    A kind with its colon, and no name, stands for all of it. Each line is `overtaken` or not: see
    `sizing.overtaking`.
    """
    about = _about(*subjects)
    found = Change.objects.filter(about) if before is None else Change.objects.filter(about, id__lt=before)
    newer = Change.objects.filter(subject=OuterRef("subject"), id__gt=OuterRef("pk"))
    same = Q(field=OuterRef("field")) | Q(field=DELETED) | Q(Exact(OuterRef("field"), Value(DELETED)))
    return list(found.annotate(overtaken=Exists(newer.filter(same))).order_by("-id")[:most])


def changes_since(moment: datetime, *subjects: str, most: int = 200) -> list[Change]:
    """What was changed about some subjects since then, the newest first."""
    return list(Change.objects.filter(_about(*subjects), at__gte=moment).order_by("-id")[:most])


def _about(*subjects: str) -> Q:
    about = Q()
    for subject in subjects:
        is_a_kind = subject.endswith(":") and subject.count(":") == 1  # "pool:", not "pool:a:", which is a pool
        about |= Q(subject__startswith=subject) if is_a_kind else Q(subject=subject)
    return about


def change(change_id: int) -> tuple[Change, Change | None]:
    """A line of the ledger, and the newest that overtook it. Raises Change.DoesNotExist."""
    found = Change.objects.get(pk=change_id)
    return found, overtaking(found).first()
