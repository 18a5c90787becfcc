"""Wake-ups through Redis: tickets to workers, interruptions, and word to the pages that something changed.

The database is the truth. A wake-up that gets lost, because Redis is down or was emptied, costs time and
nothing else: the clock finds work without a ticket, launchers find ops to interrupt, pages reload. So
nothing here raises when Redis does not answer, and after a failure Redis is left alone for a moment.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import django_rq
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue
from rq.command import PUBSUB_CHANNEL_TEMPLATE
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.utils import utcparse

log = logging.getLogger(__name__)

T = TypeVar("T")

PERFORM = "runs.worker.perform"  # what a ticket calls
CHANGES = "sluice:changes"  # the channel of what changed, a JSON list of topics a message
THERE = "sluice:there"  # a key that is written to see whether one can be
INTERRUPT = "interrupt"  # our command to a worker, beside RQ's own
FAILURE_TTL = 60 * 60  # seconds that RQ keeps a ticket that failed; its default is a year
PATIENCE = 1.0  # seconds to wait for Redis to answer
MOST_SEEN = 10_000  # jobs of a queue that are looked through: others may have put theirs there
RESPITE = 2.0  # seconds to leave Redis alone after it did not


@dataclass(frozen=True)
class Ticket:
    """The word to a worker of a queue that an op was admitted under a token."""

    op_id: int
    token: int
    queue: str

    @property
    def job_id(self) -> str:
        """The id of the RQ job that carries it."""
        return f"op-{self.op_id}-{self.token}"


@dataclass(frozen=True)
class SeenTicket:
    """A ticket as RQ has it: on its queue, or taken by a worker. `since` None: RQ does not say."""

    ticket: Ticket
    worker: str  # the name of the worker that took it; "" while it is on its queue
    since: datetime | None


_client: redis.Redis | None = None
_silent_until = 0.0


def connect() -> redis.Redis:
    """A new client of Redis, not yet connected.

    It does not introduce itself with its name and version, as clients do: every op's process makes
    connections of its own, and the introduction costs more than all that the op has to say.
    """
    client = django_rq.get_connection("default")
    client.connection_pool.connection_kwargs.update(driver_info=None)
    return client


def connection() -> redis.Redis:
    """A client that gives up quickly: callers have a transaction behind them, or a page ahead.

    A forked process inherits the client, never its connections: it notices the fork and makes its own.
    """
    global _client
    if _client is None:
        client = connect()
        client.connection_pool.connection_kwargs.update(
            socket_connect_timeout=PATIENCE, socket_timeout=PATIENCE, retry=Retry(NoBackoff(), 0)
        )
        _client = client
    return _client


def issue(tickets: Sequence[Ticket]) -> None:
    """Put tickets on their RQ queues. Called after commit: an op that was not admitted gets none."""

    def enqueue(client: redis.Redis) -> None:
        with client.pipeline() as pipe:
            for ticket in tickets:
                queue = Queue(ticket.queue, connection=client, serializer=JSONSerializer)
                queue.enqueue_call(
                    PERFORM,
                    args=(ticket.op_id, ticket.token),
                    timeout=-1,
                    result_ttl=0,
                    failure_ttl=FAILURE_TTL,
                    job_id=ticket.job_id,
                    pipeline=pipe,
                )
            pipe.execute()

    if tickets:
        tell_redis(enqueue, f"{len(tickets)} tickets wait for the clock")


def lost(tickets: Sequence[Ticket]) -> list[Ticket]:
    """Those of the tickets that Redis does not know. While it does not answer, none is known to be lost."""

    def look(client: redis.Redis) -> list[Ticket]:
        with client.pipeline(transaction=False) as pipe:
            for ticket in tickets:
                pipe.exists(Job.key_for(ticket.job_id))
            return [ticket for ticket, is_known in zip(tickets, pipe.execute(), strict=True) if not is_known]

    return (tell_redis(look, "no ticket is taken for lost") if tickets else None) or []


def seen(queues: Sequence[str]) -> list[SeenTicket] | None:
    """The tickets that RQ has on these queues, and those that workers have taken. None: Redis does not answer."""

    def look(client: redis.Redis) -> list[SeenTicket]:
        jobs: list[tuple[Ticket, bool]] = []
        for name in queues:
            queue = Queue(name, connection=client, serializer=JSONSerializer)
            ids = [(job_id, False) for job_id in queue.get_job_ids(0, MOST_SEEN)]
            ids += [(job_id, True) for job_id in queue.started_job_registry.get_job_ids(cleanup=False)]
            jobs += [(ticket, taken) for job_id, taken in ids if (ticket := _ticket(job_id, name))]
        with client.pipeline(transaction=False) as pipe:
            for ticket, taken in jobs:
                pipe.hmget(Job.key_for(ticket.job_id), ["worker_name", "started_at" if taken else "enqueued_at"])
            said = pipe.execute()
        return [
            SeenTicket(ticket, (worker or b"").decode() if taken else "", moment(since))
            for (ticket, taken), (worker, since) in zip(jobs, said, strict=True)
        ]

    return tell_redis(look, "no ticket is compared")


def _ticket(job_id: str, queue: str) -> Ticket | None:
    """The ticket that has this job id; None for whatever else somebody has put on our queue."""
    found = re.fullmatch(r"op-([0-9]{1,18})-([0-9]{1,19})", job_id)
    return Ticket(int(found[1]), int(found[2]), queue) if found else None


def is_ticket(job_id: str) -> bool:
    """Whether an RQ job of this id is one of ours."""
    return _ticket(job_id, "") is not None


def moment(written: bytes | None) -> datetime | None:
    """When something was, as RQ writes it. None: it does not say."""
    try:
        return utcparse(written.decode()) if written else None
    except ValueError:
        return None


def discard(ticket: Ticket) -> None:
    """Take a ticket off its queue. One that a worker has taken is left to it."""

    def remove(client: redis.Redis) -> None:
        queue = Queue(ticket.queue, connection=client, serializer=JSONSerializer)
        if queue.remove(ticket.job_id):
            client.delete(Job.key_for(ticket.job_id))

    tell_redis(remove, "the ticket stays on its queue")


def stop(ticket: Ticket, worker: str) -> None:
    """Tell a worker to kill the process in which it works on a ticket, if it still does."""
    command = json.dumps({"command": "stop-job", "job_id": ticket.job_id})
    tell_redis(
        lambda client: client.publish(PUBSUB_CHANNEL_TEMPLATE % worker, command), "the worker is not told to stop it"
    )


def announce(topics: Iterable[str]) -> None:
    """Tell whoever watches which topics changed."""
    message = json.dumps(sorted(topics))
    tell_redis(lambda client: client.publish(CHANGES, message), "pages are not told of a change")


def interrupt(running: Sequence[tuple[str, int]]) -> None:
    """Tell workers, by RQ's own channel to each, to interrupt the op that they run: (worker's name, op id) each."""

    def publish(client: redis.Redis) -> None:
        for worker, op_id in running:
            command = json.dumps({"command": INTERRUPT, "op": op_id})
            client.publish(PUBSUB_CHANNEL_TEMPLATE % worker, command)

    if running:
        tell_redis(publish, "launchers will find the ops to interrupt")


def answers() -> bool:
    """Whether Redis is there and takes what is written: one that is full does not."""
    return bool(tell_redis(lambda client: client.set(THERE, 1, ex=60), "no worker is started without it"))


def tell_redis(say: Callable[[redis.Redis], T], consequence: str) -> T | None:
    """Tell Redis, or ask it. None: it did not answer, or is left alone since it did not."""
    global _silent_until
    if time.monotonic() < _silent_until:
        return None
    try:
        return say(connection())
    except (redis.RedisError, OSError) as error:
        _silent_until = time.monotonic() + RESPITE
        log.warning("Redis did not answer (%s): %s", error, consequence)
        return None
