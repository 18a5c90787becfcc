"""`manage.py runs`: list runs, look at one, cancel it, change its priority, see to an op that is to be tried again."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser

from pools.claims import clock_time
from pools.explain import Waiting
from pools.reasons import Check
from runs import bulk_cancel, launch, lineage, priority, queries, reexecution, schema, states, transitions
from runs.filters import Filter
from runs.management.plain_command import PlainCommand, check_in_json, clock, operating_user, refusal
from runs.models import Op, OpEvent, Run
from runs.queries import OpView
from runs.words import duration

LONGEST_LIST = 10_000


class Command(PlainCommand):
    help = "List runs, show one and why it waits, cancel it, change its priority, or see to an op that failed."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

        def action(name: str, summary: str) -> ArgumentParser:
            return actions.add_parser(name, help=summary, description=summary)

        found = action("list", "List runs, newest first.")
        found.add_argument("--state", metavar="S", help=f"only in this state: {', '.join(states.RUN_STATES)}")
        found.add_argument("--job", metavar="J", help="only of this job; `assets` for runs without one")
        found.add_argument("--tag", metavar="K[=V]", default="", help="only with this tag")
        found.add_argument("--limit", metavar="N", type=int, default=20, help="at most so many (default 20)")
        self.add_json(found)
        for name, summary in (
            ("show", "Show a run, its ops, and what waits for what."),
            ("cancel", "Cancel a run: what waits at once, what runs is interrupted."),
            ("priority", "Change a run's priority; it and its waiting ops take their new places at once."),
        ):
            found = action(name, summary)
            found.add_argument("uid", metavar="UID", help="a run's uid, or how it begins")
            if name == "priority":
                found.add_argument("priority", metavar="N", help="higher goes first")
            else:
                self.add_json(found)
        found = action("cancel-all", "Cancel all runs that are queued or in progress, or those of a filter.")
        found.add_argument("--state", metavar="S", choices=("queued", "progress"), help="only queued, or in progress")
        found.add_argument("--job", metavar="J", default="", help="only of this job; `assets` for runs without one")
        found.add_argument("--tag", metavar="K[=V]", default="", help="only with this tag")
        self.add_json(found)
        found = action("reexecute", "Execute a run again that is over.")
        found.add_argument("uid", metavar="UID", help="a run's uid, or how it begins")
        found.add_argument("--from-failure", action="store_true", help="only what did not succeed; reuse the rest")
        self.add_json(found)
        for name, summary in (
            ("retry", "Try an op again at once that waits for its retry delay."),
            ("give-up", "Try an op no more that waits for its retry delay: it has failed."),
        ):
            found = action(name, summary)
            found.add_argument("uid", metavar="UID", help="a run's uid, or how it begins")
            found.add_argument("op", metavar="OP", help="the op's step key")
            self.add_json(found)

    def handle(self, *args: Any, **options: Any) -> None:
        schema.require_current()
        try:
            getattr(self, f"_{options['action'].replace('-', '_')}")(options)
        except (queries.NoSuchRun, queries.Ambiguous) as error:
            raise refusal([str(error)]) from error

    def _list(self, options: dict[str, Any]) -> None:
        if options["state"] not in (None, *states.RUN_STATES):
            raise CommandError(
                f"--state: {options['state']!r} is not allowed: use one of {', '.join(states.RUN_STATES)}."
            )
        if not 1 <= options["limit"] <= LONGEST_LIST:
            raise CommandError(f"--limit: {options['limit']} is not allowed: use 1 to {LONGEST_LIST}.")
        found = Filter(job=options["job"] or "", tag=options["tag"]).apply(Run.objects.all())
        if options["state"]:
            found = found.filter(state=options["state"])
        runs = list(found.order_by("-id")[: options["limit"]])
        if options["json"]:
            self.print_json([_run(run) for run in runs])
            return
        self.print_table(
            ("RUN", "STATE", "JOB", "PRIORITY", "QUEUED", "TOOK", "TAGS"),
            [
                (
                    run.short,
                    run.state,
                    queries.job_name(run),
                    run.priority,
                    clock(run.queued_at),
                    _took(run),
                    _tags(run),
                )
                for run in runs
            ],
        )

    def _show(self, options: dict[str, Any]) -> None:
        run = queries.find(options["uid"])
        why, ops = queries.why_queued(run), queries.ops_of(run)
        if options["json"]:
            self.print_json(_run(run) | _family(run) | {"waits": _checks(why), "ops": _ops(run, ops)})
            return
        self.print_table(
            ("run", run.uid),
            [
                (name, value)
                for name, value in (
                    ("job", queries.job_name(run)),
                    ("state", run.state),
                    ("priority", run.priority),
                    ("launched", f"{clock(run.queued_at)} by {run.launched_by} ({run.door})"),
                    ("started", clock(run.started_at)),
                    ("ended", clock(run.ended_at)),
                    ("canceled by", run.canceled_by),
                    ("executes again", run.parent.uid if run.parent else ""),
                    ("launched from", run.source.uid if run.source else ""),
                    ("error", run.error),
                    ("tags", _tags(run)),
                    ("params", ", ".join(f"{name}={value!r}" for name, value in run.params.items())),
                    ("waits", _reasons(why)),
                )
                if value != ""
            ],
        )
        self.stdout.write("")
        self.print_table(
            ("OP", "STATE", "ATTEMPT", "STARTED", "TOOK", ""),
            [
                (op.key, op.state, op.attempt or "", clock(op.started_at), _took(op), _remark(view))
                for view in ops
                for op in (view.op,)
            ],
        )

    def _cancel(self, options: dict[str, Any]) -> None:
        run = queries.find(options["uid"])
        canceled = transitions.cancel_run(run.pk, operating_user())
        run.refresh_from_db()
        if not canceled and run.state not in (states.CANCELING, states.CANCELED):
            raise CommandError(f"run {run.short} is over: {run.state}; there is nothing to cancel.")
        if options["json"]:
            self.print_json({"run": run.uid, "state": run.state})
        else:
            self.stdout.write(f"run {run.uid}: {run.state}")

    def _cancel_all(self, options: dict[str, Any]) -> None:
        wanted = Filter(options["state"] or "", options["job"], options["tag"])
        row = bulk_cancel.begin(wanted, operating_user())
        while row.ended_at is None:
            if self.stderr.isatty():
                self.stderr.write(f"\r{row.canceled} of {row.total} runs canceled", str, ending="")
            bulk_cancel.step(row)
            row.refresh_from_db()
        if self.stderr.isatty():
            self.stderr.write("\r\033[K", str, ending="")
        if options["json"]:
            self.print_json({"canceled": row.canceled})
        else:
            self.stdout.write(f"{row.canceled} runs canceled")

    def _reexecute(self, options: dict[str, Any]) -> None:
        run = queries.find(options["uid"])
        try:
            with redirect_stdout(sys.stderr):  # what modules print while they are loaded is not our result
                made = reexecution.reexecute(
                    run, who=operating_user(), door="cli", from_failure=options["from_failure"]
                )
        except launch.CannotLaunch as error:
            raise refusal([f"{name}: {text}" if name else text for name, text in error.errors.items()]) from error
        if options["json"]:
            self.print_json(_run(made) | {"parent": run.uid})
        else:
            self.stdout.write(f"run {made.uid} executes run {run.short} again: {made.state}")

    def _retry(self, options: dict[str, Any]) -> None:
        self._step_in(options, transitions.retry_now)

    def _give_up(self, options: dict[str, Any]) -> None:
        self._step_in(options, transitions.give_up)

    def _step_in(self, options: dict[str, Any], verb: Callable[[int, int, str], bool]) -> None:
        run = queries.find(options["uid"])
        view = queries.find_op(run.uid, options["op"])
        if view is None:
            raise CommandError(f"run {run.short} has no op {options['op']!r}.")
        op = view.op
        if not verb(op.pk, op.attempt, operating_user()):
            op.refresh_from_db()
            raise CommandError(f"op {op.key} is {op.state}: it does not wait to be tried again.")
        op.refresh_from_db()
        if options["json"]:
            self.print_json({"run": run.uid, "op": op.key, "state": op.state})
        else:
            self.stdout.write(f"op {op.key} of run {run.uid}: {op.state}")

    def _priority(self, options: dict[str, Any]) -> None:
        run = queries.find(options["uid"])
        try:
            before = priority.change(run, options["priority"])
        except priority.InvalidPriority as error:
            raise CommandError(f"priority: {error}") from error
        if before is None:
            raise CommandError(f"run {run.short} is over; its priority does not matter any more.")
        run.refresh_from_db()
        self.stdout.write(f"run {run.uid}: priority {before} -> {run.priority}")


def _run(run: Run) -> dict[str, Any]:
    """A run in JSON."""
    return {
        "run": run.uid,
        "job": queries.job_name(run),
        "state": run.state,
        "priority": run.priority,
        "tags": run.tags,
        "params": run.params,
        "launched_by": run.launched_by,
        "door": run.door,
        "queued_at": run.queued_at,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "canceled_by": run.canceled_by or None,
        "error": run.error or None,
    }


def _family(run: Run) -> dict[str, Any]:
    """What a run comes from, and until when it may go on, in JSON."""
    return {
        "parent": run.parent.uid if run.parent else None,
        "root": run.root.uid if run.root else None,
        "source": run.source.uid if run.source else None,
        "deadline": run.deadline,
    }


def _ops(run: Run, views: Sequence[OpView]) -> list[dict[str, Any]]:
    """The ops of a run in JSON, with what befell their attempts and what they reuse."""
    tries, sources = lineage.tries_of(run, (view.op for view in views)), lineage.sources(view.op for view in views)
    found = []
    for view in views:
        source = sources.get(view.op.reused_from or 0)
        befell = [_try(event) for event in tries.get(view.op.pk, ())]
        found.append(_op(view) | {"reused_from": source.run.uid if source else None, "tries": befell})
    return found


def _try(event: OpEvent) -> dict[str, Any]:
    """What befell an attempt, in JSON."""
    return {
        "attempt": event.attempt,
        "kind": event.kind,
        "started_at": event.started_at,
        "at": event.at,
        "text": event.text,
    }


def _op(view: OpView) -> dict[str, Any]:
    """An op in JSON."""
    op = view.op
    return {
        "op": op.key,
        "state": op.state,
        "attempt": op.attempt,
        "priority": op.priority,
        "queue": op.queue,
        "pools": dict(view.pools),
        "ready_at": op.ready_at,
        "started_at": op.started_at,
        "ended_at": op.ended_at,
        "retry_at": op.retry_at,
        "error": op.error or None,
        "after": list(view.upstream) if op.state == states.PENDING else [],
        "waits": _checks(view.waiting),
    }


def _checks(waiting: Waiting | None) -> list[dict[str, Any]]:
    """Every gate that applies to a candidate, in JSON; empty when it does not wait."""
    if waiting is None:
        return []
    return [check_in_json(check) for check in waiting.explanation.checks]


def _remark(view: OpView) -> str:
    """What a person wants to know about an op beside its state."""
    op = view.op
    if op.reused_from is not None:
        return "reused"
    if op.state == states.PENDING:
        return f"after {', '.join(view.upstream)}" if view.upstream else ""
    if op.state == states.READY:
        return _reasons(view.waiting)
    if op.state == states.UP_FOR_RETRY:
        return f"again at {clock(op.retry_at)}; {op.error}" if op.retry_at else op.error
    return op.error


def _reasons(waiting: Waiting | None) -> str:
    """Why a candidate waits: every gate without room. Empty when it does not wait."""
    if waiting is None:
        return ""
    return "; ".join(_reason(check) for check in waiting.explanation.blocking) or "it is about to start"


def _reason(check: Check) -> str:
    return f"{check.gate.name} {check.reason}"


def _tags(run: Run) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(run.tags.items()))


def _took(subject: Run | Op) -> str:
    """How long it has run so far, or ran; empty before it starts."""
    if subject.started_at is None:
        return ""
    until: datetime = subject.ended_at or clock_time()
    return duration(max(0.0, (until - subject.started_at).total_seconds()))
