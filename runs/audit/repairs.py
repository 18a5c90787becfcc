"""Sets right what an audit found, and keeps a record of it: who, when, what was found, what was done.

1. At a desk, under the admission lock, look again: only what is found just the same is set right.
2. The verbs of the engine and of the page of state write; whoever then fits is let in, in the same transaction.
3. The record is written in that transaction, too.

What is the clock's or the launcher's to do is done by the guarded verbs that they use, and recorded then.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from pools import claims
from pools.audit import drift as of_pools
from pools.audit.books import Books, Finding, Says
from pools.claims import Desk, mending
from pools.models import Repair
from pools.rules import WORKERS
from pools.sizing import Author
from runs import parentage, states, tickets, transitions, workforce
from runs.audit import drift, looking
from runs.models import Op
from runs.tickets import Ticket
from runs.verdict import LOST as LOST_ITS_WORKER

log = logging.getLogger(__name__)


Says_ = dict[str, Says]


class Gone(Exception):
    """What was found is not so any more. Nothing was written."""


class CannotRepair(Exception):
    """What was found can't be set right now. Nothing was written; the text says why."""


def repair_all(findings: Iterable[Finding], author: Author) -> tuple[list[Repair], list[tuple[Finding, str]]]:
    """Set right what was found, one transaction each. Returns the records, and what could not be set right and why."""
    order = [*of_pools.KINDS, *drift.KINDS]
    done: list[Repair] = []
    failed: list[tuple[Finding, str]] = []
    for finding in sorted(findings, key=lambda finding: order.index(finding.kind)):
        try:
            done.append(repair(finding, author))
        except Gone:
            continue  # it went with another one
        except claims.AWAY:
            raise
        except CannotRepair as error:
            failed.append((finding, str(error)))
        except Exception as error:
            log.exception("%s: %s can't be set right", finding.kind, finding.subject)
            failed.append((finding, f"{type(error).__name__}: {error}"))
    return done, failed


def repair(finding: Finding, author: Author) -> Repair:
    """Set one finding right. Raises Gone when it is not found just the same any more, and CannotRepair."""
    if finding.kind in drift.WARNINGS:
        raise CannotRepair("it is somebody else's, and no drift")
    if finding.kind in _BY_OTHERS:
        _BY_OTHERS[finding.kind](finding)
        with claims.desk() as desk:
            made = _record(desk, finding, author)
    else:
        with claims.desk() as desk:
            books, says = looking.read()
            found = (*looking.inside(books, says), *looking.after_a_while(books, says, desk.now))
            if not any(other.mark == finding.mark for other in found):
                raise Gone
            _AT_THE_DESK[finding.kind](desk, finding, books, says)
            made = _record(desk, finding, author)
    log.warning("%s: %s", finding.text, made.done)
    return made


def _record(desk: Desk, finding: Finding, author: Author) -> Repair:
    desk.topics.add("audit")
    return Repair.objects.create(
        at=desk.now,
        who=author.who[:150],
        door=author.door,
        kind=finding.kind,
        subject=finding.subject[:300],
        found=finding.text,
        evidence=dict(finding.evidence),
        done=finding.remedy[:500],
    )


# --- at the desk ------------------------------------------------------------------------------------


def _recount(desk: Desk, finding: Finding, books: Books, says: Says_) -> None:
    mending.recount(desk, [_gate(finding, books)])


def _limit(desk: Desk, finding: Finding, books: Books, says: Says_) -> None:
    gate_id = _gate(finding, books)
    row = books.gates[gate_id]
    if row.gate.kind == WORKERS:
        workforce.recount(desk, {row.gate.label})
    elif row.wanted is not None:
        desk.resize(gate_id, row.wanted.limit)
        desk.pause(gate_id, row.wanted.paused)


def _free(desk: Desk, finding: Finding, books: Books, says: Says_) -> None:
    """Slots whose lease ran out go back as the clock gives them back: the op's attempt has failed with that."""
    token = int(finding.evidence["token"])
    if "lease_until" in finding.evidence:
        desk.expire(finding.subject, token)
    else:
        mending.free(desk, finding.subject, token)


def _hold(desk: Desk, finding: Finding, books: Books, says: Says_) -> None:
    said = says[finding.subject]
    besides = [gate_id for gate_id, row in books.gates.items() if row.gate.key in said.besides]
    mending.let_hold(desk, finding.subject, said.needs, said.token, besides)


def _withdraw(desk: Desk, finding: Finding, books: Books, says: Says_) -> None:
    desk.withdraw([finding.subject])


def _ask(desk: Desk, finding: Finding, books: Books, says: Says_) -> None:
    kind, number = _holder(finding)
    if kind == "op":
        transitions.mending.ask_op(desk, number)
    else:
        transitions.mending.ask_run(desk, number)


