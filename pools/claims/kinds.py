"""Who asks and who is told: asks, grants, and what happens to each kind of holder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pools.rules import GateSpec, Need
from pools.rules import kind_of as kind_name

if TYPE_CHECKING:
    from pools.claims.desk import Desk


@dataclass(frozen=True)
class Ask:
    """A candidate asks for slots: it joins the line with a priority and the time since which it waits."""

    holder: str
    priority: int
    since: datetime
    needs: Sequence[Need]
    prospects: Sequence[Sequence[GateSpec]] = ()  # see rules.Lane
    until: datetime | None = None  # when it will have waited for too long

    @property
    def number(self) -> int:
        """The number in the holder's name; 0 if it has none."""
        return number_of(self.holder)


@dataclass(frozen=True)
class Grant:
    """A candidate was admitted. The token is its fence until it releases.

    `gates` are those of which it holds slots, by key; known in the transaction that admits it.
    """

    holder: str
    token: int
    gates: tuple[str, ...] = ()

    @property
    def id(self) -> int:
        """The number in the holder's name: 41 of "op:41"."""
        return number_of(self.holder)


@dataclass(frozen=True)
class HolderKind:
    """What to do for one kind of holder, in the transaction of the event.

    `admitted` moves the holders' own rows. When `asks` is set it may ask for more slots and is called at
    once, so that what it asks for takes its turn in the same order; else it is called once, at the end.
    `expired` is called after the slots of a lapsed lease were taken back. `lease` is in seconds; None:
    its holds end only by release. `gave_up` is called with the holder's number, and the names of what it waited
    for, the longest first, after a candidate has left the line because it waited for too long.
    """

    admitted: Callable[[Desk, Sequence[Grant]], None]
    expired: Callable[[Desk, Grant], None]
    gave_up: Callable[[Desk, int, Sequence[str]], None]
    lease: float | None = None
    asks: bool = False


def number_of(holder: str) -> int:
    """The number in a holder's name, 0 if it has none."""
    last = holder.rpartition(":")[2]
    return int(last) if last.isascii() and last.isdecimal() and len(last) < 19 else 0


_kinds: dict[str, HolderKind] = {}
_listeners: list[Callable[[set[str]], None]] = []


def register(kind: str, handler: HolderKind) -> None:
    """Say what happens to holders named "<kind>:…"."""
    _kinds[kind] = handler


def kind_of(holder: str) -> HolderKind:
    """The registered handler of a holder. Raises KeyError for a kind nobody registered."""
    return _kinds[kind_name(holder)]


def on_change(listener: Callable[[set[str]], None]) -> None:
    """Call `listener` with the topics of what changed, after each commit. It must not raise."""
    if listener not in _listeners:
        _listeners.append(listener)


def tell(topics: set[str]) -> None:
    """Tell every listener which topics changed. Called after commit."""
    for listener in _listeners:
        listener(topics)
