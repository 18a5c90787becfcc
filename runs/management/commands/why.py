"""`manage.py why`: why a run, or one of its ops, waits, limit by limit."""

from __future__ import annotations

from dataclasses import asdict, astuple
from typing import Any

from django.core.management.base import CommandError, CommandParser

from pools import options
from pools.reasons import Check, Prospect
from runs import estimates, queries, schema, sooner, states, why
from runs.estimates import Start
from runs.management.plain_command import PlainCommand, check_in_json, refusal
from runs.models import Op, Run
from runs.sooner import Advice
from runs.why import Named, Waited, Why
from runs.words import duration


class Command(PlainCommand):
    help = "Say why a run or an op waits: every limit that applies, who holds it, and who is ahead."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("uid", metavar="RUN", help="a run's uid, or how it begins")
        parser.add_argument("op", metavar="OP", nargs="?", help="the step key of one of its ops")
        self.add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        schema.require_current()
        try:
            run = queries.find(options["uid"])
        except (queries.NoSuchRun, queries.Ambiguous) as error:
            raise refusal([str(error)]) from error
        subject: Run | Op = run
        if options["op"]:
            found = Op.objects.filter(run=run, key=options["op"]).select_related("run").first()
            if found is None:
                known = ", ".join(Op.objects.filter(run=run).order_by("rank").values_list("key", flat=True)[:20])
                raise CommandError(f"run {run.short} has no op {options['op']!r}; it has: {known}")
            subject = found
        reasons = why.of_op(subject) if isinstance(subject, Op) else why.of_run(subject)
        if options["json"]:
            self.print_json(_as_dict(subject, reasons))
        else:
            self._print(subject, reasons)

    def _print(self, subject: Run | Op, reasons: Why | None) -> None:
        if reasons is None:
            self.stdout.write(f"{_name(subject)} does not wait: it is {subject.state}.")
            for entry in _waited(subject, None):
                self.stdout.write(f"  it waited {duration(entry.seconds)} for {entry.name}")
            if isinstance(subject, Op) and subject.state == states.PENDING:
                (view,) = [view for view in queries.ops_of(subject.run) if view.op.pk == subject.pk]
                self.stdout.write(f"  it comes after {', '.join(view.upstream)}")
            return
        place = f", {reasons.place_shown} in line at {reasons.line.name}" if reasons.line else ""
        self.stdout.write(f"{_name(subject)} waits, priority {reasons.waiting.priority}{place}.")
        explanation = reasons.waiting.explanation
        rows: list[tuple[object, ...]] = [
            (
                "room" if check.room else "NO ROOM",
                check.gate.name,
                check.slots,
                f"{check.gate.in_use} of {'-' if check.gate.limit is None else check.gate.limit}",
                check.reason,
            )
            for check in explanation.checks
        ]
        rows += [
            (
                "taken",
                f"{entry.gate.name} of its first ops",
                "-",
                f"{entry.gate.in_use} of {'-' if entry.gate.limit is None else entry.gate.limit}",
                f"{entry.waited_for} slots are waited for; buffer {entry.buffer}",
            )
            for entry in explanation.taken
        ]
        self.print_table(("", "LIMIT", "NEEDS", "IN USE", ""), rows)
        names = {
            gate.id: gate.name for gate in (*(c.gate for c in explanation.checks), *(t.gate for t in explanation.taken))
        }
        for gate_id, holders in reasons.holders.items():
            if holders:
                self.stdout.write(f"{names[gate_id]} is held by {', '.join(_who(h.holder, n) for h, n in holders)}")
        if reasons.ahead:
            ahead = ", ".join(f"{_who(w.holder, who)} (priority {w.priority})" for w, who in reasons.ahead)
            self.stdout.write(f"ahead of it: {ahead}")
        for entry in reasons.waited:
            self.stdout.write(f"so far it waited {duration(entry.seconds)} for {entry.name}")
        if start := estimates.of_wait(reasons):
            early, at, late = (f"{moment:%Y-%m-%d %H:%M:%S}" for moment in astuple(start.likely))
            self.stdout.write(f"likely to start at {at} UTC, nine times of ten between {early} and {late}")
        for advice in sooner.of(reasons):
            effect = f": {advice.effect[0].lower()}{advice.effect[1:]}" if advice.effect else ""
            self.stdout.write(f"what would start it sooner: {_option(subject, advice)}{effect}")


