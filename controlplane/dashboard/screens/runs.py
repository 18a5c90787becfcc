"""Runs: the list, a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

from django.utils import timezone

from controlplane.dashboard import graph
from controlplane.dashboard.screens.block import Block
from controlplane.dashboard.timeline import Choice, Timeline
from runs import bulk_cancel, deployment, filters, lineage, log_lines, queries, reexecution, states, time_split, why
from runs.filters import Filter
from runs.lineage import Family
from runs.models import Run
from runs.queries import OpView, RunView

JUST_ENDED = timedelta(minutes=1)


def run_list(argument: str = "") -> list[Block]:
    """What is live on a page of runs: the rows that are on it, and how many runs it does not show yet."""
    query = dict(parse_qsl(argument))
    wanted, wrong = filters.parse(query)
    ids = [int(part) for part in query.get("rows", "").split("-") if _is_id(part)]
    after = query.get("after", "")
    if wrong or len(ids) > filters.MOST:
        raise LookupError(argument)
    shown = [run_table(filters.rows(ids))] if ids else []
    return [bulk_canceling(), new_runs(wanted, int(after) if _is_id(after) else None), *shown]


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19


def bulk_canceling() -> Block:
    """How far the canceling of many runs has got; for a moment after its end, that it has ended."""
    row = bulk_cancel.latest()
    told = row is not None and (row.ended_at is None or timezone.now() - row.ended_at < JUST_ENDED)
    waits = row is not None and row.ended_at is None and row.begins_at is not None and row.begins_at > timezone.now()
    return Block("bulk-cancel", "runs/_bulk_cancel.html", {"bulk": row if told else None, "waits": waits})


def run_list_topic(wanted: Filter, shown: Iterable[Run], after: int | None) -> str:
    """The topic of a page that shows these runs, and none that was launched after that one; None: nor counts them."""
    query = wanted.query() | {"rows": "-".join(str(run.pk) for run in shown)}
    return "runs:" + urlencode(query | ({} if after is None else {"after": str(after)}))


def run_table(runs: Sequence[Run]) -> Block:
    """Runs, each in a row of its own: rows that are shown stay, whatever becomes of their runs."""
    return Block("runs", "runs/_table.html", {"runs": runs})


def new_runs(wanted: Filter, after: int | None) -> Block:
    """How many runs match that were launched since."""
    count = 0 if after is None else filters.newer(wanted, after)
    return Block("new-runs", "runs/_new.html", {"count": min(count, 99), "more": count > 99, "wanted": wanted})


def run_topic(run: Run, choice: Choice) -> str:
    """The topic of a run whose timeline draws these ops."""
    return f"run:{run.pk}" + (f"/{choice.state}/{'' if choice.start is None else choice.start}" if choice else "")


def run(argument: str) -> list[Block]:
    """A run by its id, not its uid: the stream's topics carry ids; and which ops its timeline draws."""
    number, _, chosen = argument.partition("/")
    found = queries.by_id(int(number)) if number.isdecimal() else queries.find(number)
    state, _, start = chosen.partition("/")
    try:
        return blocks_of_run(found, Choice.read(state, start))
    except ValueError as error:
        raise LookupError(argument) from error


def blocks_of_run(run: Run, choice: Choice | None = None) -> list[Block]:
    """The parts of a run's page."""
    view = queries.view_of(run, deployment.counted())
    ops, kin = view.ops, lineage.kin(run)
    split = time_split.of_run(run, ops, view.waiting)
    line = Timeline(run, ops, split.spans, choice)
    sources = lineage.sources(one.op for one in ops)
    return [
        *blocks_of_wait(run, view, kin.family),
        Block("timeline", "runs/_timeline.html", {"run": run, "line": line, "sources": sources}),
        Block("time", "runs/_time.html", {"run": run, "split": split, "before": kin.before}),
        Block("graph", "runs/_graph.html", {"graph": graph.of_run(run, ops, queries.dependencies(run, ops))}),
        Block("log", "runs/_log.html", {"run": run, "lines": log_lines.tail(run) if run.started_at else [], "op": ""}),
    ]


def blocks_of_wait(run: Run, view: RunView, family: Family) -> list[Block]:
    """What a run is, why it waits or its ops do, and the limits that they meet."""
    waiting = [one for one in view.ops if one.waiting]
    waiting.sort(key=lambda one: one.waiting.since if one.waiting else run.queued_at)
    reasons = why.of_run(run, view.waiting) if view.waiting else None
    more = len(waiting) - 6
    return [
        Block("run-head", "runs/_head.html", _head_of_run(run, view, family)),
        Block("why", "runs/_why.html", {"run": run, "why": reasons, **_first_of(run, waiting), "more": more}),
        Block("limits-met", "runs/_limits_met.html", {"limits": view.limits}),
    ]


def _first_of(run: Run, waiting: Sequence[OpView]) -> dict[str, Any]:
    """The op that has waited for longest, with what would start it sooner, and some that have waited for less."""
    if not waiting:
        return {"first": None, "first_why": None, "ops": []}
    first = waiting[0].op
    first.run = run
    known = {view.waiting.holder: view.waiting for view in waiting if view.waiting}
    return {"first": first, "first_why": why.of_op(first, known), "ops": waiting[1:6]}


def _head_of_run(run: Run, view: RunView, family: Family) -> dict[str, Any]:
    return {
        "run": run,
        "ops": view.ops,
        "done": sum(one.op.state in states.OP_TERMINAL for one in view.ops),
        "reused": sum(one.op.reused_from is not None for one in view.ops),
        "family": family,
        "reusable": run.over and reexecution.can_reuse(run, [one.op.state for one in view.ops]),
        **deployment.known(view.also),
    }
