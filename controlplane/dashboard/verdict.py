"""The sentence that opens the overview: is work flowing, and what holds it back. By rules, in this order;
each says only what the numbers say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pools.queries import COUNT_TO, PoolView, counted
from pools.rules import time_of_day
from runs.deployment import Now, QueueWorkers

MOST_OF_A_LINE = 0.4  # a pool that has this share of all who wait is named


@dataclass(frozen=True)
class Verdict:
    """A sentence, the pool that it ends in (if it names one), and one more sentence."""

    text: str
    pool: str = ""
    after: str = ""
    detail: str = ""


def of(
    pools: Sequence[PoolView],
    now: Now,
    workers: Sequence[QueueWorkers],
    full: Sequence[str],
    one_slot_helps: Callable[[str], bool],
    stuck: Sequence[str] = (),
) -> Verdict:
    """The first rule that applies. `full`: the run limits on tags at which runs wait.

    `one_slot_helps` tells of a pool whether one more slot would start an op. `stuck`: the gates of which nobody alive
    holds a slot, by key, a slot each.
    """
    waiting = now.waiting
    if now.silent_since is not None:
        return Verdict(
            "The clock is silent.",
            detail=f"It was heard last at {time_of_day(now.silent_since)}. What became due since then is not done.",
        )
    for queue in workers:
        if queue.waiting and not queue.alive:
            return Verdict(
                f"No worker is alive on queue {queue.queue}.",
                detail=f"{_ops(queue.waiting)} {_wait(queue.waiting)} for one. "
                f"Start one with `manage.py worker --queue {queue.queue}`.",
            )
    if stuck:
        return _nobody_alive(stuck)
    lines = [pool for pool in pools if pool.waiting]
    worst = longest_line(pools)
    if worst and (worst.waiting >= MOST_OF_A_LINE * waiting or len(lines) == 1):
        return Verdict(
            f"{_ops(waiting)} {_are(waiting)} waiting. {_of_them(worst.waiting, waiting)}",
            pool=worst.name,
            after=_standing(worst),
            detail=_raise(worst, one_slot_helps),
        )
    if len(lines) > 1:
        return Verdict(f"{_ops(waiting)} {_are(waiting)} waiting, at {len(lines)} pools.")
    busy = next((queue for queue in workers if queue.waiting), None)
    if busy:
        return Verdict(
            f"{_ops(waiting)} {_are(waiting)} waiting for a worker.",
            detail=f"{busy.busy} of {busy.alive} workers of queue {busy.queue} are busy; the pools have room.",
        )
    if waiting:
        return Verdict(f"{_ops(waiting)} {_are(waiting)} waiting for a limit within their runs.")
    if now.queued:
        text = f"{counted(now.queued)} {'run is' if now.queued == 1 else 'runs are'} queued."
        return Verdict(text, detail=_full_limits(now, full))
    if now.progress:
        return Verdict("Nothing waits.", detail=f"{_runs(now.progress)} in progress, every limit has room.")
    return Verdict("Nothing is running.", detail="Launch a job to see it here.")


def longest_line(pools: Sequence[PoolView]) -> PoolView | None:
    """The pool at which most wait, None if nobody does."""
    return max((pool for pool in pools if pool.waiting), key=lambda pool: pool.waiting, default=None)


def _nobody_alive(stuck: Sequence[str]) -> Verdict:
    slots, are, them = ("A slot", "is", "it") if len(stuck) == 1 else (f"{len(stuck)} slots", "are", "them")
    detail = f"Release {them}, and whoever is first in line takes {them}."
    if len(set(stuck)) > 1 or not stuck[0].startswith("pool:"):
        return Verdict(f"{slots} {are} held by nobody alive.", detail=detail)
    return Verdict(f"{slots} of", stuck[0].removeprefix("pool:"), f" {are} held by nobody alive.", detail)


def _ops(number: int) -> str:
    return f"{counted(number)} op" + ("" if number == 1 else "s")


def _runs(number: int) -> str:
    return f"{counted(number)} run" + ("" if number == 1 else "s")


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _wait(number: int) -> str:
    return "waits" if number == 1 else "wait"


def _of_them(part: int, whole: int) -> str:
    if whole == 1:
        return "It wants"
    if part >= whole or part > COUNT_TO:
        return "They want"
    return f"{part} of them {'wants' if part == 1 else 'want'}"


def _standing(pool: PoolView) -> str:
    if pool.paused:
        until = f" until {time_of_day(pool.paused_until)}" if pool.paused_until else ""
        return f", paused by {pool.paused_by or 'somebody'}{until}."
    if pool.limit == 0:
        return ", closed: its limit is 0."
    return f", {pool.in_use} of {pool.limit} in use." if pool.limit is not None else "."


def _raise(pool: PoolView, one_slot_helps: Callable[[str], bool]) -> str:
    if pool.paused:
        return pool.pause_reason
    if pool.limit is None or pool.in_use != pool.limit or not one_slot_helps(pool.name):
        return ""
    return f"With a limit of {pool.limit + 1}, the first in line would start now."


def _full_limits(now: Now, full: Sequence[str]) -> str:
    if now.maximum is not None and now.progress >= now.maximum:
        return f"{now.progress} of {now.maximum} runs are in progress: the run queue's maximum."
    return f"{'It waits' if now.queued == 1 else 'They wait'} at the run limit on {full[0]}." if full else ""
