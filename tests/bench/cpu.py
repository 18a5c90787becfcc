"""CPU seconds of a tree of processes, from /proc: the living ones, and those that they have waited for."""

from __future__ import annotations

from collections.abc import Iterable

import psutil


def seconds(roots: Iterable[int]) -> float:
    """User and system time of these processes and all their descendants so far."""
    total = 0.0
    for root in roots:
        try:
            process = psutil.Process(root)
            tree = [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
        for member in tree:
            try:
                total += sum(member.cpu_times()[:4])  # user, system, and both of the children waited for
            except psutil.NoSuchProcess:
                continue  # its parent has waited for it, or will
    return total
