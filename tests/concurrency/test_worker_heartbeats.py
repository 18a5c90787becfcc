"""A worker whose op runs on while Redis is away keeps waiting for it."""

from __future__ import annotations

import redis
from rq import Queue
from rq.serializers import JSONSerializer

from runs.worker import Worker
from tests import servers


def test_a_worker_that_can_not_tell_redis_that_its_op_goes_on_does_not_end() -> None:
    """It would take the op's process with it: that dies with its worker."""
    server = servers.Redis()
    try:
        connection = redis.Redis.from_url(server.url)
        queue = Queue("default", connection=connection, serializer=JSONSerializer)
        worker = Worker([queue], connection=connection, serializer=JSONSerializer)
        worker.register_birth()
        execution = worker.prepare_execution(job := queue.enqueue_call("runs.worker.perform"))
        server.kill()
        worker.maintain_heartbeats(job, execution)
        server.start()
        worker.maintain_heartbeats(job, execution)
        assert connection.exists(worker.key)
    finally:
        server.stop()
