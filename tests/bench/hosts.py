"""Hosts of our own: network namespaces of this machine, each joined to it by a wire. Needs root and `ip`.

Nothing else is reached: a host sees the address of this machine at the other end of its wire, and itself.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Host:
    """Where a process runs. `address`: this machine's, as it is seen from there."""

    name: str = ""
    address: str = "127.0.0.1"

    def command(self, command: Sequence[str]) -> list[str]:
        """The command, run there."""
        return [*(["ip", "netns", "exec", self.name] if self.name else []), *command]

    def environment(self, environment: dict[str, str]) -> dict[str, str]:
        """The environment, with the servers' addresses as they are seen from there."""
        seen = {name: environment[name].replace("127.0.0.1", self.address) for name in ("DATABASE_URL", "REDIS_URL")}
        return {**environment, **seen}


HERE = Host()


@contextmanager
def joined(count: int) -> Iterator[list[Host]]:
    """So many hosts, joined to this machine and not to each other; they are gone afterwards."""
    hosts = [Host(f"sluice-{number}", f"10.77.{number}.1") for number in range(1, count + 1)]
    try:
        for number, host in enumerate(hosts, 1):
            wire, end = f"sluice{number}", f"sluice{number}-far"
            _ip(f"netns add {host.name}")
            _ip(f"link add {wire} type veth peer name {end} netns {host.name}")
            _ip(f"addr add {host.address}/30 dev {wire}")
            _ip(f"link set {wire} up")
            _ip(f"-n {host.name} addr add 10.77.{number}.2/30 dev {end}")
            _ip(f"-n {host.name} link set {end} up")
            _ip(f"-n {host.name} link set lo up")
        yield hosts
    finally:
        for host in hosts:  # its wire goes with it
            subprocess.run(["ip", "netns", "delete", host.name], check=False, stderr=subprocess.DEVNULL)


def _ip(what: str) -> None:
    subprocess.run(["ip", *what.split()], check=True)
