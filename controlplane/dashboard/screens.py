"""The live parts of each page: blocks, each an element with an id, drawn by the page and by the stream alike.

A screen is named by a topic: "pools", or "pool:database". The stream draws a block once for all who
watch, so a block knows nothing of the reader: forms and tokens are drawn only where there is a request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlencode

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from controlplane.dashboard import audits, verdict
from controlplane.dashboard.templatetags.ledger import changes_about
from controlplane.dashboard.timeline import Timeline
from pools import explain
from pools import queries as pool_queries
from runs import bulk_cancel, catalog, deployment, lineage, queries, reexecution, states, time_split, why
from runs.audit import record
from runs.deployment import Now
from runs.models import Run
from runs.queries import Filter, OpView

JUST_ENDED = timedelta(minutes=1)


@dataclass(frozen=True)
class Block:
    """A part of a page that changes while it is looked at."""

    id: str
    template: str
    context: dict[str, Any] = field(default_factory=dict)

    def draw(self, request: HttpRequest | None = None) -> str:
        """The element as HTML. Without a request: for everybody, without forms."""
        return render_to_string(self.template, {**self.context, "block": self.id}, request)


class NoSuchScreen(LookupError):
    """No screen has this topic."""


def blocks_of(topic: str) -> list[Block]:
    """The blocks of a screen. Raises NoSuchScreen, also for a run or a pool that is not there."""
    name, _, argument = topic.partition(":")
    if name not in _SCREENS:
        raise NoSuchScreen(topic)
    try:
        return _SCREENS[name](argument)
    except (LookupError, TypeError) as error:  # TypeError: a filter that there is not
        raise NoSuchScreen(topic) from error


def is_touched(topic: str, changed: Iterable[str]) -> bool:
    """Whether a screen may look different after a change of these things (see `pools.claims.on_change`)."""
    name, _, argument = topic.partition(":")
    match name:
        case "pool":
            return any(thing in (f"gate:pool:{argument}", "changes") for thing in changed)
        case "pools":
            return any(thing.startswith("gate:pool:") for thing in changed)
        case "run":
            return any(not thing.startswith(("log:", "run:")) or thing.endswith(f":{argument}") for thing in changed)
        case "op":
            return True  # it can't be told from a topic which limits it waits for
        case "runs" | "changes" | "audit":
            return name in changed
        case _:
            return any(not thing.startswith("log:") for thing in changed)


# --- the screens ------------------------------------------------------------------------------------


def rail_counts(now: Now | None = None) -> dict[str, Any]:
    """The counts beside the navigation."""
    now = now or deployment.now()
    return {
        "runs": now.progress or "",
        "queue": now.queued or "",
        "pools": pool_queries.counted(now.waiting) if now.waiting else "",
        "audit": now.drift or "",
    }


def rail(argument: str = "") -> list[Block]:
    counts = rail_counts()
    return [Block(f"count-{name}", "_count.html", {"name": name, "count": count}) for name, count in counts.items()]


def overview(argument: str = "") -> list[Block]:
    picture, now = pool_queries.picture(), deployment.now()
    pools, workers = picture.pools, deployment.worker_queues(picture.of("workers"))
    longest = verdict.longest_line(pools)
    ahead = deployment.ahead(longest.name if longest else "", picture)
    full = [gate.label for gate in picture.of("run_tag") if gate.line]  # type: ignore[attr-defined]
    last, stuck, _ = audits.last() if now.drift else audits.NONE
    at_nobody = audits.held_by_nobody(stuck)
    one_slot_helps = partial(explain.needs_one_slot, ahead.first_at_pool)
    sentence = verdict.of(pools, now, workers, full, one_slot_helps, at_nobody)
    figures = {
        "now": now,
        "waiting": pool_queries.counted(now.waiting),
        "in_use": sum(pool.in_use for pool in pools),
        "slots": sum(pool.limit or 0 for pool in pools),
        "full": sum(pool.full for pool in pools),
        "pools": pools,
        "alive": sum(queue.alive for queue in workers),
        "busy": sum(queue.busy for queue in workers),
    }
    return [
        Block("verdict", "overview/_verdict.html", {"verdict": sentence}),
        Block(
            "needs-a-person",
            "overview/_needs_a_person.html",
            {
                "failures": ahead.failures,
                "paused": [pool for pool in pools if pool.paused],
                "problems": catalog.current().problems,
                "lonely": [queue for queue in workers if queue.waiting and not queue.alive],
                "audit": last,
                "stuck": stuck,
            },
        ),
        Block("figures", "overview/_figures.html", figures),
        Block("pools", "pools/_table.html", {"pools": pools[:12], "more": max(0, len(pools) - 12)}),
        Block("next", "overview/_next.html", {"queued": ahead.queued, "total": now.queued}),
    ]


def run_list(argument: str = "") -> list[Block]:
    return [bulk_canceling(), run_table(Filter(**dict(parse_qsl(argument))), None)]


def bulk_canceling() -> Block:
    """How far the canceling of many runs has got; for a moment after its end, that it has ended."""
    row = bulk_cancel.latest()
    told = row is not None and (row.ended_at is None or timezone.now() - row.ended_at < JUST_ENDED)
    return Block("bulk-cancel", "runs/_bulk_cancel.html", {"bulk": row if told else None})


def run_list_topic(wanted: Filter) -> str:
    """The topic of the first page of runs under a filter."""
    return "runs:" + urlencode({name: value for name, value in asdict(wanted).items() if value})


def run_table(wanted: Filter, before: int | None) -> Block:
    """A page of runs."""
    runs, following = queries.runs(wanted, before)
    return Block("runs", "runs/_table.html", {"runs": runs, "following": following, "wanted": wanted})


def run(argument: str) -> list[Block]:
    """A run by its id, not its uid: the stream's topics carry ids."""
    return blocks_of_run(queries.by_id(int(argument)) if argument.isdecimal() else queries.find(argument))


