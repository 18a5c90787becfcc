"""What a deployment costs that has nothing to do: the CPU of all its processes, and their memory.

    python -m tests.bench.idle [--seconds 60] [--database sqlite]

A whole deployment, as `manage.py up` starts it: web server, launcher, two workers, clock, Redis, and the database's
server. Memory is PSS: what processes share is counted once.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time

import psutil

from tests import servers
from tests.bench import cpu, front
from tests.bench.front import Figures, Row
from tests.deployments import Deployment

SETTLING = 15.0  # seconds: what is done once, after the start, is over
MIB = 2**20
CHILDREN = ("redis", "web", "launcher and workers", "clock")  # of `up`, in the order in which it starts them

ROWS = [
    Row("CPU, % of a core", lambda f: f["cpu_percent"], most=2.0, digits=2),
    Row("memory (PSS), MiB", lambda f: f["pss_mib"], most={"sqlite": 250, "postgres": 300}, digits=0),
    Row("CPU of each, %", lambda f: _listed(f["cpu_by_part"], ".2f")),
    Row("memory of each, MiB", lambda f: _listed(f["pss_by_part"], ".0f")),
]


def main() -> int:
    return front.run(__spec__.name, __doc__ or "", measure, lambda results: front.side_by_side(ROWS, results), _options)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=60.0, help="how long it is watched")


def measure(database: str, options: argparse.Namespace) -> Figures:
    """CPU and memory, of all and of each part."""
    postgres = servers.Postgres(durable=True) if database == "postgres" else None
    own = {"DATABASE_URL": postgres.url} if postgres else {}
    deployment = Deployment("--workers", "2", "--no-demo", **own)
    try:
        deployment.wait_until_up()
        time.sleep(SETTLING)
        parts = _parts(deployment) | ({"database": postgres.process.pid} if postgres else {})
        before, began = _cpu(parts), time.monotonic()
        time.sleep(options.seconds)
        took, after = time.monotonic() - began, _cpu(parts)
        percent = {name: 100 * (after[name] - before[name]) / took for name in parts}
        memory = {name: _pss(pid) for name, pid in parts.items()} | {"up": _pss_of(deployment.process.pid)}
    finally:
        deployment.stop()
        if postgres:
            postgres.stop()
        shutil.rmtree(deployment.folder, ignore_errors=True)
    return {
        "cpu_percent": sum(percent.values()),
        "pss_mib": sum(memory.values()),
        "cpu_by_part": percent,
        "pss_by_part": memory,
    }


def _parts(deployment: Deployment) -> dict[str, int]:
    children = sorted(child.pid for child in psutil.Process(deployment.process.pid).children())
    return dict(zip(CHILDREN, children, strict=True))


def _cpu(parts: dict[str, int]) -> dict[str, float]:
    """`up` itself only waits for its children to end."""
    return {name: cpu.seconds([pid]) for name, pid in parts.items()}


def _pss(pid: int) -> float:
    """MiB of a process and all its descendants."""
    process = psutil.Process(pid)
    return sum(_pss_of(member.pid) for member in [process, *process.children(recursive=True)])


def _pss_of(pid: int) -> float:
    return float(psutil.Process(pid).memory_full_info().pss) / MIB


def _listed(parts: dict[str, float], shape: str) -> str:
    return ", ".join(f"{name} {value:{shape}}" for name, value in parts.items())


if __name__ == "__main__":
    sys.exit(main())
