"""Waits until a run is over, for whoever has nothing else to do.

Redis tells of changes; when it does not answer, a look at the database each second finds them. When the
database does not answer, the wait goes on for a minute.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from types import TracebackType

import redis

from runs import tickets
from runs.models import Run
from runs.patience import patiently

LOOK_EVERY = 1.0  # seconds


def until_over(run_id: int, looked: Callable[[Run], None] = lambda run: None) -> Run:
    """Return the run once it is over. `looked` is called with every state of it that was seen.

    Raises Run.DoesNotExist when it is not there, and the database's error when it stays away.
    """

    def look() -> Run:
        run = Run.objects.get(pk=run_id)
        looked(run)
        return run

    with Ear() as ear:
        while True:
            run = patiently(look)
            if run.over:
                return run
            ear.wait_for(f"run:{run_id}", LOOK_EVERY)


class Ear:
    """Listens to what changes from the moment it is entered: a change between two waits is not missed."""

    def __enter__(self) -> Ear:
        self._pubsub: redis.client.PubSub | None = None
        self._listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def wait_for(self, topic: str, seconds: float) -> bool:
        """Wait until something about `topic` changed, at most so long. False: nothing was heard of it."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self._pubsub is None:
                time.sleep(left)  # Redis did not answer just now
                self._listen()
                return False
            try:
                message = self._pubsub.get_message(ignore_subscribe_messages=True, timeout=left)
            except (redis.RedisError, OSError):
                self._stop()
                continue
            if message is not None and topic in json.loads(message["data"]):
                return True
        return False

    def _listen(self) -> None:
        pubsub = tickets.connection().pubsub()
        try:
            pubsub.subscribe(tickets.CHANGES)
        except (redis.RedisError, OSError):
            pubsub.close()
        else:
            self._pubsub = pubsub

    def _stop(self) -> None:
        if self._pubsub is not None:
            self._pubsub.close()
            self._pubsub = None
