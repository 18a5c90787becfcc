"""Ask, admit, renew, release, expire: the only place where slots change hands.

A verb opens the desk, says what happened, and leaves: on closing, the desk admits whoever now fits, in
the same transaction.

    with claims.desk() as desk:
        desk.release("op:41", token)
        desk.ask([Ask("op:42", priority=0, since=desk.now, needs=[...])])

A holder is an opaque string, "<kind>:<id>"; each kind is registered with what to do when one is admitted
or its lease runs out.
"""

from pools.claims.account import LEAST, PROSPECTS, KnownLane, kind_and_label, spent
from pools.claims.bounded import TookTooLong, at_most
from pools.claims.desk import Desk
from pools.claims.doors import desk, drain, lapsed, renew, sweep
from pools.claims.kinds import Ask, Grant, HolderKind, number_of, on_change, register
from pools.claims.known import waited_for
from pools.claims.lock import AWAY, clock_time, is_full, plan_once, server_uptime, snapshot
from pools.claims.patience import lose_patience
from pools.claims.reservations import reserve
from pools.claims.scene import IN_LINE, kin, read_scene
from pools.claims.store import needs_of, reservation
from pools.claims.vacuum import OpenTransaction, holding_back

__all__ = [
    "AWAY",
    "IN_LINE",
    "LEAST",
    "PROSPECTS",
    "Ask",
    "Desk",
    "Grant",
    "HolderKind",
    "KnownLane",
    "OpenTransaction",
    "TookTooLong",
    "at_most",
    "clock_time",
    "desk",
    "drain",
    "holding_back",
    "is_full",
    "kin",
    "kind_and_label",
    "lapsed",
    "lose_patience",
    "needs_of",
    "number_of",
    "on_change",
    "plan_once",
    "read_scene",
    "register",
    "renew",
    "reservation",
    "reserve",
    "server_uptime",
    "snapshot",
    "spent",
    "sweep",
    "waited_for",
]
