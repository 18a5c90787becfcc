"""The live stream is for ASGI servers: under WSGI it would hold a thread for each open page."""

from __future__ import annotations

import asyncio

import pytest
from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.contrib.auth.models import User
from django.db import connection
from django.test import AsyncClient, Client
from django.utils import timezone

from controlplane.dashboard import live
from controlplane.dashboard.live import Hub
from runs.models import Worker

pytestmark = pytest.mark.django_db(transaction=True)


def test_under_wsgi_the_stream_is_refused(viewer: Client) -> None:
    answer = viewer.get("/live/?t=pools")
    assert answer.status_code == 501
    assert not answer.streaming


def test_under_asgi_the_stream_begins_with_the_screen(engine, definitions) -> None:
    user = User.objects.create_user("vic")

    async def until_drawn() -> int:
        client = AsyncClient()
        await client.aforce_login(user)
        answer = await client.get("/live/?t=pools")
        async for frame in answer.streaming_content:
            if b'"pools": ' in frame:
                break
        return answer.status_code

    assert asyncio.run(asyncio.wait_for(until_drawn(), 20)) == 200


def test_an_open_stream_keeps_no_connection_to_the_database(engine, definitions) -> None:
    """PostgreSQL has a hundred of them; so many open pages would be all that it is there for."""
    user = User.objects.create_user("vic")

    async def is_connected() -> bool:
        async with ThreadSensitiveContext():  # as a server gives each request
            client = AsyncClient()
            await client.aforce_login(user)
            answer = await client.get("/live/?t=pools")
            async for _ in answer.streaming_content:
                break
            return await sync_to_async(lambda: connection.connection is not None)()

    assert not asyncio.run(asyncio.wait_for(is_connected(), 20))


def test_the_hub_ends_when_it_is_canceled_at_whatever_moment(engine) -> None:
    """A server that stops cancels its tasks once and waits for them: one that goes on would hold it for ever."""

    async def cancel_after(steps: int) -> set[asyncio.Task[None]]:
        hub = Hub()
        hub._run()
        for _ in range(steps):
            await asyncio.sleep(0.0002)
        for task in hub._tasks:
            task.cancel()
        _, going_on = await asyncio.wait(hub._tasks, timeout=5)
        return going_on

    for steps in range(60):
        loop = asyncio.new_event_loop()
        try:
            assert not loop.run_until_complete(cancel_after(steps)), f"{steps} steps after its start"
        finally:
            loop.close()


def test_heartbeats_are_seen_although_nobody_tells_of_them(engine, monkeypatch) -> None:
    monkeypatch.setattr(live, "RESTLESS", 0.05)

    async def until_seen() -> None:
        frames = Hub().stream(frozenset({"workers"}))
        async for frame in frames:
            if b'"workers": ' in frame:
                break
        now = timezone.now()
        await Worker.objects.acreate(
            name="w", host="h", launcher="l", queue="default", born_at=now, lease_until=now
        )  # a launcher would announce it
        async for frame in frames:
            if b"1 worker<" in frame:
                return

    asyncio.run(asyncio.wait_for(until_seen(), 20))


def test_a_hub_that_fails_begins_anew(engine, monkeypatch) -> None:
    """Heartbeats go on, so that nobody would notice."""
    monkeypatch.setattr(live, "RESTLESS", 0.05)
    monkeypatch.setattr(live, "PAUSE", 0.05)
    compare, failed = live._different, asyncio.Event()

    def fails_once(*of: dict[str, str]) -> dict[str, str]:
        if failed.is_set():
            return compare(*of)
        failed.set()
        raise RuntimeError("for a test")

    monkeypatch.setattr(live, "_different", fails_once)

    async def until_seen() -> None:
        frames = Hub().stream(frozenset({"workers"}))
        async for frame in frames:
            if b'"workers": ' in frame:
                break
        await failed.wait()
        now = timezone.now()
        await Worker.objects.acreate(name="w", host="h", launcher="l", queue="default", born_at=now, lease_until=now)
        async for frame in frames:
            if b"1 worker<" in frame:
                return

    asyncio.run(asyncio.wait_for(until_seen(), 20))
