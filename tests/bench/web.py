"""A web server of a deployment, as `manage.py up` runs it, and somebody who is signed in."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from tests import servers
from tests.bench.deployment import ROOT, Deployment

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Server:
    """Where it listens, and its process."""

    port: int
    pid: int


@contextmanager
def serving(deployment: Deployment) -> Iterator[Server]:
    """A web server in a process of its own; it answers."""
    call_command("collectstatic", verbosity=0, interactive=False)
    port = servers.free_port()
    arguments = ["--host", HOST, "--port", str(port), "--log-level", "warning", "--no-access-log", "--lifespan", "off"]
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "controlplane.asgi:application", *arguments],
        cwd=ROOT,
        env=dict(os.environ),
    )
    try:
        servers.wait_for(lambda: servers.listens(port), "the web server does not listen")
        yield Server(port, process.pid)
    finally:
        process.terminate()
        process.wait(20)


def signed_in(name: str = "admin") -> Client:
    """A client of Django's, in this process, with the session of somebody who may do everything."""
    client = Client(SERVER_NAME=HOST)
    client.force_login(User.objects.get_or_create(username=name, defaults={"is_superuser": True})[0])
    return client


def cookie(client: Client) -> str:
    """What a client sends along to be the same person at a real server."""
    return f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"