def blocks_of_run(run: Run) -> list[Block]:
    """The parts of a run's page."""
    ops = queries.ops_of(run)
    waiting_ops = [view for view in ops if view.waiting]
    reasons = why.of_run(run) if run.state == states.QUEUED else None
    more = len(waiting_ops) - 6
    split = time_split.of_run(run, ops, reasons.waiting if reasons else None)
    line = Timeline(run, ops, split.spans)
    sources = lineage.sources(view.op for view in ops)
    return [
        Block("run-head", "runs/_head.html", _head_of_run(run, ops, line.done)),
        Block("why", "runs/_why.html", {"run": run, "why": reasons, "ops": waiting_ops[:6], "more": more}),
        Block("timeline", "runs/_timeline.html", {"run": run, "line": line, "sources": sources}),
        Block("time", "runs/_time.html", {"run": run, "split": split, "before": time_split.last_success(run)}),
        Block("log", "runs/_log.html", {"run": run, "lines": queries.log_of(run) if run.started_at else [], "op": ""}),
    ]


def _head_of_run(run: Run, ops: Sequence[OpView], done: int) -> dict[str, Any]:
    return {
        "run": run,
        "ops": ops,
        "done": done,
        "reused": sum(view.op.reused_from is not None for view in ops),
        "family": lineage.family(run),
        "reusable": run.over and reexecution.can_reuse(run, [view.op.state for view in ops]),
    }


def op(argument: str) -> list[Block]:
    """An op by its id."""
    found = queries.op(int(argument)) if argument.isdecimal() else None
    if found is None:
        raise LookupError(argument)
    return blocks_of_op(found)


def blocks_of_op(view: OpView) -> list[Block]:
    """The parts of an op's page."""
    row, run = view.op, view.op.run
    reasons = why.of_op(row)
    source = lineage.sources([row]).get(row.reused_from or 0)
    tries = lineage.tries(row.pk)
    lines = queries.log_of(run, row.key) if row.attempt or tries else []  # before its first attempt it said nothing
    log = {"run": run, "lines": lines, "op": row.key, "source": source}
    head = {"op": row, "upstream": view.upstream if row.state == states.PENDING else (), "source": source}
    return [
        Block("op-head", "runs/_op_head.html", {**head, "priority": run.priority + row.priority}),
        Block("why", "runs/_op_why.html", {"op": row, "why": reasons}),
        Block(
            "waited",
            "runs/_op_waited.html",
            {"op": row, "why": reasons, "waited": reasons.waited if reasons else why.waited_before(row)},
        ),
        Block("tries", "runs/_tries.html", {"tries": tries, "most": lineage.MOST_TRIES}),
        Block("log", "runs/_log.html", log),
    ]