def _as_dict(subject: Run | Op, reasons: Why | None) -> dict[str, Any]:
    run = subject.run if isinstance(subject, Op) else subject
    found: dict[str, Any] = {
        "run": run.uid,
        "op": subject.key if isinstance(subject, Op) else None,
        "state": subject.state,
        "waits": reasons is not None,
        "waited": [{"for": entry.name, "seconds": round(entry.seconds, 3)} for entry in _waited(subject, reasons)],
    }
    if reasons is None:
        return found
    explanation = reasons.waiting.explanation
    return found | {
        "since": reasons.waiting.since,
        "priority": reasons.waiting.priority,
        "line": reasons.line.name if reasons.line else None,
        "place": reasons.place,
        "limits": [_check(check, reasons) for check in explanation.checks],
        "prospects": [[_prospect(entry) for entry in group] for group in explanation.prospects],
        "without_prospect": explanation.without_prospect,
        "ahead": [
            {"who": _who(waiter.holder, named), "priority": waiter.priority, "since": waiter.since}
            for waiter, named in reasons.ahead
        ],
        "likely": _likely(estimates.of_wait(reasons)),
        "options": [
            {
                "do": advice.option.kind,
                "gate": advice.option.gate.key,
                "to": advice.option.to or None,
                "who": _who(advice.option.holder, advice.who) if advice.option.holder else None,
                "starts": advice.option.effect.starts if advice.option.effect else None,
                "effect": advice.effect,
            }
            for advice in sooner.of(reasons)
        ],
    }


def _likely(start: Start | None) -> dict[str, Any] | None:
    return {**asdict(start.likely), "from": start.number} if start else None


def _option(subject: Run | Op, advice: Advice) -> str:
    option, who = advice.option, _who(advice.option.holder, advice.who)
    run = subject.run if isinstance(subject, Op) else subject
    return {
        options.FREE: f"free what {who} holds, which nobody alive holds",
        options.RESUME: f"resume {option.gate.name}",
        options.WORKER: f"start {option.more} more workers of {option.gate.name}",
        options.RAISE: f"limit of {option.gate.name} {option.gate.limit} -> {option.to}",
        options.PRIORITY: f"priority of the run {run.priority} -> {option.to}",
        options.END: f"the end of {who}",
    }[option.kind]


def _check(check: Check, reasons: Why) -> dict[str, Any]:
    return check_in_json(check) | {
        "kept": check.kept,
        "held_by": [
            {"who": _who(hold.holder, named), "slots": hold.slots, "since": hold.since}
            for hold, named in reasons.holders.get(check.gate.id, ())
        ],
    }


def _prospect(entry: Prospect) -> dict[str, Any]:
    return {
        "label": entry.gate.label,
        "in_use": entry.gate.in_use,
        "limit": entry.gate.limit,
        "waited_for": entry.waited_for,
        "buffer": entry.buffer,
        "room": entry.room,
    }


def _waited(subject: Run | Op, reasons: Why | None) -> list[Waited]:
    return list(reasons.waited) if reasons else why.waited_before(subject)


def _name(subject: Run | Op) -> str:
    return f"op {subject.key} of run {subject.run.short}" if isinstance(subject, Op) else f"run {subject.short}"


def _who(holder: str, named: Named) -> str:
    """A holder as a person finds it again."""
    if isinstance(named, Op):
        return f"{named.run.short}/{named.key}"
    return named.short if named else holder
