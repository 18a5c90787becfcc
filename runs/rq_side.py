"""What RQ itself has in our Redis, for eyes: its workers, its queues, and jobs that Sluice did not put there.

It is asked in a few trips, whatever there is. What a foreign job carries is not unpacked: it may be a pickle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

import redis
from rq import Queue
from rq import Worker as RQWorker
from rq.job import Job
from rq.rate_limit import RateLimitRegistry
from rq.registry import StartedJobRegistry

from runs import tickets

MOST = 200  # workers, queues and rate limits that are looked at, and jobs of each queue
MOST_SHOWN = 50  # foreign jobs that are told one by one


@dataclass(frozen=True)
class WorkerSeen:
    """A worker that has signed on at RQ. `heard`: when RQ heard of it last; an idle one speaks every seven minutes."""

    name: str
    host: str
    queues: str
    state: str
    job_id: str
    born: datetime | None
    heard: datetime | None


@dataclass(frozen=True)
class QueueSeen:
    """A queue of RQ: jobs in line, at work and failed, and how many workers listen to it."""

    name: str
    waiting: int
    at_work: int
    failed: int
    listening: int


@dataclass(frozen=True)
class ForeignJob:
    """A job that Sluice did not enqueue. `limit`: the key of its RateLimit, if it has one."""

    id: str
    calls: str
    queue: str
    state: str
    limit: str
    since: datetime | None


@dataclass(frozen=True)
class LimitSeen:
    """A RateLimit of RQ: how many it lets through at once, how many it has let through, how many it holds back."""

    key: str
    limit: int
    let_through: int
    held_back: int


@dataclass(frozen=True)
class Seen:
    """All of it. `foreign`: how many foreign jobs there are among those that were looked at; `jobs` are the first."""

    workers: Sequence[WorkerSeen]
    queues: Sequence[QueueSeen]
    limits: Sequence[LimitSeen]
    jobs: Sequence[ForeignJob]
    foreign: int


def seen() -> Seen | None:
    """What RQ has. None: Redis does not answer."""
    return tickets.tell_redis(_look, "a page does without what RQ has")


def _look(client: redis.Redis) -> Seen:
    workers = _workers(client)
    queues, jobs = _queues(client, workers)
    limits, held = _limits(client)
    foreign = {job_id: state for job_id, state in (jobs | held).items() if not tickets.is_ticket(job_id)}
    shown = dict(list(foreign.items())[:MOST_SHOWN])
    return Seen(workers, queues, limits, _jobs(client, shown), len(foreign))


def _workers(client: redis.Redis) -> list[WorkerSeen]:
    keys = _members(client, RQWorker.redis_workers_keys)
    with client.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.hgetall(key)
        said = pipe.execute()
    # RQ lets the key of a worker that was killed run out, and keeps its name for some time.
    return [_worker(key, fields) for key, fields in zip(keys, said, strict=True) if b"birth" in fields]


def _worker(key: str, said: dict[bytes, bytes]) -> WorkerSeen:
    text = {name.decode(): value.decode(errors="replace") for name, value in said.items()}
    return WorkerSeen(
        name=key.removeprefix(RQWorker.redis_worker_namespace_prefix),
        host=text.get("hostname", ""),
        queues=text.get("queues", "").replace(",", ", "),
        state=text.get("state", ""),
        job_id=text.get("current_job", ""),
        born=tickets.moment(said.get(b"birth")),
        heard=tickets.moment(said.get(b"last_heartbeat")),
    )


def _queues(client: redis.Redis, workers: Sequence[WorkerSeen]) -> tuple[list[QueueSeen], dict[str, str]]:
    """The queues, and the ids of the jobs that are on them or were taken from them, with what they are."""
    names = [key.removeprefix(Queue.redis_queue_namespace_prefix) for key in _members(client, Queue.redis_queues_keys)]
    with client.pipeline(transaction=False) as pipe:
        for name in names:
            queue = Queue(name, connection=client)
            pipe.llen(queue.key)
            pipe.lrange(queue.key, 0, MOST - 1)
            pipe.zcard(queue.started_job_registry.key)
            pipe.zrange(queue.started_job_registry.key, 0, MOST - 1)
            pipe.zcard(queue.failed_job_registry.key)
        said = iter(pipe.execute())
    found, jobs = [], {}
    for name in names:
        waiting, ids, at_work, entries, failed = (next(said) for _ in range(5))
        listening = sum(name in worker.queues.split(", ") for worker in workers)
        found.append(QueueSeen(name, waiting, at_work, failed, listening))
        jobs.update(dict.fromkeys(map(StartedJobRegistry.parse_job_id, entries), "at work"))
        jobs.update(dict.fromkeys((job_id.decode() for job_id in ids), "in line"))
    return found, jobs


def _limits(client: redis.Redis) -> tuple[list[LimitSeen], dict[str, str]]:
    """The rate limits, and the ids of the jobs that they hold back."""
    keys = _members(client, RateLimitRegistry.rl_keys_key)
    with client.pipeline(transaction=False) as pipe:
        for key in keys:
            limit = RateLimitRegistry(key, client)
            pipe.hget(limit.config_key, "concurrency")
            pipe.zcard(limit.allowed_key)
            pipe.zcard(limit.rate_limited_key)
            pipe.zrange(limit.rate_limited_key, 0, MOST - 1)
        said = iter(pipe.execute())
    found, held = [], {}
    for key in keys:
        concurrency, let_through, held_back, ids = (next(said) for _ in range(4))
        found.append(LimitSeen(key, int(concurrency or 0), let_through, held_back))
        held.update(dict.fromkeys((job_id.decode() for job_id in ids), "held back"))
    return found, held


def _jobs(client: redis.Redis, states: dict[str, str]) -> list[ForeignJob]:
    with client.pipeline(transaction=False) as pipe:
        for job_id in states:
            pipe.hmget(Job.key_for(job_id), "description", "origin", "rate_limit_key", "enqueued_at", "created_at")
        said = pipe.execute()
    return [_job(job_id, state, *fields) for (job_id, state), fields in zip(states.items(), said, strict=True)]


def _job(job_id: str, state: str, *said: bytes | None) -> ForeignJob:
    calls, queue, limit = ((value or b"").decode(errors="replace") for value in said[:3])
    since = tickets.moment(said[3]) or tickets.moment(said[4])
    # RQ describes a call with its arguments, which are nobody's business here.
    return ForeignJob(job_id, calls.partition("(")[0], queue, state, limit, since)


def _members(client: redis.Redis, key: str) -> list[str]:
    return sorted(member.decode() for member in cast(set[bytes], client.smembers(key)))[:MOST]
