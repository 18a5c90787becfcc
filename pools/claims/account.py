"""The wait account: how many seconds a candidate waited for each gate. Plain sums, no row per wait and re-parking.

A lane may hold a hundred thousand waiters and be parked elsewhere many times a minute. So the lane keeps one sum a
gate; a waiter notes the lane's sums when it joins, and what it waited is the difference when it leaves. While it
stands beside the line, the gate that holds it back is what it waits for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pools.rules import Candidate, Gate, Lane

Seconds = dict[str, float]  # by gate id, or by the one below
PROSPECTS = "prospects"  # its needs had room, no prospect was open
LEAST = 0.001  # seconds; what is less is no wait


@dataclass
class KnownLane(Lane):
    """A lane with its sums up to `parked_at`; since then it is parked where it is. None: it is not parked."""

    sums: Seconds = field(default_factory=dict)
    parked_at: datetime | None = None

    def until(self, now: datetime) -> Seconds:
        """The sums, with the time since `parked_at` counted for what it is parked on."""
        on = self.waits_for
        if on is None or self.parked_at is None or now <= self.parked_at:
            return dict(self.sums)
        return _with(self.sums, on, (now - self.parked_at).total_seconds())

    @property
    def waits_for(self) -> str | None:
        """What the time counts for since `parked_at`."""
        if self.parked_at is None:
            return None
        return PROSPECTS if self.blocked_on is None else str(self.blocked_on)


@dataclass(frozen=True)
class KnownCandidate(Candidate):
    """A candidate with its account as it stands in its row."""

    account: str = "{}"


@dataclass
class Account:
    """A waiter's own part: what it has waited, not counting what its lane says beyond `offset`."""

    own: Seconds = field(default_factory=dict)
    offset: Seconds = field(default_factory=dict)  # the lane's sums when it joined or returned
    held: tuple[str, float] | None = None  # the gate that holds it back, since when (a timestamp)

    def waited(self, lane: Seconds, now: datetime) -> Seconds:
        """What it has waited so far, by gate, where its lane's sums are `lane` now."""
        if self.held is not None:
            gate, since = self.held
            return _with(self.own, gate, max(0.0, now.timestamp() - since))
        found = dict(self.own)
        for gate, seconds in lane.items():
            if (more := seconds - self.offset.get(gate, 0.0)) > 0:
                found[gate] = found.get(gate, 0.0) + more
        return found

    def hold(self, lane: Seconds, now: datetime, gate_id: int) -> Account:
        """It steps beside the line."""
        return Account(self.waited(lane, now), held=(str(gate_id), now.timestamp()))

    def rejoin(self, lane: Seconds, now: datetime) -> Account:
        """It stands in a line, whose sums are `lane`, again or for the first time."""
        return Account(self.own if self.held is None else self.waited({}, now), lane)

    def to_json(self) -> str:
        return json.dumps({"own": self.own, "offset": self.offset, "held": self.held})


@dataclass(frozen=True)
class Spent:
    """What a candidate has waited so far, by gate, and for which of them it waits now. None: nothing counts on."""

    seconds: Seconds
    on: str | None


def spent(text: str, lane: KnownLane, now: datetime) -> Spent:
    """The same from an account as it stands in a row, for eyes."""
    own = read(text)
    return Spent(own.waited(lane.until(now), now), own.held[0] if own.held else lane.waits_for)


class Book:
    """The accounts of one transaction: of those who return to a line, step beside it, or are admitted."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._returned: dict[int, Account] = {}
        self._admitted: list[tuple[str, int, Seconds]] = []  # holder, token, seconds by gate

    def joined(self, lane: KnownLane) -> Account:
        """The account of one who joins a line."""
        return Account().rejoin(lane.until(self._now), self._now)

    def move(self, candidate: Candidate, lane: KnownLane, to: KnownLane) -> Account:
        """The account of one who goes on in another line."""
        return Account(self.waited(candidate, lane), to.until(self._now))

    def held_back(self, candidate: Candidate, lane: KnownLane, gate_id: int) -> Account:
        """The account of one who steps beside the line."""
        held = self._of(candidate).hold(lane.until(self._now), self._now, gate_id)
        self._returned.pop(candidate.id, None)
        return held

    def returned(self, candidate: Candidate, lane: KnownLane) -> None:
        """It stands in its line again: from now on it waits for what its lane waits for."""
        account = self._of(candidate)
        if account.held is not None:
            self._returned[candidate.id] = account.rejoin(lane.until(self._now), self._now)

    def admitted(self, candidate: Candidate, token: int, lane: KnownLane) -> None:
        """Its wait is over."""
        self._admitted.append((candidate.holder, token, self.waited(candidate, lane)))
        self._returned.pop(candidate.id, None)

    def take_returned(self) -> list[tuple[int, Account]]:
        """The accounts of those who returned and still wait, to be written."""
        found, self._returned = list(self._returned.items()), {}
        return found

    def waits(
        self, load: Callable[[Iterable[int]], None], gate: Callable[[int], Gate | None]
    ) -> list[tuple[str, int, str, str, float]]:
        """What those who were admitted had waited: (holder, token, kind and label of the gate, seconds) each."""
        waits = [
            (holder, token, key, seconds)
            for holder, token, waited in self._admitted
            for key, seconds in waited.items()
            if seconds >= LEAST
        ]
        load(int(key) for _, _, key, _ in waits if key != PROSPECTS)
        return [(holder, token, *kind_and_label(key, gate), seconds) for holder, token, key, seconds in waits]

    def waited(self, candidate: Candidate, lane: KnownLane) -> Seconds:
        """What a candidate has waited so far."""
        return self._of(candidate).waited(lane.until(self._now), self._now)

    def _of(self, candidate: Candidate) -> Account:
        assert isinstance(candidate, KnownCandidate)  # every candidate of a desk was read by `store`
        return self._returned.get(candidate.id) or read(candidate.account)


def kind_and_label(key: str, gate: Callable[[int], Gate | None]) -> tuple[str, str]:
    if key == PROSPECTS:
        return PROSPECTS, ""
    found = gate(int(key))
    return (found.kind, found.label) if found else ("gone", "")


def read(text: str) -> Account:
    """An account as it stands in a row."""
    if text == "{}":
        return Account()
    stored = json.loads(text)
    return Account(stored["own"], stored["offset"], tuple(stored["held"]) if stored["held"] else None)


def _with(sums: Mapping[str, float], gate: str, seconds: float) -> Seconds:
    return {**sums, gate: sums.get(gate, 0.0) + seconds}