def _name(desk: Desk, finding: Finding, books: Books, says: Says_) -> None:
    mending.name_gates(desk, finding.evidence["lane"])


def _look(desk: Desk, finding: Finding, books: Books, says: Says_) -> None:
    mending.look_at(desk, finding.evidence["lane"])


def _unreserve(desk: Desk, finding: Finding, books: Books, says: Says_) -> None:
    desk.drop_reservation(finding.evidence["holder"])


def _remove(desk: Desk, finding: Finding, books: Books, says: Says_) -> None:
    if not mending.remove(desk, _gate(finding, books)):
        raise CannotRepair("somebody holds it, or waits for it, still")


def _cancel(desk: Desk, finding: Finding, books: Books, says: Says_) -> None:
    transitions.mending.cancel_op(desk, _holder(finding)[1])


def _count_upstream(desk: Desk, finding: Finding, books: Books, says: Says_) -> None:
    transitions.mending.count_upstream(desk, _holder(finding)[1])


def _end(desk: Desk, finding: Finding, books: Books, says: Says_) -> None:
    transitions.mending.end_run(desk, _holder(finding)[1])


def _gate(finding: Finding, books: Books) -> int:
    return next(gate_id for gate_id, row in books.gates.items() if row.gate.key == finding.evidence["gate"])


def _holder(finding: Finding) -> tuple[str, int]:
    kind, _, number = finding.subject.partition(":")
    return kind, int(number)


_AT_THE_DESK: dict[str, Callable[[Desk, Finding, Books, Says_], None]] = {
    of_pools.USE: _recount,
    of_pools.LIMIT: _limit,
    of_pools.STUCK: _free,
    of_pools.WRONG: _hold,
    of_pools.STRAY: _withdraw,
    of_pools.MISSING: _ask,
    of_pools.MISPLACED: _ask,
    of_pools.NAMES: _name,
    of_pools.PARKED: _look,
    of_pools.ASIDE: _recount,
    of_pools.RESERVED: _unreserve,
    of_pools.LEFT: _remove,
    drift.LEFT: _cancel,
    drift.UPSTREAM: _count_upstream,
    drift.UNENDED: _end,
}

# --- by those whose duty it is: each of these verbs is guarded, and has its own transactions --------


def _dismiss_silent(finding: Finding) -> None:
    if not workforce.dismiss_lapsed([finding.evidence["worker"]]):
        raise Gone


def _dismiss_dead(finding: Finding) -> None:
    """As its launcher would: the gate narrows before the slots of its ops are free."""
    worker = finding.evidence["worker"]
    if worker not in {orphan.pk for orphan in workforce.orphans(parentage.here(), launcher="")}:
        raise Gone
    workforce.dismiss([worker])
    for op in Op.objects.filter(state=states.RUNNING, worker=worker):
        transitions.op_died(op.pk, op.token or 0, "lost its worker: its process is gone", LOST_ITS_WORKER)


def _do_what_is_due(finding: Finding) -> None:
    kind, number = _holder(finding)
    if finding.mark not in {other.mark for other in looking.overdue()}:
        raise Gone
    if kind == "op":
        with claims.desk() as desk:
            transitions.mending.retry(desk, number)
    claims.lose_patience()
    transitions.stop_overdue()


def _issue(finding: Finding) -> None:
    _tell_redis(finding, is_due=True, tell=lambda ticket: tickets.issue([ticket]))


def _discard(finding: Finding) -> None:
    _tell_redis(finding, is_due=False, tell=tickets.discard)


def _stop(finding: Finding) -> None:
    worker = finding.evidence["worker"]
    _tell_redis(finding, is_due=False, tell=lambda ticket: tickets.stop(ticket, worker))


def _tell_redis(finding: Finding, is_due: bool, tell: Callable[[Ticket], None]) -> None:
    """Tell Redis about a ticket, if its op still waits for it, or still does not."""
    facts = finding.evidence
    ticket = Ticket(facts["op"], int(facts["token"]), facts["queue"])
    wait = (states.ADMITTED,) if is_due else states.OP_WITH_SLOTS
    if Op.objects.filter(pk=ticket.op_id, token=ticket.token, state__in=wait).exists() != is_due:
        raise Gone
    tell(ticket)


_BY_OTHERS: dict[str, Callable[[Finding], None]] = {
    drift.SILENT: _dismiss_silent,
    drift.GONE: _dismiss_dead,
    drift.OVERDUE: _do_what_is_due,
    drift.LOST: _issue,
    drift.STRAY: _discard,
    drift.UNENDING: _stop,
}
