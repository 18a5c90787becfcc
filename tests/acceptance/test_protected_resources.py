"""The limit matters to somebody outside: without the pool a server refuses some of 40 ops, with it none.

Four runs of ten ops each, at once, with four workers.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from examples import protected_resources
from examples.protected_resources import Api
from pools import sizing
from runs import catalog, launch, states
from runs.models import Op
from tests import servers
from tests.acceptance.conftest import Workers, wait_until_over
from tests.builders import ADA
from tests.plugin import DATABASE

pytestmark = pytest.mark.django_db(transaction=True)

MODULE = protected_resources.__name__
ROLE = "shop"


@pytest.fixture(scope="module")
def watcher() -> Iterator[str]:
    """A role without a limit on a real PostgreSQL: the engine's own, or one started for this."""
    if DATABASE == "postgres":
        yield os.environ["DATABASE_URL"]
        return
    try:
        server = servers.Postgres()
    except servers.Missing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"There is no PostgreSQL to protect: {missing}")
    yield server.url
    server.stop()


@pytest.fixture
def shop(watcher: str) -> Iterator[str]:
    """A role, no superuser, that may have two connections."""
    with psycopg.connect(watcher, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {ROLE} LOGIN CONNECTION LIMIT 2")
        parts = urlsplit(watcher)
        yield urlunsplit(parts._replace(netloc=f"{ROLE}@{parts.netloc.rpartition('@')[2]}"))
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [ROLE])
        connection.execute(f"DROP ROLE {ROLE}")


@pytest.fixture
def api() -> Iterator[Api]:
    """An API that answers three requests at a time."""
    api = Api(limit=3)
    thread = threading.Thread(target=api.serve)
    thread.start()
    yield api
    api.close()
    thread.join()


def ops_of_four_runs(job: str) -> list[Op]:
    """Launch four runs of a job at once and wait for their ends. Returns their 40 ops."""
    wanted = launch.find_job(catalog.load([MODULE]), job)
    runs = [launch.launch(wanted, who="ada", door="cli") for _ in range(4)]
    wait_until_over(runs)
    ops = list(Op.objects.filter(run__in=runs))
    assert len(ops) == 40
    assert all(op.attempt == 1 for op in ops)
    return ops


def refused(ops: list[Op], text: str) -> list[Op]:
    """The ops that failed, all of them with these words."""
    failed = [op for op in ops if op.state != states.SUCCESS]
    assert all(op.state == states.FAILURE and text in op.error for op in failed), [op.error for op in failed]
    return failed


TOO_MANY_CONNECTIONS = f'too many connections for role "{ROLE}"'


def test_without_a_pool_the_server_refuses_connections(workers: Workers, watcher: str, shop: str) -> None:
    workers(4, MODULE, SHOP_DATABASE=shop, SHOP_WATCHER=watcher)
    assert refused(ops_of_four_runs("queries_without_pool"), TOO_MANY_CONNECTIONS)


def test_a_pool_of_two_keeps_to_a_connection_limit_of_two(workers: Workers, watcher: str, shop: str) -> None:
    sizing.set_limit("database", 2, ADA)
    workers(4, MODULE, SHOP_DATABASE=shop, SHOP_WATCHER=watcher)
    assert refused(ops_of_four_runs("queries"), TOO_MANY_CONNECTIONS) == []


def test_without_a_pool_the_api_refuses_requests(workers: Workers, api: Api) -> None:
    workers(4, MODULE, SHOP_API=api.address)
    failed = refused(ops_of_four_runs("calls_without_pool"), "HTTP Error 429")
    assert len(failed) == api.refused > 0
    assert api.busiest > 3


def test_a_pool_of_three_keeps_to_three_requests_at_a_time(workers: Workers, api: Api) -> None:
    sizing.set_limit("api", 3, ADA)
    workers(4, MODULE, SHOP_API=api.address)
    assert refused(ops_of_four_runs("calls"), "HTTP Error 429") == []
    assert (api.answered, api.refused) == (40, 0)
    assert api.busiest <= 3
