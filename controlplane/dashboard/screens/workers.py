"""The workers, and RQ's own side: its queues, and what is in our Redis that Sluice did not put there."""

from __future__ import annotations

from controlplane.dashboard.screens.block import Block
from runs import deployment, rq_side


def workers(argument: str = "") -> list[Block]:
    alive, found = deployment.workers_at_work(), rq_side.seen()
    ours = {worker.row.name for worker in alive}
    known = {worker.name for worker in found.workers} if found else ours
    strangers = [worker for worker in found.workers if worker.name not in ours] if found else []
    figures = {
        "workers": alive,
        "known": known,
        "hosts": len({worker.row.host for worker in alive}),
        "busy": sum(worker.op is not None for worker in alive),
    }
    return [
        Block("workers", "workers/_alive.html", figures),
        Block("rq-queues", "workers/_queues.html", {"rq": found}),
        Block("foreign", "workers/_foreign.html", {"rq": found, "strangers": strangers}),
    ]
