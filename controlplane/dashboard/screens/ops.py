"""An op of a run."""

from __future__ import annotations

from controlplane.dashboard.screens.block import Block
from runs import deployment, lineage, log_lines, queries, states, why
from runs.queries import OpView


def op(argument: str) -> list[Block]:
    """An op by its id."""
    found = queries.op(int(argument)) if argument.isdecimal() else None
    if found is None:
        raise LookupError(argument)
    return blocks_of_op(found)


def blocks_of_op(view: OpView) -> list[Block]:
    """The parts of an op's page."""
    row, run = view.op, view.op.run
    siblings, also = why.waiting_beside(row, deployment.counted())
    reasons = why.of_op(row, siblings)
    source = lineage.sources([row]).get(row.reused_from or 0)
    tries = lineage.tries(row)
    lines = log_lines.tail(run, row) if row.attempt or tries else []  # before its first attempt it said nothing
    log = {"run": run, "lines": lines, "op": row.key, "source": source}
    upstream = view.upstream if row.state == states.PENDING else ()
    head = {"op": row, "upstream": upstream, "source": source, "priority": run.priority + row.priority}
    return [
        Block("op-head", "runs/_op_head.html", head | deployment.known(also)),
        Block("why", "runs/_op_why.html", {"op": row, "why": reasons}),
        Block(
            "waited",
            "runs/_op_waited.html",
            {"op": row, "why": reasons, "waited": reasons.waited if reasons else why.waited_before(row)},
        ),
        Block("tries", "runs/_tries.html", {"tries": tries, "most": lineage.MOST_TRIES}),
        Block("log", "runs/_log.html", log),
    ]
