"""The live stream: one Redis subscription a process, each screen drawn once for all who watch it.

A browser asks for `/live/?t=<topic>&t=…` and gets, as server-sent events, the blocks of those screens
that look different since they were last drawn: JSON objects of HTML by block id. Drawing happens in a
thread, at most twice a second for each screen; the stream itself never touches the database. What is drawn
within a moment is sent together, the same bytes to all who watch the same screens. A client that does not
keep up is let go: it comes back and gets everything. One that hears nothing for longer than the
heartbeat knows that the stream is dead.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field

import redis.asyncio
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connections
from redis.exceptions import RedisError

from controlplane.dashboard import drawing, screens
from runs.tickets import CHANGES

log = logging.getLogger(__name__)

PAUSE = 0.5  # seconds between two drawings of the same screen
TOGETHER = 0.1  # seconds of drawing after which what was drawn is sent
RESTLESS = 5.0  # seconds between two drawings of a screen that shows what nobody tells of
HEARTBEAT = 15.0
LONGEST_STREAM = 15 * 60.0  # then the browser comes back, and its session is checked again
MOST_TOPICS = 6
QUEUE = 8  # frames that may wait for a client


@dataclass(eq=False)
class Client:
    """A browser's stream."""

    topics: frozenset[str]
    frames: asyncio.Queue[bytes] = field(default_factory=lambda: asyncio.Queue(QUEUE))
    lost: bool = False


class Hub:
    """All streams of this process."""

    def __init__(self) -> None:
        self._clients: set[Client] = set()
        self._drawn: dict[str, dict[str, str]] = {}  # topic -> block id -> html, of topics that are watched
        self._dirty: set[str] = set()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def stream(self, topics: frozenset[str]) -> AsyncIterator[bytes]:
        """Events for one browser, the whole of its screens first."""
        client = Client(topics)
        self._clients.add(client)
        self._run()
        try:
            yield b"retry: 1000\n\n"
            for topic in sorted(topics):
                if topic not in self._drawn:
                    self._drawn |= await _draw([topic])
                yield _frame(self._drawn[topic])
            ends_at = time.monotonic() + LONGEST_STREAM
            while not client.lost and time.monotonic() < ends_at:
                try:
                    async with asyncio.timeout(HEARTBEAT):  # a task less for each frame than by `wait_for`
                        frame = await client.frames.get()
                except TimeoutError:
                    frame = b"event: beat\ndata: .\n\n"
                yield frame
        finally:
            self._clients.discard(client)
            for topic in topics - {topic for other in self._clients for topic in other.topics}:
                self._drawn.pop(topic, None)

    def _run(self) -> None:
        self._tasks = [task for task in self._tasks if not task.done()]
        if not self._tasks:
            jobs = (self._listen, self._watch_the_restless, self._keep_drawn)
            self._tasks = [asyncio.create_task(self._keep_up(job)) for job in jobs]

    async def _keep_up(self, job: Callable[[], Coroutine[None, None, None]]) -> None:
        """Do a job that has no end, and begin anew if it fails: browsers would hear heartbeats, and see nothing new."""
        while True:
            try:
                await job()
            except Exception:
                log.exception("the live stream failed and begins anew")
                await asyncio.sleep(PAUSE)
                self._touch(None)

    async def _listen(self) -> None:
        """Mark the screens that a change touches."""
        pause = 0.5
        while True:
            client = redis.asyncio.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=2)
            try:
                async with client.pubsub() as channel:
                    await channel.subscribe(CHANGES)
                    _end_if_canceled()
                    self._touch(None)  # whatever was missed while nobody listened
                    pause = 0.5
                    async for message in channel.listen():
                        if message["type"] == "message":
                            self._touch(set(json.loads(message["data"])))
            except (RedisError, OSError) as error:
                _end_if_canceled()
                log.warning("the live stream has no Redis: %s", error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)
            finally:
                await client.aclose()

    async def _watch_the_restless(self) -> None:
        """Mark, every few seconds, the screens that show heartbeats and what others do in our Redis."""
        while True:
            await asyncio.sleep(RESTLESS)
            self._mark(self._watched() & screens.RESTLESS)

    def _touch(self, changed: set[str] | None) -> None:
        self._mark({topic for topic in self._watched() if changed is None or screens.is_touched(topic, changed)})

    def _watched(self) -> set[str]:
        return {topic for client in self._clients for topic in client.topics}

    def _mark(self, topics: set[str]) -> None:
        self._dirty |= topics
        if self._dirty:
            self._wake.set()

    async def _keep_drawn(self) -> None:
        """Draw what is marked and send what looks different, then pause: changes in between are merged."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            dirty, self._dirty = sorted(self._dirty & self._watched()), set()
            while dirty:
                drawn = await _draw(dirty)
                dirty = [topic for topic in dirty if topic not in drawn]
                self._send(drawn)
            await asyncio.sleep(PAUSE)

    def _send(self, drawn: Mapping[str, dict[str, str]]) -> None:
        """Send what looks different of these screens, all of it to a client at once."""
        frames: dict[str, bytes] = {}
        for topic in drawn.keys() & self._watched():
            if different := _different(drawn[topic], self._drawn.get(topic, {})):
                frames[topic] = _frame(different)
            self._drawn[topic] = drawn[topic]
        together: dict[frozenset[str], bytes] = {}
        for client in self._clients:
            topics = client.topics.intersection(frames)
            if topics not in together:
                together[topics] = b"".join(frames[topic] for topic in sorted(topics))
            if topics:
                _put(client, together[topics])


def _end_if_canceled() -> None:
    """Raise the CancelledError that redis-py has swallowed: it does so when one comes while it connects."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _put(client: Client, frame: bytes) -> None:
    try:
        client.frames.put_nowait(frame)
    except asyncio.QueueFull:
        client.lost = True


async def _draw(topics: Sequence[str]) -> dict[str, dict[str, str]]:
    """The blocks of the first of these screens, as many as are drawn within a moment."""
    return await sync_to_async(_draw_in_thread, thread_sensitive=False)(topics)


def _draw_in_thread(topics: Sequence[str]) -> dict[str, dict[str, str]]:
    drawn: dict[str, dict[str, str]] = {}
    until = time.monotonic() + TOGETHER
    try:
        for topic in topics:
            drawn[topic] = drawing.draw(topic)
            if time.monotonic() > until:
                break
        return drawn
    finally:
        connections.close_all()


def _different(blocks: dict[str, str], before: dict[str, str]) -> dict[str, str]:
    """Those that look different, clocks aside."""
    return {
        name: html
        for name, html in blocks.items()
        if name not in before or drawing.still(before[name]) != drawing.still(html)
    }


def _frame(blocks: dict[str, str]) -> bytes:
    """Blocks as one event."""
    return f"data: {json.dumps(blocks, ensure_ascii=False)}\n\n".encode()


_hubs: dict[asyncio.AbstractEventLoop, Hub] = {}


def hub() -> Hub:
    """The hub of this event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub()
    return _hubs[loop]