def pools(argument: str = "") -> list[Block]:
    found = pool_queries.pools()
    return [Block("pools", "pools/_table.html", {"pools": found, "more": 0})]


def pool(argument: str) -> list[Block]:
    found = pool_queries.pool(argument)
    if found is None:
        raise LookupError(argument)
    key = f"pool:{argument}"
    holds, line = pool_queries.holds(key), pool_queries.line(key)
    names = queries.named([*(hold.holder for hold in holds), *(waiter.holder for waiter in line), found.kept_for])
    stuck = audits.stuck_among(holds, names)
    holders = [(hold, names.get(hold.holder), stuck.get(hold.pk)) for hold in holds]
    waiters = [(place, waiter, names.get(waiter.holder)) for place, waiter in enumerate(line, 1)]
    return [
        Block(
            "pool-head",
            "pools/_head.html",
            {"pool": found, "kept_for": names.get(found.kept_for)},
        ),
        Block("holders", "pools/_holders.html", {"pool": found, "holders": holders}),
        Block("line", "pools/_line.html", {"pool": found, "waiters": waiters}),
        _changes(reverse("pool", args=[argument]), key, most=8),
    ]


def queue(argument: str = "") -> list[Block]:
    picture, now = pool_queries.picture(), deployment.now()
    return [
        bulk_canceling(),
        Block("queue-limits", "queue/_summary.html", {"rules": picture.of("run_tag"), "now": now}),
        Block("queue", "queue/_list.html", {"queued": deployment.queued(50, picture), "now": now}),
    ]


def limits(argument: str = "") -> list[Block]:
    now = deployment.now()
    return [
        Block("limits-in-use", "queue/_in_use.html", {"limits": deployment.queue_limits(now), "now": now}),
        _changes(reverse("limits"), "runs", "rule:", most=8),
    ]


def settings(argument: str = "") -> list[Block]:
    now = deployment.now()
    in_force = {
        "now": now,
        "limits": deployment.queue_limits(now),
        "settings": pool_queries.settings_with_followers(),
    }
    return [
        Block("in-force", "settings/_in_force.html", in_force),
        _changes(reverse("settings"), "runs", "rule:", "pools", most=12),
    ]


def _changes(at: str, *subjects: str, most: int) -> Block:
    """The newest changes about some subjects, for the page at an address."""
    return Block("changes", "_changes.html", {"changes": pool_queries.changes(*subjects, most=most), "at": at})


def changes(argument: str = "") -> list[Block]:
    return [ledger(argument, None)]


def ledger(subject: str, before: int | None, most: int = 50) -> Block:
    """A page of the change ledger, about one subject or all."""
    found = pool_queries.changes(*filter(None, [subject]), most=most + 1, before=before)
    following = found[most - 1].pk if len(found) > most else None
    context = {
        "changes": found[:most],
        "following": following,
        "subject": subject,
        "before": before,
        "at": changes_about(subject, before),
    }
    return Block("changes", "changes/_table.html", context)


def audit(argument: str = "") -> list[Block]:
    last, stuck, others = audits.last()
    return [
        Block("audit-head", "audit/_head.html", {"audit": last, "drift": str(last.drift) if last else ""}),
        Block("stuck", "audit/_stuck.html", {"audit": last, "stuck": stuck}),
        Block("findings", "audit/_findings.html", {"found": others}),
        Block("compared", "audit/_compared.html", {"kinds": audits.by_kind(last)}),
        Block("repairs", "audit/_repairs.html", {"repairs": record.repairs()}),
    ]


_SCREENS: dict[str, Callable[[str], list[Block]]] = {
    "rail": rail,
    "overview": overview,
    "runs": run_list,
    "run": run,
    "op": op,
    "pools": pools,
    "pool": pool,
    "queue": queue,
    "limits": limits,
    "settings": settings,
    "changes": changes,
    "audit": audit,
}
