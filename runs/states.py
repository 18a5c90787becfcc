"""Which states a run and an op can be in, which moves are legal, and which states are final."""

from __future__ import annotations

QUEUED = "queued"
STARTED = "started"
CANCELING = "canceling"
SUCCESS = "success"
FAILURE = "failure"
CANCELED = "canceled"

PENDING = "pending"  # an upstream has not finished
READY = "ready"  # waits for slots
ADMITTED = "admitted"  # has its slots, a worker is about to take it
RUNNING = "running"
UP_FOR_RETRY = "up_for_retry"
SKIPPED = "skipped"  # an upstream failed or was skipped

RUN_MOVES: dict[str, tuple[str, ...]] = {
    QUEUED: (STARTED, FAILURE, CANCELED),  # failure: it waited for too long
    STARTED: (CANCELING, SUCCESS, FAILURE, CANCELED),
    CANCELING: (FAILURE, CANCELED),  # failure: it is stopped because it took too long
    SUCCESS: (),
    FAILURE: (),
    CANCELED: (),
}

OP_MOVES: dict[str, tuple[str, ...]] = {
    PENDING: (READY, SKIPPED, CANCELED),
    READY: (ADMITTED, FAILURE, CANCELED),  # failure: it waited for too long
    ADMITTED: (RUNNING, READY, CANCELED),  # back to ready: it never started
    RUNNING: (SUCCESS, FAILURE, UP_FOR_RETRY, READY, CANCELED),  # back to ready: given back by a stopping worker
    UP_FOR_RETRY: (READY, FAILURE, CANCELED),  # failure: somebody gave up
    SUCCESS: (),
    FAILURE: (),
    SKIPPED: (),
    CANCELED: (),
}

RUN_STATES = tuple(RUN_MOVES)
OP_STATES = tuple(OP_MOVES)
RUN_IN_PROGRESS = (CANCELING, STARTED)  # sorted: constraints and indexes carry them as they are
RUN_TERMINAL = tuple(sorted(state for state, moves in RUN_MOVES.items() if not moves))
OP_TERMINAL = tuple(sorted(state for state, moves in OP_MOVES.items() if not moves))
OP_UNFINISHED = tuple(sorted(state for state, moves in OP_MOVES.items() if moves))
OP_WITH_SLOTS = (ADMITTED, RUNNING)
