"""Which RQ workers are alive: their rows, and the gate of their queue that counts them.

An op is admitted only when a living worker is free to take it. So when workers come, the gate of their
queue opens wider in the same transaction; when they go, it narrows before the slots of their ops are free.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import timedelta

import psutil
from django.conf import settings

from pools import claims
from runs import admission, transitions
from runs.models import Worker

YOUTH = 60.0  # seconds between a worker's row and its process at most, on a very busy machine


def enlist(launcher: str, host: str, queue: str, count: int = 1, place: str = "") -> list[Worker]:
    """Count `count` new workers of a queue as alive, until their lease runs out."""
    with claims.desk() as desk:
        born = [
            Worker(
                name=f"{host}.{uuid.uuid4().hex[:12]}",
                host=host,
                place=place,
                launcher=launcher,
                queue=queue,
                born_at=desk.now,
                lease_until=desk.now + timedelta(seconds=settings.LEASE_SECONDS),
            )
            for _ in range(count)
        ]
        Worker.objects.bulk_create(born)
        recount(desk, {queue})
    return born


def note_pid(worker_id: int, pid: int) -> None:
    """Note the process of a worker, for those who look for it."""
    Worker.objects.filter(pk=worker_id).update(pid=pid)


def orphans(place: str, launcher: str) -> list[Worker]:
    """The workers of other launchers that say they live here and whose processes do not."""
    if not place:
        return []
    others = Worker.objects.filter(place=place, pid__isnull=False).exclude(launcher=launcher)
    return [worker for worker in others if not _lives(worker)]


def _lives(worker: Worker) -> bool:
    """Whether a worker's process is there, and is no younger one with the same pid."""
    try:
        process = psutil.Process(worker.pid)
        is_dead = process.status() == psutil.STATUS_ZOMBIE  # where nobody collects orphans
        return not is_dead and process.create_time() < worker.born_at.timestamp() + YOUTH
    except psutil.Error:
        return False


def dismiss(worker_ids: Sequence[int]) -> None:
    """Count these workers as gone. Ops on their way to workers that are not there return to their place."""
    with claims.desk() as desk:
        _count_out(desk, worker_ids)


def bury(worker_ids: Sequence[int], reason: str) -> None:
    """Count dead workers out and fail what they ran, whose processes are gone. In one transaction: if its caller dies,
    the next who looks finds the workers and their ops as they were."""
    with claims.desk() as desk:
        transitions.ops_lost_workers(desk, worker_ids, reason)
        _count_out(desk, worker_ids)


def _count_out(desk: claims.Desk, worker_ids: Sequence[int]) -> None:
    gone = Worker.objects.filter(pk__in=worker_ids)
    queues = set(gone.values_list("queue", flat=True))
    gone.delete()
    recount(desk, queues)


def renew(worker_ids: Collection[int]) -> int:
    """Extend the leases of workers whose processes live. Returns how many are still counted as alive."""
    until = claims.clock_time() + timedelta(seconds=settings.LEASE_SECONDS)
    return Worker.objects.filter(pk__in=worker_ids).update(lease_until=until)


def lapsed() -> list[int]:
    """The workers whose lease has run out."""
    return list(Worker.objects.filter(lease_until__lt=claims.clock_time()).values_list("id", flat=True))


def dismiss_lapsed(worker_ids: Sequence[int]) -> int:
    """Count those of these workers as gone whose lease has still run out. Returns how many."""
    if not worker_ids:
        return 0
    with claims.desk() as desk:
        gone = Worker.objects.filter(pk__in=worker_ids, lease_until__lt=desk.now)
        queues = set(gone.values_list("queue", flat=True))
        count, _ = gone.delete()
        recount(desk, queues)
    return count


def recount(desk: claims.Desk, queues: set[str]) -> None:
    """Set the gates of these queues to the number of workers that are alive."""
    for queue in sorted(queues):
        spec = admission.workers_gate(queue)
        gate_id = desk.open_gates([spec])[spec.key]
        alive = Worker.objects.filter(queue=queue).count()
        desk.resize(gate_id, alive)
        too_many = desk.gate(gate_id).in_use - alive
        if too_many > 0:
            transitions.return_admitted(desk, queue, too_many)
    desk.topics.add("workers")
