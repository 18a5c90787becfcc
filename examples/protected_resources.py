"""Two things that break when too many ops use them at once, and the pools that protect them.

A database role that may have two connections at a time, and a web API that answers 429 to a fourth
request at a time. Each has two jobs of ten ops: one without a pool, of which some ops fail when a few of
its runs are at work together, and one with a pool, of which none does.

To try it, take a PostgreSQL of yours. In it make a role with a limit (a superuser is exempt from it):

    CREATE ROLE shop LOGIN PASSWORD 'shop' CONNECTION LIMIT 2;

Start the API in one terminal, and everything else in another:

    .venv/bin/python -m examples.protected_resources
    export CONTROLPLANE_MODULES=examples.protected_resources CONTROLPLANE_DATA=data/protected
    export SHOP_DATABASE=postgresql://shop:shop@localhost/postgres
    export SHOP_WATCHER=postgresql://you:yours@localhost/postgres   # any other role
    export SHOP_API=http://127.0.0.1:8765
    make up

Launch `queries_without_pool` four times, on the page or by `manage.py launch`: some ops fail with the
server's own words, too many connections for role "shop". Then set the pools' limits, on the page or by

    .venv/bin/python manage.py concurrency set database 2
    .venv/bin/python manage.py concurrency set api 3

and launch `queries` four times: it takes longer, and no op fails. The same with `calls_without_pool` and `calls`.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg

import controlplane as dg

OPS = 10  # in each job
HELD = 0.2  # seconds that an op holds a connection, and that the API takes to answer

# --- a database role with a connection limit ---


def query(context: dg.OpExecutionContext) -> None:
    """Hold a connection for a moment; end when the server has let go of it.

    A server drops a connection a moment after the client has closed it, and counts it until then. An op
    that ended at once would give its slot to one that comes too early.
    """
    with psycopg.connect(os.environ["SHOP_DATABASE"], connect_timeout=10) as connection:
        process = connection.info.backend_pid
        context.log.info("connected: the server's process %s", process)
        connection.execute("SELECT pg_sleep(%s)", [HELD])
    with psycopg.connect(os.environ["SHOP_WATCHER"], connect_timeout=10, autocommit=True) as watcher:
        while watcher.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [process]).fetchone():
            time.sleep(0.005)


# --- an API that refuses a fourth request at a time ---


def call(context: dg.OpExecutionContext) -> str:
    """Ask the API. It answers 429 when it is asked too much at once, which is raised here."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is on this machine
    with opener.open(os.environ["SHOP_API"], timeout=30) as answer:
        context.log.info("the API answered %s", answer.status)
        return answer.read().decode()


class Api:
    """The API, in threads of this process. It counts what it answered and refused, and how busy it was at most."""

    def __init__(self, limit: int = 3, port: int = 0) -> None:
        self.limit = limit
        self.busiest = self.answered = self.refused = self._busy = 0
        self._lock = threading.Lock()
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, text = api.answer()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *args: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}/"

    def answer(self) -> tuple[int, bytes]:
        """Work for a moment, unless there is too much to do already. Returns a status and a text."""
        with self._lock:
            self._busy += 1
            self.busiest = max(self.busiest, self._busy)
            too_many = self._busy > self.limit
            if too_many:
                self.refused += 1
        if not too_many:
            time.sleep(HELD)
        with self._lock:
            self._busy -= 1
            self.answered += not too_many
        return (429, b"too many requests at a time\n") if too_many else (200, b"here you are\n")

    def serve(self) -> None:
        """Answer until `close`."""
        self._server.serve_forever(poll_interval=0.05)

    def close(self) -> None:
        """Answer no more. Called from another thread than `serve`."""
        self._server.shutdown()
        self._server.server_close()


# --- the jobs: the same ops, with a pool and without ---

protected_query = dg.op(query, name="protected_query", pool="database")
unprotected_query = dg.op(query, name="unprotected_query")
protected_call = dg.op(call, name="protected_call", pool="api")
unprotected_call = dg.op(call, name="unprotected_call")


@dg.job
def queries():
    """Ten queries that take a slot of the pool `database`."""
    for _ in range(OPS):
        protected_query()


@dg.job
def queries_without_pool():
    """Ten queries that nobody holds back."""
    for _ in range(OPS):
        unprotected_query()


@dg.job
def calls():
    """Ten calls that take a slot of the pool `api`."""
    for _ in range(OPS):
        protected_call()


@dg.job
def calls_without_pool():
    """Ten calls that nobody holds back."""
    for _ in range(OPS):
        unprotected_call()


if __name__ == "__main__":
    server = Api(port=int(sys.argv[1]) if len(sys.argv) > 1 else 8765)
    print(f"{server.address} answers {server.limit} requests at a time. Ctrl-C stops it.")
    try:
        server.serve()
    except KeyboardInterrupt:
        print(f"{server.answered} answered, {server.refused} refused, {server.busiest} at the busiest moment.")
