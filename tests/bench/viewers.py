"""Many who watch at once: how soon they see a change, and what that costs the web server.

    python -m tests.bench.viewers [--viewers 500] [--seconds 60] [--database sqlite]

Half of them have the overview open, half the pools page: a stream each, to one server. A limit is changed each second.
The time is taken from the moment before it is asked for, so that the commit is part of it, until a viewer has the block
in which it stands. It fails when a viewer is left behind.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from tests.bench import cpu, deployment, front, trace
from tests.bench.front import Figures, Row

SCREENS = ("t=rail&t=overview&t=glance", "t=rail&t=pools&t=glance")
POOL, FIRST = "warehouse", 1000  # the limits that are set: from here on
PATIENCE = 20.0  # seconds for what is to happen at once
QUIET = 10.0  # seconds that nothing is changed for, before

ROWS = [
    Row("a change arrives after, p50, ms", lambda f: 1000 * f["p50"], digits=0),
    Row("   p95, ms", lambda f: 1000 * f["p95"], most=500, digits=0),
    Row("CPU of the web server, % of a core", lambda f: 100 * f["cpu"], most=5.0),
    Row("   of it while nothing changes, %", lambda f: 100 * f["cpu_quiet"]),
    Row("KiB sent for a change to a viewer", lambda f: f["sent"] / 1024),
]


def main() -> int:
    return front.run(__spec__.name, __doc__ or "", measure, lambda results: front.side_by_side(ROWS, results), _options)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--viewers", type=int, default=500)
    parser.add_argument("--seconds", type=int, default=60, help="and so many changes")


@dataclass
class Viewer:
    """A browser with a page open."""

    received: int = 0
    seen: dict[int, float] = field(default_factory=dict)  # limit -> when it came

    async def watch(self, port: int, cookie: str, screen: str, opened: asyncio.Semaphore) -> None:
        """Open the stream, and note when each limit comes; until canceled."""
        async with opened:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"GET /live/?{screen} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n".encode())
            rest = await self._read(reader, b"")
        try:
            while True:
                rest = await self._read(reader, rest)
        finally:
            writer.close()

    def saw(self, limit: int) -> float:
        """When it knew of a change: changes that come quickly one after the other are drawn once, the last."""
        return min(at for later, at in self.seen.items() if later >= limit)

    async def _read(self, reader: asyncio.StreamReader, rest: bytes) -> bytes:
        more = await reader.read(1 << 20)
        if not more:
            raise trace.Broken("a stream ended")
        now, text = time.time(), rest + more
        self.received += len(more)
        name = f'id=\\"p-{POOL}\\" data-limit=\\"'.encode()
        for part in text.split(name)[1:]:
            limit, quote, _ = part.partition(b"\\")
            if quote:
                self.seen.setdefault(int(limit), now)
        return text[-len(name) - 10 :]


def measure(database: str, options: argparse.Namespace) -> Figures:
    """Let them watch, and change a limit each second."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with deployment.opened(database, modules=deployment.SHOP) as opened:
        from django.utils import timezone

        from tests.bench import web
        from tests.screenshots import past, scene

        moment = timezone.now()
        scene.play(moment)
        past.play(moment)
        cookie = web.cookie(web.signed_in())
        with web.serving(opened) as server:
            return asyncio.run(_watch(server, cookie, options.viewers, options.seconds))


async def _watch(server: Any, cookie: str, count: int, changes: int) -> Figures:
    viewers, at_once = [Viewer() for _ in range(count)], asyncio.Semaphore(20)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(viewer.watch(server.port, cookie, SCREENS[number % len(SCREENS)], at_once))
            for number, viewer in enumerate(viewers)
        ]
        await _until(lambda: all(viewer.seen for viewer in viewers), "not everybody has a page")
        await asyncio.sleep(2)
        before, began = cpu.seconds([server.pid]), time.monotonic()
        await asyncio.sleep(QUIET)
        quiet = (cpu.seconds([server.pid]) - before) / (time.monotonic() - began)
        received = sum(viewer.received for viewer in viewers)
        before, began, asked = cpu.seconds([server.pid]), time.monotonic(), {}
        for number in range(changes):
            asked[FIRST + number] = time.time()
            await asyncio.to_thread(_change, FIRST + number)
            await asyncio.sleep(max(0.0, began + number + 1 - time.monotonic()))
        last = FIRST + changes - 1
        await _until(lambda: all(last in viewer.seen for viewer in viewers), "not everybody saw the last change")
        used = (cpu.seconds([server.pid]) - before) / (time.monotonic() - began)
        received = sum(viewer.received for viewer in viewers) - received
        for task in tasks:
            task.cancel()
    waits = sorted(viewer.saw(limit) - at for limit, at in asked.items() for viewer in viewers)
    return {
        "viewers": count,
        "changes": changes,
        "p50": trace.quantile(waits, 0.5),
        "p95": trace.quantile(waits, 0.95),
        "cpu": used,
        "cpu_quiet": quiet,
        "sent": received / changes / count,
    }


def _change(limit: int) -> None:
    from django.db import connection

    from pools import sizing

    sizing.set_limit(POOL, limit, sizing.Author("bench", "cli"))
    connection.close()  # of whichever thread this is


async def _until(done: Any, otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise trace.Broken(otherwise)
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
