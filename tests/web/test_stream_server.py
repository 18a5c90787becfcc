"""The live stream is for ASGI servers: under WSGI it would hold a thread for each open page."""

from __future__ import annotations

import asyncio

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient, Client

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
            if b'hx-target="#pools"' in frame:
                break
        return answer.status_code

    assert asyncio.run(asyncio.wait_for(until_drawn(), 20)) == 200
