"""Every page of a deployment with a long past: its first byte, its queries, its weight.

    python -m tests.bench.pages [--runs 1000000] [--database sqlite]

A server in a process of its own is asked by somebody who is signed in, twenty times for each page. Queries are counted
in this process, where the same pages are drawn once more.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import json
import re
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from tests.bench import cpu, deployment, front, trace
from tests.bench.front import Figures

REQUESTS = 20
P95 = 0.150  # seconds; what is aimed at


def main() -> int:
    return front.run(__spec__.name, __doc__ or "", measure, table, _options)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=int, default=1_000_000, help="that are over; three tags each")


def measure(database: str, options: argparse.Namespace) -> Figures:
    """Build the past, then look at every page."""
    with deployment.opened(database, modules=deployment.SHOP) as opened:
        from runs.models import Op, Run, RunTag
        from tests import pages
        from tests.bench import past, web

        began = time.monotonic()
        names = past.build(options.runs)
        built = time.monotonic() - began
        counts = {model.__name__: model.objects.count() for model in (Run, RunTag, Op)}
        print(f"{database}: {counts}, built in {built:.0f} s", file=sys.stderr)
        client = web.signed_in()
        of = [example for name, examples in pages.EXAMPLES.items() if name != "login-link" for example in examples]
        addresses = {example.format(**names): example for example in of}
        with web.serving(opened) as server:
            pids = [server.pid, *opened.server_pids["database"]]
            found = [_page(server.port, pids, client, address, name) for address, name in addresses.items()]
    return {"built": built, "counts": counts, "pages": found}


def _page(port: int, pids: list[int], client: Any, address: str, name: str) -> dict[str, Any]:
    from tests.bench import web

    cookie, times = web.cookie(client), []
    _, sent = _ask(port, address, cookie)  # its template is read, and the database's cache is warm
    before = cpu.seconds(pids)
    for _ in range(REQUESTS):
        times.append(_ask(port, address, cookie)[0])
    used = cpu.seconds(pids) - before
    asked = _asked(client, address)
    page = {
        "page": name,
        "p50": trace.quantile(sorted(times), 0.5),
        "p95": trace.quantile(sorted(times), 0.95),
        "cpu": used / REQUESTS,
        "queries": len(asked.seconds),
        "slowest": max(zip(asked.seconds, asked.statements, strict=True), default=None),
        "gzip": len(sent),
        "plain": len(gzip.decompress(sent)),
    }
    if page["p95"] > P95:
        print(json.dumps(page), file=sys.stderr)
    return page


def _ask(port: int, address: str, cookie: str) -> tuple[float, bytes]:
    """Seconds to the first byte of an answer, on a connection of its own; and what came, compressed."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.connect()
    began = time.perf_counter()
    connection.request("GET", address, headers={"Cookie": cookie, "Accept-Encoding": "gzip"})
    answer = connection.getresponse()
    took = time.perf_counter() - began
    body = answer.read()
    connection.close()
    if answer.status != 200:
        raise trace.Broken(f"{address}: {answer.status}")
    return took, body if answer.headers["Content-Encoding"] == "gzip" else gzip.compress(body)


@dataclass
class _Asked:
    """The statements of a page and the seconds that each took."""

    statements: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        began = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            self.seconds.append(time.perf_counter() - began)
            self.statements.append(sql)


def _asked(client: Any, address: str) -> _Asked:
    from django.db import connection

    asked = _Asked()
    client.get(address)  # what a process reads once
    with connection.execute_wrapper(asked):
        assert client.get(address).status_code == 200
    return asked


def table(results: dict[str, Figures]) -> str:
    """A line for each page."""
    heads = [f"{database}: first byte p50 / p95, CPU, ms" for database in results]
    lines = [
        f"| page | queries | KiB sent (plain) | {' | '.join(heads)} |",
        "| --- | --: | --: |" + " --: |" * len(heads),
    ]
    for together in zip(*(found["pages"] for found in results.values()), strict=True):
        one = together[0]
        name = re.sub(r"[{}]", "", one["page"])
        weight = f"{one['gzip'] / 1024:.1f} ({one['plain'] / 1024:.0f})"
        queries = max(page["queries"] for page in together)
        lines.append(f"| `{name}` | {queries} | {weight} | {' | '.join(_times(page) for page in together)} |")
    return "\n".join(lines)


def _times(page: dict[str, Any]) -> str:
    missed = " **missed**" * (page["p95"] > P95)
    return f"{1000 * page['p50']:.0f} / {1000 * page['p95']:.0f}{missed}, {1000 * page['cpu']:.0f}"


if __name__ == "__main__":
    sys.exit(main())
